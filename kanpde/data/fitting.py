r"""Networks fitted to tables of measured data.

A fit is a problem like any other: with inputs x_n and targets y_n, the condition "data" has the residuals
$(u_k(x_n) - y_{kn}) / s_k$, one for each target, with the standard deviation s_k of the target over the training rows.
Its loss is the sum over the targets of the mean squared errors, relative to their variances. Where the standard errors
σ_kn of the targets are known, they take the place of s_k; the loss is then χ² for every row, and training ends when it
is 1 for each target (`kanpde.training.validation`). Where the target is a class, the loss is the cross-entropy
(`kanpde.data.classes`). The rows are divided at random into three parts: training, validation (the fresh points, on
which the best step of a phase and a start are chosen, and a level is taken back if it is less accurate than the one
before) and test, on which the errors of the result are measured.
"""

from collections.abc import Callable, Mapping, Sequence
from inspect import signature
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from kanpde.calculus.field import Field
from kanpde.conditions.condition import Condition
from kanpde.data.classes import MEASURES, cross_entropy_residuals, indicators, labels_of
from kanpde.data.columns import Columns, chosen_columns
from kanpde.data.rows import DATA, Rows, data_of, divided, rows_region
from kanpde.data.table import Table, read_table
from kanpde.domains.box import Box
from kanpde.errors import InputError, suggest
from kanpde.hard_constraints.softmax import Softmax
from kanpde.problem import Ansatz, Problem
from kanpde.solution import Solution
from kanpde.training.solve import solve


def fit(
    x: Any,
    y: Any,
    model: Any = None,
    *,
    errors: Any = None,
    classes: bool | None = None,
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
        classes: whether the target is a class, a text or a number for every row, whose probabilities are fitted; by
            default if it is text. ``solution(x1, x2)`` then returns one probability for each class; their names are
            ``solution.problem.unknowns``.
        validation, test: parts of the rows that are kept back.
        seed: also of the division of the rows.
        options: further arguments of `kanpde.solve`.

    Raises:
        InputError: the rows are not finite numbers, or too few, a standard error is not positive, or there is no such
            option.
    """
    arguments = {*signature(fit).parameters, *signature(solve).parameters} - {"options", "problem"}
    if unknown := sorted(options.keys() - arguments):
        raise InputError(f'fit has no argument "{unknown[0]}". {suggest(unknown[0], arguments)}')
    x, y = _matrix(x, "x"), _matrix(y, "y", "iufbUSO")
    inputs = [f"x{k + 1}" for k in range(x.shape[1])]
    outputs = ["u"] if y.shape[1] == 1 else [f"y{k + 1}" for k in range(y.shape[1])]
    if len(x) != len(y):
        raise InputError(f"x has {len(x)} rows and y has {len(y)}; expected as many targets as inputs.")
    named = [] if errors is None else [f"error of {name}" for name in outputs]
    parts = [x, y, *([] if errors is None else [_broadcast(_matrix(errors, "errors"), y.shape)])]
    if y.dtype.kind in "USO":
        columns = {name: part[:, k] for part in parts for k, name in enumerate(inputs if part is x else outputs)}
        table = read_table(columns, outputs=outputs)
    else:
        table = Table((*inputs, *outputs, *named), np.concatenate(parts, axis=1, dtype=np.float64))
    of_rows: dict[str, Any] = {"validation": validation, "test": test, "seed": seed}
    problem = fit_problem(table, inputs, outputs, errors=named, classes=classes, **of_rows)
    return solve(problem, model, seed=seed, **options)


def _matrix(values: Any, name: str, kinds: str = "iufb") -> NDArray:
    """Return the rows of an argument as an array (rows, columns) of one of the kinds of numpy's types."""
    array = np.asarray(values.detach().cpu() if isinstance(values, Tensor) else values)
    if array.dtype.kind not in kinds or array.ndim > 2:
        raise InputError(
            f"{name} has the type {array.dtype} and the shape {array.shape}; expected numbers, (rows, columns) or "
            "(rows,)."
        )
    return array[:, None] if array.ndim == 1 else array


def _broadcast(errors: NDArray, shape: tuple[int, ...]) -> NDArray:
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
    classes: bool | None = None,
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
        classes: whether the output is a class, whose probabilities become the unknowns; by default if it is text.
        validation, test: parts of the rows that are kept back.
        seed: of the division of the rows.
        exact: the function of which the rows are samples, if it is known; for errors only.

    Raises:
        InputError: a column is missing or constant, a standard error is not positive, a class has one row, or a part
            has no rows.
    """
    wanted = Columns(inputs, outputs, errors)
    table = source if isinstance(source, Table) else read_table(source, wanted.named, outputs)
    inputs, outputs, errors = chosen_columns(table, wanted)
    x = table.columns(inputs)
    ends = list(zip(x.min(axis=0).tolist(), x.max(axis=0).tolist(), strict=True))
    for name, (lower, upper) in zip(inputs, ends, strict=True):
        if lower == upper:
            raise InputError(f'{table.origin}: the input "{name}" is {lower:g} in all rows. Leave the column out.')
    domain = Box(**dict(zip(inputs, ends, strict=True)))
    parts = {"validation": validation, "test": test, "seed": seed}
    texts = [name for name in outputs if name in table.texts]
    if classes or (classes is None and texts):
        return _classification(table, domain, outputs, errors, parts)
    if texts:
        raise InputError(f'{table.origin}: the output "{texts[0]}" is text, not a number.', write={"classes": True})
    rows = Rows(x, table.columns(outputs), table.columns(errors) if errors else None)
    return _regression(table, domain, outputs, divided(rows, **parts), exact)


def _regression(
    table: Table,
    domain: Box,
    outputs: Sequence[str],
    parts: tuple[Rows, Rows, Rows],
    exact: Callable[..., Any] | None,
) -> Problem:
    """Return the problem of fitting measured values."""
    training, held_back, tested = parts
    scale, count, has_errors = training.y.std(axis=0), len(outputs), training.errors is not None
    for name, size in zip(outputs, scale, strict=True):
        if not size > 0:
            raise InputError(f'{table.origin}: the output "{name}" is constant in the training rows.')

    def residual(*unknowns: Field) -> tuple[Field, ...]:
        data = data_of(unknowns)
        if has_errors:
            return tuple(u / data[:, count + k] - data[:, k] / data[:, count + k] for k, u in enumerate(unknowns))
        return tuple((u - data[:, k]) / float(scale[k]) for k, u in enumerate(unknowns))

    condition = Condition(rows_region(domain, training, held_back), residual, noise=float(count) if has_errors else 0.0)
    known = tested.known()
    return Problem(domain, {DATA: condition}, tuple(outputs), exact=exact, test=known, scale=tuple(scale.tolist()))


def _classification(
    table: Table, domain: Box, outputs: Sequence[str], errors: Sequence[str], parts: Mapping[str, Any]
) -> Problem:
    """Return the problem of fitting the probabilities of classes."""
    if len(outputs) > 1 or errors:
        what = f"the outputs {', '.join(outputs)}" if len(outputs) > 1 else f"standard errors {', '.join(errors)}"
        raise InputError(f"A classification has one output without standard errors, got {what}.")
    names, labels = labels_of(table, outputs[0])
    rows = Rows(table.columns(domain.names), indicators(labels, len(names)))
    training, held_back, tested = divided(rows, **parts, labels=labels)
    for name, count in zip(names, training.y.sum(axis=0), strict=True):
        if not count:
            raise InputError(
                f'{table.origin}: no row of the class "{name}" is left for training. Leave the class out, join it with '
                "another one, or keep fewer rows back.",
                write={"validation": 0.1, "test": 0.1},
            )

    def residual(*probabilities: Field) -> tuple[Tensor, ...]:
        return cross_entropy_residuals(probabilities, data_of(probabilities))

    condition = Condition(rows_region(domain, training, held_back), residual, noise=1 / len(training.x))
    unknowns = tuple(f"{outputs[0]}={name}" for name in names)
    return Problem(
        domain,
        {DATA: condition},
        unknowns,
        test=tested.known(),
        measures=MEASURES,
        ansatz=Ansatz(Softmax(), ()),
    )
