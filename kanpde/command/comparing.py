"""Comparisons: +study=... on the command line."""

import re
import shlex
from functools import partial

from hydra.core.override_parser.overrides_parser import OverridesParser

from kanpde.command.composing import config_from
from kanpde.errors import InputError


def comparisons(overrides: list[str]) -> list[list[str]]:
    """Return the options of one comparison for every problem in +study=...; empty without a comparison."""
    parsed = OverridesParser.create().parse_overrides(overrides)
    if not any(o.key_or_group == "study" and o.value() != "tune" for o in parsed):
        return []
    several = [o for o in parsed if o.is_sweep_override()]
    if other := [o for o in several if o.key_or_group != "problem"]:
        raise InputError(
            f"{other[0].input_line} asks for several runs, and a study has its own. Write it as arms: "
            "'study.arms.b=\"model.degree=7\"'."
        )
    plain = [str(o.input_line) for o in parsed if o not in several]
    problems = [f"problem={value}" for o in several for value in o.sweep_string_iterator()]
    return [[*plain, problem] for problem in problems] or [plain]


def run_comparison(overrides: list[str]) -> int:
    """Carry out one comparison and return its exit code."""
    for option in overrides:
        _refuse_own_arrangements(option)
    config = config_from(overrides)
    from kanpde.configure.signatures import build, split_name
    from kanpde.study.comparison import Plan, compare

    name, options = split_name(config["study"], "study", "kan_vs_mlp")
    own = [o for o in overrides if not re.match(r"[+~]*study\b", o)]
    command = f"python -m kanpde {shlex.join(overrides)}"
    return compare(name, build(Plan, options, "study"), own, config_from, partial(print, flush=True), command)


def _refuse_own_arrangements(option: str) -> None:
    """Refuse an option for seeds, folders or processes, which a study sets itself."""
    key = option.lstrip("+~").partition("=")[0]
    if key in ("hydra.sweep.dir", "hydra.sweep.subdir", "hydra.run.dir"):
        raise InputError(
            f"{option} is not used by a study: its folder (outputs/studies/NAME-...) follows from the study and "
            f"the options of the arms. Leave out {key}."
        )
    if key in ("seed", "isolate", "retry_failed") or re.match(r"hydra[./](launcher|sweeper)\b", key):
        raise InputError(
            f"A study decides on seeds and processes itself, got {option}. Write study.seeds=10, study.workers=2, or "
            "study.retry_failed=true."
        )
