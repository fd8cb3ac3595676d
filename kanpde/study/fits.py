"""Studies of fits: the rows of a table that runs are trained and compared on."""

from __future__ import annotations

from collections.abc import Mapping

import torch

from kanpde.errors import InputError
from kanpde.problem import Problem

FEW = 20  # test rows with which an error is known roughly only: to about 1 / sqrt(2 * 20) = 16 % for normal errors


def check_fit(problem: Problem, match: str) -> None:
    """Refuse a comparison of fits that has no error to compare, or compares times to a tolerance.

    Raises:
        InputError: there are no test rows, or runs would need an estimate of their error.
    """
    if not problem.is_fit:
        return
    if match == "tolerance":
        raise InputError(
            "match=tolerance needs runs that estimate their errors, and measured values give no estimate. Compare the "
            "errors on test rows: write study.match=params, or study.match=time with time_limit=60."
        )
    if problem.exact is None and problem.test is None:
        raise InputError(
            "A comparison of fits needs test rows: losses on rows for training favour the network that fits their "
            "noise best.",
            write={"test": 0.1},
            of="problem",
        )


def rows_of(problem: Problem) -> dict[str, int | str]:
    """Return the numbers of rows of a fit by their use, and on what its error is measured; {} for an equation."""
    if not problem.is_fit:
        return {}
    regions = [condition.region for condition in problem.trained.values()]
    fresh = [region.sample_fresh(0, torch.Generator()).x for region in regions]
    tested = 0 if problem.test is None else len(problem.test.x)
    on = f"{tested} test rows" if problem.exact is None else "the whole domain, where the function is known"
    return {
        "training": sum(region.rows or 0 for region in regions),
        "validation": sum(map(len, fresh)),
        "test": tested,
        "errors on": on,
    }


def rows_sentence(rows: Mapping[str, int | str]) -> str:
    """Return sentences on the rows of a study of fits; "" if there are none."""
    if not rows:
        return ""
    text = (
        f"Errors are relative L2 errors on {rows['errors on']}. All runs have the same {rows['training']} rows for "
        f"training and {rows['validation']} for validation, so that the intervals are those of the seeds of the "
        "networks, not of the choice of the rows (problem.seed)."
    )
    few = 0 < int(rows["test"]) < FEW and str(rows["errors on"]).endswith("test rows")
    return f"{text} With so few test rows the errors are rough." if few else text
