"""Whether the arms of a study differ in more than their networks: settings, weights, points, schedule, constraints."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from math import isclose
from statistics import median
from typing import Any

from kanpde.configure.typed import text
from kanpde.study.outcomes import Study

SETTINGS = ("device", "dtype", "threads", "derivatives", "constraints")  # as used, read from the results
AMOUNTS = ("weights", "points")  # by condition, as used in the last phase
OPTIONS = ("schedule", "sampling", "constraints", "time_limit")  # as requested, read from the configs
SAME_WEIGHTS = 0.05  # relative difference up to which automatic weights count as equal
_NOTHING = object()  # an option that an arm does not give


def fairness(study: Study) -> str:
    """Return a sentence on what should be the same for all arms but is not; "" if there is no difference.

    It compares the settings that runs used, weights and numbers of points of every condition (medians over the runs),
    and the options of schedule, sampling and constraints, including those of every phase and optimizer.
    """
    found: dict[str, list[str]] = {}
    keys = SETTINGS if study.tolerances else (*SETTINGS, "rule")  # runs with a tolerance choose their points themselves
    amounts = () if study.tolerances else _amounts(study)
    for key, by_arm in (*_settings(study, keys), *amounts, *_options(study)):
        found.setdefault(key, [f"{arm}: {value}" for arm, value in by_arm.items()])
    unlike = [f"{key} ({', '.join(values)})" for key, values in found.items()]
    return f"Not the same for all arms: {'; '.join(unlike)}." if unlike else ""


def _settings(study: Study, keys: Sequence[str]) -> Iterator[tuple[str, dict[str, str]]]:
    for key in keys:
        used = {
            arm: sorted({str(run.settings[key]) for run in study.of(arm) if key in run.settings}) for arm in study.arms
        }
        if len({tuple(values) for values in used.values() if values}) > 1:
            yield key, {arm: "/".join(values) for arm, values in used.items()}


def _amounts(study: Study) -> Iterator[tuple[str, dict[str, str]]]:
    for kind in AMOUNTS:
        tables = {arm: [run.settings[kind] for run in study.of(arm) if run.settings.get(kind)] for arm in study.arms}
        tables = {arm: found for arm, found in tables.items() if found}
        for name in dict.fromkeys(name for found in tables.values() for table in found for name in table):
            medians = {
                arm: median(values)
                for arm, found in tables.items()
                if (values := [float(table[name]) for table in found if name in table])
            }
            tolerance = SAME_WEIGHTS if kind == "weights" else 0.0
            first, *others = medians.values()
            if len(medians) < len(tables) or not all(isclose(first, other, rel_tol=tolerance) for other in others):
                yield f"{kind}.{name}", {arm: f"{medians[arm]:.4g}" if arm in medians else "none" for arm in tables}


def _options(study: Study) -> Iterator[tuple[str, dict[str, str]]]:
    for key in OPTIONS:
        values = {arm: config.get(key, _NOTHING) for arm, config in study.configs.items()}
        for name, differing in _differences(key, values):
            yield name, {arm: "not given" if value is _NOTHING else text(value) for arm, value in differing.items()}


def _differences(name: str, by_arm: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield the innermost options in which the arms differ, with the value of each arm."""
    values = list(by_arm.values())
    if all(value == values[0] for value in values):
        return
    if all(isinstance(value, Mapping) for value in values):
        keys: Sequence[Any] = list(dict.fromkeys(key for value in values for key in value))
    elif all(isinstance(value, list) for value in values) and len({len(value) for value in values}) == 1:
        keys = range(len(values[0]))
    else:
        yield name, by_arm
        return
    for key in keys:
        inner = {
            arm: value.get(key, _NOTHING) if isinstance(value, Mapping) else value[key] for arm, value in by_arm.items()
        }
        yield from _differences(f"{name}.{key}", inner)
