"""Solutions as functions of NumPy arrays, also in a file that needs NumPy only."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path
from textwrap import wrap
from typing import Any

import numpy as np

from kanpde.errors import InputError
from kanpde.exports.description import described
from kanpde.exports.evaluator import evaluator
from kanpde.solution import Solution
from kanpde.storage.folders import replace_text, writable


def to_numpy(solution: Solution) -> Callable[..., Any]:
    """Return the solution as a function of NumPy arrays that does not use torch: ``function(x, y)``.

    It takes one array or number for each coordinate, and returns the unknown, or a tuple of all. Values are double
    precision and agree with those of the solution to rounding, built-in values included. Outside the domain they are
    those of ``solution(..., extrapolate=True)``, without a warning. There are no derivatives.

    Raises:
        InputError: the model, a part of it or the ansatz is not of this package.
    """
    return evaluator(*described(solution))


def write_numpy(solution: Solution, path: str | Path) -> Path:
    """Write a Python file with the function of `to_numpy`, which needs NumPy only: ``from model import solution``.

    The weights are in the file, as text. Its parts are the names ``solution``, ``NAMES`` and ``UNKNOWNS``.

    Raises:
        InputError: as `to_numpy`, the name of the file does not end with .py, or it cannot be written.
    """
    path = Path(path)
    if path.suffix != ".py":
        raise InputError(f'The file must have a name that ends with .py, got "{path}".', write={"path": "model.py"})
    description, arrays = described(solution)
    memory = io.BytesIO()
    np.savez_compressed(memory, **arrays)  # pyright: ignore[reportArgumentType]
    weights = wrap(base64.b64encode(memory.getvalue()).decode(), 110)
    program = files("kanpde.exports").joinpath("evaluator.py").read_text(encoding="utf-8")
    call = f"solution({', '.join(description['names'])})"
    lines = [
        f'"""The solution {", ".join(description["unknowns"])} = {call}, written by kanpde; it needs NumPy only."""',
        program.split('"""', 2)[2].strip(),
        "",
        "",
        "import base64",
        "import io",
        "import json",
        "",
        f"DESCRIPTION = json.loads({json.dumps(description)!r})",
        "WEIGHTS = (",
        *(f'    "{line}"' for line in weights),
        ")",
        "ARRAYS = dict(np.load(io.BytesIO(base64.b64decode(WEIGHTS))))",
        'NAMES, UNKNOWNS = DESCRIPTION["names"], DESCRIPTION["unknowns"]',
        "solution = evaluator(DESCRIPTION, ARRAYS)",
        "",
    ]
    replace_text(writable(path), "\n".join(lines))
    return path
