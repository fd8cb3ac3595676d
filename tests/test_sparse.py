"""The penalty on the sizes of edges, and pruning as a part of a schedule."""

import numpy as np
import pytest
import torch
from conftest import optimizer_factories

import kanpde
from kanpde import KAN, LM, MLP, Box, Condition, InputError, Phase, Problem, VariableProjection, dirichlet, laplacian
from kanpde.command.composing import config_from
from kanpde.configure.job import make_job
from kanpde.ends import End
from kanpde.thinning.gauge import gauged
from kanpde.thinning.penalty import Penalised, penalty_of
from kanpde.thinning.removal import Edge, by_edge, edges_of, sizes_of, without
from kanpde.training.signals import StopRequest

pytestmark = [pytest.mark.usefixtures("unchecked"), pytest.mark.long]
BOX = Box(x=(-1.0, 1.0), y=(0.0, 2.0))
PROBLEM = Problem(BOX, {"pde": Condition(BOX.interior, laplacian), "b": dirichlet(BOX.boundary, 1.0)})
POINTS = {name: c.region.sample("gauss", 36) for name, c in PROBLEM.conditions.items()}


def network(silu=False):
    found = KAN([[2, 1], 2], degree=4, grid=3)(BOX.ranges, generator=torch.Generator().manual_seed(0))
    if not silu:
        for layer in found.layers:
            by_edge(layer)[:, -1] = 0.0
    return without(found, [Edge(0, 0, 0)], POINTS["pde"])


def penalised(of, penalty=1e-2):
    return Penalised(PROBLEM, of, POINTS, {"b": 10.0}, None, "jets", penalty)


def test_the_penalty_is_that_of_the_paper():
    """Eq. 2.18 by hand: the entropy of one edge is 0, of two equal ones log 2."""
    sizes = [torch.tensor([2.0]), torch.tensor([3.0, 3.0])]
    assert float(penalty_of(sizes)) == pytest.approx(2.0 + 6.0 + 0.6931472)


def test_no_rescaling_of_layers_changes_the_penalty():
    old, new = network(), gauged(network(), POINTS["pde"])
    assert not torch.allclose(old.layers[1].weight, new.layers[1].weight)
    values = [float(penalised(each).losses()["penalty"].detach()) for each in (old, new)]
    assert values[0] == pytest.approx(values[1], rel=1e-10)


def test_rows_gradient_and_jacobian_of_the_penalty_agree():
    of = penalised(network(silu=True))
    r, jacobian = of.linearize()
    assert float(r @ r) == pytest.approx(float(of.loss().detach()))
    assert len(r) == of.size[0] == len(of.values()) and jacobian.shape == of.size
    gradient = of.gradient()[1]
    assert torch.allclose(gradient, 2 * jacobian.T @ r, atol=1e-10 * float(gradient.norm()))
    assert torch.allclose(of.pull_back(r), jacobian.T @ r, atol=1e-10 * float(gradient.norm()))
    start, direction, ahead = of.vector(), torch.randn_like(of.vector()), []
    for h in (1e-6, -1e-6):
        of.assign(start + h * direction)
        ahead.append(of.values())
    assert torch.allclose((ahead[0] - ahead[1]) / 2e-6, jacobian @ direction, atol=1e-4)


@pytest.mark.parametrize("optimizer", [LM(), LM(memory=1e-4), optimizer_factories()["Adam"]()])
def test_optimizers_lower_the_penalised_loss(optimizer):
    of = penalised(network(silu=True), 0.1)
    steps, before = optimizer(of), float(of.loss().detach())
    for _ in range(3):
        steps.step()
    assert float(of.loss().detach()) < before


# schedules -----------------------------------------------------------------------------------------------------------
PHASES = [
    Phase(LM(), steps=8),
    Phase(LM(), steps=4, penalty=0.003, prune=3.0),
    Phase(LM(), steps=12, prune=2.0),
    Phase(LM(), steps=3, refine=2),
]


def table():
    """120 rows of sin 3x² with an idle input y."""
    x, y = np.random.default_rng(0).uniform(-1, 1, (2, 120))
    return kanpde.fit_problem({"x": x, "y": y, "u": np.sin(3 * x**2)})


def solved(**options):
    return kanpde.solve(table(), KAN([2], degree=3, grid=3), PHASES, starts=1, **options)


@pytest.fixture(scope="module")
def whole():
    return solved()


def test_a_schedule_with_penalty_and_pruning_ends_with_a_small_network(whole):
    assert edges_of(whole.model) < 6 and whole.settings["pruned"]
    assert [level["phase"] for level in whole.levels] == [0, 1, 2, 3]
    assert whole.levels[1]["parameters"] < whole.levels[0]["parameters"]
    assert "loss_penalty" in whole.levels[1] and "loss_penalty" not in whole.levels[2]
    assert whole.settings["pruned"][-1]["parameters"] == whole.levels[2]["parameters"]
    assert whole.levels[3]["loss"] < whole.levels[2]["loss"], "the smaller network is trained on"


@pytest.mark.parametrize("when", [10, 24])
def test_a_resumed_run_prunes_as_an_uninterrupted_one(whole, when, tmp_path):
    """A stop in the phase with the penalty, and one at the last step before pruning."""
    stop, steps = StopRequest(), []

    def observe(progress):
        steps.append(progress)
        if len(steps) == when:
            stop.end = End.PREEMPTED

    first = solved(folder=tmp_path, stop=stop, observe=observe)
    assert first.ending.end is End.PREEMPTED and len(first.history) == when
    again = kanpde.resume(tmp_path, table())
    assert again.settings["pruned"] == whole.settings["pruned"]
    states = (each.model.state_dict() for each in (again, whole))
    assert all(torch.equal(a, b) for a, b in zip(*(state.values() for state in states), strict=True))


def test_a_time_limit_during_the_pruning_ends_the_run():
    """The run ends with the network that was found by then."""
    stop = StopRequest()

    def log(line):
        if line.startswith("pruning"):
            stop.end = End.PREEMPTED

    found = solved(stop=stop, log=log)
    assert found.ending.end is End.PREEMPTED and found.settings["pruned"] == [] and edges_of(found.model) == 6


def test_bad_schedules_are_refused():
    def begun(phases, model=KAN([2], degree=3, grid=3), **options):
        kanpde.solve(table(), model, phases, starts=1, **options)

    for phase in (Phase(penalty=0.1), Phase(prune=2.0)):
        with pytest.raises(InputError, match="MLPLayer"):
            begun([Phase(), phase], MLP([3]))
    with pytest.raises(InputError, match="first phase"):
        begun([Phase(prune=2.0)])
    with pytest.raises(InputError, match="jets"):
        begun([Phase(kanpde.Adam()), Phase(kanpde.Adam(), prune=2.0)], derivatives="autograd")
    with pytest.raises(InputError, match="VariableProjection"):
        begun([Phase(), Phase(VariableProjection(), penalty=0.1)])


def test_the_schedule_of_the_command_line_has_a_penalty_and_prunes():
    job = make_job(config_from(["problem=fit", "schedule=sparse"]))
    assert [phase.penalty > 0 for phase in job.schedule.phases].count(True) == 1
    assert [phase.prune for phase in job.schedule.phases].count(2.0) >= 1


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1])
def test_the_fit_of_the_paper_is_pruned_to_the_shape_of_its_formula(seed):
    """exp(sin πx + y²) is [2, 1, 1]."""
    job = make_job(config_from(["problem=fit", "schedule=sparse", "model.hidden=[5]"]))
    phases, starts = job.schedule.phases, job.schedule.starts
    found = kanpde.solve(job.problem, job.model, phases, starts=starts, seed=seed)
    assert sizes_of(found.model) == "[2, 1, 1]" and edges_of(found.model) == 3
    assert found.errors["u"]["l2"] < 1e-10
