"""Random sequences of changes of a network: no exception, no NaN, and the same function where it must be."""

import io
from copy import deepcopy
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import h5py
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kanpde import KAN, LM, Box, Condition, InputError, Problem, Solution, load, prune
from kanpde.ends import End, Ending
from kanpde.models.architecture import network_from
from kanpde.models.network import trained_size
from kanpde.paths import RESULT
from kanpde.residuals.objective import Objective
from kanpde.storage.record import write_record
from kanpde.thinning.gauge import gauged
from kanpde.thinning.removal import Edge, Node, edges_of, kan_layers, without
from kanpde.thinning.scores import scores

pytestmark = pytest.mark.usefixtures("unchecked")
BOX = Box(x=(-1.0, 1.0), y=(-1.0, 1.0))
POINTS = BOX.interior.sample("gauss", 36)
PROBLEM = Problem(BOX, {"value": Condition(BOX.interior, lambda u: u - 1.0)})
HIDDEN = [(2,), (3,), ((1, 1),), ((0, 2),), (2, 2)]


@cache
def first_network(hidden, seed):
    return KAN(hidden, degree=2, grid=2)(BOX.ranges, generator=torch.Generator().manual_seed(seed))


@torch.no_grad()
def weakest(network, kind):
    """The part of a kind with the smallest score."""
    of = scores(network, POINTS)
    if kind is Edge:
        found = [
            (float(of.edges[k][i, o]), Edge(k, i, o))
            for k, layer in enumerate(kan_layers(network))
            for i, o in layer.existing.nonzero().tolist()
        ]
    else:
        found = [(float(s), Node(k, i)) for k, nodes in enumerate(of.nodes[1:]) for i, s in enumerate(nodes)]
    return min(found)[1]


def without_weakest(network, kind):
    try:
        return without(network, [weakest(network, kind)], POINTS)
    except InputError as error:  # the last node of a layer, or the last edge of an output
        assert "would leave" in str(error)
        return network


def refined(network):
    new = deepcopy(network)
    new.refine(min(new.grid + 1, 6) if new.grid < 6 else new.grid)
    return new


def widened(network):
    new = deepcopy(network)
    if all(between.inputs < 4 for between in new.nodes):
        new.widen(1, torch.Generator().manual_seed(0))
    return new


def solution_of(network):
    """The network as the solution of a run that took no step."""
    facts = {"dtype": "float64", "points": {"value": len(POINTS.x)}, "weights": {"value": 1.0}}
    return Solution(PROBLEM, network, [], [], Ending(End.STEPS_DONE, ""), {}, {}, facts)


def pruned(network):
    """The network that `kanpde.prune` returns, which is trained after each removal."""
    return prune(solution_of(network), steps=2).model


def saved_and_loaded(network):
    """The network after it was in a result file (without the fields for ParaView, which do not depend on its parts)."""
    with TemporaryDirectory() as folder:
        with h5py.File(Path(folder) / RESULT, "w") as file:
            write_record(file.create_group("kanpde"), solution_of(network), "")
        return load(folder, PROBLEM).model


def in_checkpoint(network):
    """The network after it was stored as in a checkpoint."""
    file = io.BytesIO()
    torch.save({"architecture": network.architecture(), "state": network.state_dict()}, file)
    file.seek(0)
    stored = torch.load(file, weights_only=True)
    new = network_from(stored["architecture"])
    new.load_state_dict(stored["state"])
    return new


def stepped(network):
    """The network after one step of Levenberg-Marquardt."""
    new = deepcopy(network)
    objective = Objective(PROBLEM, new, {"value": POINTS})
    assert objective.size[1] == trained_size(new)
    LM()(objective).step()
    return new


# by name: the change, and how much the function may change relative to its size; None if it may be another function
CHANGES = {
    "edge": (lambda n: without_weakest(n, Edge), None),
    "node": (lambda n: without_weakest(n, Node), None),
    "refine": (refined, None),  # on unequal grids the transfer is a fit
    "widen": (widened, 1e-12),
    "save": (saved_and_loaded, 0.0),
    "checkpoint": (in_checkpoint, 0.0),
    "copy": (deepcopy, 0.0),
    "gauge": (lambda n: gauged(n, POINTS), 1e-10),
    "step": (stepped, None),
    "prune": (pruned, None),
}
QUICK = sorted(set(CHANGES) - {"prune"})  # 0.1 s each


@torch.no_grad()
def follow(hidden, seed, names):
    network = first_network(hidden, seed)
    before = network(POINTS.x)
    for name in names:
        change, most = CHANGES[name]
        with torch.enable_grad():
            new = change(network)
        after = new(POINTS.x)
        assert bool(after.isfinite().all()) and all(bool(p.isfinite().all()) for p in new.parameters())
        if most is not None:
            assert float((after - before).abs().max()) <= most * max(1.0, float(before.abs().max())), name
        if name in ("edge", "node") and new is not network:
            assert edges_of(new) < edges_of(network) and trained_size(new) < trained_size(network)
        assert edges_of(new) > 0
        network, before = new, after


def sequences(longest, names):
    return given(
        hidden=st.sampled_from(HIDDEN),
        seed=st.integers(0, 9),
        names=st.lists(st.sampled_from(names), min_size=1, max_size=longest),
    )


OPTIONS = {"deadline": None, "derandomize": True, "database": None, "suppress_health_check": list(HealthCheck)}


@pytest.mark.long
@settings(max_examples=200, **OPTIONS)
@sequences(3, QUICK)
def test_random_sequences(hidden, seed, names):
    follow(hidden, seed, names)


@pytest.mark.slow
@settings(max_examples=10_000, **OPTIONS)
@sequences(4, [*QUICK * 3, "prune"])
def test_many_random_sequences(hidden, seed, names):
    follow(hidden, seed, names)
