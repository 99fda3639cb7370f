"""Plain HDF5 files, Zarr stores and .npy files, by dataset paths."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import h5py

from deltamu.recon.errors import InputError
from deltamu.recon.scans.angle_file import AngleList
from deltamu.recon.scans.data_exchange import is_data_exchange, read_data_exchange
from deltamu.recon.scans.found import FoundScan
from deltamu.recon.scans.frames import FrameSource
from deltamu.recon.scans.hdf5 import Values, dataset_names, hdf5_frames, opened, read_values
from deltamu.recon.scans.nexus import is_nxtomo, read_nxtomo
from deltamu.recon.scans.numpy_file import numpy_frames
from deltamu.recon.scans.options import ScanOptions
from deltamu.recon.scans.units import angle_unit
from deltamu.recon.scans.zarr_array import array_names, zarr_frames, zarr_values

# names by which arrays of a group are recognised when no path is stated
_CUSTOM = {
    "data": ("projections", "data", "frames"),
    "flats": ("flats", "flats_before", "data_white"),
    "flats_after": ("flats_after", "data_white_post"),
    "darks": ("darks", "data_dark"),
    "angles": ("angles", "theta", "rotation_angle"),
}


def read_hdf5(file: Path, options: ScanOptions) -> FoundScan:
    """Look at an HDF5 file of any kind: recognised by its datasets, unless the format is stated."""
    with opened(file) as root:
        names = dataset_names(root)
        volumes = [name for name in names if _is_stack(root, name)]
    if options.format == "nxtomo" or (options.format == "auto" and is_nxtomo(names)):
        return read_nxtomo(file, options)
    if options.format == "dxchange" or (
        options.format == "auto" and is_data_exchange(names) and not options.data_path
    ):
        return read_data_exchange(file, options)
    if not options.data_path:
        raise InputError(
            f"{file}: neither NXtomo (image_key) nor Data Exchange (exchange/data); state data_path "
            f"({', '.join(volumes[:5]) or 'no dataset with three axes found'})"
        )
    return _by_paths(
        file, options, lambda path: hdf5_frames(file, path), lambda path: read_values(file, path)
    )


def _is_stack(root: h5py.File, name: str) -> bool:
    item = root.get(name) if isinstance(root.get(name, getlink=True), h5py.HardLink) else None
    return isinstance(item, h5py.Dataset) and item.ndim == 3


def read_zarr(store: Path, options: ScanOptions) -> FoundScan:
    """Look at a Zarr array of projections, or at a group of arrays."""
    names = array_names(store)
    if names is None:
        return FoundScan(projections=zarr_frames(store))
    chosen = _with_custom_paths(options, names)
    if not chosen.data_path:
        raise InputError(
            f"{store}: not clear which array holds the projections; state data_path ({', '.join(names[:8])})"
        )
    return _by_paths(
        store, chosen, lambda path: zarr_frames(store, path), lambda path: zarr_values(store, path)
    )


def read_npy(file: Path, options: ScanOptions) -> FoundScan:
    """Look at a .npy file; flats, darks and angles lie in files of their own."""
    return FoundScan(projections=numpy_frames(file))


def _with_custom_paths(options: ScanOptions, names: list[str]) -> ScanOptions:
    found = {
        f"{role}_path": next((name for name in custom if name in names), None)
        for role, custom in _CUSTOM.items()
        if getattr(options, f"{role}_path") is None
    }
    if options.angle_sources():
        found.pop("angles_path", None)
    return replace(options, **{key: path for key, path in found.items() if path})  # type: ignore[arg-type]


def _by_paths(
    store: Path,
    options: ScanOptions,
    frames: Callable[[str], FrameSource],
    values: Callable[[str], Values],
) -> FoundScan:
    """Sources by paths; a path of flats or darks in a file of their own is looked up there, not here."""

    def source(path: str | None, stated: str | None) -> FrameSource | None:
        return frames(path) if path and not stated else None

    angles = None
    if options.angles_path:
        found = values(options.angles_path)
        angles = AngleList(found.values.ravel(), angle_unit(found.unit), found.label)
    times = values(options.times_path).values.ravel() if options.times_path else None
    return FoundScan(
        projections=frames(options.data_path or ""),
        flats=source(options.flats_path, options.flats),
        flats_after=source(options.flats_after_path, options.flats_after),
        darks=source(options.darks_path, options.darks),
        angles=angles,
        times_s=times,
    )
