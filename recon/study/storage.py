"""How a piece of work reaches the disk: remove its old files, write, fsync, then the journal line."""

import os
import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deltamu.recon.atomic import PARTIAL, disk_errors, ensure_free, fsync_files, remove_partials, write_bytes
from deltamu.recon.errors import InputError
from deltamu.recon.study.checkpoint import PieceKey, checkpoint
from deltamu.recon.study.journal import Journal, PieceRecord
from deltamu.recon.volumes.blocks import BlockArray
from deltamu.recon.volumes.image import Image, slab_files, write_slab

__all__ = [
    "Done",
    "ensure_free",
    "prepare_output",
    "remove_leftovers",
    "start_afresh",
    "write_files_piece",
    "write_piece",
    "write_slabs_piece",
]

_WRITTEN_TOGETHER = 2
# what a run puts into its output; anything else there is someone else's
OWN_NAMES = {
    "study.zarr", "work.zarr", "series.zarr", "series.toml", "profiles", "figures", "report.html", "summary.json", "diagnostics.json",
    "plan.json", "log.jsonl", "journal.jsonl", "study.toml", ".lock", ".lock.pid",
}  # fmt: skip
# where `deltamu export` writes by default: kept by --fresh
EXPORT_FOLDER = "export"


@dataclass(frozen=True)
class Done:
    """What a piece leaves behind.

    Attributes
    ----------
    files : sequence of Path
    payload : mapping or None
        Small results for the journal line, as JSON.
    """

    files: Sequence[Path] = ()
    payload: Mapping[str, Any] | None = None


def write_piece(
    journal: Journal,
    key: PieceKey,
    settings: str,
    work: Callable[[], Done],
    *,
    remove: Iterable[Path] = (),
) -> PieceRecord:
    """Do a piece of work so that after any interruption it is either finished or will be done again.

    Parameters
    ----------
    journal : Journal
    key : PieceKey
    settings : str
        Hash of everything the piece depends on.
    work : callable
        Computes, writes the files and returns their names and the small results.
    remove : iterable of Path
        Files of an earlier attempt, removed first; also removed when the piece fails, to give space back.

    Raises
    ------
    ResourceError
        If the disk is full. What was finished before is untouched.
    """
    old = list(remove)
    checkpoint("before-write", key)
    with disk_errors(journal.root):
        _unlink(old)
        try:
            done = work()
            checkpoint("after-write", key)
            fsync_files(done.files, root=journal.root)
        except Exception:
            _unlink(old)
            raise
    record = journal.commit_piece(key, settings, done.files, payload=done.payload)
    checkpoint("after-journal", key)
    return record


def write_slabs_piece(
    journal: Journal,
    key: PieceKey,
    settings: str,
    slabs: Sequence[tuple[Image | BlockArray, NDArray[Any]]],
    *,
    payload: Mapping[str, Any] | None = None,
) -> PieceRecord:
    """Write slab `key.slab` of one or several images (difference, sigma and z score) as one piece.

    Parameters
    ----------
    journal, key, settings
        As for `write_piece`.
    slabs : sequence of (Image or BlockArray, (rows, y, x) array)
    payload : mapping, optional
        Small results for the journal line.

    Raises
    ------
    ResourceError
        If the disk is full; the half-written slab is removed.
    """
    between = _between_levels(key)

    def work() -> Done:
        def write(one: tuple[Image | BlockArray, NDArray[Any]]) -> list[Path]:
            return write_slab(one[0], key.slab, np.asarray(one[1]), between_levels=between)

        # copying to the system's cache takes a processor each
        with ThreadPoolExecutor(_WRITTEN_TOGETHER) as pool:
            return Done([file for files in pool.map(write, slabs) for file in files], payload)

    old = [file for target, _ in slabs for file in slab_files(target, key.slab)]
    return write_piece(journal, key, settings, work, remove=old)


def write_files_piece(
    journal: Journal,
    key: PieceKey,
    settings: str,
    contents: Mapping[Path, bytes],
    *,
    payload: Mapping[str, Any] | None = None,
) -> PieceRecord:
    """Write small files, each atomically, as one piece."""

    def work() -> Done:
        return Done([write_bytes(path, content) for path, content in contents.items()], payload)

    return write_piece(journal, key, settings, work)


def prepare_output(output: Path) -> None:
    """Make the output folder, or accept one of an earlier run.

    Raises
    ------
    InputError
        If it is a file, cannot be written to, or holds something that no run has written.
    """
    check_output(output)
    with disk_errors(output):
        output.mkdir(parents=True, exist_ok=True)


def check_output(output: Path) -> None:
    """Say whether a run may write here, without touching anything.

    Raises
    ------
    InputError
        If it is a file, cannot be written to, or holds something that no run has written.
    """
    nearest = next(folder for folder in (output, *output.parents) if folder.exists())
    if not nearest.is_dir():
        raise InputError(f"{nearest}: is a file; expected a folder for the results")
    if not os.access(nearest, os.W_OK | os.X_OK):
        raise InputError(f"{nearest}: cannot be written to; choose an output folder you may write to")
    if not output.exists() or (output / "journal.jsonl").exists():
        return
    # a run writes its study.toml after plan.json and journal: one that stands alone is the user's own
    alone = not (output / "plan.json").exists()
    own = (OWN_NAMES - ({"study.toml"} if alone else set())) | {EXPORT_FOLDER}
    names = sorted(path.name for path in output.iterdir() if not path.name.endswith(PARTIAL))
    foreign = [name for name in names if name not in own]
    if foreign:
        raise InputError(
            f"{output}: is not empty and not the output of a run (it holds {foreign[0]!r}); "
            "choose an empty folder"
        )


def remove_leftovers(output: Path) -> None:
    """Remove what an interrupted run left half-written (`*.partial`); only for the holder of the lock."""
    with disk_errors(output):
        for path in output.iterdir():
            if path.is_dir() and path.name in OWN_NAMES:
                remove_partials(path)
            elif path.name.endswith(PARTIAL):
                path.unlink(missing_ok=True)


def start_afresh(output: Path) -> None:
    """Remove everything a run has written into its output, and nothing else (`--fresh`).

    study.toml goes first (without a journal it would be taken for the user's own), then the journal: what it
    does not name is not taken for finished.
    """
    with disk_errors(output):
        for name in ("study.toml", "journal.jsonl", *sorted(OWN_NAMES - {".lock", ".lock.pid"})):
            path = output / name
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)


def _between_levels(key: PieceKey) -> Callable[[], None]:
    return lambda: checkpoint("between-levels", key)


def _unlink(files: Iterable[Path]) -> None:
    for file in files:
        file.unlink(missing_ok=True)
