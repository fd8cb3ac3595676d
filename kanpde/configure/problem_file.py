"""Problem files, packaged or the user's own, which are found by name and executed."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from traceback import extract_tb
from typing import Any

from kanpde.configure.signatures import check, split_name
from kanpde.errors import InputError, suggest
from kanpde.paths import packaged, short
from kanpde.problem import Problem


@dataclass(frozen=True)
class ProblemFile:
    """A file ``name.py`` with a function ``name`` that returns a `Problem`."""

    name: str
    path: Path

    @property
    def is_packaged(self) -> bool:
        return self.path.parent.resolve() == packaged("problems").resolve()

    def make(self, options: Mapping[str, Any]) -> Problem:
        """Call the function with the options as arguments, and return the problem."""
        try:
            return self._make(options)
        except InputError:
            raise
        except SyntaxError as error:
            raise InputError(f"{short(Path(str(error.filename)))}, line {error.lineno}: {error.msg}.") from error
        except Exception as error:
            raise self.error_in_own_file(error) or error from error.__cause__

    def _make(self, options: Mapping[str, Any]) -> Problem:
        module_name = f"kanpde_problem_{self.name}"
        spec = spec_from_file_location(module_name, self.path)
        assert spec is not None and spec.loader is not None
        module = sys.modules[module_name] = module_from_spec(spec)
        try:
            spec.loader.exec_module(module)
        except InputError as error:
            raise self._at_its_line(error) from error
        function = getattr(module, self.name, None)
        if not callable(function):
            raise InputError(f"{short(self.path)} has no function {self.name}. Write `def {self.name}(): ...` in it.")
        arguments = check(function, options, "problem")
        try:
            problem = function(**arguments)
        except InputError as error:
            is_own = extract_tb(error.__traceback__)[-1].filename == str(self.path)  # about the function's arguments
            raise (error.inside("problem") if is_own else self._at_its_line(error)) from error
        if not isinstance(problem, Problem):
            raise InputError(
                f"{self.name}() in {short(self.path)} returned {type(problem).__name__}; expected a Problem. "
                "Write `return Problem(...)` at its end."
            )
        return problem

    def _at_its_line(self, error: InputError) -> InputError:
        """The error in its form for Python, which is the language of the line that caused it.

        Of packaged files the line is no help; the cause is an argument.
        """
        if self.is_packaged:
            return InputError(f"{self.name}: {error}")
        lines = [frame.lineno for frame in extract_tb(error.__traceback__) if frame.filename == str(self.path)]
        return InputError(f"{short(self.path)}, line {lines[-1]}: {error}")

    def error_in_own_file(self, error: Exception) -> InputError | None:
        """Return the error as an `InputError` if it arose in the user's own file; errors in packaged files are bugs."""
        lines = [frame.lineno for frame in extract_tb(error.__traceback__) if frame.filename == str(self.path)]
        if self.is_packaged or not lines:
            return None
        return InputError(
            f"{short(self.path)}, line {lines[-1]}: {type(error).__name__}: {error}. Mend that line; "
            "HYDRA_FULL_ERROR=1 shows how it was reached."
        )


def find_problem(options: Mapping[str, Any]) -> tuple[ProblemFile, dict[str, Any]]:
    """Return the file that the group ``problem`` names, and the arguments of its function.

    The first match is used: in the current folder, in its folder ``problems``, or among the packaged problems.
    """
    name, others = split_name(options, "problem", "poisson")
    folders = [Path.cwd(), Path.cwd() / "problems", packaged("problems")]
    for folder in folders:
        if name.isidentifier() and (folder / f"{name}.py").is_file():
            return ProblemFile(name, folder / f"{name}.py"), others
    known = {path.stem for folder in folders[1:] for path in folder.glob("*.py") if path.stem.isidentifier()}
    raise InputError(
        f'There is no file {name}.py for the problem "{name}", here or in problems/. {suggest(name, known)}'
    )
