"""Options become objects by the signatures they are for; the yaml files say what the signatures say."""

import importlib
import inspect
from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Literal

import pytest
import yaml
from conftest import ROOT, load_problem, optimizer_factories

import kanpde.models
import kanpde.optimizers
from kanpde.command.messages import SWEEP_OPTIONS
from kanpde.configure.job import GROUPS, OPTIONS
from kanpde.configure.problem_file import find_problem
from kanpde.configure.signatures import Schedule, build, check, factories, make_model
from kanpde.configure.typed import on_command_line, text
from kanpde.errors import InputError
from kanpde.storage.output import Output
from kanpde.training.phases import Phase
from kanpde.training.sampling import Sampling
from kanpde.training.solve import solve

CONF = ROOT / "conf"


def read(path):
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def defaults(factory):
    parameters = inspect.signature(factory).parameters.values()
    return {p.name: list(p.default) if isinstance(p.default, tuple) else p.default for p in parameters}


# yaml files ----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("path", sorted((CONF / "problem").glob("*.yaml")), ids=lambda p: p.stem)
def test_a_problems_yaml_has_its_defaults(path):
    options = read(path)
    assert options.pop("name") == path.stem
    assert options == defaults(load_problem(path.stem))


@pytest.mark.parametrize("path", sorted((CONF / "model").glob("*.yaml")), ids=lambda p: p.stem)
def test_a_models_yaml_has_its_defaults(path):
    options = read(path)
    assert options.pop("name") == path.stem
    assert options == defaults(factories(kanpde.models)[path.stem])


@pytest.mark.parametrize("path", sorted((CONF / "sampling").glob("*.yaml")), ids=lambda p: p.stem)
def test_a_samplings_yaml_names_its_rule(path):
    options = read(path)
    assert build(Sampling, options, "sampling") == Sampling(path.stem)
    assert list(options) == [f.name for f in fields(Sampling)]


@pytest.mark.parametrize("path", sorted((CONF / "schedule").glob("*.yaml")), ids=lambda p: p.stem)
def test_schedules_can_be_made(path):
    schedule = build(Schedule, read(path), "schedule")
    assert all(isinstance(phase, Phase) for phase in schedule.phases)


def test_every_problem_and_model_can_be_chosen():
    assert {p.stem for p in (CONF / "problem").glob("*.yaml")} == {p.stem for p in (ROOT / "problems").glob("*.py")}
    assert {p.stem for p in (CONF / "model").glob("*.yaml")} == set(factories(kanpde.models))


def test_the_top_of_the_config_has_the_defaults_of_solve():
    config = read(CONF / "config.yaml")
    groups = {key for entry in config.pop("defaults") if isinstance(entry, dict) for key in entry}
    del config["hydra"]
    assert [config.pop(name) for name in SWEEP_OPTIONS] == [False, False], "they are of sweeps, and never reach `solve`"
    assert {*config, *groups} - {f"override hydra/{k}_logging" for k in ("job", "hydra")} == set(OPTIONS)
    assert build(Output, config["output"], "output") == Output()
    mine = {k: v for k, v in config.items() if k not in (*GROUPS, "plots", "formula", "weights")}
    assert mine == {k: v for k, v in defaults(solve).items() if k in mine}
    assert config["weights"] == {} and config["plots"] is True and config["formula"] is False


# options -------------------------------------------------------------------------------------------------------------
def example(
    width: int,
    rate: float = 0.5,
    label: str | None = None,
    flag: bool = False,
    hidden: Sequence[int] = (4,),
    slices: Mapping[str, float] | None = None,
    kind: Literal["a", "b"] = "a",
    sampling: Sampling | None = None,
    anything=None,
):
    return dict(locals())


def test_options_are_converted():
    options = {"width": 3, "rate": 2, "hidden": [1, 2], "slices": {"z": 1}, "sampling": {"interior": 9}, "anything": []}
    made = build(example, options, "group")
    assert isinstance(made["rate"], float) and made["hidden"] == (1, 2) and made["slices"] == {"z": 1.0}
    assert made["sampling"] == Sampling(interior=9) and made["label"] is None


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ({"width": "two"}, "group.width must be a whole number, got two. Write group.width=1."),
        ({"width": 2.5}, "whole number, got 2.5"),
        ({"width": True}, "whole number, got true"),
        ({"width": None}, "whole number, got null"),
        ({"rate": "fast"}, "group.rate must be a number, got fast. Write group.rate=0.5."),
        ({"label": 3}, "group.label must be text or null"),
        ({"flag": 1}, "true or false, got 1. Write group.flag=false."),
        ({"hidden": 4}, r"a list, each a whole number, got 4. Write group.hidden=\[4\]."),
        ({"hidden": [4, "x"]}, "group.hidden must be a list"),
        ({"slices": {"z": "x"}}, "a number for each name or null, got {z:x}"),
        ({"kind": "c"}, "one of a, b, got c"),
        ({"sampling": 3}, "group.sampling must be a group of options"),
        (
            {"sampling": {"interor": 3}},
            'Unknown option "group.sampling.interor". Did you mean "group.sampling.interior"',
        ),
        ({"widht": 3}, 'Unknown option "group.widht". Did you mean "group.width"?'),
    ],
)
def test_an_option_that_cannot_be_is_refused(option, message):
    with pytest.raises(InputError, match=message.replace("?", r"\?").replace("{", r"\{")):
        build(example, {"width": 1, **option}, "group")


def test_a_missing_option_is_named():
    with pytest.raises(InputError, match=r"group\.width is missing. Write group\.width=1"):
        build(example, {}, "group")


def test_given_arguments_are_no_options():
    assert check(example, {"rate": 1}, given=("width", "flag")) == {"rate": 1.0}
    with pytest.raises(InputError, match=r'Unknown option "flag"'):
        check(example, {"flag": True}, given=("width", "flag"))


def test_advice_of_a_factory_says_what_to_type():
    with pytest.raises(InputError, match=r"^grid must be .* got 0\.") as refused:
        make_model({"name": "kan", "grid": 0})
    assert (refused.value.of, refused.value.write) == ("model", {"grid": 5})
    assert on_command_line(refused.value).endswith("got 0. Write model.grid=5.")
    with pytest.raises(InputError) as refused:
        build(Schedule, {"phases": [{"steps": 1}, {"steps": 0}]}, "schedule")
    assert on_command_line(refused.value).endswith("got 0. Write schedule.phases.1.steps=10.")
    with pytest.raises(InputError) as refused:
        make_model({"name": "kan", "basis": "bspine"})
    assert on_command_line(refused.value) == 'model: Unknown basis "bspine". Did you mean "bspline"?'


def test_what_is_typed_is_what_is_meant():
    assert text({"a": [1, None, True], "b": ""}) == '{a:[1,null,true],b:""}'


# names ---------------------------------------------------------------------------------------------------------------
def test_optimizers_are_found_by_name():
    assert set(factories(kanpde.optimizers)) == {name.lower() for name in optimizer_factories()}
    for name, factory in factories(kanpde.optimizers).items():
        (phase,) = build(Schedule, {"phases": [{"optimizer": {"name": name}}]}, "schedule").phases
        assert phase.optimizer == factory()


ZOO = """
from dataclasses import dataclass
from kanpde import KAN

@dataclass(frozen=True)
class Options:
    a: int

@dataclass(frozen=True)
class Fourier:
    modes: int = 3
    def __call__(self): ...
"""


def test_a_new_file_is_found(tmp_path, monkeypatch):
    (tmp_path / "zoo").mkdir()
    (tmp_path / "zoo" / "__init__.py").touch()
    (tmp_path / "zoo" / "fourier.py").write_text(ZOO)
    monkeypatch.syspath_prepend(tmp_path)
    assert list(factories(importlib.import_module("zoo"))) == ["fourier"]


@pytest.mark.parametrize("options", [{}, {"name": 3}, {"name": None}, None, "kan"])
def test_a_group_needs_a_name(options):
    with pytest.raises(InputError, match=r"model has no name.*Write model\.name=kan"):
        make_model(options)


def test_an_unknown_name_is_refused():
    with pytest.raises(InputError, match=r'Unknown model "kaan"\. Did you mean "kan"'):
        make_model({"name": "kaan"})
    with pytest.raises(InputError, match=r'Unknown optimizer "lbgfs"\. Did you mean "lbfgs"'):
        build(Schedule, {"phases": [{"optimizer": {"name": "lbgfs"}}]}, "schedule")


# problem files -------------------------------------------------------------------------------------------------------
OWN = """
from kanpde import Box, Problem, dirichlet

def poisson(length: float = 1.0):
    domain = Box(x=(0.0, length))
    return Problem(domain, {"boundary": dirichlet(domain.boundary)})
"""


@pytest.mark.parametrize("folder", [".", "problems"])
def test_the_users_file_comes_first(tmp_path, monkeypatch, folder):
    monkeypatch.chdir(tmp_path)
    assert find_problem({"name": "poisson"})[0].is_packaged
    (tmp_path / folder).mkdir(exist_ok=True)
    (tmp_path / folder / "poisson.py").write_text(OWN)
    file, arguments = find_problem({"name": "poisson", "length": 3})
    assert not file.is_packaged
    assert file.make(arguments).domain.ranges == ((0.0, 3.0),)


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("def own(): return 3", r"own\(\) in own.py returned int; expected a Problem"),
        ("def other(): pass", "own.py has no function own"),
        ("def own(:", "own.py, line 1: invalid syntax"),
        ("x = 1\ndef own():\n    return x / 0", "own.py, line 3: ZeroDivisionError: division by zero"),
        ("import nothing_like_it", "own.py, line 1: ModuleNotFoundError"),
    ],
)
def test_errors_in_the_users_file_name_the_place(tmp_path, monkeypatch, code, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "own.py").write_text(code)
    file, arguments = find_problem({"name": "own"})
    with pytest.raises(InputError, match=message):
        file.make(arguments)


def test_an_error_in_a_packaged_problem_is_not_the_users():
    file, _ = find_problem({"name": "poisson"})
    try:
        exec(compile("1 / 0", str(file.path), "exec"))
    except ZeroDivisionError as error:
        assert file.error_in_own_file(error) is None


@pytest.mark.parametrize("name", ["poison", "../problems/poisson", "conf.py"])
def test_an_unknown_problem_is_refused(name):
    with pytest.raises(InputError, match="There is no file"):
        find_problem({"name": name})
