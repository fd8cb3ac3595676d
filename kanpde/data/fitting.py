r"""Networks fitted to tables of measured data.

A fit is a problem like any other: with inputs x_n and targets y_n, the condition "data" has the residuals
$(u_k(x_n) - y_{kn}) / s_k$, one for each target, with the standard deviation s_k of the target over the training rows.
Its loss is the sum over the targets of the mean squared errors, relative to their variances. Where the standard errors
σ_kn of the targets are known, they take the place of s_k; the loss is then χ² for every row, and training ends when it
is 1 for each target (`kanpde.training.validation`). The rows are divided at random into three parts: training,
validation (the fresh points, on which the best step of a phase and a start are chosen, and a level is taken back if it
is less accurate than the one before) and test, on which the errors of the result are measured.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from kanpde.calculus.field import Field
from kanpde.data.columns import Columns, chosen_columns
from kanpde.data.rows import DATA, Rows, divided, rows_region
from kanpde.data.table import Table, read_table
from kanpde.domains.box import Box
from kanpde.errors import InputError
from kanpde.problem import Condition, Problem
from kanpde.solution import Solution
from kanpde.training.solve import solve


def fit(
    x: Any,
    y: Any,
    model: Any = None,
    *,
    errors: Any = None,
    validation: float = 0.1,
    test: float = 0.1,
    seed: int = 0,
    **options: Any,
) -> Solution:
    """Fit a network to rows of inputs and targets.

    Args:
        x: inputs, (rows, inputs) or (rows,), which are called x1, x2, ...
        y: targets, (rows, targets) or (rows,), which are called y1, y2, ..., or u if there is one.
        model: as in `kanpde.solve`.
        errors: standard errors of the targets, if they are known: one number, or an array that has the shape of ``y``
            or can be broadcast to it.
        validation, test: parts of the rows that are kept back.
        seed: also of the division of the rows.
        options: further arguments of `kanpde.solve`.

    Raises:
        InputError: the rows are not finite numbers, or too few, or a standard error is not positive.
    """
    x, y = _matrix(x), _matrix(y)
    inputs = [f"x{k + 1}" for k in range(x.shape[1])]
    outputs = ["u"] if y.shape[1] == 1 else [f"y{k + 1}" for k in range(y.shape[1])]
    if len(x) != len(y):
        raise InputError(f"x has {len(x)} rows and y has {len(y)}; expected as many targets as inputs.")
    parts, named = [x, y], []
    if errors is not None:
        named = [f"error of {name}" for name in outputs]
        parts.append(_broadcast(_matrix(errors), y.shape))
    table = Table((*inputs, *outputs, *named), np.concatenate(parts, axis=1))
    problem = fit_problem(table, inputs, outputs, errors=named, validation=validation, test=test, seed=seed)
    return solve(problem, model, seed=seed, **options)


def _matrix(values: Any) -> NDArray[np.float64]:
    array = np.asarray(values.detach().cpu() if isinstance(values, Tensor) else values, dtype=np.float64)
    return array[:, None] if array.ndim == 1 else array


def _broadcast(errors: NDArray[np.float64], shape: tuple[int, ...]) -> NDArray[np.float64]:
    try:
        return np.broadcast_to(errors, shape)
    except ValueError:
        raise InputError(
            f"errors has the shape {errors.shape}; expected one number, or the shape {shape} of the targets."
        ) from None


def fit_problem(
    source: Table | str | Path | Mapping[str, Any],
    inputs: Sequence[str] | None = None,
    outputs: Sequence[str] | None = None,
    *,
    errors: Sequence[str] | Mapping[str, str] | None = None,
    validation: float = 0.1,
    test: float = 0.1,
    seed: int = 0,
    exact: Callable[..., Any] | None = None,
) -> Problem:
    """Return the problem of fitting columns of a table as functions of others.

    Args:
        source: a `Table`, or what `kanpde.data.table.read_table` reads.
        inputs: names of the columns that are coordinates; by default all other columns.
        outputs: names of the columns that are unknowns; by default the last one.
        errors: names of the columns with the standard errors of the outputs, in their order or by output.
        validation, test: parts of the rows that are kept back.
        seed: of the division of the rows.
        exact: the function of which the rows are samples, if it is known; for errors only.

    Raises:
        InputError: a column is missing or constant, a standard error is not positive, or a part has no rows.
    """
    wanted = Columns(inputs, outputs, errors)
    table = source if isinstance(source, Table) else read_table(source, wanted.named)
    inputs, outputs, errors = chosen_columns(table, wanted)
    rows = Rows(table.columns(inputs), table.columns(outputs), table.columns(errors) if errors else None)
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
    region, count = rows_region(domain, training, held_back), len(outputs)

    def residual(*unknowns: Field) -> tuple[Field, ...]:
        data = unknowns[0].context.data
        if data is None:
            raise InputError("A fit has values at the rows of its table only, and no equation elsewhere.")
        if errors:
            return tuple(u / data[:, count + k] - data[:, k] / data[:, count + k] for k, u in enumerate(unknowns))
        return tuple((u - data[:, k]) / float(scale[k]) for k, u in enumerate(unknowns))

    known = Rows(tested.x, tested.y).points(torch.device("cpu"), torch.float64) if len(tested.x) else None
    condition = Condition(region, residual, noise=float(count) if errors else 0.0)
    return Problem(domain, {DATA: condition}, outputs, exact=exact, test=known, scale=tuple(scale.tolist()))
