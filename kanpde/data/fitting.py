r"""Networks fitted to tables of measured data.

A fit is a problem like any other: with inputs x_n and targets y_n, the condition "data" has the residuals
$(u_k(x_n) - y_{kn}) / s_k$, one for each target, with the standard deviation s_k of the target over the training rows.
Its loss is the sum over the targets of the mean squared errors, relative to their variances. The rows are divided at
random into three parts: training, validation (the fresh points, on which a start is chosen and a level is taken back if
it is less accurate than the one before) and test, on which the errors of the result are measured.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from kanpde.calculus.field import Field
from kanpde.data.table import Table, read_table
from kanpde.domains import Points, Region
from kanpde.domains.box import Box
from kanpde.errors import InputError
from kanpde.problem import Condition, Problem
from kanpde.solution import Solution
from kanpde.training.solve import solve

DATA = "data"  # name of the condition


@dataclass(frozen=True)
class Rows:
    """Inputs (rows, inputs) and targets (rows, targets)."""

    x: NDArray[np.float64]
    y: NDArray[np.float64]

    def part(self, index: NDArray[np.int64]) -> "Rows":
        return Rows(self.x[index], self.y[index])

    def points(self, device: torch.device, dtype: torch.dtype) -> Points:
        """Return the rows as points with equal weights and the targets as data."""
        x, y = (torch.as_tensor(part, device=device, dtype=dtype) for part in (self.x, self.y))
        return Points(x, torch.full_like(x[:, 0], 1 / len(x)), data=y)


def fit(
    x: Any, y: Any, model: Any = None, *, validation: float = 0.1, test: float = 0.1, seed: int = 0, **options: Any
) -> Solution:
    """Fit a network to rows of inputs and targets.

    Args:
        x: inputs, (rows, inputs) or (rows,), which are called x1, x2, ...
        y: targets, (rows, targets) or (rows,), which are called y1, y2, ..., or u if there is one.
        model: as in `kanpde.solve`.
        validation, test: parts of the rows that are kept back.
        seed: also of the division of the rows.
        options: further arguments of `kanpde.solve`.

    Raises:
        InputError: the rows are not finite numbers, or too few.
    """
    x, y = (np.asarray(part.detach().cpu() if isinstance(part, Tensor) else part, dtype=np.float64) for part in (x, y))
    x, y = (part[:, None] if part.ndim == 1 else part for part in (x, y))
    inputs = [f"x{k + 1}" for k in range(x.shape[1])]
    outputs = ["u"] if y.shape[1] == 1 else [f"y{k + 1}" for k in range(y.shape[1])]
    if len(x) != len(y):
        raise InputError(f"x has {len(x)} rows and y has {len(y)}; expected as many targets as inputs.")
    table = Table((*inputs, *outputs), np.concatenate([x, y], axis=1))
    problem = fit_problem(table, inputs, outputs, validation=validation, test=test, seed=seed)
    return solve(problem, model, seed=seed, **options)


def fit_problem(
    source: Table | str | Path | Mapping[str, Any],
    inputs: Sequence[str] | None = None,
    outputs: Sequence[str] | None = None,
    *,
    validation: float = 0.1,
    test: float = 0.1,
    seed: int = 0,
    exact: Callable[..., Any] | None = None,
) -> Problem:
    """Return the problem of fitting columns of a table as functions of others.

    Args:
        source: a `Table`, or what `kanpde.data.table.read_table` reads.
        inputs: names of the columns that are coordinates; by default all but the outputs.
        outputs: names of the columns that are unknowns; by default the last one.
        validation, test: parts of the rows that are kept back.
        seed: of the division of the rows.
        exact: the function of which the rows are samples, if it is known; for errors only.

    Raises:
        InputError: a column is missing or constant, or a part has no rows.
    """
    for kind, names in (("inputs", inputs), ("outputs", outputs)):
        if isinstance(names, str):
            raise InputError(f'{kind} must be a list of columns, got "{names}".', write={kind: [names]})
    wanted = (*inputs, *outputs) if inputs and outputs else ()
    table = source if isinstance(source, Table) else read_table(source, wanted)
    outputs = tuple(outputs or table.names[-1:])
    inputs = tuple(inputs or (name for name in table.names if name not in outputs))
    if not inputs or set(inputs) & set(outputs):
        raise InputError(f"A fit needs inputs and outputs that differ, got {list(inputs)} and {list(outputs)}.")
    if reserved := [name for name in inputs if name in ("periodic", "self")] or (["t"] if inputs == ("t",) else []):
        raise InputError(
            f'The column "{reserved[0]}" cannot be {"the only" if reserved == ["t"] else "an"} input, because the name '
            "has a meaning for a Box. Give the column another name."
        )
    rows = Rows(table.columns(inputs), table.columns(outputs))
    for name, lower, upper in zip(inputs, rows.x.min(axis=0), rows.x.max(axis=0), strict=True):
        if lower == upper:
            raise InputError(f'{table.origin}: the input "{name}" is {lower:g} in all rows. Leave the column out.')
    training, held_back, tested = divided(rows, validation, test, seed)
    scale = training.y.std(axis=0)
    for name, size in zip(outputs, scale, strict=True):
        if not size > 0:
            raise InputError(f'{table.origin}: the output "{name}" is constant in the training rows.')
    ends = zip(inputs, rows.x.min(axis=0).tolist(), rows.x.max(axis=0).tolist(), strict=True)
    domain = Box(**{name: (lower, upper) for name, lower, upper in ends})

    def residual(*unknowns: Field) -> tuple[Field, ...]:
        data = unknowns[0].context.data
        if data is None:
            raise InputError("A fit has values at the rows of its table only, and no equation elsewhere.")
        return tuple((u - data[:, k]) / float(scale[k]) for k, u in enumerate(unknowns))

    region = rows_region(domain, training, held_back)
    known = tested.points(torch.device("cpu"), torch.float64) if len(tested.x) else None
    return Problem(
        domain, {DATA: Condition(region, residual)}, outputs, exact=exact, test=known, scale=tuple(scale.tolist())
    )


def divided(rows: Rows, validation: float, test: float, seed: int) -> tuple[Rows, Rows, Rows]:
    """Divide rows at random into training, validation and test."""
    count = len(rows.x)
    if not (0 < validation < 1 and 0 <= test < 1 and validation + test < 1):
        raise InputError(
            f"validation and test are parts of the rows, validation > 0, got {validation:g} and {test:g}.",
            write={"validation": 0.1, "test": 0.1},
        )
    order = np.random.default_rng(seed).permutation(count)
    n_test, n_validation = round(test * count), round(validation * count)
    parts = np.split(order, [count - n_test - n_validation, count - n_test])
    if not len(parts[0]) or not len(parts[1]):
        raise InputError(
            f"Of {count} rows, {len(parts[0])} are for training and {len(parts[1])} for validation; expected at least "
            "one each."
        )
    training, held_back, tested = (rows.part(np.sort(part)) for part in parts)
    return training, held_back, tested


def rows_region(domain: Box, training: Rows, held_back: Rows) -> Region:
    """Return the region that consists of the rows; its fresh points are those held back."""

    def draw(rule: str, n: int, generator: torch.Generator, device: torch.device, dtype: torch.dtype) -> Points:
        if n >= len(training.x):
            return training.points(device, dtype)
        order = torch.randperm(len(training.x), generator=generator, device=generator.device)[:n]
        return training.part(order.sort().values.cpu().numpy()).points(device, dtype)

    whole = replace(domain.interior, label=DATA, is_interior=False, draw=draw)
    return replace(whole, rows=len(training.x), draw_fresh=held_back.points)
