"""A comparison from one command: plan, runs, classical solvers and report, in a folder where it can be continued."""

from __future__ import annotations

import hashlib
import json
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from math import inf, isfinite, nan
from pathlib import Path
from statistics import median
from typing import Any, Literal

import yaml

from kanpde.classical.reference import Reference, reference
from kanpde.classical.rows import classical_rows, write_rows
from kanpde.configure.job import Job
from kanpde.errors import InputError
from kanpde.paths import PACKAGE, RESULT, packaged, short
from kanpde.problem import Problem
from kanpde.runs.ledger import Ledger, Run, conduct
from kanpde.runs.status import RunState
from kanpde.storage.folders import replace_text, unwritable
from kanpde.storage.record import origin
from kanpde.study.arms import Arm, ConfigFrom, at_tolerances, make_arms
from kanpde.study.fits import rows_of
from kanpde.study.measured_errors import ESTIMATED, measure_runs
from kanpde.study.outcomes import CLASSICAL, STUDY, read_study
from kanpde.study.report import write_report
from kanpde.study.tuning import tuned_options
from kanpde.terminal import print_table

SPARING = ("plots=false",)  # options of every run, unless typed otherwise


@dataclass(frozen=True)
class Plan:
    """The group ``study``, as in conf/study/kan_vs_mlp.yaml.

    Args:
        arms: by name, the options that each arm adds to the typed ones, such as "model=mlp model.scale=2"; the other
            arms are compared with the first.
        match: the quantity that is equal for all arms: params, flops (per step) or time; or tolerance, to compare the
            times to ``tolerances`` instead of errors.
        tolerances: relative L2 errors; every arm is run with each. For match=tolerance only.
        seeds: number of seeds, from 0 on, or a list of seeds.
        workers: number of simultaneous runs.
        retry_failed: repeat failed runs.
        tuned: by arm, the folder of a sweep with +study=tune whose best model options the arm uses; budgets must be
            equal.
        classical: also solve by finite elements and collocation, for additional rows, for errors if no exact solution
            is known, and for error estimates.
    """

    arms: Mapping[str, str]
    match: Literal["params", "flops", "time", "tolerance"] = "params"
    tolerances: Sequence[float] = ()
    seeds: int | Sequence[int] = 10
    workers: int = 1
    retry_failed: bool = False
    tuned: Mapping[str, str] = field(default_factory=dict)
    classical: bool = True

    def __post_init__(self):
        if not self.numbers or len(set(self.numbers)) < len(self.numbers):
            raise InputError(
                f"seeds must be a positive number, or a list without doubles, got {self.seeds}. Write study.seeds=10."
            )
        if self.workers < 1:
            raise InputError(f"workers must be at least 1, got {self.workers}.", write={"workers": 1})
        if self.match == "tolerance":
            self._check_tolerances()
        elif self.tolerances:
            raise InputError(
                f"tolerances are for match=tolerance, got match={self.match}. Write study.match=tolerance "
                "time_limit=60, or leave out study.tolerances."
            )

    def _check_tolerances(self) -> None:
        distinct = set(self.tolerances)
        if not distinct or len(distinct) < len(self.tolerances) or not all(0 < each < 1 for each in distinct):
            raise InputError(
                "match=tolerance needs a list of relative errors between 0 and 1, each once, got "
                f"{list(self.tolerances)}. Write 'study.tolerances=[1e-3,1e-5]'."
            )
        if self.tuned:
            raise InputError(
                "study.tuned has options that +study=tune found for a schedule, and match=tolerance replaces the "
                "schedule. Leave out study.tuned."
            )

    @property
    def numbers(self) -> list[int]:
        """The seeds, each once."""
        return list(range(self.seeds)) if isinstance(self.seeds, int) else list(self.seeds)


def compare(
    name: str,
    plan: Plan,
    typed: Sequence[str],
    config_from: ConfigFrom,
    say: Callable[[str], None],
    command: str = "",
) -> int:
    """Carry out the missing runs of a comparison, and write its report.

    The name of the folder is derived from the arms, so that the same command finds its runs again; with more seeds only
    the new ones are run.

    Args:
        name: of the study, such as kan_vs_mlp.
        plan: the arms, seeds and solvers.
        typed: all other options, for every arm.
        config_from: composes a config from options.
        say: called with lines on the progress.
        command: the command as typed, for the report.

    Returns:
        The exit code: 0, or 1 if a run failed or has not ended.

    Raises:
        InputError: the description of the comparison is invalid.
    """
    common = [*(o for o in SPARING if o.partition("=")[0] not in {t.partition("=")[0] for t in typed}), *typed]
    tuning = tuned_options(plan.tuned, plan.arms, plan.match)
    found = {arm: about["options"] for arm, about in tuning.items()}
    arms, jobs = make_arms(plan.arms, common, plan.match, config_from, found)
    problem = jobs[0].file.name
    folder = Path("outputs", "studies", f"{name}-{problem}-{_digest(plan, arms, jobs, config_from)}")
    _write_plan(folder, name, jobs[0], plan, arms, command, tuning)
    _say_arms(arms, plan)
    arms = at_tolerances(arms, plan.tolerances) if plan.tolerances else arms
    runs = [Run(f"{arm.name}/{seed}", (*arm.overrides, f"seed={seed}")) for seed in plan.numbers for arm in arms]
    statuses = conduct(Ledger(folder, runs), plan.workers, plan.retry_failed, say=say)
    if plan.classical and not jobs[0].problem.is_fit:  # fits have their errors on test rows, and no equation
        estimated = 0 if plan.tolerances else ESTIMATED  # runs with a tolerance estimate their errors themselves
        known = measure_runs(folder, jobs[0].problem, [arm.name for arm in arms], say, estimated)
        _solve_classically(folder, jobs[0].problem, known, say)
    say(f"Report: {short(write_report(folder))}")
    return int(any(status.state is not RunState.FINISHED for status in statuses.values()))


def _digest(plan: Plan, arms: Sequence[Arm], jobs: Sequence[Job], config_from: ConfigFrom) -> str:
    """Return a hash of everything that determines the runs except their seeds: configs and the problem's file."""
    configs = [{**config_from(arm.overrides), "name": arm.name} for arm in arms]
    source = jobs[0].file.path.read_text(encoding="utf-8")
    return hashlib.sha256(json.dumps([plan.match, configs, source], sort_keys=True).encode()).hexdigest()[:8]


def _write_plan(
    folder: Path,
    name: str,
    job: Job,
    plan: Plan,
    arms: Sequence[Arm],
    command: str,
    tuning: Mapping[str, Any],
) -> None:
    time_limit, rows = job.settings.get("time_limit"), rows_of(job.problem)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / STUDY
        known = yaml.safe_load(path.read_text(encoding="utf-8")) if path.is_file() else {}
        tolerances = sorted({*plan.tolerances, *known.get("tolerances", ())}, reverse=True)
        told = {"tolerances": tolerances, "time_limit": time_limit} if tolerances else {}
        described = [asdict(arm) for arm in (at_tolerances(arms, tolerances) if tolerances else arms)]
        what = " ".join([job.file.name, *(o for o in arms[0].overrides if o.startswith("problem."))])
        content = {
            "name": name,
            "title": f"{' against '.join(plan.arms)} on {what}",
            "problem": what,
            "command": command,
            "match": plan.match,
            "seeds": sorted({*plan.numbers, *known.get("seeds", ())}),
            **told,
            **({"rows": rows} if rows else {}),
            "arms": {arm.pop("name"): {k: _plain(v) for k, v in arm.items() if v is not None} for arm in described},
            "tuning": tuning,
            "classical": plan.classical,
            **{key: known.get(key, value) for key, value in (*origin().items(), ("commit", _commit()))},
            "started": known.get("started", f"{datetime.now():%Y-%m-%d %H:%M:%S}"),
        }
        replace_text(path, yaml.safe_dump(content, sort_keys=False, allow_unicode=True))
    except OSError as error:
        raise unwritable(error) from error


def _plain(value: Any) -> Any:
    return [_plain(v) for v in value] if isinstance(value, (tuple, list)) else value


def _commit() -> str | None:
    """Return the commit of the checkout that contains the package, with "+" for local changes; None without one."""
    outputs = []
    own = [str(packaged(name)) for name in ("conf", "problems")]
    for command in (
        ("ls-files", "--error-unmatch", "__init__.py"),  # fails for a copy installed below an unrelated checkout
        ("rev-parse", "--short", "HEAD"),
        ("status", "--porcelain", "--untracked-files=no", "--", ".", *own),
    ):
        try:
            found = subprocess.run(["git", "-C", str(PACKAGE), *command], capture_output=True, text=True, timeout=10)
        except (OSError, subprocess.TimeoutExpired):
            return None
        if found.returncode:
            return None
        outputs.append(found.stdout.strip())
    return outputs[1] + "+" * bool(outputs[2])


def _say_arms(arms: Sequence[Arm], plan: Plan) -> None:
    """Print the matched quantities of the arms."""
    if plan.match == "tolerance":
        aims = ", ".join(f"{tolerance:g}" for tolerance in plan.tolerances)
        names = ", ".join(arm.name for arm in arms)
        print(f"{names}: time to {aims}. The sizes are not matched: the networks grow.\n", flush=True)
        return
    sizes = [(float(arm.parameters or nan), arm.flops or nan) for arm in arms]
    rows = [
        [
            arm.name,
            str(list(arm.hidden)),
            str(arm.parameters),
            f"{parameters / sizes[0][0]:.3f}",
            f"{flops:.2e}",
            f"{flops / sizes[0][1]:.3f}",
        ]
        for arm, (parameters, flops) in zip(arms, sizes, strict=True)
    ]
    print_table(["arm", "hidden", "parameters", "of the first", "flops a step", "of the first "], rows)
    print(f"Matched by {plan.match}; the rest of the options is the same.\n", flush=True)


def _solve_classically(folder: Path, problem: Problem, known: Reference | None, say: Callable[[str], None]) -> None:
    """Run classical solvers up to the error and the time of the best arm; repeated only after new runs."""
    path = folder / CLASSICAL
    newest = max((p.stat().st_mtime for p in folder.glob(f"runs/*/*/{RESULT}")), default=0.0)
    if path.is_file() and path.stat().st_mtime >= newest:
        return
    study = read_study(folder)
    found = {arm: [e for e in errors.values() if isfinite(e)] for arm, errors in study.final_errors().items()}
    error = min((median(errors) for errors in found.values() if errors), default=inf)
    seconds = [run.seconds for run in study.runs if isfinite(run.seconds)]
    say("Classical solvers on the same problem")
    try:
        known = known or (None if problem.exact else reference(problem))
    except InputError:
        return  # `measure_runs` has printed why
    target = error if isfinite(error) else None
    write_rows(classical_rows(problem, target, median(seconds) if seconds else 10.0, known), folder / CLASSICAL)
