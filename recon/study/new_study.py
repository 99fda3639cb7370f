"""`deltamu new`: look at what lies in a folder and draft a study from it."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from deltamu.recon.errors import InputError
from deltamu.recon.scans.read import read_scan
from deltamu.recon.study.template import StudyDraft, write_draft

SCAN_SUFFIXES = (".nxs", ".h5", ".hdf5", ".hdf", ".tif", ".tiff", ".npy", ".zarr")
IMAGE_SUFFIXES = (".tif", ".tiff", ".fits", ".fit")
NOT_SCANS = re.compile(r"(flat|dark|ob|open_?beam|df|dc|truth|result|.*_black_body$)", re.IGNORECASE)


def write_new_study(folder: Path) -> Path:
    """Write study.toml into a folder that holds scans.

    Raises
    ------
    InputError
        If the folder holds nothing that looks like a scan, or study.toml exists.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder; expected the folder that holds the scans")
    target = folder / "study.toml"
    if target.exists():
        raise InputError(f"{target}: exists already; edit it, or move it away to draft a new one")
    found = list(_candidates(folder))
    if not found:
        raise InputError(
            f"{folder}: found nothing that looks like a scan; expected folders of TIFF or FITS frames, or files "
            f"{', '.join(SCAN_SUFFIXES)}"
        )
    return write_draft(target, _draft(folder, found))


def _candidates(folder: Path) -> Iterator[Path]:
    """Yield scans in the folder, or one level below (raw/…)."""
    own = [path for path in sorted(folder.iterdir()) if _looks_like_scan(path)]
    if own:
        yield from own
        return
    for below in sorted(
        path for path in folder.iterdir() if path.is_dir() and not NOT_SCANS.match(path.name)
    ):
        yield from (path for path in sorted(below.iterdir()) if _looks_like_scan(path))


def _looks_like_scan(path: Path) -> bool:
    if path.name.startswith(".") or NOT_SCANS.match(path.stem):
        return False
    if path.suffix.lower() in SCAN_SUFFIXES:
        return not path.stem.endswith("-imaging")
    return path.is_dir() and any(child.suffix.lower() in IMAGE_SUFFIXES for child in path.glob("*/*"))


def _draft(folder: Path, found: list[Path]) -> StudyDraft:
    states: dict[str, dict[str, Any]] = {}
    sizes = set()
    for path in found:
        name = _free_name(re.sub(r"[^a-z0-9_]+", "_", path.stem.lower()).strip("_") or "state", states)
        states[name] = {"scan": path.relative_to(folder).as_posix()}
        sizes.add(_pixel_size(path))
    known = sizes - {None}
    names = list(states)
    reference = "pristine" if "pristine" in states else names[0]
    scan = {"pixel_size_mm": known.pop()} if len(known) == 1 else {}
    return StudyDraft(name=folder.resolve().name, states=states, reference=reference, scan=scan)


def _free_name(name: str, taken: dict[str, Any]) -> str:
    number = 2
    free = name
    while free in taken:
        free, number = f"{name}_{number}", number + 1
    return free


def _pixel_size(path: Path) -> float | None:
    """Return the pixel size when the file states it; a scan that cannot be read yet is still listed."""
    try:
        return read_scan(path).pixel_size_mm
    except InputError:
        return None
