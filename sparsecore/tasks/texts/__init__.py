"""What the text task is made of: sizes, splits, batches, scores, and a trained network that grades."""
