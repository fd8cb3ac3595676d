"""Carrying out runs: one run in its folder, sweeps, and ledgers of many runs as processes."""
