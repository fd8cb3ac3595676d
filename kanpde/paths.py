"""Names of a run's files, and where the package's own files are."""

from pathlib import Path

RESULT, LOG, CONFIG, FAILED = "solution.vtkhdf", "run.log", "config.yaml", "failed.txt"


CHECKPOINTS, LOCK = "state-*.ckpt", ".lock"  # of a run: its last states, and what its process holds
JOURNAL = "attempts.jsonl"  # of a run that is one of many: when processes began it and how they ended


PACKAGE = Path(__file__).parent


def packaged(folder: str) -> Path:
    """The folder "conf" or "problems": inside the package where that is installed, beside it in a checkout."""
    inside = PACKAGE / folder
    return inside if inside.is_dir() else PACKAGE.parent / folder


def short(path: Path) -> Path:
    """The path from the current folder, where it is below it."""
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path
