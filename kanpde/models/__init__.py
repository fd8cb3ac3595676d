"""Networks as stacks of layers ``features(x) @ weight``, one architecture per file."""
