"""Accuracy and time of classical solvers for the Poisson problem u = sin πx sin πy on [-1, 1]², for comparison.

    python benchmarks/classical.py        (finite elements need the extra "dev")

Errors are relative L2 errors on the 101 x 101 grid that is used for networks; seconds are the median of five solves,
with assembly and without evaluation on that grid.
"""

from collections.abc import Callable
from time import perf_counter

import numpy as np
from scipy.interpolate import barycentric_interpolate

AXIS = np.linspace(-1, 1, 101)
Solved = tuple[Callable[[], np.ndarray], int]  # evaluates on the error grid; number of unknowns
EXACT = np.outer(np.sin(np.pi * AXIS), np.sin(np.pi * AXIS))


def differentiation(n: int) -> tuple[np.ndarray, np.ndarray]:
    """Return Chebyshev points of the second kind and their differentiation matrix (L. N. Trefethen 2000, ch. 6)."""
    x = np.cos(np.pi * np.arange(n + 1) / n)
    c = np.r_[2.0, np.ones(n - 1), 2.0] * (-1.0) ** np.arange(n + 1)
    gaps = x[:, None] - x + np.eye(n + 1)
    matrix = np.outer(c, 1 / c) / gaps
    return x, matrix - np.diag(matrix.sum(axis=1))


def collocation(n: int) -> Solved:
    """Solve Δu = f with zero boundary values on (n + 1)² Chebyshev points, by diagonalization in each coordinate."""
    x, d = differentiation(n)
    second = (d @ d)[1:-1, 1:-1]
    values, vectors = np.linalg.eig(second)
    inner = x[1:-1]
    source = -2 * np.pi**2 * np.outer(np.sin(np.pi * inner), np.sin(np.pi * inner))
    transformed = np.linalg.solve(vectors, np.linalg.solve(vectors, source.T).T)
    u = np.zeros((n + 1, n + 1))
    u[1:-1, 1:-1] = (vectors @ (transformed / (values[:, None] + values)) @ vectors.T).real
    return lambda: barycentric_interpolate(x, barycentric_interpolate(x, u, AXIS, axis=0), AXIS, axis=1), inner.size**2


def finite_elements(degree: int, cells: int) -> Solved:
    """Solve with triangular elements of degree 2 or 4 by scikit-fem."""
    import skfem
    from skfem.models.poisson import laplace

    mesh = skfem.MeshTri.init_tensor(*[np.linspace(-1, 1, cells + 1)] * 2)
    basis = skfem.Basis(mesh, {2: skfem.ElementTriP2(), 4: skfem.ElementTriP4()}[degree])
    load = skfem.LinearForm(lambda v, w: 2 * np.pi**2 * np.sin(np.pi * w.x[0]) * np.sin(np.pi * w.x[1]) * v)
    u = skfem.solve(*skfem.condense(laplace.assemble(basis), load.assemble(basis), D=basis.get_dofs()))
    grid = np.stack(np.meshgrid(AXIS, AXIS, indexing="ij")).reshape(2, -1)
    return lambda: (basis.probes(grid) @ u).reshape(101, 101), basis.N


def main() -> None:
    rows = [(f"Chebyshev collocation, {n + 1} x {n + 1}", lambda n=n: collocation(n)) for n in (16, 20)]
    rows += [
        (f"scikit-fem P{k}, {m} x {m} cells", lambda k=k, m=m: finite_elements(k, m)) for k, m in ((2, 128), (4, 64))
    ]
    print("| method | unknowns | relative L2 | seconds |\n|---|---|---|---|")
    for name, solve in rows:
        evaluate, unknowns = solve()
        times = []
        for _ in range(5):
            began = perf_counter()
            solve()
            times.append(perf_counter() - began)
        error = np.linalg.norm(evaluate() - EXACT) / np.linalg.norm(EXACT)
        print(f"| {name} | {unknowns} | {error:.1e} | {np.median(times):.2g} |")


if __name__ == "__main__":
    main()
