"""Checks of the kinds of the arguments of `solve`, which Python itself does not check."""

from collections.abc import Mapping, Sequence
from numbers import Integral, Real
from pathlib import Path
from typing import Any

from kanpde.errors import Code, InputError
from kanpde.problem import Problem
from kanpde.solution import Solution
from kanpde.training.phases import Phase
from kanpde.training.sampling import Sampling

# by argument: whether it is a whole number, whether it may be None, and an example
NUMBERS = {
    "starts": (True, False, 1),
    "seed": (True, False, 0),
    "threads": (True, True, 1),
    "time_limit": (False, True, 60),
    "checkpoint": (False, False, 5),
    "tolerance": (False, True, 1e-6),
    "atol": (False, False, 0.0),
}


def checked_numbers(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return arguments of the table `NUMBERS`, numbers of numpy as Python's.

    Raises:
        InputError: one of them is no number, or no whole one.
    """
    for name, value in given.items():
        is_whole, may_lack, example = NUMBERS[name]
        is_number = isinstance(value, Integral if is_whole else Real) and not isinstance(value, bool)
        if not is_number and not (value is None and may_lack):
            none = " or None" if may_lack else ""
            raise InputError(
                f"{name} must be a {'whole ' if is_whole else ''}number{none}, got {value!r}.", write={name: example}
            )

    if not -(2**63) <= given.get("seed", 0) < 2**63:
        raise InputError(f"seed must have at most 63 bits, got {given['seed']}.", write={"seed": 0})
    own = (int, float, type(None))
    return {n: v if type(v) in own else int(v) if NUMBERS[n][0] else float(v) for n, v in given.items()}


def check_objects(problem: Any, model: Any, phases: Any, sampling: Any, weights: Any) -> None:
    """Check what is to be solved and how.

    Raises:
        InputError: an argument is of another kind, such as a class or a name in the place of an object.
    """
    if not isinstance(problem, Problem):
        is_function = callable(problem) and not isinstance(problem, type) and hasattr(problem, "__name__")
        came = f"the function {problem.__name__}, which was not called" if is_function else _kind(problem)
        write = f"{problem.__name__}()" if is_function else "Problem(domain, conditions)"
        raise InputError(f"solve takes a Problem first, got {came}.", write={"problem": Code(write)})
    if model is not None and (isinstance(model, type) or not callable(model)):
        raise InputError(
            f"model must be a factory of networks or a ready module, got {_kind(model)}.",
            write={"model": Code(f"{model.__name__}()" if isinstance(model, type) else "KAN(hidden=[8])")},
        )
    is_list = isinstance(phases, Sequence) and not isinstance(phases, str)
    wrong = [phase for phase in phases if not isinstance(phase, Phase)] if is_list else []
    if wrong or not (is_list or phases is None):
        raise InputError(
            f"phases must be a list of phases, each with an optimizer and steps, got {_kind([*wrong, phases][0])}.",
            write={"phases": Code("[Phase(LM())]")},
        )
    if not isinstance(sampling, Sampling):
        raise InputError(
            f"sampling must be a Sampling, got {_kind(sampling)}.", write={"sampling": Code("Sampling(interior=1000)")}
        )
    if weights is not None and not isinstance(weights, Mapping):
        raise InputError(
            f"weights must be a dictionary of numbers by condition, got {_kind(weights)}.",
            write={"weights": dict.fromkeys([*problem.conditions][:1], 1.0)},
        )


def check_surroundings(start: Any, folder: Any, observe: Any, log: Any) -> None:
    """Check where a run begins and what it writes.

    Raises:
        InputError: an argument is no folder or no function.
    """
    if not isinstance(start, (str, Path, Solution, type(None))):
        raise InputError(
            f"start must be the folder or the solution of an earlier run, got {_kind(start)}.",
            write={"start": "outputs/mine"},
        )
    if not isinstance(folder, (str, Path, type(None))) and not hasattr(folder, "__enter__"):
        raise InputError(f"folder must be the path of a folder, got {_kind(folder)}.", write={"folder": "outputs/mine"})
    examples = {"observe": (observe, "lambda progress: print(progress.loss)"), "log": (log, "print")}
    for name, (value, example) in examples.items():
        if not callable(value):
            raise InputError(f"{name} must be a function, got {_kind(value)}.", write={name: Code(example)})


def _kind(value: Any) -> str:
    """Return in words what a value is."""
    if value is None or isinstance(value, (bool, int, float, str)):
        return repr(value)
    if isinstance(value, type):
        return f"the class {value.__name__}, which was not called"
    return f"a {type(value).__name__}"
