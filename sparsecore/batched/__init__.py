"""Many small networks trained as one batch, each with the results it would have alone. See `training.py`."""
