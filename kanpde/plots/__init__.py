"""Pictures of one solution, of its history, of its size, and of its network."""
