"""Files that are either complete or absent: temporary file, fsync, rename; and what a full disk is called."""

import errno
import json
import os
import re
import shutil
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from deltamu.recon.errors import InputError, ResourceError

PARTIAL = ".partial"
_DISK_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
# numpy's tofile, which tifffile uses, says that the disk is full without a number
_SHORT_WRITE = re.compile(r"requested and \d+ written|Not enough free space")
# a disk takes several requests at once
_SYNCED_TOGETHER = 4
_NOT_WRITABLE = {errno.EACCES, errno.EPERM, errno.EROFS}


@contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Give a temporary name in the same folder and move the finished file to `path` when the block ends well.

    The temporary name ends in `.partial`, so a writer that guesses a format from the name must be told it.
    When the block fails the temporary file is removed and `path` is what it was before.

    Parameters
    ----------
    path : path-like
        The file to make or to replace. Its folder is made when it is missing.

    Raises
    ------
    ResourceError
        If the disk is full.
    InputError
        If the folder cannot be written to.
    """
    target = Path(path)
    with disk_errors(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary = target.with_name(f".{target.name}.{os.getpid()}{PARTIAL}")
        try:
            yield temporary
            fsync_file(temporary)
            os.replace(temporary, target)
        finally:
            temporary.unlink(missing_ok=True)
        fsync_folder(target.parent)


def write_bytes(path: str | os.PathLike[str], content: bytes) -> Path:
    """Write a whole file so that a reader sees the old content or the new one, never a part."""
    with replacing(path) as temporary:
        temporary.write_bytes(content)
    return Path(path)


def write_text(path: str | os.PathLike[str], content: str) -> Path:
    """Write a whole text file (UTF-8) atomically."""
    return write_bytes(path, content.encode())


def write_json(path: str | os.PathLike[str], content: Any) -> Path:
    """Write a JSON file atomically; NaN and infinity are refused because JSON has no word for them."""
    return write_text(path, json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def fsync_file(path: str | os.PathLike[str]) -> None:
    """Return when the content of a file has reached the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def fsync_folder(path: str | os.PathLike[str]) -> None:
    """Return when the names in a folder have reached the disk."""
    fsync_file(path)


def fsync_files(files: Iterable[Path], *, root: Path) -> None:
    """Return when the files, and every folder between them and `root` (included), have reached the disk."""
    folders: set[Path] = set()
    named = list(files)
    with ThreadPoolExecutor(_SYNCED_TOGETHER) as pool:
        list(pool.map(fsync_file, named))
    for file in named:
        folders.update(folder for folder in file.parents if folder == root or root in folder.parents)
    for folder in sorted(folders, key=lambda folder: -len(folder.parts)):
        fsync_folder(folder)


def remove_partials(root: str | os.PathLike[str]) -> list[Path]:
    """Delete what interrupted writers left below a folder (`*.partial`) and return the names."""
    partials = [path for path in Path(root).rglob(f"*{PARTIAL}") if path.is_file()]
    for path in partials:
        path.unlink(missing_ok=True)
    return partials


def free_bytes(path: str | os.PathLike[str]) -> int:
    """Bytes that can still be written to the disk that holds, or will hold, `path`."""
    folder = Path(path).absolute()
    while not folder.exists():
        folder = folder.parent
    return shutil.disk_usage(folder).free


def ensure_free(path: str | os.PathLike[str], needed: int) -> None:
    """Refuse to start what cannot fit.

    Raises
    ------
    ResourceError
        If fewer than `needed` bytes are free where `path` is or will be.
    """
    free = free_bytes(path)
    if free < needed:
        raise ResourceError(
            f"{path}: {readable_bytes(free)} free on this disk, {readable_bytes(needed)} needed; "
            "free some space or choose an output on another disk"
        )


@contextmanager
def disk_errors(path: str | os.PathLike[str], *, needed: int | None = None) -> Iterator[None]:
    """Turn a full or unwritable disk, however deep a library has wrapped it, into an error for the user.

    Parameters
    ----------
    path : path-like
        What is being written, for the message.
    needed : int, optional
        Bytes that the write needs, for the message.
    """
    try:
        yield
    except (InputError, ResourceError):
        raise
    except Exception as error:
        number = _error_number(error)
        if number in _DISK_FULL:
            raise ResourceError(_full_message(path, number, needed)) from error
        if number in _NOT_WRITABLE:
            raise InputError(
                f"{path}: cannot be written ({os.strerror(number)}); choose an output folder you may write to"
            ) from error
        raise


def disk_is_full(error: BaseException) -> bool:
    """Say whether an error, however deep a library has wrapped it, means that the disk is full."""
    return _error_number(error) in _DISK_FULL


def readable_bytes(count: float) -> str:
    """Write a number of bytes as a person would: 1.3 GB."""
    for unit in ("bytes", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "bytes" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"


def _error_number(error: BaseException | None) -> int:
    """Return the first errno of disk trouble in an exception and what caused it, or 0."""
    seen: set[int] = set()
    queue = [error]
    while queue:
        current = queue.pop(0)
        if current is None or id(current) in seen:
            continue
        seen.add(id(current))
        if isinstance(current, OSError) and current.errno in _DISK_FULL | _NOT_WRITABLE:
            return current.errno
        if isinstance(current, OSError) and _SHORT_WRITE.search(str(current)):
            return errno.ENOSPC
        queue += [current.__cause__, current.__context__, *getattr(current, "exceptions", ())]
    return 0


def _full_message(path: str | os.PathLike[str], number: int, needed: int | None) -> str:
    wanted = f", {readable_bytes(needed)} needed" if needed is not None else ""
    return (
        f"{path}: {os.strerror(number)} ({readable_bytes(free_bytes(path))} free{wanted}); "
        "what was finished is kept: free some space and run again"
    )
