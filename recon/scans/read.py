"""Open a scan: find out what it is, put files and settings together, check."""

from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from deltamu.recon.errors import InputError
from deltamu.recon.scans.angle_file import AngleList, read_angle_file
from deltamu.recon.scans.angle_notes import angle_notes
from deltamu.recon.scans.angles import (
    FrameAngles,
    FrameCounts,
    evenly_spaced,
    from_names,
    golden_ratio,
    match_with_frames,
)
from deltamu.recon.scans.fits import fits_source
from deltamu.recon.scans.folder import read_folder, stated_or
from deltamu.recon.scans.found import FoundScan
from deltamu.recon.scans.frames import ArrayFrames, FrameSource, SelectedFrames, join
from deltamu.recon.scans.names import FITS_SUFFIXES, HDF5_SUFFIXES, TIFF_SUFFIXES
from deltamu.recon.scans.options import ScanOptions, parse_select
from deltamu.recon.scans.scan import Scan
from deltamu.recon.scans.stores import read_hdf5, read_npy, read_zarr
from deltamu.recon.scans.tiff import tiff_source
from deltamu.recon.scans.view import DetectorView, detector_view
from deltamu.recon.scans.views import FrameGroups, group_frames

Reader = Callable[[Path, ScanOptions], FoundScan]


def read_scan(path: str | Path, **options: Any) -> Scan:
    """Open a scan; nothing but its first frame's header is read.

    Parameters
    ----------
    path : path
        Folder of TIFF or FITS images (with sub-folders of flats and darks), multi-page TIFF, NXtomo, Data
        Exchange or other HDF5 file, Zarr store, or .npy file.
    **options
        The attributes of `ScanOptions`: angles, pixel size, flats, darks, crop, binning and so on. `angles`
        (degrees) may be written for `angles_deg`.

    Returns
    -------
    Scan

    Raises
    ------
    InputError
        Naming the file or the option, what was found, what was expected, what to try.
    """
    if "angles" in options:
        options["angles_deg"] = tuple(np.asarray(options.pop("angles"), np.float64).ravel())
    known = {field.name for field in fields(ScanOptions)}
    unknown = sorted(set(options) - known)
    if unknown:
        raise InputError(f"{unknown[0]}: unknown option; known are {', '.join(sorted(known))}")
    return open_scan(path, ScanOptions(**options))


def open_scan(path: str | Path, options: ScanOptions) -> Scan:
    """Open a scan with options that are already checked; see `read_scan`."""
    path = Path(path)
    found = _reader(path, options)(path, options)
    return _assemble(options.name or path.stem, path, found, options)


def scan_from_arrays(
    projections: ArrayLike,
    angles_deg: ArrayLike,
    *,
    flats: ArrayLike | None = None,
    darks: ArrayLike | None = None,
    flats_after: ArrayLike | None = None,
    **options: Any,
) -> Scan:
    """Make a scan of arrays in memory.

    Parameters
    ----------
    projections, flats, flats_after, darks : (n, row, column) arrays
        ADU.
    angles_deg : (angle,) array
    **options
        Attributes of `ScanOptions` that do not name files.
    """
    name = options.get("name") or "arrays"

    def source(array: ArrayLike | None, kind: str) -> ArrayFrames | None:
        return None if array is None else ArrayFrames(f"{name} ({kind})", np.asarray(array))

    angles = AngleList(np.asarray(angles_deg, np.float64).ravel(), "deg", f"{name} (angles_deg)")
    found = FoundScan(
        projections=ArrayFrames(name, np.asarray(projections)),
        flats=source(flats, "flats"),
        flats_after=source(flats_after, "flats after"),
        darks=source(darks, "darks"),
        angles=angles,
    )
    return _assemble(name, Path(), found, ScanOptions(**options))


def _reader(path: Path, options: ScanOptions) -> Reader:
    """Choose the reader by the format, otherwise by what the path is."""
    if not path.exists():
        raise InputError(f"{path}: no such file or folder, expected a scan")
    by_format: dict[str, Reader] = {
        "nxtomo": read_hdf5, "dxchange": read_hdf5, "hdf5": read_hdf5, "zarr": read_zarr, "npy": read_npy,
    }  # fmt: skip
    if path.is_dir() and not _is_zarr(path):
        return (
            read_folder
            if options.format not in ("nxtomo", "dxchange", "hdf5", "zarr")
            else _only_file_reader(path)
        )
    if options.format in by_format:
        return by_format[options.format]
    if _is_zarr(path):
        return read_zarr
    suffix = path.suffix.lower()
    if suffix in HDF5_SUFFIXES:
        return read_hdf5
    if suffix in TIFF_SUFFIXES or suffix in FITS_SUFFIXES or options.format in ("tiff", "fits"):
        return _read_image_file
    if suffix == ".npy":
        return read_npy
    raise InputError(
        f"{path}: not clear what this file is; expected TIFF, FITS, HDF5, Zarr or .npy, or state format"
    )


def _only_file_reader(path: Path) -> Reader:
    raise InputError(f"{path}: found a folder, expected a file of the stated format")


def _is_zarr(path: Path) -> bool:
    marks = ("zarr.json", ".zarray", ".zgroup")
    return path.is_dir() and (
        path.suffix.lower() == ".zarr" or any((path / mark).is_file() for mark in marks)
    )


def _read_image_file(path: Path, options: ScanOptions) -> FoundScan:
    """Look at one file with all projections; flats and darks lie in files beside it."""
    is_fits = path.suffix.lower() in FITS_SUFFIXES or options.format == "fits"
    source = fits_source(str(path), (path,)) if is_fits else tiff_source(str(path), (path,))
    return FoundScan(
        projections=source,
        flats=stated_or(path.parent, options.flats, None),
        flats_after=stated_or(path.parent, options.flats_after, None),
        darks=stated_or(path.parent, options.darks, None),
    )


def _assemble(name: str, path: Path, found: FoundScan, options: ScanOptions) -> Scan:
    """Put what was found and what was stated together."""
    projections, selected = _selected_projections(found.projections, options)
    frames = FrameCounts(
        label=found.projections.label,
        stored=found.projections.count,
        selected=selected,
        in_file=found.in_file,
        all_in_file=found.all_in_file,
        frames_per_angle=options.frames_per_angle,
    )
    angles = match_with_frames(
        _angle_list(path, found, frames, options),
        frames,
        unit=options.angle_unit,
        select=options.angle_select,
    )
    groups = group_frames(angles.degrees, frames_per_angle=options.frames_per_angle, label=projections.label)
    view = detector_view(projections.shape, options, projections.label)
    return _scan(name, found, options, projections=projections, angles=angles, groups=groups, view=view)


def _scan(
    name: str,
    found: FoundScan,
    options: ScanOptions,
    *,
    projections: FrameSource,
    angles: FrameAngles,
    groups: FrameGroups,
    view: DetectorView,
) -> Scan:
    flats = [source for source in (found.flats, found.flats_after) if source is not None]
    pixel_size, pixel_note = _pixel_size(found, options)
    exposures, exposure_note = _exposures(found, options)
    sign = -1.0 if options.direction == "reversed" else 1.0
    degrees = groups.of_views(angles.degrees)
    times = angles.times_s if found.times_s is None else found.times_s
    return Scan(
        name=name,
        projections=projections,
        groups=groups.groups,
        angles=np.radians(sign * degrees),
        view=view,
        flat_source=join(flats, flats[0].label if flats else ""),
        dark_source=found.darks,
        pixel_size_mm=pixel_size,
        times_s=None if times is None else groups.of_views(times),
        flats_after=None if found.flats_after is None else (found.flats.count if found.flats else 0),
        exposure_s=exposures,
        combine=options.combine,
        direction=options.direction,
        notes=(
            *found.notes, *groups.notes, *angle_notes(degrees), *pixel_note, *exposure_note,
            *_missing_notes(found),
        ),
        settings=repr(options),
    )  # fmt: skip


def _selected_projections(source: FrameSource, options: ScanOptions) -> tuple[FrameSource, NDArray[np.int64]]:
    selected = np.arange(source.count)[parse_select(options.projection_select, "projection_select")]
    if selected.size < 2:
        if options.projection_select and source.count > 1:
            raise InputError(
                f"projection_select: '{options.projection_select}' leaves {selected.size} of the "
                f"{source.count} projections"
            )
        raise InputError(
            f"{source.label}: found {source.count} projection, expected a scan of at least two views"
        )
    if selected.size == source.count:
        return source, selected
    return SelectedFrames(source, selected, source.label), selected


def _angle_list(path: Path, found: FoundScan, frames: FrameCounts, options: ScanOptions) -> AngleList:
    """Return the angles that the user states, otherwise those of the files."""
    count = int(frames.selected.size) // (options.frames_per_angle or 1)
    if options.angles_deg is not None:
        return AngleList(np.array(options.angles_deg, np.float64), None, "angles_deg")
    if options.angle_file is not None:
        folder = path if path.is_dir() and not _is_zarr(path) else path.parent
        return read_angle_file(folder / options.angle_file, column=options.angle_column)
    if options.angle_golden is not None:
        return golden_ratio(count, range_deg=options.angle_golden, start_deg=options.angle_start_deg or 0.0)
    if options.angle_start_deg is not None and options.angle_stop_deg is not None:
        endpoint = bool(options.angle_endpoint)
        return evenly_spaced(options.angle_start_deg, options.angle_stop_deg, count, endpoint=endpoint)
    if options.angle_pattern is not None:
        names = found.projections.names
        if names is None:
            raise InputError(
                f"angle_pattern: the frames of {frames.label} have no file names; state the angles otherwise"
            )
        return from_names(names, options.angle_pattern)
    if found.angles is None:
        raise InputError(
            f"{frames.label}: found no angles; state angle_file, or angle_start_deg, angle_stop_deg and "
            "angle_endpoint, or angle_golden, or angle_pattern for file names"
        )
    return found.angles


def _pixel_size(found: FoundScan, options: ScanOptions) -> tuple[float | None, tuple[str, ...]]:
    """Return the size of a binned pixel, and where it is from."""
    if options.pixel_size_mm is not None:
        return options.pixel_size_mm * options.bin, ()
    if found.pixel_size_mm is None:
        return None, ()
    return found.pixel_size_mm * options.bin, (
        f"pixel size {found.pixel_size_mm * 1e3:.6g} µm as the file states it",
    )


def _exposures(found: FoundScan, options: ScanOptions) -> tuple[dict[str, float] | None, tuple[str, ...]]:
    projections = options.exposure_s if options.exposure_s is not None else found.exposure_s
    stated = {"projections": projections, "flats": options.flat_exposure_s, "darks": options.dark_exposure_s}
    exposures = {kind: seconds for kind, seconds in stated.items() if seconds is not None}
    if not exposures:
        return None, ()
    if projections is None:
        raise InputError(
            "flat_exposure_s, dark_exposure_s: the exposure of the projections is not known; state exposure_s"
        )
    differing = [f"{kind} {seconds:g} s" for kind, seconds in exposures.items() if seconds != projections]
    if not differing:
        return exposures, ()
    return exposures, (f"exposure of projections {projections:g} s, of {' and '.join(differing)}",)


def _missing_notes(found: FoundScan) -> list[str]:
    notes = []
    if found.flats is None and found.flats_after is None:
        notes.append("no flats were found")
    if found.darks is None:
        notes.append("no darks were found")
    return notes
