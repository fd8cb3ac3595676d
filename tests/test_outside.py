"""Outside the domain solutions are NaN, with one warning that names the coordinate; inside nothing changes."""

import warnings

import numpy as np
import pytest
import torch
from conftest import load_problem
from disk import OwnDisk

from kanpde import (
    KAN,
    LM,
    Box,
    Condition,
    Phase,
    Problem,
    Sampling,
    diff,
    dirichlet,
    initial,
    laplacian,
    load,
    save,
    solve,
)
from kanpde.classical.collocation import collocate
from kanpde.domains.outside import inside_only
from kanpde.errors import ResultWarning
from kanpde.storage.output import Output

LENGTH = 0.3  # not a binary number


def cooling(periodic=()):
    domain = Box(x=(0.1, LENGTH), t=(0.0, 2.0), periodic=periodic)
    conditions = {
        "pde": Condition(domain.interior, lambda u: diff(u, "t") - laplacian(u)),
        "initial": initial(domain.at(t=0.0), 1.0),
    }
    return Problem(domain, conditions if periodic else {**conditions, "boundary": dirichlet(domain.boundary, 1.0)})


def quick(problem):
    sampling = Sampling("gauss", 30, 10)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResultWarning)  # one step does not solve it
        return solve(problem, KAN([2], degree=4, grid=2), [Phase(LM(), steps=1)], sampling=sampling, device="cpu")


@pytest.fixture(scope="module", params=["run", "loaded", "classical"])
def solution(request, tmp_path_factory):
    if request.param == "classical":
        return collocate(cooling(), 4)
    run = quick(cooling())
    if request.param == "run":
        return run
    return load(save(run, tmp_path_factory.mktemp("run"), Output(cells=4, times=2)).parent)


@pytest.mark.parametrize("what", ["value", "derivative"])
def test_outside_is_nan_with_one_warning(solution, what):
    function = solution if what == "value" else solution.diff("x")
    x = np.array([0.1, 0.2, LENGTH, 0.35, 9.5])
    with pytest.warns(ResultWarning) as caught:
        values = function(x, 1.0)
    assert len(caught) == 1
    for text in ("2 of 5 points", "x = 9.5 is outside [0.1, 0.3]", "extrapolate=True"):
        assert text in str(caught[0].message)
    assert "t =" not in str(caught[0].message)
    assert np.isnan(values).tolist() == [False, False, False, True, True]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        everywhere = function(x, 1.0, extrapolate=True)
        inside = function(x[:3], 1.0)
    assert np.isfinite(everywhere).all()
    np.testing.assert_array_equal(everywhere[:3], values[:3])
    np.testing.assert_array_equal(inside, values[:3])


@pytest.mark.filterwarnings("error")
def test_points_within_rounding_of_the_boundary_are_inside(solution):
    ends = np.array([0.1 - 2e-17, np.nextafter(0.3, 1), 0.1 + 0.2, 3 * 0.1])
    assert ends.max() > LENGTH and np.isfinite(solution(ends, 2.0)).all()


@pytest.mark.filterwarnings("error")
def test_nan_stays_nan_without_a_warning(solution):
    assert np.isnan(solution(np.array([0.2, np.nan]), 1.0)).tolist() == [False, True]


def test_tensors_and_numbers(solution):
    with pytest.warns(ResultWarning, match=r"t = -1 is outside \[0, 2\]"):
        values = solution(torch.tensor([[0.2], [0.2]]), torch.tensor([1.0, -1.0, -0.5]))
    assert values.isnan().tolist() == [[False, True, True]] * 2
    with pytest.warns(ResultWarning, match="1 of 1 points"):
        assert np.isnan(solution(5.0, 1.0))


def test_the_warning_shows_the_line_of_the_caller(solution):
    with pytest.warns(ResultWarning) as caught:
        solution(5.0, 1.0)
    assert caught[0].filename == __file__ or "jaxtyping" in caught[0].filename  # whose checks are active in tests


@pytest.mark.filterwarnings("error")
def test_a_periodic_coordinate_has_no_outside():
    solution = quick(cooling(periodic=["x"]))
    values = solution(np.array([0.15, 0.35, -0.05, 0.15 + 10 * 0.2]), 1.0)
    np.testing.assert_allclose(values, values[0], rtol=1e-9)
    with pytest.raises(ResultWarning, match="t = 3"):
        solution(0.2, 3.0)


def test_all_unknowns_and_a_domain_that_is_no_box():
    disk = OwnDisk(radius=1.0)
    x = torch.tensor([[0.0, 0.0], [0.9, 0.9]], dtype=torch.float64)
    with pytest.warns(ResultWarning, match=r"1 of 2 points .* they are not in .*OwnDisk"):
        values = inside_only(disk, x, [torch.ones(2, dtype=torch.float64), torch.zeros(2, dtype=torch.float64)])
    assert [v.isnan().tolist() for v in values] == [[False, True]] * 2


def test_extrapolation_is_that_of_the_network():
    solution = quick(load_problem("poisson")(dim=1))
    x = torch.tensor([[1.5]], dtype=torch.float64)
    assert solution(1.5, extrapolate=True) == pytest.approx(solution.model(x)[0, 0].item(), rel=1e-12)
