"""Names of the files of a run, and locations of the package's own files."""

from pathlib import Path

RESULT, LOG, CONFIG, FAILED = "solution.vtkhdf", "run.log", "config.yaml", "failed.txt"
MEMBERS = "solution_*=*.*"  # fields of members of a family, such as solution_nu=0.1.vtkhdf


CHECKPOINTS, LOCK = "state-*.ckpt", ".lock"  # of a run: its last states, and the lock of its process
EXTENDED = ".extended"  # marks a folder whose result is of a run that has been given more time or steps
JOURNAL = "attempts.jsonl"  # of a run in a sweep or study: the begin and end of its processes


PACKAGE = Path(__file__).parent


def packaged(folder: str) -> Path:
    """Return the folder "conf" or "problems": inside an installed package, beside the package in a checkout."""
    inside = PACKAGE / folder
    return inside if inside.is_dir() else PACKAGE.parent / folder


def short(path: Path) -> Path:
    """Return the path relative to the current folder if it lies below it."""
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path
