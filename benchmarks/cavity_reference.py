"""The flow in a cavity with a moving lid by elements of Taylor and Hood, as the reference of `problem=cavity`.

python benchmarks/cavity_reference.py [--cells 16 20] [--reynolds 100]
python benchmarks/cavity_reference.py --write    # problems/cavity.csv, the values on the finer mesh

Velocities of degree 4 and pressures of degree 3 on rectangles (scikit-fem), which become smaller towards the walls and
in a geometric sequence towards the upper corners; Newton's method from Stokes flow. It is computed apart from the
problem's residuals. The lid's velocity jumps at the upper corners: there the nodes have the velocity of the walls, 0;
with that of the lid, 1, the values at the points of the reference must be the same, which is printed too. U. Ghia,
K. N. Ghia and C. T. Shin, J. Comput. Phys. 48, 1982, tables I and II, give velocities on the centre lines (`GHIA_U`,
`GHIA_V`).
"""

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import skfem
from scipy.sparse import bmat, coo_matrix
from scipy.sparse.linalg import splu

FILE = Path(__file__).parents[1] / "problems" / "cavity.csv"
ALONG, NEAR = 40, 0.1  # points of the reference along each side; none are so near to an upper corner
GRADING = 1.5  # towards the walls
RATIO, LEVELS = 0.5, 14  # of the cells towards the upper corners
GHIA_Y = [0.9766, 0.9688, 0.9609, 0.9531, 0.8516, 0.7344, 0.6172, 0.5, 0.4531, 0.2813, 0.1719, 0.1016, 0.0703, 0.0625]
GHIA_Y += [0.0547]
GHIA_U = [0.84123, 0.78871, 0.73722, 0.68717, 0.23151, 0.00332, -0.13641, -0.20581, -0.2109, -0.15662, -0.1015]
GHIA_U += [-0.06434, -0.04775, -0.04192, -0.03717]
GHIA_X = [0.9688, 0.9609, 0.9531, 0.9453, 0.9063, 0.8594, 0.8047, 0.5, 0.2344, 0.2266, 0.1563, 0.0938, 0.0781, 0.0703]
GHIA_X += [0.0625]
GHIA_V = [-0.05906, -0.07391, -0.08864, -0.10313, -0.16914, -0.22445, -0.24533, 0.05454, 0.17527, 0.17507, 0.16077]
GHIA_V += [0.12317, 0.1089, 0.10091, 0.09233]


class Elements:
    """Velocities of degree 4 and pressures of degree 3 on rectangles, with the matrices of all cells at once.

    Args:
        cells: along each side, even, without those that divide the last ones towards the upper corners.
    """

    def __init__(self, cells: int):
        inner = 0.5 * (1 + np.tanh(GRADING * np.linspace(-1, 1, cells + 1)) / np.tanh(GRADING))
        small = inner[1] * RATIO ** np.arange(LEVELS, 0, -1)
        upper = 1 - small[::-1]
        self.mesh = skfem.MeshQuad.init_tensor(np.sort([*small, *inner, *upper]), np.sort([*inner, *upper]))
        self.velocity = skfem.Basis(self.mesh, skfem.ElementQuadP(4), intorder=11)
        self.pressure = self.velocity.with_element(skfem.ElementQuadP(3))
        own: Any = [each[0] for each in self.velocity.basis]
        self.phi = np.stack([each.value for each in own])  # (functions, cells, points)
        self.slope = np.stack([each.grad for each in own], axis=1)  # (2, functions, cells, points)
        self.psi = np.stack([each[0].value for each in self.pressure.basis])

    def matrix(self, tests: np.ndarray, trials: np.ndarray, factor: np.ndarray | float = 1.0) -> Any:
        """Return ∫ factor · test · trial for functions (functions, cells, points) of velocities or pressures."""
        blocks = np.einsum("ieq,jeq->eij", tests * (factor * self.velocity.dx), trials, optimize=True)
        rows, columns = (
            (self.velocity if len(each) == len(self.phi) else self.pressure).element_dofs.T for each in (tests, trials)
        )
        shape = int(rows.max()) + 1, int(columns.max()) + 1
        places = np.broadcast_to(rows[:, :, None], blocks.shape), np.broadcast_to(columns[:, None], blocks.shape)
        return coo_matrix((blocks.ravel(), tuple(each.ravel() for each in places)), shape).tocsr()

    def at_points(self, functions: np.ndarray, u: np.ndarray) -> np.ndarray:
        """Return the values (cells, points) of a velocity, or with slopes as functions of its derivative."""
        return np.einsum("ieq,ie->eq", functions, u[self.velocity.element_dofs])


def flow(cells: int, reynolds: float, at: np.ndarray, corner: float = 0.0) -> np.ndarray:
    """Return (u, v, p) at points (points, 2), with p = 0 in the middle of the floor.

    Args:
        cells: as for `Elements`.
        reynolds: Re.
        at: the points.
        corner: velocity of the nodes in the upper corners.
    """
    of = Elements(cells)
    mesh, size, phi, slope = of.mesh, of.velocity.N, of.phi, of.slope
    viscous: Any = of.matrix(slope[0], slope[0], 1 / reynolds) + of.matrix(slope[1], slope[1], 1 / reynolds)
    coupling = [of.matrix(of.psi, slope[k], -1.0) for k in (0, 1)]
    x = np.zeros(2 * size + of.pressure.N)
    walls, on_lid = of.velocity.get_dofs().all(), mesh.p[1] == 1
    nodes: Any = of.velocity.nodal_dofs
    x[nodes[0, on_lid]] = np.where(np.isin(mesh.p[0, on_lid], (0, 1)), corner, 1.0)
    nodes = of.pressure.nodal_dofs
    floor = nodes[0, np.argmin(np.abs(mesh.p[0] - 0.5) + mesh.p[1])]
    free = np.setdiff1d(np.arange(len(x)), [*walls, *(size + walls), 2 * size + floor])
    for step in range(20):
        parts = x[:size], x[size : 2 * size]
        u, v = (of.at_points(phi, each) for each in parts)
        slopes = [[of.at_points(slope[k], each) for k in (0, 1)] for each in parts]
        carried = of.matrix(phi, slope[0], u) + of.matrix(phi, slope[1], v)
        newton = [[of.matrix(phi, phi, each) for each in row] for row in slopes]
        block: Any = viscous + carried
        rest = bmat([[block, None, coupling[0].T], [None, block, coupling[1].T], [*coupling, None]], "csr") @ x
        own = [[block + newton[0][0], newton[0][1]], [newton[1][0], block + newton[1][1]]]
        rows = [[*own[0], coupling[0].T], [*own[1], coupling[1].T], [*coupling, None]]
        tangent: Any = bmat(rows, "csr")
        change = splu(tangent[free][:, free].tocsc()).solve(-rest[free])
        x[free] += change
        if step and np.abs(change).max() < 1e-10:
            break
    probes = of.velocity.probes(at.T)
    return np.vstack([probes @ x[:size], probes @ x[size : 2 * size], of.pressure.probes(at.T) @ x[2 * size :]])


def points() -> np.ndarray:
    """Return the points of the reference: the centres of equal squares, without those near the upper corners."""
    axis = (np.arange(ALONG) + 0.5) / ALONG
    x, y = np.meshgrid(axis, axis, indexing="ij")
    far = np.hypot(np.minimum(x, 1 - x), 1 - y) > NEAR
    return np.column_stack([x[far], y[far]])


def relative(a: np.ndarray, b: np.ndarray) -> str:
    """Return the relative differences of (u, v, p) in words."""
    gaps = np.linalg.norm(a - b, axis=1) / np.linalg.norm(b, axis=1)
    return ", ".join(f"{name} {gap:.1e}" for name, gap in zip("uvp", gaps, strict=True))


def table(u: np.ndarray, v: np.ndarray) -> None:
    """Print velocities on the centre lines beside those of Ghia, Ghia and Shin."""
    print("| y | u(0.5, y) | Ghia | x | v(x, 0.5) | Ghia |\n|---|---|---|---|---|---|")
    for row in zip(GHIA_Y, u, GHIA_U, GHIA_X, v, GHIA_V, strict=True):
        print("| " + " | ".join(f"{each:.4f}" if k % 3 == 0 else f"{each:.5f}" for k, each in enumerate(row)) + " |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cells", type=int, nargs=2, default=[20, 26])
    parser.add_argument("--reynolds", type=float, default=100.0)
    parser.add_argument("--write", action="store_true")
    given = parser.parse_args()
    at, half = points(), np.full(len(GHIA_Y), 0.5)
    lines = np.concatenate([np.column_stack([half, GHIA_Y]), np.column_stack([GHIA_X, half])])
    coarse, fine = (flow(n, given.reynolds, np.concatenate([at, lines])) for n in given.cells)
    leaking = flow(given.cells[1], given.reynolds, at, corner=1.0)
    fine, on_lines = fine[:, : len(at)], fine[:, len(at) :]
    gaps = relative(coarse[:, : len(at)], fine)
    print(f"{given.cells[0]} and {given.cells[1]} cells along each side differ by {gaps}")
    print(f"with the lid's velocity in the corners: {relative(leaking, fine)}")
    table(on_lines[0, : len(half)], on_lines[1, len(half) :])
    if given.write:
        np.savetxt(FILE, np.column_stack([at, fine.T]), "%.9g", ",", header="x,y,u,v,p", comments="")


if __name__ == "__main__":
    main()
