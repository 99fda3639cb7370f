"""Open a scan: find out what it is, put files and settings together, check."""

from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from deltamu.recon.errors import InputError
from deltamu.recon.scans.angle_file import AngleList
from deltamu.recon.scans.assemble import assemble
from deltamu.recon.scans.fits import fits_source
from deltamu.recon.scans.folder import read_folder
from deltamu.recon.scans.found import FoundScan
from deltamu.recon.scans.frames import ArrayFrames
from deltamu.recon.scans.names import FITS_SUFFIXES, HDF5_SUFFIXES, TIFF_SUFFIXES
from deltamu.recon.scans.options import ScanOptions
from deltamu.recon.scans.scan import Scan
from deltamu.recon.scans.stated import with_stated_frames
from deltamu.recon.scans.stores import read_hdf5, read_npy, read_zarr
from deltamu.recon.scans.tiff import tiff_source
from deltamu.recon.scans.zarr_array import is_zarr

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
    return assemble(options.name or path.stem, path, find_frames(path, options), options)


def find_frames(path: Path, options: ScanOptions) -> FoundScan:
    """Find projections, flats and darks; also for series of radiographs, which have no angles."""
    return with_stated_frames(_reader(path, options)(path, options), path, options)


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
    return assemble(name, Path(), found, ScanOptions(**options))


def _reader(path: Path, options: ScanOptions) -> Reader:
    """Choose the reader by the format, otherwise by what the path is."""
    if not path.exists():
        raise InputError(f"{path}: no such file or folder, expected a scan")
    by_format: dict[str, Reader] = {
        "nxtomo": read_hdf5, "dxchange": read_hdf5, "hdf5": read_hdf5, "zarr": read_zarr, "npy": read_npy,
    }  # fmt: skip
    if path.is_dir() and not is_zarr(path):
        return (
            read_folder
            if options.format not in ("nxtomo", "dxchange", "hdf5", "zarr")
            else _only_file_reader(path)
        )
    if options.format in by_format:
        return by_format[options.format]
    if is_zarr(path):
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


def _read_image_file(path: Path, options: ScanOptions) -> FoundScan:
    """Look at one file with all projections."""
    is_fits = path.suffix.lower() in FITS_SUFFIXES or options.format == "fits"
    source = fits_source(str(path), (path,)) if is_fits else tiff_source(str(path), (path,))
    return FoundScan(projections=source)
