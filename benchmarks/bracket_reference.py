"""The error of `problem=bracket` against scikit-fem's quadratic elements on two finer meshes of the same plate.

python benchmarks/bracket_reference.py [--seeds 0 1 2] [--cells 100 200]
python benchmarks/bracket_reference.py --write    # problems/bracket.csv, the values on the finer mesh at some points

The reference is computed apart from the residuals: ∫ ∇u·∇v = ∫ flux v on "load", u = 0 on "clamp", on straight
triangles that divide the cells of the packaged mesh along its curved boundary. Errors are those at the test points.
"""

import argparse
import statistics
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import skfem
import torch
from scipy.sparse.linalg import spsolve
from scipy.spatial import KDTree
from skfem.helpers import dot, grad

from kanpde import KAN, Mesh, solve
from problems.bracket import bracket

FILES = Path(__file__).parents[1] / "problems"
EVERY = 25  # of the test points, one is written


def reference(domain: Mesh, cells: int, x: np.ndarray, flux: float = 1.0) -> np.ndarray:
    """Return the finite element solution at points (points, 2), with about ``cells`` cells along each coordinate."""
    made: Any = domain.mesh(cells)
    mesh = skfem.MeshTri(made.points[:, :2].T.copy(), made.cells[0].data.T.copy())
    basis = skfem.Basis(mesh, skfem.ElementTriP2())
    matrix: Any = skfem.BilinearForm(lambda u, v, w: dot(grad(u), grad(v))).assemble(basis)  # pyright: ignore
    ends = mesh.facets_satisfying(lambda p: np.abs(p[0] - 2.0) < 1e-9, boundaries_only=True)
    load = skfem.LinearForm(lambda v, w: flux * v).assemble(skfem.FacetBasis(mesh, basis.elem, facets=ends))
    held = basis.get_dofs(mesh.facets_satisfying(lambda p: np.abs(p[1] - 2.0) < 1e-9, boundaries_only=True)).all()
    free = np.setdiff1d(np.arange(basis.N), held)
    u = np.zeros(basis.N)
    inner: Any = spsolve(matrix.tocsr()[free][:, free].tocsc(), load[free])
    u[free] = inner
    return interpolated(mesh, basis, u, x)


def interpolated(mesh: skfem.MeshTri, basis: skfem.Basis, u: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Return values at points (points, 2); outside the polygon the nearest cell's polynomial goes on."""
    cells = nearest_cells(mesh, x)
    local = mesh.mapping().invF(x.T[:, :, None], tind=cells)
    phi = [basis.elem.gbasis(basis.mapping, local, i, tind=cells)[0].value[:, 0] for i in range(basis.Nbfun)]
    return np.sum([p * u[basis.element_dofs[i, cells]] for i, p in enumerate(phi)], axis=0)


def nearest_cells(mesh: skfem.MeshTri, x: np.ndarray) -> np.ndarray:
    """Return for every point the cell in which, or to which, it is nearest, among those with near centres."""
    centres = mesh.p[:, mesh.t].mean(axis=1).T
    near: Any = KDTree(centres).query(x, k=12)[1]
    best, cell = np.full(len(x), np.inf), near[:, 0].copy()
    for column in near.T:
        local = mesh.mapping().invF(x.T[:, :, None], tind=column)[:, :, 0]
        outside = np.maximum(np.maximum(-local.min(axis=0), local.sum(axis=0) - 1), 0)
        cell = np.where(outside < best, column, cell)
        best = np.minimum(best, outside)
    return cell


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="*", default=[0, 1, 2])
    parser.add_argument("--cells", type=int, nargs=2, default=[100, 200])
    parser.add_argument("--write", action="store_true")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    domain = Mesh.read(FILES / "bracket.msh")
    x = domain.test_points("cpu", torch.float64)
    coarse, fine = (reference(domain, cells, x.numpy()) for cells in asked.cells)
    size = np.sqrt(np.mean(fine**2))
    gap = np.sqrt(np.mean((coarse - fine) ** 2)) / size
    print(f"P2 on {asked.cells[0]} and {asked.cells[1]} cells differ by {gap:.2e}", flush=True)
    if asked.write:
        rows = np.column_stack([x.numpy(), fine])[::EVERY]
        np.savetxt(FILES / "bracket.csv", rows, "%.10g", ",", header="x,y,u", comments="")
        return
    problem, errors = bracket(), []
    for seed in asked.seeds:
        began = perf_counter()
        solution = solve(problem, KAN(hidden=[8]), seed=seed)
        u = np.asarray(solution(*x.T))
        errors.append(float(np.sqrt(np.mean((u - fine) ** 2)) / size))
        print(f"seed {seed}: relative L2 difference {errors[-1]:.2e} after {perf_counter() - began:.0f} s", flush=True)
    if errors:
        print(f"median {statistics.median(errors):.2e}, worst {max(errors):.2e}")


if __name__ == "__main__":
    main()
