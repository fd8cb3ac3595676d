"""Training: the settings and the state of a run, and the steps from one state to the next."""
