"""What a run leaves on disk: the result, its fields, checkpoints."""
