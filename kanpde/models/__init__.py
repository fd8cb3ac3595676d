"""Networks as stacks of ``features(x) @ weight``, one architecture a file."""
