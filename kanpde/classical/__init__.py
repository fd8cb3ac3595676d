"""Classical solvers of the same problems: Chebyshev collocation and finite elements, to compare networks with."""
