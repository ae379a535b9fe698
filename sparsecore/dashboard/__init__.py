"""The dashboard's parts: words, controls, the live view and the route that feeds it."""
