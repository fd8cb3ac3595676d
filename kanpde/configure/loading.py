"""The Python code that loads a stored run, as printed at its end."""

from importlib.util import find_spec
from pathlib import Path

from kanpde.configure.job import Job
from kanpde.configure.problem_file import ProblemFile
from kanpde.domains.corners import Corner
from kanpde.domains.kinds import kinds
from kanpde.hard_constraints.built_in import describe
from kanpde.problem import Ansatz


def loading_code(job: Job, folder: Path, ansatz: Ansatz | None) -> str:
    """Return code that loads the run in the folder, for a Python started in the current folder.

    The file of a run holds neither functions of the user (an ansatz, inputs of the network) nor a domain outside the
    package; then the code makes the problem too.
    """
    is_held = (ansatz is None or describe(ansatz)) and all(isinstance(each, Corner) for each in job.problem.features)
    if is_held and type(job.problem.domain).__name__ in kinds():
        return f'import kanpde; s = kanpde.load("{folder}")'
    name = job.file.name
    arguments = ", ".join(f"{key}={value!r}" for key, value in job.arguments.items())
    made = f"{name}({arguments})"
    return f'import kanpde; from {_module(job.file)} import {name}; s = kanpde.load("{folder}", {made})'


def _module(file: ProblemFile) -> str:
    """Return the name by which a Python started in the current folder can import the problem file."""
    folder = file.path.parent.resolve()
    if folder == Path.cwd().resolve():
        return file.name
    if folder == (Path.cwd() / "problems").resolve() or find_spec("kanpde.problems") is None:
        return f"problems.{file.name}"
    return f"kanpde.problems.{file.name}"
