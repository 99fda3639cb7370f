"""Write a file so that a reader sees either the old one or the whole new one."""

import os
from pathlib import Path

from deltamu.recon.errors import ResourceError


def replace_file(path: Path, content: bytes) -> None:
    """Write `content` beside `path`, force it to the disk, then put it in place.

    Raises
    ------
    ResourceError
        If the disk is full or the folder cannot be written; an older file stays as it was.
    """
    partial = path.with_name(path.name + ".partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with partial.open("wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(partial, path)
        _sync_folder(path.parent)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise ResourceError(f"{path}: cannot write ({error.strerror}); free some space or check permissions") from None


def _sync_folder(folder: Path) -> None:
    """Force the new name to the disk as well."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
