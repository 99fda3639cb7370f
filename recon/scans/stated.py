"""Flats and darks that the user states win over those that were found."""

from dataclasses import replace
from pathlib import Path

from deltamu.recon.scans.folder import image_frames
from deltamu.recon.scans.found import FoundScan
from deltamu.recon.scans.frames import FrameSource
from deltamu.recon.scans.hdf5 import hdf5_frames
from deltamu.recon.scans.names import HDF5_SUFFIXES
from deltamu.recon.scans.options import ScanOptions
from deltamu.recon.scans.zarr_array import is_zarr, zarr_frames


def base_folder(path: Path) -> Path:
    """Return the folder that stated files are relative to: the scan itself, or the one it lies in."""
    return path.parent if path.is_file() or is_zarr(path) else path


def with_stated_frames(found: FoundScan, path: Path, options: ScanOptions) -> FoundScan:
    """Replace flats and darks by the files that the user states.

    Stated flats replace all that were found, also those after the scan.
    """
    folder = base_folder(path)
    if options.flats:
        found = replace(found, flats=_frames(folder, options.flats, options.flats_path), flats_after=None)
    if options.flats_after:
        found = replace(found, flats_after=_frames(folder, options.flats_after, options.flats_after_path))
    if options.darks:
        found = replace(found, darks=_frames(folder, options.darks, options.darks_path))
    return found


def _frames(folder: Path, stated: str, dataset: str | None) -> FrameSource:
    file = folder / stated
    if dataset and file.suffix.lower() in HDF5_SUFFIXES:
        return hdf5_frames(file, dataset)
    if is_zarr(file):
        return zarr_frames(file, dataset or "")
    return image_frames(folder, stated)
