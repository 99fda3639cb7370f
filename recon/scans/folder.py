"""Folders of images: which are projections, flats and darks, and where the angles are."""

import glob
from collections.abc import Iterable
from pathlib import Path

from deltamu.recon.errors import InputError
from deltamu.recon.scans.angle_file import AngleList, is_instrument_log, read_angle_file
from deltamu.recon.scans.angles import recognised_in_names
from deltamu.recon.scans.fits import fits_source
from deltamu.recon.scans.found import FoundScan
from deltamu.recon.scans.frames import FrameSource, join
from deltamu.recon.scans.names import (
    FITS_SUFFIXES,
    TEXT_SUFFIXES,
    TIFF_SUFFIXES,
    Role,
    natural_sort,
    role_of,
)
from deltamu.recon.scans.numpy_file import numpy_frames
from deltamu.recon.scans.options import ScanOptions
from deltamu.recon.scans.tiff import tiff_source

_IMAGES = {"tiff": TIFF_SUFFIXES, "fits": FITS_SUFFIXES, "npy": (".npy",)}
_ALL_IMAGES = tuple(suffix for suffixes in _IMAGES.values() for suffix in suffixes)


def read_folder(folder: Path, options: ScanOptions) -> FoundScan:
    """Look at a folder of images; frames are read later.

    By custom, folders (or files beside each other) named proj…, tiffs, sample, raw hold projections; flat…,
    ob…, open_beam… flats, those with `after` in the name the later ones; dark…, df, dc darks.
    """
    suffixes = _IMAGES.get(options.format, _ALL_IMAGES)
    groups = _by_role(folder, suffixes)
    projections = image_frames(folder, options.projections) if options.projections else None
    if projections is None:
        projections = _source(f"{folder}", _projection_files(folder, groups, suffixes))
    return FoundScan(
        projections=projections,
        flats=_customary(folder, groups, "flats"),
        flats_after=_customary(folder, groups, "flats_after"),
        darks=_customary(folder, groups, "darks"),
        angles=_angles(folder, projections, options),
    )


def image_frames(folder: Path, stated: str) -> FrameSource:
    """Return the frames of a folder, file or pattern, relative to a folder."""
    path = folder / stated
    if path.is_dir():
        return _source(str(path), _images_in(path, _ALL_IMAGES))
    if path.is_file():
        return _source(str(path), [path])
    files = [Path(name) for name in glob.glob(str(path)) if Path(name).suffix.lower() in _ALL_IMAGES]
    if not files:
        raise InputError(f"{path}: no such folder, file or pattern with images")
    return _source(str(path), natural_sort(files))


def _source(label: str, files: list[Path]) -> FrameSource:
    if not files:
        raise InputError(f"{label}: found no images, expected files ending in {', '.join(_ALL_IMAGES)}")
    kinds = {file.suffix.lower() in FITS_SUFFIXES for file in files}
    if len(kinds) > 1:
        raise InputError(
            f"{label}: found TIFF and FITS images together, expected one kind; state format or a pattern"
        )
    if files[0].suffix.lower() == ".npy":
        return join([numpy_frames(file) for file in files], label) or numpy_frames(files[0])
    return fits_source(label, tuple(files)) if kinds.pop() else tiff_source(label, tuple(files))


def _images_in(folder: Path, suffixes: tuple[str, ...]) -> list[Path]:
    files = (
        file for file in folder.iterdir() if file.suffix.lower() in suffixes and not file.name.startswith(".")
    )
    return natural_sort(file for file in files if file.is_file())


def _by_role(folder: Path, suffixes: tuple[str, ...]) -> dict[Role | None, list[tuple[str, list[Path]]]]:
    """Group sub-folders with images, and the images of the folder itself, by what their names say."""
    groups: dict[Role | None, list[tuple[str, list[Path]]]] = {}
    for below in natural_sort(path for path in folder.iterdir() if path.is_dir()):
        files = _images_in(below, suffixes)
        if files:
            groups.setdefault(role_of(below.name), []).append((below.name, files))
    own: dict[Role | None, list[Path]] = {}
    for file in _images_in(folder, suffixes):
        own.setdefault(role_of(file.stem), []).append(file)
    for role, files in own.items():
        groups.setdefault(role, []).append((folder.name, files))
    return groups


def _projection_files(
    folder: Path, groups: dict[Role | None, list[tuple[str, list[Path]]]], suffixes: tuple[str, ...]
) -> list[Path]:
    """Return the projections: those whose name says so, otherwise the only other group."""
    candidates = groups.get("projections") or groups.get(None) or []
    if len(candidates) == 1:
        return candidates[0][1]
    if candidates:
        names = ", ".join(name for name, _ in candidates)
        raise InputError(
            f"{folder}: found images in {names}; not clear which are the projections, state `projections`"
        )
    if groups:
        raise InputError(f"{folder}: found flats or darks but no projections; state `projections`")
    there = ", ".join(sorted(path.name for path in folder.iterdir())[:5]) or "nothing"
    raise InputError(f"{folder}: found no images ({there}), expected files ending in {', '.join(suffixes)}")


def _customary(
    folder: Path, groups: dict[Role | None, list[tuple[str, list[Path]]]], role: Role
) -> FrameSource | None:
    """Frames of a role by the names of files and folders; None where there are none."""
    parts = [
        _source(str(folder / name) if name != folder.name else str(folder), files)
        for name, files in groups.get(role, [])
    ]
    return join(parts, f"{folder} ({role})")


def _angles(folder: Path, projections: FrameSource, options: ScanOptions) -> AngleList | None:
    """Angles of a file beside the images, or in their names; None where the user states them."""
    if options.angle_sources():
        return None
    text = [path for path in folder.iterdir() if path.suffix.lower() in TEXT_SUFFIXES and path.is_file()]
    found = _angle_files(text)
    if len(found) > 1:
        names = ", ".join(path.name for path in found)
        raise InputError(f"{folder}: found {names}; not clear which holds the angles, state angle_file")
    if found:
        return read_angle_file(found[0], column=options.angle_column)
    return recognised_in_names(projections.names) if projections.names else None


def _angle_files(files: Iterable[Path]) -> list[Path]:
    """Files that hold angles: named for them, otherwise logs of an instrument."""
    listed = sorted(files)
    named = [path for path in listed if "angle" in path.stem.lower() or "theta" in path.stem.lower()]
    return named or [path for path in listed if is_instrument_log(path)]
