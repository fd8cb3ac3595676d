"""Classical solvers for the same problems, for comparison with networks: Chebyshev collocation, finite elements."""
