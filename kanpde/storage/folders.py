"""Folders of runs: create, claim and clear them, and write files in them atomically."""

import fcntl
import os
from collections.abc import Mapping
from contextlib import suppress
from difflib import get_close_matches
from errno import EISDIR
from itertools import count
from pathlib import Path
from tempfile import TemporaryFile
from typing import TextIO

from kanpde.errors import InputError
from kanpde.paths import CHECKPOINTS, CONFIG, EXTENDED, FAILED, LOCK, LOG, MEMBERS, RESULT


def new_folder(folder: Path) -> Path:
    """Create the folder, or one with a number appended to the name if it already exists."""
    for number in count(1):
        candidate = _numbered(folder, number)
        try:
            candidate.mkdir(parents=True)
            return candidate
        except FileExistsError:
            continue
        except OSError as error:
            raise unwritable(error) from error
    raise AssertionError


def claim(folder: Path) -> tuple[Path, TextIO]:
    """Return a folder for a run and its open log; the name gets a number if the folder already has a run."""
    for number in count(1):
        candidate = _numbered(folder, number)
        try:
            candidate.mkdir(parents=True, exist_ok=True)
            return candidate, open(candidate / LOG, "x", encoding="utf-8")
        except OSError as error:
            if not (candidate / LOG).exists():
                raise unwritable(error) from error
    raise AssertionError


def _numbered(folder: Path, number: int) -> Path:
    return folder if number == 1 else folder.with_name(f"{folder.name}-{number}")


def existing(folder: object, what: str = "solution") -> Path:
    """Return the folder of a run that is to be read; ``what`` is sought in it.

    Raises:
        InputError: it is no path, there is no such folder, or it is a file.
    """
    write = {"folder": "outputs/mine"}
    if not isinstance(folder, (str, Path)):
        raise InputError(f"A run is given by the path of its folder, got a {type(folder).__name__}.", write=write)
    path = Path(folder)
    if path.is_file():
        raise InputError(f'"{folder}" is a file; a run is given by its folder.', write={"folder": str(path.parent)})
    if not path.is_dir():
        siblings = [str(each) for each in path.parent.glob("*") if each.is_dir()] if path.parent.is_dir() else []
        near = get_close_matches(str(path), siblings, n=1)
        raise InputError(
            f'There is no folder "{folder}"{"" if path.is_absolute() else f" in {Path.cwd()}"}, and so no {what}.',
            write={"folder": near[0]} if near else None,
            advice="" if near else "Give the folder of one run, as printed at its end.",
        )
    return path


def discard(folder: Path) -> None:
    """Remove the files of a run that left no result and no checkpoint, and the folders that are then empty."""
    if (folder / RESULT).exists() or any(folder.glob(CHECKPOINTS)):
        return
    with suppress(OSError):
        for name in (LOG, CONFIG, LOCK):
            (folder / name).unlink(missing_ok=True)
        folder.rmdir()
        for parent in folder.absolute().parents:
            if parent == Path.cwd() or not parent.is_relative_to(Path.cwd()):
                break
            parent.rmdir()


def clear(folder: Path) -> None:
    """Remove the files of an earlier run from the folder, and no others."""
    for name in (
        LOG,
        CONFIG,
        FAILED,
        EXTENDED,
        "solution.*",
        ".solution.*",
        MEMBERS,
        "*.png",
        CHECKPOINTS,
        f".{CHECKPOINTS}.*",
    ):
        for path in folder.glob(name):
            path.unlink(missing_ok=True)


def is_locked(path: Path) -> bool:
    """Return whether a running process holds the lock of the journal."""
    try:
        with open(path, "rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


def replace_files(contents: Mapping[Path, bytes | memoryview]) -> None:
    """Write temporary files, and rename them to their final names once all of them are on the disk.

    Raises:
        OSError: they cannot be written; the previous files are unchanged.
    """
    parts = {path: path.with_name(f".{path.name}.{os.getpid()}") for path in contents}
    try:
        for path, part in parts.items():
            with open(part, "wb") as file:
                file.write(contents[path])
                file.flush()
                os.fsync(file.fileno())
        for path, part in parts.items():
            os.replace(part, path)
    finally:
        for part in parts.values():
            with suppress(OSError):
                part.unlink(missing_ok=True)
    for folder in {path.parent for path in contents}:
        _sync_folder(folder)


def _sync_folder(folder: Path) -> None:
    """Flush the folder's entries to the disk, if the file system supports it."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def replace_text(path: Path, content: str) -> None:
    """Write a text file atomically."""
    replace_files({path: content.encode()})


def writable(path: str | Path) -> Path:
    """Return the path of a file that can be written; its folder is created if it does not exist.

    Raises:
        InputError: the folder cannot be created or written, or the path is that of a folder.
    """
    path = Path(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with TemporaryFile(dir=path.parent):
            pass
        if path.is_dir():
            raise IsADirectoryError(EISDIR, os.strerror(EISDIR))
    except OSError as error:
        raise InputError(
            f'The file "{path}" cannot be written: {error.strerror or error}.',
            write={"path": f"outputs/{path.name}"},
        ) from None
    return path


def one_line(message: str) -> str:
    """Return a message as one line; for a traceback, its last line, which names the error."""
    lines = [line.strip() for line in message.splitlines() if line.strip()]
    return (lines[-1] if message.startswith("Traceback") else " ".join(lines)) if lines else "no message"


def unwritable(error: OSError) -> InputError:
    """Return the error for a folder that cannot be written."""
    return InputError(
        f'"{error.filename}" cannot be written: {error.strerror}. Choose another folder.',
        write={"folder": "outputs/mine"},
    )
