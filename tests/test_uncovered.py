"""Parts of a boundary without a condition are named, and no tolerance counts as reached."""

import warnings

import pytest
from small_meshes import grid

import kanpde
from kanpde import KAN, LM, Condition, Disk, Phase, Problem, Sampling, diff, dirichlet, laplacian, solve
from kanpde.ends import End
from kanpde.errors import ResultWarning
from kanpde.residuals.uncovered import free_part_warnings, free_parts

RING = Disk(name="outer") - Disk((0.2, 0.1), 0.3, name="hole")
PDE = Condition(RING.interior, lambda u: laplacian(u) + 1.0)
OUTER = dirichlet(RING.part("outer"), 0.0)


def test_a_forgotten_hole_is_named():
    assert free_parts(Problem(RING, {"pde": PDE, "outer": OUTER})) == ["hole"]
    (warning,) = free_part_warnings(Problem(RING, {"pde": PDE, "outer": OUTER}))
    assert 'neumann(domain.part("hole"), 0.0)' in str(warning)


@pytest.mark.parametrize(
    "problem",
    [
        Problem(RING, {"pde": PDE, "outer": OUTER, "hole": dirichlet(RING.part("hole"), 1.0)}),
        Problem(RING, {"pde": PDE, "all": dirichlet(RING.boundary, 0.0)}),
        Problem(RING, {"flow": Condition(RING.interior, lambda u: diff(u, "x") - 1.0), "outer": OUTER}),
    ],
)
def test_conditions_everywhere_and_first_order_give_no_warning(problem):
    assert free_parts(problem) == []


def test_of_parts_of_a_mesh_that_contain_each_other_the_smaller_is_named():
    sides = {
        "left": lambda x: x[:, 0] == 0,
        "same": lambda x: x[:, 0] == 0,
        "three": lambda x: (x[:, 0] == 0) | (x[:, 1] == 0) | (x[:, 0] == 1),
        "bottom": lambda x: x[:, 1] == 0,
    }

    def free(*names):
        others = {"others": lambda x: x[:, 1] == 1}
        mesh = grid("quad", 4, facets={**others, **{name: sides[name] for name in names}})
        pde = Condition(mesh.interior, lambda u: laplacian(u) + 1.0)
        return free_parts(Problem(mesh, {"pde": pde, "others": dirichlet(mesh.part("others"), 0.0)}))

    assert free("left", "three") == ["left"]
    assert free("left", "bottom") == ["left", "bottom"]
    assert free("left", "same", "bottom") == ["left", "same", "bottom"]


def test_the_initial_slice_is_no_wall():
    domain = RING.over(t=(0.0, 1.0))
    heat = Condition(domain.interior, lambda u: diff(u, "t") - laplacian(u))
    problem = Problem(domain, {"pde": heat, "outer": dirichlet(domain.part("outer"), 0.0)})
    assert free_parts(problem) == ["hole"]


def test_a_run_warns_and_reaches_no_tolerance():
    problem = Problem(RING, {"pde": PDE, "outer": OUTER})
    options = {"starts": 1, "sampling": Sampling("auto", 100, 40), "device": "cpu"}
    with pytest.warns(ResultWarning, match='about "hole"'):
        solution = solve(problem, KAN([2], grid=2, degree=4), [Phase(LM(), steps=3)], tolerance=0.9, **options)
    assert solution.ending.end is not End.TOLERANCE_REACHED
    assert any("hole" in str(warning) for warning in solution.warnings)


def test_eigen_warns_too():
    problem = Problem(
        RING,
        {"pde": Condition(RING.interior, lambda u, p: laplacian(u) + p["lam"] * u), "outer": OUTER},
        parameters={"lam": 0.0},
    )
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        kanpde.eigen(problem, count=1, tolerance=0.5)
    assert any("hole" in str(each.message) for each in caught)
