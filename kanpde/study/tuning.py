"""The best options of sweeps with +study=tune, for the arms of a comparison, with equal numbers of trials."""

import csv
import shlex
from collections.abc import Mapping
from math import inf
from pathlib import Path
from typing import Any

from kanpde.errors import InputError

TRIALS = "trials.csv"


def tuned_options(folders: Mapping[str, str], arms: Mapping[str, str], match: str) -> dict[str, dict[str, Any]]:
    """Return for each arm the number of trials and the model options of the best trial.

    Widths are included only if arms are matched by time; otherwise the matching determines them.

    Args:
        folders: by arm, the folder of its tuning sweep. Either all arms are tuned or none.
        arms: arms of the comparison, with their options.
        match: the quantity that is equal for all arms.

    Raises:
        InputError: a sweep is missing or has no finished trial, or budgets differ.
    """
    if not folders:
        return {}
    if set(folders) != set(arms):
        raise InputError(
            f"Tune all arms with equal budgets, or none: the arms are {', '.join(arms)}, tuned were "
            f"{', '.join(folders)}. Write study.tuned.ARM=FOLDER for each."
        )
    found = {arm: _best(arm, Path(folder), match) for arm, folder in folders.items()}
    if len({(about["trials"], about["seconds a trial"]) for about in found.values()}) > 1:
        budgets = ", ".join(f"{arm} {a['trials']} of {a['seconds a trial']} s" for arm, a in found.items())
        raise InputError(
            f"Budgets for tuning must be equal, got trials: {budgets}. Tune again with the same "
            "hydra.sweeper.n_trials and time_limit."
        )
    return found


def _best(arm: str, folder: Path, match: str) -> dict[str, Any]:
    path = folder / TRIALS
    if not path.is_file():
        raise InputError(
            f'There is no {TRIALS} in "{folder}". Tune first: '
            f"python -m kanpde -m +study=tune model=... hydra.sweep.dir={folder}"
        )
    with open(path, newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    ended = [row for row in rows if float(row["log10_fresh_loss"]) < inf]
    if not ended:
        raise InputError(f"No trial in {folder} finished, so {arm} cannot be tuned by it. See {path}.")
    best = min(ended, key=lambda row: float(row["log10_fresh_loss"]))
    typed = shlex.split(best["options"])
    limit = [o.partition("=")[2] for o in typed if o.startswith("time_limit=")]
    chosen = [o for o in typed if o.startswith("model.") and (match == "time" or not o.startswith("model.hidden="))]
    return {
        "trials": len(rows),
        "seconds a trial": limit[-1] if limit else "60",
        "options": chosen,
        "folder": str(folder),
    }
