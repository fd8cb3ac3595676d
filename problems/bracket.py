"""Heat conduction in a bracket whose mesh is read from a file of gmsh.

Source: made for this package; the reference is a solution by finite elements (benchmarks/bracket_reference.py).
"""

import numpy as np
import torch

from kanpde import Condition, Mesh, Points, Problem, dirichlet, laplacian, neumann

BESIDE = __file__.removesuffix("py")  # bracket.msh and bracket.csv lie beside this file


def bracket(mesh: str | None = None, flux: float = 1.0) -> Problem:
    r"""$\Delta u = 0$ in an L-shaped plate with a rounded inner corner and a hole.

    $u = 0$ on the part "clamp" of the boundary, $\partial u / \partial n$ = flux on "load" and 0 on "rim", the rest.
    On the packaged mesh errors are differences from quadratic finite elements on a finer mesh, whose own error is 3e-5
    (``bracket.csv``, by ``python benchmarks/bracket_reference.py --write``); they are not used for training.

    Args:
        mesh: a file that meshio reads, in the plane and with these three parts; None takes ``bracket.msh`` beside this
            file, triangles of second order, which gmsh made from ``benchmarks/bracket.geo``.
        flux: ∂u/∂n on "load".
    """
    domain = Mesh.read(mesh or f"{BESIDE}msh")
    conditions = {
        "pde": Condition(domain.interior, laplacian),
        "clamp": dirichlet(domain.part("clamp"), 0.0),
        "load": neumann(domain.part("load"), flux),
        "rim": neumann(domain.part("rim"), 0.0),
    }
    return Problem(domain, conditions, test=None if mesh else reference(flux))


def reference(flux: float) -> Points:
    """Return the finite element solution on the packaged mesh, which is proportional to the flux."""
    x, y, u = torch.as_tensor(np.loadtxt(f"{BESIDE}csv", delimiter=",", skiprows=1)).T
    return Points(torch.stack([x, y], dim=1), torch.full_like(u, 1 / len(u)), data=flux * u[:, None])
