"""The files of a run: result, fields, checkpoints."""
