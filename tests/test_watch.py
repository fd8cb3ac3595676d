"""The loss on fresh points at every level, and the warning about a solution that is wrong between its points."""

from dataclasses import replace
from linecache import getline
from math import inf
from types import SimpleNamespace

import pytest
import torch
from conftest import load_problem

import kanpde.training.leaving
from kanpde import (
    KAN,
    LM,
    MLP,
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
from kanpde.command.composing import config_from
from kanpde.configure.job import make_job
from kanpde.configure.typed import on_command_line
from kanpde.ends import End
from kanpde.errors import ResultWarning
from kanpde.plots.run import history_figure
from kanpde.storage.output import Output
from kanpde.terminal import report
from kanpde.training.entering import first_state
from kanpde.training.watch import DENSER, cures, dense_points, doubts, kept

pytestmark = pytest.mark.usefixtures("unchecked")
poisson = load_problem("poisson")
MODEL = KAN([3], degree=4, grid=4)


def wrong(**options):
    """A run that fits its few points exactly, and is wrong between them."""
    sampling = Sampling("gauss", 5, 2)
    return solve(poisson(dim=1), MODEL, [Phase(LM(), steps=20)], sampling=sampling, device="cpu", **options)


@pytest.fixture(scope="module")
def found():
    with pytest.warns(ResultWarning) as caught:
        solution = wrong()
    return solution, caught


# the numbers ---------------------------------------------------------------------------------------------------------
def test_every_level_has_the_loss_and_the_relative_residuals_on_fresh_points():
    lines = []
    phases = [Phase(LM(), steps=3), Phase(LM(), steps=3, refine=2)]
    given = {"sampling": Sampling(interior=100), "weights": {"pde": 7.0}, "starts": 2}
    solution = solve(poisson(dim=1), MODEL, phases, **given, device="cpu", log=lines.append)
    assert [level["phase"] for level in solution.levels] == [0, 1]
    assert all({"fresh", "relative_pde", "relative_boundary"} <= set(level) for level in solution.levels)
    last = solution.levels[-1]
    assert solution.settings["fresh"] == last["fresh"]
    x = torch.linspace(-1, 1, 20_001, dtype=torch.float64)[:, None]
    ends = torch.tensor([[-1.0], [1.0]], dtype=torch.float64)
    squares = {
        name: float(solution.residual(name, at)[0].square().mean()) for name, at in (("pde", x), ("boundary", ends))
    }
    weights = solution.settings["weights"]
    assert last["fresh"] == pytest.approx(sum(weights[name] * squares[name] for name in squares), rel=0.2)
    assert last["relative_pde"] == pytest.approx(squares["pde"] ** 0.5 / (torch.pi**2 / 2**0.5), rel=0.1)
    assert last["relative_boundary"] == pytest.approx(squares["boundary"] ** 0.5 * 2**0.5, rel=0.1)
    (chosen,) = (line for line in lines if "continues" in line)
    assert f"start {solution.levels[0]['start'] + 1} " in chosen
    for level, line in zip(solution.levels, (chosen, lines[-1]), strict=True):
        assert f"loss {level['loss']:.2e}, on fresh points {level['fresh']:.2e}, relative residual there" in line


def test_training_does_not_depend_on_the_fresh_points(monkeypatch):
    phases = [Phase(LM(), steps=2), Phase(LM(), steps=2, refine=2)]

    def run():
        return solve(poisson(dim=1), MODEL, phases, starts=2, sampling=Sampling("uniform", 50), device="cpu")

    watched = run()
    monkeypatch.setattr(kanpde.training.leaving, "watched", lambda *arguments: {"fresh": 0.0, "relative_pde": 0.0})
    unwatched = run()
    assert [row["loss"] for row in watched.history] == [row["loss"] for row in unwatched.history]
    assert watched(0.3) == unwatched(0.3)


def test_fresh_points_are_dense_enough_for_a_narrow_peak():
    """A disk of radius 0.05 in [-1, 1]² has 0.2 % of its area."""
    job = make_job(config_from(["problem=poisson", "device=cpu"]))
    settings = settings_of(job.problem, job.model)
    state = first_state(settings)
    inside = dense_points(settings, state, 0)["pde"].x
    trained = Sampling().size(job.problem.domain.interior, sum(p.numel() for p in state.network.parameters()), 4)
    assert len(inside) == DENSER * trained
    assert int((inside.norm(dim=1) < 0.05).sum()) >= 5


# the warning ---------------------------------------------------------------------------------------------------------
def settings_of(problem, model=MODEL, phases=(Phase(),), sampling=Sampling()):
    return SimpleNamespace(
        lacking=[],
        problem=problem,
        model=model,
        phases=phases,
        sampling=sampling,
        seed=0,
        starts=1,
        start=None,
        tolerance=None,
        device=torch.device("cpu"),
        dtype=torch.float64,
    )


def level(loss, fresh, relative, end="STEPS_DONE"):
    return {"loss": loss, "fresh": fresh, "relative_pde": relative, "relative_boundary": 0.0, "end": end}


@pytest.mark.parametrize(
    ("rows", "is_warned"),
    [
        ([level(1e-6, 1e-5, 2e-3)], True),
        ([level(1e-6, 9e-6, 2e-3)], False),
        ([level(1e-6, 1e-2, 9e-4)], False),
        ([level(1e-30, 1e-20, 1e-12)], False),
        ([level(0.0, 1.0, 1.0)], True),
        ([level(1e-6, inf, inf)], True),
        ([level(1.0, 1.0, 1.0), level(1e-6, 1.0, 1.0, "OVERFITTED")], False),  # the last phase was taken back
        ([level(1e-6, 1.0, 1.0), level(1.0, 1.0, 1.0, "DIVERGED")], True),
        ([{"loss": 1.0, "end": "STEPS_DONE"}], False),  # of an earlier version
        ([], False),
    ],
)
def test_when_a_warning_is_due(rows, is_warned):
    settings = settings_of(poisson(dim=1))
    state = replace(first_state(settings), levels=tuple(rows), phase=1, used={"points": {"pde": 900, "boundary": 2}})
    assert len(doubts(settings, state)) == is_warned


def test_a_boundary_value_that_is_missed_is_a_reason_too():
    settings = settings_of(poisson(dim=1))
    row = {**level(1e-6, 1.0, 1e-9), "relative_boundary": 0.1}
    state = replace(first_state(settings), levels=(row,), phase=1, used={"points": {"pde": 900, "boundary": 2}})
    (warning,) = doubts(settings, state)
    assert '0.1 times its largest term in "boundary"' in str(warning) and "pde" not in str(warning)


def test_kept_is_the_last_phase_that_was_not_taken_back():
    rows = [{"end": End.STEPS_DONE.name, "n": 0}, {"end": End.STAGNATED.name, "n": 1}, {"end": End.OVERFITTED.name}]
    assert kept(rows)["n"] == 1 and kept([]) == {}


def test_the_warning_names_the_numbers_and_the_caller(found):
    solution, caught = found
    (warning,) = solution.warnings
    assert len(caught) == 1 and str(caught[0].message) == str(warning)
    assert caught[0].filename == __file__ and "return solve(" in getline(__file__, caught[0].lineno)
    row = solution.levels[-1]
    for text in (f"{row['fresh']:.1e} on fresh points", f"{row['loss']:.1e} on the training points", '"pde"'):
        assert text in str(warning)
    assert solution.errors["u"]["l2"] > 0.1


def test_a_run_with_enough_points_has_no_warning(recwarn):
    solution = solve(poisson(dim=1), MODEL, [Phase(LM(), steps=15)], sampling=Sampling(interior=100), device="cpu")
    assert not solution.warnings and not recwarn.list and solution.errors["u"]["l2"] < 0.01


def test_the_warning_is_stored_drawn_and_printed_last(found, tmp_path):
    solution, _ = found
    save(solution, tmp_path, Output(cells=10))
    (copy,) = load(tmp_path).warnings
    assert str(copy) == str(solution.warnings[0])
    assert on_command_line(copy) == on_command_line(solution.warnings[0])
    last = report(solution, tmp_path)[-1]
    assert last.startswith("Warning: ") and " sampling.interior=" in last
    figure = history_figure(solution)
    assert " ".join(figure.get_suptitle().split()) == f"Warning: {copy.message}"
    fresh = figure.axes[0].get_lines()[-1]
    assert list(fresh.get_ydata()) == [solution.levels[-1]["fresh"]]
    assert [text.get_text() for text in figure.axes[0].get_legend().get_texts()] == [
        "on the training points",
        "on fresh points",
    ]
    assert not history_figure(replace(solution, warnings=[])).get_suptitle()


@pytest.mark.parametrize(
    ("model", "wanted"),
    [
        (KAN([3], degree=4, grid=4), ["model.grid=8", "model.hidden=[6]"]),
        (KAN([[2, 1]], degree=4, grid=4), ["model.grid=8"]),
        (MLP([5]), ["model.hidden=[10]"]),
        (torch.nn.Linear(1, 1), []),
    ],
)
def test_the_cures_are_options_that_exist(model, wanted):
    settings = settings_of(poisson(dim=1), model)
    like = settings_of(poisson(dim=1))
    state = replace(first_state(like), phase=1, used={"points": {"pde": 1000, "boundary": 2}})
    text = on_command_line(ResultWarning("Wrong.", cures(settings, state)))
    points = "sampling.interior=4000 sampling.boundary="
    assert text.startswith(f"Wrong. Write {points}") and text.endswith(f"{wanted[-1] if wanted else ''}.")
    for option in wanted:
        assert option in text
    typed = text.removeprefix("Wrong. Write ").rstrip(".").replace(", or ", " ").split()
    make_job(config_from([f"model={type(model).__name__.lower()}"] * isinstance(model, (KAN, MLP)) + typed))
    settings.start = "outputs/mine"
    assert [of for of, _ in cures(settings, state)] == ["sampling"], "the stored run determines the model"


def test_cures_of_a_schedule_with_its_own_grids_and_points():
    own = Phase(LM(), grid=6, sampling=Sampling("uniform", 30, 2))
    settings = settings_of(poisson(dim=1), phases=(own,))
    state = replace(first_state(settings), phase=1, used={"points": {"pde": 1000, "boundary": 2}})
    text = str(ResultWarning("Wrong.", cures(settings, state)))
    assert "interior=4000" in text and "in `phases[0].sampling`" in text and "grid" not in text


def test_numbers_of_another_precision_in_a_residual_are_measured():
    """``torch.where`` with two Python numbers gives single precision."""
    domain = Box(x=(0.0, 1.0))

    def residual(u):
        (x,) = u.coords
        return laplacian(u) - torch.where(x > 0.5, 1.0, 0.0)

    problem = Problem(domain, {"pde": Condition(domain.interior, residual), "ends": dirichlet(domain.boundary, 0.0)})
    solution = solve(problem, KAN([2], degree=4, grid=2), [Phase(LM(), steps=2)])
    assert solution.levels[-1]["relative_pde"] > 0


# large errors --------------------------------------------------------------------------------------------------------
def line(conditions, **parameters):
    box = Box(**parameters, x=(0.0, 1.0), family=list(parameters))
    return Problem(box, {name: make(box) for name, make in conditions.items()})


def ends(value=0.0):
    return lambda box: dirichlet(box.boundary, value)


RUN = {"model": KAN([3], degree=4, grid=2), "phases": [Phase(LM(), steps=40)], "device": "cpu"}


def test_a_family_through_a_resonance_is_doubted():
    """u'' + k² u = 1 has no solution with u(0) = u(1) = 0 at k = π."""
    pde = lambda box: Condition(box.interior, lambda u: laplacian(u) + u.coords[0] ** 2 * u - 1.0)  # noqa: E731
    sampling = Sampling(interior=400, boundary=60)
    with pytest.warns(ResultWarning, match=r"values of k=\(2\.8, 3\.5\), as at a resonance"):
        solve(line({"pde": pde, "ends": ends()}, k=(2.8, 3.5)), sampling=sampling, **RUN)
    found = solve(line({"pde": pde, "ends": ends()}, k=(1.0, 2.0)), sampling=sampling, **RUN)
    assert found.settings["estimate"] < 0.01 and not found.warnings


def test_conditions_that_contradict_each_other_are_doubted():
    pde = lambda box: Condition(box.interior, lambda u: laplacian(u) - 1.0)  # noqa: E731
    with pytest.warns(ResultWarning, match='no estimate .* residuals are left in "ends" .*, "others" .* contradict'):
        solve(line({"pde": pde, "ends": ends(), "others": ends(1.0)}), **RUN)


@pytest.mark.long
def test_no_doubt_where_points_cannot_show_whether_the_solution_is_determined():
    """Boundary layers -e u'' + u' = 1 for e from 0.05, and u' = -u with piecewise linear functions."""
    layer = lambda box: Condition(box.interior, lambda u: -u.coords[0] * laplacian(u) + diff(u, "x") - 1.0)  # noqa: E731
    phases = [Phase(LM(), steps=25), Phase(LM(), steps=20, refine=2), Phase(LM(), steps=10, refine=2)]
    found = solve(line({"pde": layer, "ends": ends()}, e=(0.05, 1.0)), KAN([3]), phases, device="cpu")
    assert found.settings["estimate"] < 2e-3 and found.settings["looseness"] < 50 and not found.warnings
    box = Box(t=(0.0, 2.0))
    decay = {"ode": Condition(box.interior, lambda u: diff(u, "t") + u), "start": initial(box.at(t=0.0), 1.0)}
    found = solve(Problem(box, decay), KAN([5], degree=1, grid=4), [Phase(LM(), steps=60)], device="cpu")
    assert not [w for w in found.warnings if "hardly" in str(w)]
