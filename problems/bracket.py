"""Heat conduction in a bracket whose mesh is read from a file of gmsh."""

from kanpde import Condition, Mesh, Problem, dirichlet, laplacian, neumann


def bracket(mesh: str | None = None, flux: float = 1.0) -> Problem:
    r"""$\Delta u = 0$ in an L-shaped plate with a rounded inner corner and a hole.

    $u = 0$ on the part "clamp" of the boundary, $\partial u / \partial n$ = flux on "load" and 0 on "rim", the rest. No
    exact solution is known; finite elements on a finer mesh give one to compare with
    (``python benchmarks/bracket_reference.py``).

    Args:
        mesh: a file that meshio reads, in the plane and with these three parts; None takes ``bracket.msh`` beside this
            file, triangles of second order, which gmsh made from ``benchmarks/bracket.geo``.
        flux: ∂u/∂n on "load".
    """
    domain = Mesh.read(mesh or f"{__file__.removesuffix('.py')}.msh")
    conditions = {
        "pde": Condition(domain.interior, laplacian),
        "clamp": dirichlet(domain.part("clamp"), 0.0),
        "load": neumann(domain.part("load"), flux),
        "rim": neumann(domain.part("rim"), 0.0),
    }
    return Problem(domain, conditions)
