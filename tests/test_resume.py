"""Runs that are stopped, killed or limited in time go on bit for bit from their checkpoints."""

import hashlib
import multiprocessing
import os
import shutil
import signal
import time
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest
import torch
from conftest import load_problem, optimizer_cases, optimizer_factories
from torch import nn

import kanpde
from kanpde import (
    KAN,
    LBFGS,
    LM,
    MLP,
    Adam,
    Box,
    Condition,
    InputError,
    Phase,
    Problem,
    Sampling,
    SSBroyden,
    diff,
    solve,
)
from kanpde.ends import End, Ending
from kanpde.models.kan import KANLayer
from kanpde.storage.checkpoint import Checkpoints, checkpoint_files, packed, read_newest
from kanpde.training.signals import StopRequest

pytestmark = pytest.mark.usefixtures("unchecked")
FEW = Sampling("sobol", 64, 32)
LEVELS = [Phase(LM(), steps=3), Phase(LM(), steps=4, refine=2, move_knots=True), Phase(LM(), steps=3, refine=2)]
OFTEN = 1e-9  # minutes: a checkpoint after every step


def poisson(dim=1, **arguments):
    """In one coordinate, because there errors are measured on few points."""
    return load_problem("poisson")(dim=dim, **arguments)


def inverse():
    """u_t = k u_xx with an unknown k."""
    box = Box(x=(0.0, 1.0), t=(0.0, 1.0))

    def exact(x, t):
        return torch.exp(-0.1 * torch.pi**2 * t) * torch.sin(torch.pi * x)

    conditions = {
        "pde": Condition(box.interior, lambda u, p: diff(u, "t") - p["k"] * diff(u, "x", "x")),
        "data": Condition(box.interior, lambda u, p: u - exact(*u.coords)),
    }
    return Problem(box, conditions, parameters={"k": 0.5}, exact=exact)


class Module(nn.Module):
    """Not of this package."""

    def __init__(self):
        super().__init__()
        generator = torch.Generator().manual_seed(3)
        self.weight = nn.Parameter(torch.randn(1, 5, generator=generator, dtype=torch.float64))
        self.out = nn.Parameter(torch.randn(5, 1, generator=generator, dtype=torch.float64))

    def forward(self, x):
        return torch.tanh(x @ self.weight) @ self.out


CASES = {
    "starts and grids": (poisson, lambda: KAN([3], degree=4, grid=2), LEVELS, {"starts": 2}),
    "products": (poisson, lambda: KAN([[2, 1]], degree=4, grid=2), LEVELS[:2], {}),
    "another basis": (poisson, lambda: KAN([3], basis="chebyshev", degree=4, grid=2), LEVELS[:2], {}),
    "hard constraints": (poisson, lambda: KAN([3], degree=4, grid=2), LEVELS[:2], {"constraints": "hard"}),
    "unknown coefficient": (inverse, lambda: KAN([3], degree=4, grid=2), LEVELS[:2], {}),
    "mlp then lbfgs": (poisson, lambda: MLP([4]), [Phase(Adam(half_life=3), steps=6), Phase(LBFGS(4), steps=3)], {}),
    "single precision": (poisson, lambda: MLP([4]), [Phase(Adam(), steps=6)], {"dtype": "float32"}),
    "module": (poisson, Module, [Phase(Adam(), steps=3), Phase(LBFGS(3), steps=2)], {"derivatives": "autograd"}),
    "taken back": (poisson, lambda: KAN([3]), [LEVELS[0], Phase(Adam(lr=3.0), steps=5), LEVELS[0]], {}),
    "non-finite": (poisson, lambda: KAN([3]), [LEVELS[0], Phase(Adam(lr=1e80), steps=5)], {}),
}

QUICK = ("starts and grids", "mlp then lbfgs", "taken back")  # the others are slow tests


def bits(solution):
    """All of a result but the seconds."""
    tensors = hashlib.sha256()
    for tensor in solution.model.state_dict().values():
        tensors.update(tensor.contiguous().numpy().tobytes())
    keep = ("step", "start", "phase", "grid", "parameters", "loss")
    history = [tuple(repr(row[key]) for key in keep) for row in solution.history]
    levels = [{k: repr(v) for k, v in level.items() if k != "seconds"} for level in solution.levels]
    others = {k: v for k, v in solution.settings.items() if k not in ("seconds", "time_limit")}
    return tensors.hexdigest(), history, levels, solution.ending, repr(solution.coefficients), repr(others)


@pytest.fixture
def every_state(monkeypatch, tmp_path):
    """Folders with every checkpoint that a run wrote."""
    places = []
    write = Checkpoints.write

    def keep(self, data):
        path = write(self, data)
        places.append(tmp_path / f"at-{len(places)}")
        places[-1].mkdir()
        shutil.copy(path, places[-1])
        return path

    monkeypatch.setattr(Checkpoints, "write", keep)
    yield places


@pytest.mark.long
@pytest.mark.parametrize("case", [c if c in QUICK else pytest.param(c, marks=pytest.mark.slow) for c in CASES])
def test_from_every_step_the_result_is_the_same(case, tmp_path, every_state):
    """A checkpoint after every step and before every phase's conclusions; the run goes on from each of them."""
    make, model, phases, options = CASES[case]
    whole = solve(make(), model(), phases, sampling=FEW, folder=tmp_path / "run", checkpoint=OFTEN, **options)
    plain = solve(make(), model(), phases, sampling=FEW, **options)
    assert bits(whole) == bits(plain)
    places = list(every_state)
    assert len(places) >= len(whole.history)
    given = {"model": Module()} if case == "module" else {}
    for place in [places[0], *(places[len(places) * k // 4] for k in (1, 2)), places[-2], places[-1]]:
        assert bits(kanpde.resume(place, make(), **given)) == bits(plain), place.name


@pytest.mark.slow  # tests/test_optimizers.py does the same without the files
@pytest.mark.parametrize("name", optimizer_cases())
def test_every_optimizer_goes_on(name, tmp_path):
    phases = [Phase(optimizer_factories()[name](), steps=5)]
    plain = solve(poisson(), KAN([3], degree=4, grid=2), phases, sampling=FEW)
    stop = StopRequest()

    def ask(progress):
        if progress.step == 3:
            stop.end = End.PREEMPTED

    cut = solve(poisson(), KAN([3], degree=4, grid=2), phases, sampling=FEW, folder=tmp_path, stop=stop, observe=ask)
    assert cut.ending == Ending(End.PREEMPTED) and len(cut.history) == 3
    assert bits(kanpde.resume(tmp_path, poisson())) == bits(plain)


@pytest.mark.long
def test_more_time_and_more_steps(tmp_path):
    model, phases = KAN([3], degree=4, grid=2), [Phase(LM(), steps=400)]
    slowly = {"observe": lambda progress: time.sleep(0.02)}  # fewer than 40 steps on any machine
    timed = solve(poisson(), model, phases, sampling=FEW, folder=tmp_path, time_limit=0.3, **slowly)
    assert timed.ending.end is End.TIME_LIMIT and len(timed.history) < 40
    with pytest.raises(InputError, match=r"time_limit is 0\.3 s.*time_limit="):
        kanpde.resume(tmp_path, poisson())
    ended = [Phase(LM(), steps=40)]
    longer = kanpde.resume(tmp_path, poisson(), phases=ended, time_limit=1000.0)
    assert bits(longer)[:2] == bits(solve(poisson(), model, ended, sampling=FEW))[:2]
    further = kanpde.resume(tmp_path, poisson(), phases=[Phase(LM(), steps=45)])
    assert bits(further)[:2] == bits(solve(poisson(), model, [Phase(LM(), steps=45)], sampling=FEW))[:2]
    with pytest.raises(InputError, match=r"has already taken 45 steps, got steps=44\. Write steps="):
        kanpde.resume(tmp_path, poisson(), phases=[Phase(LM(), steps=44)])
    with pytest.raises(InputError, match="optimizer"):
        kanpde.resume(tmp_path, poisson(), phases=[Phase(Adam(), steps=50)])
    added = [Phase(LM(), steps=45), Phase(LM(), steps=3, refine=2)]
    both = kanpde.resume(tmp_path, poisson(), phases=added)
    assert bits(both)[:2] == bits(solve(poisson(), model, added, sampling=FEW))[:2]


def test_a_later_phase_may_still_change_and_an_earlier_one_not(tmp_path):
    stop = StopRequest()

    def ask(progress):
        if progress.phase == 1:
            stop.end = End.INTERRUPTED

    model = KAN([3], degree=4, grid=2)
    solve(poisson(), model, LEVELS, sampling=FEW, folder=tmp_path, stop=stop, observe=ask)
    changed = [*LEVELS[:2], replace(LEVELS[2], steps=6)]
    assert (
        bits(kanpde.resume(tmp_path, poisson(), phases=changed))[0]
        == bits(solve(poisson(), model, changed, sampling=FEW))[0]
    )
    with pytest.raises(InputError, match="Phase 0"):
        kanpde.resume(tmp_path, poisson(), phases=[replace(LEVELS[0], steps=9), *LEVELS[1:]])


# damaged files -------------------------------------------------------------------------------------------------------
def cut(content):
    return content[: len(content) // 2]


def flipped(content):
    middle = len(content) // 2
    return content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]


@pytest.mark.parametrize("damage", [cut, flipped, lambda content: b"", lambda content: b"kanpde checkpoint 1\nabc\n"])
def test_a_damaged_checkpoint_falls_back_to_the_one_before(tmp_path, damage):
    phases = [Phase(LM(), steps=6)]
    model = KAN([3], degree=4, grid=2)
    plain = solve(poisson(), model, phases, sampling=FEW, folder=tmp_path, checkpoint=OFTEN)
    newest, before = checkpoint_files(tmp_path)
    newest.write_bytes(damage(newest.read_bytes()))
    lines = []
    assert bits(kanpde.resume(tmp_path, poisson(), log=lines.append)) == bits(plain)
    assert any(newest.name in line and "not used" in line for line in lines)
    assert newest.with_name(f"damaged-{newest.name}").exists()  # and the good ones are kept
    for path in checkpoint_files(tmp_path):
        path.write_bytes(cut(path.read_bytes()))
    kept = before.read_bytes() if before.exists() else None
    with pytest.raises(InputError, match="cannot be resumed"):
        kanpde.resume(tmp_path, poisson())
    assert kept is None or before.read_bytes() == kept


def test_a_pickle_with_a_right_digest_executes_nothing(tmp_path):
    (tmp_path / "state-000001.ckpt").write_bytes(packed({"version": Path}))  # a class: more than tensors and values
    with pytest.raises(InputError, match="not used"):
        kanpde.resume(tmp_path, poisson())


def test_a_full_disk_costs_checkpoints_only(tmp_path, monkeypatch):
    def full(path, number):
        raise OSError(28, "No space left on device")

    lines = []
    monkeypatch.setattr("os.replace", full)
    solution = solve(poisson(), KAN([2]), [Phase(LM(), steps=2)], sampling=FEW, folder=tmp_path, log=lines.append)
    assert len(solution.history) == 2 and any("No space left" in line for line in lines)
    assert not list(tmp_path.glob("*state*"))


# what cannot go on ---------------------------------------------------------------------------------------------------
@pytest.fixture
def stopped(tmp_path):
    """A folder of a run that was stopped."""
    return stopped_in(tmp_path / "stopped", KAN([3], degree=4, grid=2), LEVELS[:1])


def stopped_in(folder, model, phases):
    """The folder, with a run that was stopped in its last phase."""
    stop = StopRequest()

    def ask(progress):
        if progress.phase + 1 == len(phases):
            stop.end = End.INTERRUPTED

    solve(poisson(), model, phases, sampling=FEW, folder=folder, stop=stop, observe=ask)
    return folder


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_another_problem_is_refused(stopped):
    before = contents(stopped)
    with pytest.raises(InputError, match="The checkpoint belongs to the problem"):
        kanpde.resume(stopped, poisson(dim=2))
    with pytest.raises(InputError, match="another problem"):
        kanpde.resume(stopped, poisson(k=2.0))  # the same names; only the loss shows it
    with pytest.raises(InputError, match=r"Give the problem"):
        kanpde.resume(stopped)
    assert contents(stopped) == before


def test_another_version_is_refused(stopped, monkeypatch):
    monkeypatch.setattr("kanpde.training.resuming.__version__", "9.9")
    with pytest.raises(InputError, match=r"this is 9\.9"):
        kanpde.resume(stopped, poisson())


class OwnAdam(Adam):
    """Takes longer steps than that of the package."""

    def __call__(self, objective):
        return Adam(lr=10 * self.lr)(objective)


class OwnLayer(KANLayer):
    """Known in this file only."""


class OwnKAN(KAN):
    """Networks of own layers."""

    def layer(self, half, outputs, generator):
        layer = super().layer(half, outputs, generator)
        return OwnLayer(layer.basis, layer.weight.detach())


for own, name in ((OwnAdam, "Adam"), (OwnLayer, "KANLayer"), (OwnKAN, "KAN")):
    own.__name__ = own.__qualname__ = name  # as in the package


@pytest.mark.parametrize("argument", ["model", "phases"])
def test_an_own_class_must_be_given_even_if_it_has_a_name_of_the_package(argument, tmp_path):
    phases = [Phase(LM(), steps=2), Phase(OwnAdam() if argument == "phases" else Adam(), steps=3, grid=4)]
    model = (OwnKAN if argument == "model" else KAN)([2], degree=4, grid=2)
    folder = stopped_in(tmp_path, model, phases)
    with pytest.raises(InputError, match=rf"test_resume\.(KAN|Adam)\. .* {argument}=\.\.\.$"):
        kanpde.resume(folder, poisson())
    with pytest.raises(InputError, match=r"began with|do not fit"):
        others = {"model": KAN([3]), "phases": [phases[0], replace(phases[1], optimizer=Adam())]}
        kanpde.resume(folder, poisson(), **{argument: others[argument]})
    resumed = kanpde.resume(folder, poisson(), **{argument: {"model": model, "phases": phases}[argument]})
    assert bits(resumed) == bits(solve(poisson(), model, phases, sampling=FEW))
    assert isinstance(resumed.model.layers[0], OwnLayer) == (argument == "model")
    if argument == "model":  # neither does a file of the result build the layers of the package in their place
        kanpde.save(resumed, tmp_path)
        with pytest.raises(InputError, match=r"load\(folder, model=module\)"):
            kanpde.load(tmp_path, poisson())


def test_a_checkpoint_that_does_not_say_where_classes_come_from_can_be_read(stopped):
    def without(value):
        if isinstance(value, dict):
            return {key: without(each) for key, each in value.items() if key != "class"}
        return [without(each) for each in value] if isinstance(value, list) else value

    path = checkpoint_files(stopped)[0]
    data = read_newest(stopped)[0]
    assert without(data["settings"]) != data["settings"]
    path.write_bytes(packed({**data, "settings": without(data["settings"])}))
    resumed = kanpde.resume(stopped, poisson(), phases=LEVELS[:1])
    assert resumed.ending.end is End.STEPS_DONE


def test_a_folder_without_a_run_is_refused_and_not_made(tmp_path):
    with pytest.raises(InputError, match="no checkpoint"):
        kanpde.resume(tmp_path / "none", poisson())
    assert not (tmp_path / "none").exists()


def test_a_folder_in_use_is_refused(stopped):
    context = multiprocessing.get_context("fork")
    held, free = context.Event(), context.Event()

    def hold():
        with Checkpoints(stopped):
            held.set()
            free.wait(20)

    process = context.Process(target=hold)
    process.start()
    assert held.wait(20)
    try:
        for run in (lambda: kanpde.resume(stopped, poisson()), lambda: solve(poisson(), folder=stopped)):
            with pytest.raises(InputError, match="Another process"):
                run()
    finally:
        free.set()
        process.join()
    kanpde.resume(stopped, poisson())


def test_a_run_anew_in_the_same_folder_removes_the_old_checkpoints(stopped):
    solve(poisson(), KAN([2]), [Phase(LM(), steps=1)], sampling=FEW, folder=stopped)
    assert read_newest(stopped)[0]["settings"]["model"]["hidden"] == [2]
    assert len(checkpoint_files(stopped)) <= 2


# kills ---------------------------------------------------------------------------------------------------------------
KILLED = {
    "adam": [Phase(Adam(), steps=60)],
    "lbfgs": [Phase(LBFGS(3), steps=10)],
    "ssbroyden": [Phase(SSBroyden(3), steps=10)],
    "lm": [Phase(LM(), steps=15), Phase(LM(), steps=8, refine=2, move_knots=True)],
}


def die_in_save(moment):
    """Replaces a system call of the saving by the process's end, at its third use."""
    calls = []

    def once(original):
        def call(*args):
            calls.append(1)
            if len(calls) == 3:
                os.kill(os.getpid(), signal.SIGKILL)
            return original(*args)

        return call

    setattr(os, moment, once(getattr(os, moment)))


@cache
def undisturbed(name):
    return bits(solve(poisson(), KAN([3], degree=4, grid=2), KILLED[name], sampling=FEW))


def trained(folder, phases, moment=None):
    if moment:
        die_in_save(moment)
    solve(poisson(), KAN([3], degree=4, grid=2), phases, sampling=FEW, folder=folder, checkpoint=0.02 / 60)


LONG = ("lbfgs", "ssbroyden")  # slow tests, as are the others than a tenth of a second


@pytest.mark.long
@pytest.mark.parametrize("name", [pytest.param(n, marks=pytest.mark.slow) if n in LONG else n for n in KILLED])
@pytest.mark.parametrize(
    "when", [0.1, *(pytest.param(w, marks=pytest.mark.slow) for w in (0.0, 0.3, "fsync", "replace"))]
)
def test_kill_9_at_any_instant_changes_nothing(tmp_path, name, when):
    """The process is killed after some seconds, or inside the writing of a checkpoint."""
    phases = KILLED[name]
    moment = when if isinstance(when, str) else None
    process = multiprocessing.get_context("fork").Process(target=trained, args=(tmp_path, phases, moment))
    process.start()
    if moment is None:
        end = time.monotonic() + 20
        while not checkpoint_files(tmp_path) and time.monotonic() < end:
            time.sleep(0.005)
        time.sleep(when)
        process.kill()
    process.join(30)
    assert process.exitcode in (0, -signal.SIGKILL)
    assert bits(kanpde.resume(tmp_path, poisson())) == undisturbed(name)


def test_a_state_is_a_copy(tmp_path):
    """What is saved does not follow the steps after it."""
    phases = [Phase(Adam(), steps=4)]
    seen = []
    write = Checkpoints.write

    def keep(self, data):
        seen.append(data)
        return write(self, data)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Checkpoints, "write", keep)
        solve(poisson(), MLP([3]), phases, sampling=FEW, folder=tmp_path, checkpoint=OFTEN)
    first, last = seen[0]["state"], seen[-1]["state"]
    assert len(first["history"].get("loss", ())) == 0 and len(last["history"]["loss"]) == 4
    before, after = (next(iter(s["network"]["tensors"].items())) for s in (first, last))
    assert before[0] == after[0]
    weights = [key for key in first["network"]["tensors"] if key.endswith("weight")]
    assert all(not torch.equal(first["network"]["tensors"][k], last["network"]["tensors"][k]) for k in weights)
