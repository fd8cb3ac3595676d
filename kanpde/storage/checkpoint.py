"""Checkpoints of a run: each is written whole, carries a digest, and the last two are kept.

A file holds a line with the format's number, a line with the SHA-256 digest of the rest, and a `torch.save` archive of
tensors and plain values, which is read with ``weights_only=True``: a file from elsewhere cannot execute code.
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
from kanpde.storage.folders import replace_files, unwritable

MAGIC, FORMAT = b"kanpde checkpoint ", 1
KEPT = 2


class Checkpoints:
    """The checkpoints in a run's folder, held by one process at a time; a context manager that may be entered again.

    Args:
        folder: of the run; made if it is not there.

    Raises:
        InputError: another living process runs in the folder, or it cannot be written.
    """

    def __init__(self, folder: str | Path):
        self.folder = Path(folder)
        self._lock: IO[bytes] | None = None
        self._depth = 0

    def __enter__(self) -> "Checkpoints":
        self._depth += 1
        if self._depth > 1:
            return self
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._lock = open(self.folder / LOCK, "ab")
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
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
        """Removes the checkpoints of an earlier run."""
        for pattern in (CHECKPOINTS, f".{CHECKPOINTS}.*"):
            for path in self.folder.glob(pattern):
                path.unlink(missing_ok=True)

    def write(self, data: Mapping[str, Any]) -> Path:
        """Writes one more checkpoint and removes those before the last two.

        Raises:
            OSError: it cannot be written; the earlier ones are as they were.
        """
        names = checkpoint_files(self.folder)
        number = 1 + (_number(names[0]) if names else 0)
        path = self.folder / f"state-{number:06d}.ckpt"
        replace_files({path: packed(data)})
        for old in names[KEPT - 1 :]:
            old.unlink(missing_ok=True)
        return path


def packed(data: Mapping[str, Any]) -> bytes:
    """The bytes of a checkpoint."""
    archive = io.BytesIO()
    torch.save(dict(data), archive)
    content = archive.getvalue()
    return MAGIC + b"%d\n" % FORMAT + hashlib.sha256(content).hexdigest().encode() + b"\n" + content


def unpacked(content: bytes) -> dict[str, Any]:
    """What `packed` was given, on the CPU.

    Raises:
        ValueError: the bytes are damaged, or of another format.
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
    """The checkpoints of a folder, the newest first."""
    return sorted(Path(folder).glob(CHECKPOINTS), key=_number, reverse=True)


def read_newest(folder: str | Path) -> tuple[dict[str, Any], list[str]]:
    """The newest checkpoint that is whole, and a line on each newer one that is not.

    Raises:
        InputError: the folder has no checkpoint that can be read.
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
    """Whether a living process runs in the folder."""
    try:
        with open(Path(folder) / LOCK, "rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


def _number(path: Path) -> int:
    found = re.search(r"\d+", path.name)
    return int(found[0]) if found else 0
