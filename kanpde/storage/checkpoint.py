"""Checkpoints of a run: they are written atomically with a digest, and the last two are kept.

A file holds a line with the format number, a line with the SHA-256 digest of the rest, and a `torch.save` archive of
tensors and plain values, which is read with ``weights_only=True`` so that a foreign file cannot execute code.
"""

import fcntl
import hashlib
import io
import re
from collections.abc import Mapping
from pathlib import Path
from pickle import UnpicklingError
from typing import IO, Any

import torch

from kanpde.errors import InputError
from kanpde.paths import CHECKPOINTS, LOCK
from kanpde.storage.folders import is_locked, replace_files, unwritable

MAGIC, FORMAT = b"kanpde checkpoint ", 1
KEPT = 2


class Checkpoints:
    """The checkpoints in a run's folder: a re-entrant context manager that locks the folder for one process.

    Args:
        folder: of the run; created if it does not exist.

    Raises:
        InputError: another process runs in the folder, or the folder cannot be written.
    """

    def __init__(self, folder: str | Path):
        self.folder = Path(folder)
        self._lock: IO[bytes] | None = None
        self._depth = 0
        self._whole: set[Path] = set()  # files that need no further check

    def __enter__(self) -> "Checkpoints":
        self._depth += 1
        if self._depth > 1:
            return self
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._lock = open(self.folder / LOCK, "ab")
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            for part in self.folder.glob(f".{CHECKPOINTS}.*"):  # of a process that was killed while it wrote
                part.unlink(missing_ok=True)
        except BlockingIOError:
            self.__exit__()
            raise InputError(f"Another process is running in {self.folder}. Wait for its end, or stop it.") from None
        except OSError as error:
            self.__exit__()
            raise unwritable(error) from error
        return self

    def __exit__(self, *exception) -> None:
        self._depth -= 1
        if self._depth == 0:
            self._close()

    def _close(self) -> None:
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def clear(self) -> None:
        """Remove the checkpoints of an earlier run."""
        for pattern in (CHECKPOINTS, f".{CHECKPOINTS}.*"):
            for path in self.folder.glob(pattern):
                path.unlink(missing_ok=True)

    def write(self, data: Mapping[str, Any]) -> Path:
        """Write a checkpoint, then remove all but the last two.

        Raises:
            OSError: it cannot be written; the earlier checkpoints are unchanged.
        """
        for path in checkpoint_files(self.folder):
            if path not in self._whole and is_damaged(path):
                path.rename(path.with_name(f"damaged-{path.name}"))
        names = checkpoint_files(self.folder)
        number = 1 + (_number(names[0]) if names else 0)
        path = self.folder / f"state-{number:06d}.ckpt"
        replace_files({path: packed(data)})
        for old in names[KEPT - 1 :]:
            old.unlink(missing_ok=True)
        self._whole = {path, *names}
        return path


def packed(data: Mapping[str, Any]) -> bytes:
    """Return the bytes of a checkpoint."""
    archive = io.BytesIO()
    torch.save(dict(data), archive)
    content = archive.getvalue()
    return MAGIC + b"%d\n" % FORMAT + hashlib.sha256(content).hexdigest().encode() + b"\n" + content


def unpacked(content: bytes) -> dict[str, Any]:
    """Return the data that `packed` turned into bytes, with tensors on the CPU.

    Raises:
        ValueError: the bytes are damaged, or have another format.
    """
    head, _, rest = content.partition(b"\n")
    if not head.startswith(MAGIC):
        raise ValueError("it is not a checkpoint of kanpde")
    if int(head.removeprefix(MAGIC)) != FORMAT:
        raise ValueError(f"its format is {head.removeprefix(MAGIC).decode()}, this version reads {FORMAT}")
    digest, _, archive = rest.partition(b"\n")
    if hashlib.sha256(archive).hexdigest().encode() != digest:
        raise ValueError("its digest does not fit its content")
    return torch.load(io.BytesIO(archive), map_location="cpu", weights_only=True)


def checkpoint_files(folder: str | Path) -> list[Path]:
    """Return the checkpoints in a folder, newest first."""
    return sorted(Path(folder).glob(CHECKPOINTS), key=_number, reverse=True)


def is_damaged(path: Path) -> bool:
    """Whether a file that can be read is not a whole checkpoint of this format."""
    try:
        unpacked(path.read_bytes())
    except OSError:
        return False
    except (ValueError, RuntimeError, EOFError, UnpicklingError):
        return True
    return False


def read_newest(folder: str | Path) -> tuple[dict[str, Any], list[str]]:
    """Return the newest intact checkpoint, and one line on each damaged newer one.

    Raises:
        InputError: the folder has no readable checkpoint.
    """
    refused: list[str] = []
    for path in checkpoint_files(folder):
        try:
            return unpacked(path.read_bytes()), refused
        except (OSError, ValueError, RuntimeError, EOFError, UnpicklingError) as error:
            cause = "it holds more than tensors and plain values" if isinstance(error, UnpicklingError) else str(error)
            refused.append(f"{path.name} is not used: {cause}.")
    what = " ".join(refused) if refused else "it holds no checkpoint."
    raise InputError(f'"{folder}" cannot be resumed: {what} Start the run anew.')


def is_held(folder: str | Path) -> bool:
    """Return whether a running process holds the lock of the folder."""
    return is_locked(Path(folder) / LOCK)


def _number(path: Path) -> int:
    found = re.search(r"\d+", path.name)
    return int(found[0]) if found else 0
