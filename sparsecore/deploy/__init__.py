"""A trained network as files that other programs read: arrays in, bytes out. No torch, no file, no run."""
