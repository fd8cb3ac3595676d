"""Runs that begin with the network of an earlier run."""

import re
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import yaml
from conftest import load_problem
from test_resume import FEW, OFTEN, bits, every_state, inverse  # noqa: F401
from torch import nn

import kanpde
from kanpde import KAN, LM, MLP, Adam, Box, InputError, Phase, Problem, dirichlet, solve
from kanpde.command import main
from kanpde.command.composing import config_from
from kanpde.configure.job import make_job
from kanpde.ends import End
from kanpde.factories import described
from kanpde.models.spikan import SPIKAN
from kanpde.models.splinemlp import SplineMLP
from kanpde.models.windows import Windows
from kanpde.study.arms import make_arms
from kanpde.training.signals import StopRequest
from kanpde.training.starting import entered
from kanpde.training.state import State

pytestmark = pytest.mark.usefixtures("unchecked")
STILL = [Phase(Adam(lr=1e-300), steps=1)]
GROW = [Phase(LM(), steps=3), Phase(LM(), steps=3, refine=2, move_knots=True), Phase(LM(), steps=3, refine=2)]
MODELS = [KAN([3], degree=4, grid=2), MLP([4]), SplineMLP([3], degree=4, grid=2), SPIKAN(2, degree=4, grid=2)]


def poisson(dim=1, **arguments):
    return load_problem("poisson")(dim=dim, **arguments)


def run(phases=GROW, model=MODELS[0], **options):
    return solve(options.pop("problem", None) or poisson(), model, phases, sampling=FEW, **options)


def going_on(start, phases=GROW, **options):
    return solve(options.pop("problem", None) or poisson(k=1.2), None, phases, sampling=FEW, start=start, **options)


def same(one, other):
    pairs = zip(one.model.state_dict().items(), other.model.state_dict().items(), strict=True)
    return all(a == b and torch.equal(x, y) for (a, x), (b, y) in pairs)


# the network ---------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("model", MODELS, ids=lambda model: type(model).__name__)
def test_the_first_network_is_the_stored_one(model, tmp_path):
    stored = run(GROW[:2], model)
    kanpde.save(stored, tmp_path)
    for start, name in ((stored, "a Solution"), (tmp_path, str(tmp_path))):
        first = going_on(start, STILL)
        assert same(first, stored) and first.settings["start"] == name
        assert first.settings["model"] == stored.settings["model"]
    trained = going_on(stored, GROW[:1])
    assert same(first, stored) and not same(trained, stored), "the stored one is copied"


@pytest.mark.long
def test_a_start_lowers_the_first_error():
    stored = run([Phase(LM(), steps=30)])
    cold, warm = run(GROW[:1], problem=poisson(k=1.05)), going_on(stored, GROW[:1], problem=poisson(k=1.05))
    assert warm.errors["u"]["l2"] < 0.01 * cold.errors["u"]["l2"]


def test_a_start_in_another_precision():
    stored = run(GROW[:2], dtype="float32")
    first = going_on(stored, STILL)
    x = torch.linspace(-1, 1, 9, dtype=torch.float64)
    assert first.model(x[:, None]).dtype == torch.float64
    assert torch.allclose(first(x), stored(x).double(), atol=1e-5)


def test_coefficients_of_the_same_name_are_taken():
    stored, said = run(GROW[:2], problem=inverse()), []
    found = stored.coefficients["k"]
    assert found != 0.5
    first = going_on(stored, STILL, problem=inverse(), log=said.append)
    assert first.coefficients == {"k": pytest.approx(found, rel=1e-12)}
    assert f"k = {found:g}" in said[0]
    other = replace(inverse(), parameters={"k": 0.7, "c": 0.2})
    assert going_on(stored, STILL, problem=other).coefficients == pytest.approx({"k": found, "c": 0.2})


# the schedule --------------------------------------------------------------------------------------------------------
def grids(*wanted):
    return tuple(Phase(LM(), grid=grid) for grid in wanted)


REFINE = tuple(Phase(LM(), refine=refine, move_knots=True) for refine in (1, 1, 2, 2))


@pytest.mark.parametrize(
    ("stored", "phases", "number", "trained"),
    [
        (16, REFINE, 3, [16]),
        (8, REFINE, 2, [8, 16]),
        (4, REFINE, 0, [4, 4, 8, 16]),
        (5, REFINE, 0, [5, 5, 10, 20]),
        (32, REFINE, 3, [32]),
        (2, REFINE[2:], 0, [4, 8]),
        (4, grids(2, 8), 0, [4, 8]),
        (4, grids(4, 4, 8), 0, [4, 4, 8]),
        (4, grids(2, 3, 3), 1, [4, 4]),
        (4, grids(6), 0, [6]),
        (16, STILL * 2, 0, [16, 16]),
    ],
)
def test_a_schedule_is_entered_at_the_stored_grid(stored, phases, number, trained):
    """A new network would begin with the grid 4."""
    state = entered(State(nn.Module(), None, torch.Generator(), tuple(phases)), 4, stored)
    assert state.phase == number and len(state.plan) == len(phases)
    found = [max(stored, state.plan[number].next_grid(stored))]
    for phase in state.plan[number + 1 :]:
        found.append(max(found[-1], phase.next_grid(found[-1])))
    assert found == trained
    assert state.plan[number].move_knots == (phases[number].move_knots and trained[0] > stored)


@pytest.mark.long
def test_no_phase_makes_the_grid_coarser(tmp_path, every_state):  # noqa: F811
    stored, coarse = run(GROW[:2]), [Phase(LM(), steps=1, grid=3), Phase(LM(), steps=1, grid=3)]
    found = going_on(stored, coarse, folder=tmp_path / "run")
    assert [(level["phase"], level["grid"]) for level in found.levels] == [(0, 4), (1, 4)]
    assert bits(kanpde.resume(every_state[0], poisson(k=1.2))) == bits(found)
    with pytest.raises(InputError, match="Phase 0 has grid 3, which is coarser"):
        run(coarse, KAN([3], degree=4, grid=4))


def test_without_grids_all_phases_are_trained():
    assert [level["phase"] for level in going_on(run(GROW, MLP([4]))).levels] == [0, 1, 2]


@pytest.mark.long
def test_a_started_run_is_resumed_bit_for_bit(tmp_path, every_state):  # noqa: F811
    stored = run(GROW[:2])
    plain = going_on(stored)
    whole = going_on(stored, folder=tmp_path / "run", checkpoint=OFTEN)
    assert bits(whole) == bits(plain)
    for place in (every_state[0], every_state[-2]):
        assert bits(kanpde.resume(place, poisson(k=1.2))) == bits(plain), place.name
    more = [*GROW[:2], replace(GROW[2], steps=5)]
    assert bits(kanpde.resume(every_state[0], poisson(k=1.2), phases=more))[:2] == bits(going_on(stored, more))[:2]


# with a tolerance ----------------------------------------------------------------------------------------------------
def first_step(start, **options):
    """The run with a tolerance, stopped after its first step."""
    stop = StopRequest()

    def ask(progress):
        stop.end = End.INTERRUPTED

    problem = options.pop("problem", None) or poisson(2, k=1.2)
    return solve(problem, start=start, tolerance=1e-6, sampling=FEW, stop=stop, observe=ask, **options)


@pytest.mark.long
@pytest.mark.parametrize("model", [KAN(), MODELS[3]], ids=["of a tolerance", "of model=spikan"])
def test_a_sum_of_products_begins_the_levels_of_its_kind(model):
    stored = run(GROW[:2], MODELS[3], problem=poisson(2))
    stored.settings["model"] = described(model)
    found = first_step(stored)
    assert len(found.history) == 1 and found.model.is_separable
    assert found.history[0]["parameters"] == stored.history[-1]["parameters"]


@pytest.mark.long
@pytest.mark.parametrize("model", [KAN(), KAN([4])], ids=["default", "not"])
def test_another_network_begins_the_levels_of_its_kind(model):
    stored = run([Phase(LM(), steps=1), Phase(LM(), steps=1, grid=5)], model, problem=poisson(2))
    found = first_step(stored, phases=[Phase(LM(), grid=4)])
    assert not found.model.is_separable
    assert found.history[0]["parameters"] == stored.history[-1]["parameters"]


# what does not fit ---------------------------------------------------------------------------------------------------
def on(box, unknowns=("u",)):
    return Problem(box, {"boundary": dirichlet(box.boundary)}, unknowns)


REFUSED = {
    "coordinates": ({"problem": on(Box(y=(-1.0, 1.0)))}, r"on x in \(-1, 1\); the problem needs one on y in"),
    "ranges": ({"problem": on(Box(x=(-1.0, 2.0)))}, r"needs one on x in \(-1, 2\).*Write start=None\."),
    "periodic": ({"problem": on(Box(periodic="x", x=(-1.0, 1.0), y=(0.0, 1.0)))}, "periodic"),
    "unknowns": ({"problem": on(Box(x=(-1.0, 1.0)), ("u", "v"))}, r"1 unknowns \(u\); the problem has 2 \(u, v\)"),
    "constraints": ({"constraints": "hard"}, r'"soft" \(built in: none\).*boundary\).*Write constraints="soft", or'),
    "model": ({"model": KAN()}, r"another one \(KAN\)\. Write model=None\."),
    "starts": ({"starts": 2}, r"got starts=2\. Write starts=1, or start=None\."),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_does_not_fit_is_refused(case):
    options, said = REFUSED[case]
    with pytest.raises(InputError, match=said):
        solve(**{"problem": poisson(k=1.2), "phases": STILL, "start": run(STILL), "sampling": FEW, **options})


def test_conditions_built_in_must_be_the_same(tmp_path):
    stored = run(GROW[:2], constraints="hard")
    kanpde.save(stored, tmp_path)
    for start in (stored, tmp_path):
        assert same(going_on(start, STILL, constraints="hard"), stored)
        with pytest.raises(InputError, match='Write constraints="hard"'):
            going_on(start, STILL)
        box = Box(x=(-1.0, 1.0))
        half = Problem(box, {"left": dirichlet(box.face("x", 0)), "boundary": poisson().conditions["pde"]})
        with pytest.raises(InputError, match=r"built in: boundary\).*built in: left\)"):
            going_on(start, STILL, problem=half, constraints="hard")


def test_windows_of_time_neither_give_nor_take_a_start():
    heat = load_problem("heat")
    stored = run(STILL, KAN(degree=5), problem=heat())
    with pytest.raises(InputError, match=r"solved in windows of time.*Write start=None, or tolerance=None\."):
        first_step(stored, problem=heat())
    with pytest.raises(InputError, match="holds a solution in windows of time"):
        going_on(replace(stored, model=Windows(1, 0, [0.0])), STILL, problem=heat())


def test_a_module_of_the_users_own_goes_on_as_model():
    module = nn.Linear(1, 1, dtype=torch.float64)
    stored = solve(on(Box(x=(-1.0, 1.0))), module, STILL, sampling=FEW, derivatives="autograd")
    with pytest.raises(InputError, match=r"has a Linear, which is not .*solve\(problem, solution\.model\)"):
        going_on(stored, STILL)


# the command line ----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("typed", ["model=kan", "model.hidden=[2]", "~model", "schedule.starts=2"])
def test_options_that_contradict_a_start(typed):
    with pytest.raises(InputError, match=f"^{re.escape(typed)} contradicts start=a"):
        config_from(["start=a", typed])
    config = config_from(["start=a"])
    assert "model" not in config and "starts" not in config["schedule"]
    assert make_job(config).schedule.starts == 1


def test_a_start_is_a_folder_and_not_for_comparisons():
    with pytest.raises(InputError, match=r"the folder of a run, got 5\. Write start="):
        make_job(config_from(["start=5"]))
    for typed, own in (["start=a"], ""), ([], "start=a"):
        with pytest.raises(InputError, match=r"one begins with the network of a stored run.* Leave start out"):
            make_arms({"one": own, "other": "model=mlp"}, typed, "params", config_from)


@pytest.mark.long
def test_the_command_line_starts_and_resumes(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    kanpde.save(run(GROW[:1], KAN([2], degree=4, grid=2)), "a")
    few = ["problem.dim=1", "plots=false", "output.cells=8", "sampling.interior=64", "schedule.phases.3.steps=1"]
    sweep = ["-m", *few, *(f"schedule.phases.{n}.steps=1" for n in range(3)), "start=a", "hydra.sweep.dir=s"]
    assert main(sweep) == 0
    shutil.rmtree("a")
    assert main(["resume=s/0", "schedule.phases.3.steps=2"]) == 0
    found, config = kanpde.load("s/0"), yaml.safe_load(Path("s/0/config.yaml").read_text())
    assert config["start"] == found.settings["start"] == "a" and "model" not in config
    assert found.settings["model"]["hidden"] == [2] and len(found.history) == 5
