"""What reading a formula gives: expressions, how far they are proved, and the other candidates."""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any

import sympy
from sympy.printing.numpy import NumPyPrinter

from kanpde.errors import InputError
from kanpde.formulas.evaluate import as_function
from kanpde.formulas.parse import is_name, parsed

FILE = "formula.json"


class Status(Enum):
    """How far a formula is known to be right."""

    PROVED = "proved"  # the residuals of all conditions reduce to 0 symbolically
    VERIFIED = "verified"  # they vanish at many points up to rounding errors
    RECOVERED = "recovered"  # of a table: it reproduces rows that were kept back, to 1e-10 relative
    CONSISTENT = "consistent"  # it reproduces them, or values of a slice, up to noise or error; there is no proof
    NONE = "no formula found"


@dataclass(frozen=True)
class Candidate:
    """A formula that was tried: expressions by unknown, complexity (operations and free constants), residual."""

    expressions: tuple[sympy.Expr, ...]
    complexity: int
    residual: float


@dataclass(frozen=True)
class Formula:
    """The formula of a solution.

    Attributes:
        unknowns: their names.
        symbols: the coordinates.
        expressions: one for each unknown; empty if none was found.
        status: how far they are known to be right.
        residuals: by condition, relative to its largest term, at new points; of a table, relative to the deviation of
            the data, on the rows for validation.
        reason: what the status rests on, as a sentence.
        front: candidates, such that each is more accurate than all simpler ones.
    """

    unknowns: tuple[str, ...]
    symbols: tuple[sympy.Symbol, ...]
    expressions: tuple[sympy.Expr, ...]
    status: Status
    residuals: dict[str, float]
    reason: str
    front: tuple[Candidate, ...] = field(default=())

    @property
    def found(self) -> bool:
        """Whether there is a formula."""
        return self.status is not Status.NONE

    @property
    def expression(self) -> sympy.Expr:
        """The expression of the first unknown.

        Raises:
            InputError: no formula was found.
        """
        if not self.found:
            raise InputError(f"No formula was found: {self.reason} Look at `front` for the candidates.")
        return self.expressions[0]

    @property
    def latex(self) -> str:
        """The equations u = ... in LaTeX."""
        return r" \\ ".join(f"{n} = {sympy.latex(e)}" for n, e in zip(self.unknowns, self.expressions, strict=False))

    @property
    def python(self) -> str:
        """A Python module with a function of numpy arrays for each unknown."""
        arguments = [identifier(str(s)) for s in self.symbols]
        renamed = {s: sympy.Symbol(a, real=True) for s, a in zip(self.symbols, arguments, strict=True)}
        code = NumPyPrinter({"fully_qualified_modules": True, "allow_unknown_functions": False})
        lines = ["import numpy", ""]
        for name, expression in zip(self.unknowns, self.expressions, strict=False):
            lines += ["", f"def {identifier(name)}({', '.join(arguments)}):"]
            lines += [f"    return {code.doprint(expression.xreplace(renamed))}", ""]
        return "\n".join(lines)

    def __call__(self, *coords: Any) -> Any:
        """Return the values of all unknowns at tensors or fields, like ``Problem.exact``."""
        return as_function(self.expressions, self.symbols)(*coords)

    def __str__(self) -> str:
        equations = "; ".join(f"{n} = {e}" for n, e in zip(self.unknowns, self.expressions, strict=False))
        return f"{self.status.value}: {equations or self.reason}"

    def save(self, folder: str | Path) -> Path:
        """Write formula.json, and formula.py if a formula was found; return the path of the first one."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        data = {
            "status": self.status.value,
            "reason": self.reason,
            "coordinates": [str(s) for s in self.symbols],
            "formulas": {n: sympy.srepr(e) for n, e in zip(self.unknowns, self.expressions, strict=False)},
            "latex": self.latex if self.found else "",
            "unknowns": list(self.unknowns),
            "residuals": self.residuals,
            "front": [
                {
                    "formulas": [sympy.srepr(e) for e in c.expressions],
                    "complexity": c.complexity,
                    "residual": c.residual,
                }
                for c in self.front
            ],
        }
        (folder / FILE).write_text(json.dumps(data, indent=1), encoding="utf-8")
        if self.found:
            (folder / "formula.py").write_text(self.python, encoding="utf-8")
        return folder / FILE


def read_formula(path: str | Path) -> Formula:
    """Return a stored formula; the text of its expressions is parsed, not evaluated.

    Args:
        path: of formula.json, or of its folder.

    Raises:
        InputError: there is no such file, or it has something else than a formula.
    """
    path = Path(path) / FILE if Path(path).is_dir() else Path(path)
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        status = Status(data["status"])
        if not all(is_name(name) for name in data["coordinates"]):
            raise ValueError(f"the coordinates {data['coordinates']}")
        symbols = tuple(sympy.Symbol(name, real=True) for name in data["coordinates"])
        front = tuple(Candidate(_all(c["formulas"]), int(c["complexity"]), float(c["residual"])) for c in data["front"])
        expressions = _all(list(data["formulas"].values()))
        return Formula(tuple(data["unknowns"]), symbols, expressions, status, data["residuals"], data["reason"], front)
    except FileNotFoundError as error:
        raise InputError(f'There is no formula in "{path}". `formula(solution).save(folder)` writes one.') from error
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InputError(f'"{path}" is not a stored formula ({type(error).__name__}: {error}).') from error


def _all(texts: Sequence[str]) -> tuple[sympy.Expr, ...]:
    return tuple(parsed(text) for text in texts)


def identifier(name: str) -> str:
    """Return a name as one that Python takes."""
    found = re.sub(r"\W", "_", name)
    return found if is_name(found) else f"_{found}"
