"""Data Exchange HDF5 files: exchange/data, data_white, data_dark, theta.

De Carlo et al., J. Synchrotron Rad. 21 (2014) 1224. An open beam after the scan is read from data_white_post.
"""

from pathlib import Path

from deltamu.recon.errors import InputError
from deltamu.recon.scans.angle_file import AngleList
from deltamu.recon.scans.found import FoundScan
from deltamu.recon.scans.frames import FrameSource, join
from deltamu.recon.scans.hdf5 import exists, hdf5_frames, locate, opened, read_values, text_of
from deltamu.recon.scans.options import ScanOptions
from deltamu.recon.scans.units import angle_unit, length_factor

_PIXEL_SIZES = (
    "measurement/instrument/detector/actual_pixel_size_x",
    "measurement/instrument/detection_system/objective/resolution",
    "measurement/instrument/detector/pixel_size_x",
)
_EXPOSURE = "measurement/instrument/detector/exposure_time"


def is_data_exchange(names: list[str]) -> bool:
    """Return whether the datasets of a file are those of Data Exchange."""
    return "/exchange/data" in names


def read_data_exchange(file: Path, options: ScanOptions) -> FoundScan:
    """Look at a Data Exchange file; frames are read later."""
    data = options.data_path or "exchange/data"
    _check_axes(file, data)
    return FoundScan(
        projections=hdf5_frames(file, data),
        flats=_joined(file, options.flats_path, ("exchange/data_white", "exchange/data_white_pre")),
        flats_after=_joined(file, options.flats_after_path, ("exchange/data_white_post",)),
        darks=_joined(
            file,
            options.darks_path,
            ("exchange/data_dark", "exchange/data_dark_pre", "exchange/data_dark_post"),
        ),
        angles=read_angles(
            file, options.angles_path or "exchange/theta", required=options.angles_path is not None
        ),
        pixel_size_mm=None if options.pixel_size_mm else _pixel_size(file),
        exposure_s=_exposure(file),
    )


def _joined(file: Path, stated: str | None, custom: tuple[str, ...]) -> FrameSource | None:
    paths = [stated] if stated else [path for path in custom if exists(file, path)]
    return join([hdf5_frames(file, path) for path in paths], f"{file}: {paths[0]}" if paths else "")


def read_angles(file: Path, path: str, *, required: bool) -> AngleList | None:
    """Read the angles of a dataset with the unit it states."""
    if not required and not exists(file, path):
        return None
    values = read_values(file, path)
    return AngleList(values.values.ravel(), angle_unit(values.unit), values.label)


def _check_axes(file: Path, path: str) -> None:
    location = locate(file, path)
    with opened(location.file) as root:
        axes = text_of(root[location.path].attrs.get("axes"))
    if axes and axes.count(":") == 2 and not axes.startswith("theta"):
        raise InputError(
            f"{location}: stored as {axes}, expected theta:y:x; write it again with the angle first"
        )


def _pixel_size(file: Path) -> float | None:
    for path in _PIXEL_SIZES:
        if exists(file, path):
            size = read_values(file, path)
            # without a unit there is no telling µm from mm: the user states it
            if size.unit and size.values.size == 1 and size.values[0] > 0:
                return float(size.values[0]) * length_factor(size.unit, size.label)
    return None


def _exposure(file: Path) -> float | None:
    if not exists(file, _EXPOSURE):
        return None
    time = read_values(file, _EXPOSURE)
    factor = {"s": 1.0, "ms": 1e-3}.get((time.unit or "s").strip().lower())
    return float(time.values[0]) * factor if factor and time.values.size and time.values[0] > 0 else None
