r"""`formula`: read a formula off an accurate solution, and say how far it is proved.

The network is a function that is known up to its error. Structures (sums, products, compositions) are found by tests
of its values (`structure`), functions of one variable by variable projection (`univariate`). The constants of the whole
expression are then refined on the problem's own residuals (`refine`), freed of redundancy and recognised
(`constants`), and the expression is put through the residuals at new points; where these reduce to zero symbolically,
it is proved (`proof`). Of several candidates that are right up to rounding, or up to the noise, the simplest is taken.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import islice, product
from math import inf
from time import perf_counter
from typing import Any

import numpy as np
import sympy

from kanpde.errors import InputError
from kanpde.formulas.accuracy import Evidence
from kanpde.formulas.evidence import evidence_of
from kanpde.formulas.families import Function
from kanpde.formulas.polish import polished
from kanpde.formulas.proof import Verdict, verdict
from kanpde.formulas.record import Candidate, Formula, Status
from kanpde.formulas.structure import candidates
from kanpde.formulas.target import Target
from kanpde.formulas.vocabulary import ALL, Vocabulary
from kanpde.solution import Evaluable

VERIFIED = 1e-12  # largest residual relative to its largest term
RECOVERED = 1e-10  # largest error on rows that were kept back, relative to their deviation
LARGEST_ERROR_OF_A_SLICE = 1e-6  # of its values, which no equation tells from other functions near them
LARGEST_NOISE = 0.1  # of data, relative; above it nearly everything is consistent
ALIKE = 1.05  # candidates whose residuals differ by less cannot be told apart by noisy data
MOST = 4  # candidates for each unknown, and combinations of them


def formula(
    solution: Evaluable,
    *,
    at: Mapping[str, float] | None = None,
    functions: Sequence[Function] = (),
    forbid: Sequence[str] = (),
    complexity: int = 8,
    time_limit: float = 300.0,
    log: Callable[[str], None] = lambda line: None,
) -> Formula:
    """Read a formula off a solution.

    Args:
        solution: of `solve`, `fit` or `load`, or a classical one.
        at: values of coordinates that are held fixed; then the formula is compared with the solution only.
        functions: functions of one variable that may occur besides those of `kanpde.formulas.families`.
        forbid: names of families, maps or functions that may not occur, such as exp.
        complexity: largest complexity of a function of one variable.
        time_limit: seconds after which the search ends.
        log: called with each line of the log.

    Raises:
        InputError: a name is not known, or the solution is not accurate enough to tell candidates apart.
    """
    check(solution, functions, forbid, complexity, time_limit)
    ends = perf_counter() + time_limit
    vocabulary = replace(ALL.without(forbid).with_functions(functions), ends=ends)
    evidence = evidence_of(solution, dict(at or {}))
    symbols = tuple(sympy.Symbol(name, real=True) for name in evidence.problem.domain.names)
    tried: list[Candidate] = []
    for noise in evidence.noises:
        log(f"Looking for formulas that agree with the solution up to {noise:.1e} of its size.")
        for expressions in drafts(evidence, symbols, noise, vocabulary, complexity):
            if (candidate := polished(expressions, symbols, evidence)) is not None:
                log(f"residual {candidate.residual:.1e}: {', '.join(map(str, candidate.expressions))}")
                tried.append(candidate)
            if vocabulary.is_late or (tried and tried[-1].residual <= VERIFIED):
                break
        if vocabulary.is_late or any(accepted(each, evidence, symbols) for each in tried):
            break
    return concluded(evidence, symbols, tried)


def check(solution: Any, functions: Any, forbid: Any, complexity: Any, time_limit: Any) -> None:
    """Refuse arguments of other kinds than those of `formula`."""
    if not isinstance(solution, Evaluable):
        raise InputError(
            f"A formula is read off a solution of `solve`, `fit` or `load`, got a {type(solution).__name__}."
        )
    if isinstance(forbid, str):
        raise InputError(f'forbid must be a list of names, got "{forbid}".', write={"forbid": [forbid]})
    for each in functions:
        if not isinstance(each, Function):
            raise InputError(f"functions must be `kanpde.formulas.Function`, got {each!r}.")
    if not isinstance(complexity, int) or complexity < 1:
        raise InputError(f"complexity must be a positive whole number, got {complexity}.", write={"complexity": 8})
    if not time_limit > 0:
        raise InputError(f"time_limit must be positive, got {time_limit}.", write={"time_limit": 300.0})


def drafts(
    evidence: Evidence, symbols: Sequence[sympy.Symbol], noise: float, vocabulary: Vocabulary, complexity: int
) -> Iterator[tuple[sympy.Expr, ...]]:
    """Yield expressions of all unknowns that agree with the solution."""
    of_unknowns = []
    for k in range(len(evidence.problem.unknowns)):
        values = evidence.values(k)
        size = float(np.sqrt(np.mean(values(evidence.sample) ** 2)))
        target = Target(
            values,
            tuple(symbols),
            evidence.ranges,
            lambda x, size=size: np.full(len(x), max(noise, 1e-14) * size),
        )
        of_unknowns.append(list(islice(candidates(target, vocabulary, complexity), MOST)))
    yield from islice(product(*of_unknowns), MOST)


def accepted(candidate: Candidate, evidence: Evidence, symbols: Sequence[sympy.Symbol]) -> Status | None:
    """Return how far a candidate is right, without a proof; None if it is not accepted."""
    if not evidence.is_table:
        return Status.VERIFIED if candidate.residual <= VERIFIED else None
    if evidence.at:
        is_near = candidate.residual <= max(evidence.error, RECOVERED) <= LARGEST_ERROR_OF_A_SLICE
        return Status.CONSISTENT if is_near else None
    if candidate.residual <= RECOVERED:
        return Status.RECOVERED
    is_as_good = candidate.residual <= 1.1 * evidence.error and evidence.error <= LARGEST_NOISE
    if is_as_good and evidence.scatters(candidate.expressions, symbols):
        return Status.CONSISTENT
    return None


def concluded(evidence: Evidence, symbols: tuple[sympy.Symbol, ...], tried: Sequence[Candidate]) -> Formula:
    """Return the best candidate with its status, or the record that there is none."""
    front = pareto(tried)
    good = [(each, status) for each in front if (status := accepted(each, evidence, symbols)) is not None]
    names = evidence.problem.unknowns
    if not good:
        best = min((each.residual for each in tried), default=inf)
        reason = f"the solution is known up to {evidence.error:.1e} of its size, and "
        reason += (
            f"the best of {len(tried)} candidates (`front`) leaves a residual of {best:.1e}; at most "
            f"{RECOVERED if evidence.is_table else VERIFIED:.0e} is accepted."
            if tried
            else "no expression of the known functions agrees with it so far. More accuracy may help, or `functions`."
        )
        return Formula(names, symbols, (), Status.NONE, {}, reason, tuple(front))
    best, status = good[0]
    if status is Status.CONSISTENT and not evidence.at:
        refuse_undecided(best, tried, evidence, symbols)
    residuals = evidence.residuals(best.expressions, symbols)
    what = "values of the solution" if evidence.at else "rows that were kept back"
    words = {
        Status.VERIFIED: f"all conditions hold at new points up to {best.residual:.1e} of their largest terms.",
        Status.RECOVERED: f"{what} are reproduced up to {best.residual:.1e} of their deviation.",
        Status.CONSISTENT: f"{what} are reproduced up to {best.residual:.1e} of their deviation, the solution is known "
        f"up to {evidence.error:.1e}; this is no proof.",
    }[status]
    if status is Status.VERIFIED:
        found = verdict(evidence.problem, best.expressions, symbols)
        if found is Verdict.REFUTED:
            words = (
                f"{best.expressions[0]} satisfies the conditions at new points up to rounding errors, but a residual "
            )
            words += "is not 0 symbolically: perhaps the problem has a feature between the points."
            return Formula(names, symbols, (), Status.NONE, residuals, words, tuple(front))
        if found is Verdict.PROVED:
            status, words = Status.PROVED, "the residuals of all conditions reduce to 0 symbolically."
    if evidence.warned:
        words += " The run has a warning, see `solution.warnings`: other functions may satisfy them, too."
    return Formula(names, symbols, best.expressions, status, residuals, words, tuple(front))


def refuse_undecided(
    best: Candidate, tried: Sequence[Candidate], evidence: Evidence, symbols: Sequence[sympy.Symbol]
) -> None:
    """Refuse to choose among candidates that are as simple and as accurate but differ.

    Raises:
        InputError: there is such a candidate; the message has the error with which they could be told apart.
    """
    for other in tried:
        if other.expressions == best.expressions or other.complexity > best.complexity + 1:
            continue
        if other.residual > ALIKE * best.residual:
            continue
        for one, another in zip(best.expressions, other.expressions, strict=True):
            distance = distance_of(one, another, symbols, evidence)
            if distance > RECOVERED:
                raise InputError(
                    f"The solution is not accurate enough to decide: its error is {evidence.error:.1e} of the "
                    f"deviation, and {one} and {another} differ by {distance:.1e} only. An error below "
                    f"{distance / 5:.1e} is needed: use more rows or less noise."
                )


def distance_of(one: sympy.Expr, another: sympy.Expr, symbols: Sequence[sympy.Symbol], evidence: Evidence) -> float:
    """Return the root mean square of the difference of two expressions over the deviation of the first."""
    functions = [sympy.lambdify(symbols, each, ["scipy", "numpy"]) for each in (one, another)]
    a, b = (np.broadcast_to(f(*evidence.sample.T), len(evidence.sample)) for f in functions)
    return float(np.sqrt(np.mean((a - b) ** 2)) / max(float(a.std()), 1e-300))


def pareto(tried: Sequence[Candidate]) -> list[Candidate]:
    """Return the candidates that are more accurate than all simpler ones, up to rounding, by complexity."""
    front: list[Candidate] = []
    for each in sorted(tried, key=lambda c: (c.complexity, c.residual)):
        if not front or (each.residual < 0.5 * front[-1].residual and front[-1].residual > VERIFIED):
            front.append(each)
    return front
