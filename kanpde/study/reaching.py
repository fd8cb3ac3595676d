"""The results of a study whose arms are compared by the time to a tolerance."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import inf, isfinite
from typing import Any

from kanpde.ends import End
from kanpde.runs.status import RunState
from kanpde.study.censored import Contest, MedianTime, contest, median_time
from kanpde.study.outcomes import Outcome, Study
from kanpde.study.statistics import holm, summarise_errors

WRONG = 3.0  # a true error of more tolerances contradicts the end "tolerance reached"
LEVEL = 0.05


@dataclass(frozen=True)
class Reaching:
    """The ended runs of one arm with one tolerance, by seed.

    A run has reached the tolerance if it ended with "tolerance reached" within the time limit, and its true error,
    where it is known, is at most `WRONG` tolerances.
    """

    arm: str
    tolerance: float
    limit: float
    runs: Mapping[Any, Outcome]

    def ended_reached(self, run: Outcome) -> bool:
        return run.state is RunState.FINISHED and run.end is End.TOLERANCE_REACHED

    def is_wrong(self, run: Outcome) -> bool:
        """Return whether the run ended with "tolerance reached", but has a much larger error."""
        return self.ended_reached(run) and run.largest_error > WRONG * self.tolerance

    def time(self, run: Outcome) -> float:
        """Return the seconds to the tolerance, infinite if it was not reached."""
        reached = self.ended_reached(run) and not self.is_wrong(run) and run.seconds <= self.limit
        return run.seconds if reached else inf

    @property
    def times(self) -> dict[Any, float]:
        """By seed, the seconds to the tolerance."""
        return {seed: self.time(run) for seed, run in self.runs.items()}

    @property
    def reached(self) -> int:
        return sum(map(isfinite, self.times.values()))

    @property
    def wrong(self) -> int:
        return sum(map(self.is_wrong, self.runs.values()))

    @property
    def median(self) -> MedianTime:
        return median_time(list(self.times.values()), self.limit)

    @property
    def parameters(self) -> float:
        """The median number of parameters; runs that did not reach the tolerance count as infinitely large."""
        found = [run.parameters if isfinite(self.time(run)) else inf for run in self.runs.values()]
        return summarise_errors(found).median


@dataclass(frozen=True)
class Decision:
    """The comparison of the first arm with another one at one tolerance; ``winner`` is None if there is none."""

    tolerance: float
    first: str
    other: str
    contest: Contest
    adjusted_p: float
    winner: str | None


def reachings(study: Study) -> list[Reaching]:
    """Return the ended runs of every arm with every tolerance, the largest tolerance first."""
    limit = float(study.plan["time_limit"])
    found = []
    for name, about in study.arms.items():
        ended = {run.seed: run for run in study.of(name) if run.is_final}
        found.append(Reaching(str(about["family"]), float(about["tolerance"]), limit, ended))
    return sorted(found, key=lambda each: -each.tolerance)


def decisions(found: list[Reaching]) -> list[Decision]:
    """Compare the first arm with every other one at every tolerance.

    A winner is named if the p-value of the sign test, after Holm's correction for all comparisons of the study, is at
    most 5 %.
    """
    pairs = []
    for first in found:
        if first.arm != found[0].arm:
            continue
        for other in found:
            if other.tolerance == first.tolerance and other.arm != first.arm:
                seeds = [seed for seed in first.times if seed in other.times]
                a, b = ([each.times[seed] for seed in seeds] for each in (first, other))
                pairs.append((first, other, contest(a, b, first.limit)))
    adjusted = holm([pair.p_value for _, _, pair in pairs])
    return [
        Decision(
            first.tolerance,
            first.arm,
            other.arm,
            pair,
            p,
            (first.arm if pair.first_sooner > pair.other_sooner else other.arm) if p <= LEVEL + 1e-12 else None,
        )
        for (first, other, pair), p in zip(pairs, adjusted, strict=True)
    ]
