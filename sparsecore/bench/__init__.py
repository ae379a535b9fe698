"""Measurements that a reader can repeat: `python -m sparsecore bench`. Each figure is a ratio of one run."""
