"""Comparisons: arms of equal size, and the whole way from the command to the report."""

import csv
import multiprocessing
import os
import re
import subprocess
import sys
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch
import yaml
from conftest import ROOT, load_problem

import kanpde.models
from kanpde import KAN, LM, InputError, Phase, Sampling, load, solve
from kanpde.command import main
from kanpde.command.composing import config_from
from kanpde.residuals.accuracy import Errors
from kanpde.runs.process import COMMAND
from kanpde.storage.output import Output
from kanpde.storage.store import save
from kanpde.study.arms import make_arms
from kanpde.study.measured_errors import measure_runs, read_measured_errors
from kanpde.study.tuning import tuned_options

pytestmark = pytest.mark.usefixtures("unchecked")
KAN_AND_MLP = {"kan": "", "mlp": "model=mlp"}


def arms_of(chosen, *typed, match="params"):
    return make_arms(chosen, ["problem=poisson", *typed], match, config_from)


def test_arms_have_the_parameters_of_the_first_one_on_its_finest_grid():
    (kan, mlp, deep), jobs = arms_of({**KAN_AND_MLP, "deep": "model=mlp model.hidden=[9,9,9]"}, "model.hidden=[8]")
    assert kan.parameters == (16 + 9 + 1) * 3 * 8 and kan.hidden == (8,)
    width = mlp.hidden[0]
    assert mlp.hidden == (width, width) and mlp.parameters == 3 * width + (width + 1) * width + width + 1
    other = [3 * w + (w + 1) * w + w + 1 for w in (width - 1, width + 1)]
    assert all(abs(mlp.parameters - kan.parameters) <= abs(size - kan.parameters) for size in other)
    assert deep.hidden == (9, 9, 9), "an arm that says its widths keeps them"
    assert f"model.hidden=[{width},{width}]" in mlp.overrides and jobs[1].model.hidden == mlp.hidden


def test_what_was_typed_for_a_model_is_not_for_arms_with_another():
    kan, mlp = arms_of(KAN_AND_MLP, "model.degree=5", "++model.grid=3", "weights.boundary=9")[0]
    assert {"model.degree=5", "++model.grid=3", "weights.boundary=9"} <= set(kan.overrides)
    assert not any("degree" in o or "grid" in o for o in mlp.overrides) and "weights.boundary=9" in mlp.overrides


def test_arms_are_what_their_names_say_whatever_was_typed():
    kan, mlp = arms_of({"kan": "model=kan", "mlp": "model=mlp"}, "model=mlp", "model.scale=2.0")[0]
    assert "model=kan" in kan.overrides and not any("scale" in o for o in kan.overrides)
    assert "model.scale=2.0" in mlp.overrides
    kan, _ = arms_of({"kan": "model=kan", "mlp": "model=mlp"}, "model.hidden=[3]")[0]
    assert kan.hidden == (3,), "what was typed for the default model is for it"


def test_flops_of_an_mlp_are_the_formula():
    typed = ["sampling.interior=1000", "sampling.boundary=400"]
    sizes = {"a": "model=mlp model.hidden=[5]", "b": "model.hidden=[1]"}
    plain = arms_of(sizes, *typed, "schedule=adam")[0][0]
    jet = 3 * 5 + 6 * 1  # products of a feature and a weight
    pde, boundary = 4, 1  # value, two slopes and the Laplacian; the value
    assert plain.flops == 6 * jet * (1000 * pde + 400 * boundary)
    with_lm = arms_of(sizes, *typed)[0][0]
    assert with_lm.flops == plain.flops + 1400 * 21**2 + 21**3 / 3


def test_equal_flops_are_equal_flops():
    kan, mlp = arms_of(KAN_AND_MLP, "schedule=adam", "model.grid=16", match="flops")[0]
    assert abs(mlp.flops / kan.flops - 1) < 0.06
    assert abs(mlp.parameters / kan.parameters - 1) > 0.1, "splines have parameters that cost little"


def test_equal_times_go_on_with_the_last_phase():
    arms, _ = arms_of(KAN_AND_MLP, "time_limit=20", match="time")
    for arm in arms:
        phases = config_from(list(arm.overrides))["schedule"]["phases"]
        assert phases[-1]["steps"] > 10**5 and phases[-1]["window"] == 0 and phases[-2]["steps"] == 120


@pytest.mark.parametrize(
    ("chosen", "typed", "match", "message"),
    [
        ({"kan": ""}, [], "params", "two arms at least"),
        (KAN_AND_MLP, [], "time", "time_limit=60"),
        ({"a": "", "b": "model=mpl"}, [], "params", 'Did you mean "mlp"'),
        ({"a": "", "b": "model.degree=0"}, [], "params", "degree"),
        ({"a": "", "b": "problem=heat"}, [], "params", "another problem"),
        ({"a": "", "b": "problem.k=2"}, [], "params", "another problem"),
        ({"a": "", "b": "model=mlp 'x"}, [], "params", "cannot be read"),
        (
            {"a": "model.hidden=[1] model.grid=1 model.degree=3", "b": "model=mlp model.fourier=64"},
            [],
            "params",
            "as large",
        ),
    ],
)
def test_comparisons_that_cannot_be_are_refused(chosen, typed, match, message):
    with pytest.raises(InputError, match=message):
        arms_of(chosen, *typed, match=match)


LINEAR = """
from dataclasses import dataclass
from kanpde.models.mlp import MLP
@dataclass(frozen=True)
class Linear:
    def __call__(self, ranges, outputs=1, **others):
        return MLP([])(ranges, outputs, **others)
"""


@pytest.mark.parametrize("arms", [{"a": "model=mlp", "b": ""}, {"b": "", "a": "model=mlp"}])
def test_arms_without_widths_are_refused(arms, tmp_path, monkeypatch):
    (tmp_path / "linear.py").write_text(LINEAR)
    monkeypatch.setattr(kanpde.models, "__path__", [*kanpde.models.__path__, str(tmp_path)])

    def configured(options):
        config = config_from(options)
        return {**config, "model": {"name": "linear"}} if "model=mlp" in options else config

    with pytest.raises(InputError, match=r"a has a Linear, .* needs `hidden`, the widths"):
        make_arms(arms, ["problem=poisson"], "params", configured)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["seed=3"], "study.seeds"),
        (["study.seeds=0"], "study.seeds=10"),
        (["study.match=size"], "params"),
        (["study.arm={}"], "arms"),
        (["isolate=true"], "processes itself"),
        (["hydra/launcher=basic"], "study.workers"),
        (["hydra.sweep.dir=mine"], "outputs/studies"),
        (["-m", "problem=poisson,heat", "hydra.sweep.dir=mine"], "outputs/studies"),
        (["hydra.run.dir=mine"], "outputs/studies"),
        (["retry_failed=true"], "study.retry_failed"),
        (["model=kan,mlp"], "study.arms"),
    ],
)
def test_wrong_options_of_a_study_are_named(options, message, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["+study=kan_vs_mlp", *options]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert message in line and not list(tmp_path.iterdir())


SMALL = [
    "model.hidden=[2]",
    "model.degree=3",
    "schedule.phases=[{steps:2}]",
    "output.cells=4",
    "device=cpu",
    "+study=kan_vs_mlp",
    "~study.arms.mlp-sine",
    "study.seeds=1",
]


class Forked:
    """In place of `subprocess.Popen`: the command in a copy of this process, which need not import torch again."""

    def __init__(self, words, stderr, env, **others):
        self.process = multiprocessing.get_context("fork").Process(target=self.run, args=(words, stderr, env))
        self.process.start()
        self.pid = self.process.pid

    @staticmethod
    def run(words, stderr, env):
        os.environ.update(env)
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        os.dup2(stderr.fileno(), 2)
        sys.stdout, sys.stderr = open(1, "w"), open(2, "w", buffering=1)  # noqa: SIM115 (until the end)
        sys.exit(main(words[len(COMMAND) :]))

    def poll(self):
        return self.process.exitcode

    @property
    def returncode(self):
        return self.process.exitcode


@pytest.mark.long
def test_one_command_does_all_and_the_same_again_does_nothing(capfd, tmp_path, monkeypatch):
    """With real processes: the next test, which is slow, and tests/test_ledger.py."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("kanpde.runs.process.subprocess", SimpleNamespace(Popen=Forked, DEVNULL=subprocess.DEVNULL))
    monkeypatch.setattr("kanpde.study.figures.DPI", 40)
    assert main([*SMALL, "study.classical=false"]) == 0
    (folder,) = (tmp_path / "outputs" / "studies").iterdir()
    said = capfd.readouterr().out
    assert "Matched by params" in said and "report.html" in said
    with open(folder / "ledger.csv", encoding="utf-8") as file:
        states = {row["run"]: row["state"] for row in csv.DictReader(file)}
    assert states == {"kan/0": "finished", "mlp/0": "finished"}
    plan = yaml.safe_load((folder / "study.yaml").read_text(encoding="utf-8"))
    assert "~study.arms.mlp-sine" in plan["command"] and "study.seeds=1" in plan["command"]
    assert plan["seeds"] == [0] and plan["arms"]["mlp"]["parameters"] > 0
    for name in ("report.html", "report.md", "arms.csv", "runs.csv", "comparison.csv"):
        assert (folder / name).stat().st_size > 0
    files = {path: path.stat().st_mtime_ns for path in (folder / "runs").rglob("*") if path.is_file()}
    assert main([*SMALL, "study.classical=false"]) == 0
    assert files == {path: path.stat().st_mtime_ns for path in (folder / "runs").rglob("*") if path.is_file()}


@pytest.mark.slow
def test_a_problem_of_the_users_without_exact_solution_gets_errors_and_classical_rows(tmp_path, monkeypatch):
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    source = re.search(r"```python\n(from torch import exp, sin\n.*?)```", readme, re.DOTALL).group(1)
    (tmp_path / "reaction.py").write_text(re.sub(r"\n +exact=exact,.*", "", source))
    (tmp_path / "conf" / "problem").mkdir(parents=True)
    (tmp_path / "conf" / "problem" / "reaction.yaml").write_text("name: reaction\nstrength: 2.0\n")
    monkeypatch.chdir(tmp_path)
    assert main([*SMALL, "problem=reaction", "study.seeds=2"]) == 0
    (folder,) = (tmp_path / "outputs" / "studies").iterdir()
    assert all(row["reliable"] == "True" for row in read_measured_errors(folder))
    with open(folder / "classical.csv", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert min(float(row["l2"]) for row in rows if row["method"] == "Chebyshev collocation") < 1e-3
    assert any("not linear" in row["note"] for row in rows), "what finite elements cannot do here"
    text = (folder / "report.md").read_text(encoding="utf-8")
    assert "How the errors are known" in text and "Chebyshev collocation" in text


# tuning and references -----------------------------------------------------------------------------------------------
def write_trials(folder, losses, limit=60):
    folder.mkdir()
    rows = [
        f"{i},finished,{loss},1.0,steps done,problem=poisson model=mlp model.scale={i} 'model.hidden=[{i + 1}]' "
        f"time_limit={limit}"
        for i, loss in enumerate(losses)
    ]
    text = "\n".join(["run,state,log10_fresh_loss,seconds,reason,options", *rows])
    (folder / "trials.csv").write_text(text, encoding="utf-8")
    return str(folder)


def test_tuned_arms_take_the_best_trial_and_equal_budgets_are_demanded(tmp_path):
    a, b = write_trials(tmp_path / "a", [-1.0, -5.0, "inf"]), write_trials(tmp_path / "b", [-2.0, -1.0, -3.0])
    found = tuned_options({"kan": a, "mlp": b}, KAN_AND_MLP, "params")
    assert found["kan"] == {"trials": 3, "seconds a trial": "60", "options": ["model.scale=1"], "folder": a}
    by_time = tuned_options({"kan": a, "mlp": b}, KAN_AND_MLP, "time")
    assert by_time["mlp"]["options"] == ["model.scale=2", "model.hidden=[3]"]
    assert tuned_options({}, KAN_AND_MLP, "params") == {}
    with pytest.raises(InputError, match="all arms"):
        tuned_options({"mlp": b}, KAN_AND_MLP, "params")
    for other in (write_trials(tmp_path / "c", [-1.0]), write_trials(tmp_path / "d", [-1.0, -2.0, -3.0], limit=30)):
        with pytest.raises(InputError, match="must be equal"):
            tuned_options({"kan": other, "mlp": b}, KAN_AND_MLP, "params")
    with pytest.raises(InputError, match="Tune first"):
        tuned_options({"kan": str(tmp_path), "mlp": b}, KAN_AND_MLP, "params")
    with pytest.raises(InputError, match="No trial"):
        tuned_options({"kan": write_trials(tmp_path / "e", ["inf"] * 3), "mlp": b}, KAN_AND_MLP, "params")


@pytest.mark.long
def test_runs_without_exact_solution_are_measured_against_a_reference(tmp_path):
    """The reference's errors are those against the exact solution that the study is not told of."""
    known = load_problem("poisson")(solution="mixed")
    unknown = replace(known, exact=None)
    few, lines = Sampling("gauss", 300, 100), []
    for seed in range(4):
        folder = tmp_path / "runs" / "kan" / str(seed)
        folder.mkdir(parents=True)
        solution = solve(unknown, KAN([3], degree=5, grid=3), [Phase(LM(), steps=3)], sampling=few, seed=seed)
        save(solution, folder, Output(cells=4))
    measure_runs(tmp_path, unknown, ["kan"], lines.append)
    rows = read_measured_errors(tmp_path)
    assert [row["run"] for row in rows] == [f"kan/{seed}" for seed in range(4)] and len(lines) == 1
    for row, path in zip(rows, sorted((tmp_path / "runs" / "kan").iterdir()), strict=True):
        exact = Errors(known, torch.device("cpu"), torch.float64).all(load(path, known).components)["u"]
        assert row["reliable"] == "True"
        for kind in ("l2", "h1", "max"):
            assert float(row[kind]) == pytest.approx(exact[kind], rel=0.05)
    assert [bool(row["estimate"]) for row in rows] == [True] * 3 + [False], "estimates are for the first few"
    before = (tmp_path / "reference.csv").stat().st_mtime_ns
    measure_runs(tmp_path, unknown, ["kan"], lines.append)
    assert (tmp_path / "reference.csv").stat().st_mtime_ns == before, "nothing is done twice"


def test_operations_leave_out_what_is_built_in():
    sizes = {"a": "model=mlp model.hidden=[5]", "b": "model.hidden=[1]"}
    typed = ["sampling.interior=1000", "sampling.boundary=400", "schedule=adam"]
    assert arms_of(sizes, *typed, "constraints=hard")[0][0].flops == 6 * 21 * 1000 * 4
