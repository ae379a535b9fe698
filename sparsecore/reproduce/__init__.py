"""The paper's tables again: the runs of each, ours beside theirs cell by cell, and why they differ."""
