"""Functions fitted to tables of measured data.

Source: J0(20x) and exp(sin πx + y²) are examples of Z. Liu et al., KAN: Kolmogorov-Arnold networks, 2024, section
3.1.
"""

from math import pi

import numpy as np
from torch import exp, sin

from kanpde import InputError, Problem, fit_problem


def fit(
    data: str | None = None,
    inputs: list | str | None = None,
    outputs: list | str | None = None,
    errors: list | dict | str | None = None,
    classes: bool | None = None,
    validation: float = 0.1,
    test: float = 0.1,
    seed: int = 0,
) -> Problem:
    r"""$u(x) = y$ at the rows of a table.

    Without data: 1000 random samples of $u = e^{\sin \pi x + y^2}$ on [-1, 1]² (the example of the KAN paper, eq. 3.1).

    Args:
        data: a file that `kanpde.data.table.read_table` reads: .csv, .tsv, .txt, .npy, .npz or HDF5.
        inputs: list of columns that are coordinates; all but the outputs by default.
        outputs: list of columns that are unknowns; the last one by default.
        errors: list of columns with the standard errors of the outputs, in their order or by output.
        classes: whether the output is a class; by default if it is text.
        validation, test: parts of the rows that are kept back from training.
        seed: of the division of the rows.
    """
    of_rows = {"validation": validation, "test": test, "seed": seed}
    if data is not None:
        return fit_problem(data, inputs, outputs, errors=errors, classes=classes, **of_rows)
    if inputs or outputs or errors or classes:
        raise InputError("The samples without data have the inputs x, y and the output u.", write={"data": "table.csv"})
    x, y = np.random.default_rng(0).uniform(-1.0, 1.0, (2, 1000))
    table = {"x": x, "y": y, "u": np.exp(np.sin(pi * x) + y**2)}

    def exact(x, y):
        return exp(sin(pi * x) + y**2)

    return fit_problem(table, **of_rows, exact=exact)
