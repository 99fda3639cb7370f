"""NXtomo files: one stack of all frames with an image_key.

NeXus application definition NXtomo: image_key 0 is a projection, 1 a flat, 2 a dark, 3 invalid.
"""

import json
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from deltamu.recon.errors import InputError
from deltamu.recon.scans.angle_file import AngleList
from deltamu.recon.scans.found import FoundScan
from deltamu.recon.scans.frames import FrameSource, SelectedFrames
from deltamu.recon.scans.hdf5 import dataset_names, exists, hdf5_frames, locate, opened, read_values, text_of
from deltamu.recon.scans.options import ScanOptions
from deltamu.recon.scans.units import angle_unit, length_factor

Indices = NDArray[np.int64]


def is_nxtomo(names: list[str]) -> bool:
    """Return whether the datasets of a file include an image_key."""
    return any(name.endswith("/image_key") for name in names)


def read_nxtomo(file: Path, options: ScanOptions) -> FoundScan:
    """Look at an NXtomo file; frames are read later."""
    with opened(file) as root:
        names = dataset_names(root)
    key_path, data_path = _detector(file, names, options)
    frames = hdf5_frames(file, data_path)
    keys = read_values(file, key_path).values.astype(np.int64)
    if keys.size != frames.count:
        raise InputError(
            f"{file}: {key_path} has {keys.size} entries for the {frames.count} frames of {data_path}"
        )
    projections, flats, darks = (np.flatnonzero(keys == key) for key in (0, 1, 2))
    if projections.size == 0:
        raise InputError(f"{file}: {key_path} marks no frame as projection (0)")
    invalid = int(np.sum(~np.isin(keys, (0, 1, 2))))
    angles, note = _angles(file, names, data_path, keys.size, options)
    return FoundScan(
        projections=SelectedFrames(frames, projections, frames.label),
        flats=_select(frames, flats[flats < projections[0]], "flats"),
        flats_after=_select(frames, flats[flats > projections[0]], "flats"),
        darks=_select(frames, darks, "darks"),
        angles=angles,
        in_file=projections,
        all_in_file=keys.size,
        pixel_size_mm=None if options.pixel_size_mm else _pixel_size(file, names, data_path),
        exposure_s=_exposure(file, data_path),
        notes=(
            *([note] if note else []),
            *([f"{invalid} frames are marked invalid and left out"] if invalid else []),
        ),
    )


def _select(frames: FrameSource, indices: Indices, kind: str) -> FrameSource | None:
    return SelectedFrames(frames, indices, f"{frames.label} ({kind})") if indices.size else None


def _detector(file: Path, names: list[str], options: ScanOptions) -> tuple[str, str]:
    """Return the paths of an image_key and of the frames beside it."""
    keys = [name for name in names if name.endswith("/image_key")]
    if not keys:
        raise InputError(
            f"{file}: no image_key; an NXtomo file has one. State data_path for another HDF5 file"
        )
    if options.data_path:
        return _closest(keys, options.data_path), options.data_path
    candidates = [(key, key.rsplit("/", 1)[0] + "/data") for key in keys]
    for key, data in candidates:
        if exists(file, data):
            return key, data
    # says which link is broken
    locate(file, candidates[0][1])
    raise InputError(f"{file}: no frames beside {keys[0]}; state data_path")


def _closest(paths: list[str], path: str) -> str:
    """Return the path that shares the longest beginning with another."""

    def shared(candidate: str) -> int:
        pairs = zip(candidate.strip("/").split("/"), path.strip("/").split("/"), strict=False)
        return sum(a == b for a, b in pairs)

    return max(paths, key=shared)


def _angles(
    file: Path, names: list[str], data_path: str, frames: int, options: ScanOptions
) -> tuple[AngleList | None, str | None]:
    """Angles of all frames: rotation_angle, the axis of the NXdata, or the scan that was requested."""
    rotation = [options.angles_path] if options.angles_path else _named(names, "rotation_angle", data_path)
    rotation += [] if options.angles_path else _data_axes(file, data_path)
    for path in rotation:
        if not (options.angles_path or exists(file, path)):
            continue
        values = read_values(file, path)
        if values.values.size > 1:
            note = None if angle_unit(values.unit) else f"{path} states no unit; taken as degrees"
            return AngleList(values.values.ravel(), angle_unit(values.unit), values.label), note
    return _requested_angles(file, names, frames)


def _named(names: list[str], name: str, near: str) -> list[str]:
    """Paths that end with a name, those nearest to another path first."""
    found = [path for path in names if path.endswith(f"/{name}")]
    return sorted(found, key=lambda path: path != _closest(found, near))


def _data_axes(file: Path, data_path: str) -> list[str]:
    """First axes of the NXdata groups that are named as the detector."""
    detector = Path(data_path).parent.name
    with opened(file) as root:
        groups: list[tuple[str, Any]] = []
        root.visititems(
            lambda name, item: groups.append((name, item)) if _is_data_of(name, item, detector) else None
        )
        return [f"/{name}/{axis}" for name, group in groups if (axis := _first_axis(group)) is not None]


def _is_data_of(name: str, item: Any, detector: str) -> bool:
    return isinstance(item, h5py.Group) and name.rsplit("/", 1)[-1] == detector and "axes" in item.attrs


def _first_axis(group: Any) -> str | None:
    axis = text_of(group.attrs["axes"])
    return axis if axis and axis != "." else None


def _requested_angles(file: Path, names: list[str], frames: int) -> tuple[AngleList | None, str | None]:
    """Angles that the data acquisition (GDA) was asked for, where the file lacks the measured ones."""
    for path in names:
        if not path.endswith("/scan_models"):
            continue
        with opened(file) as root:
            text = text_of(root[path][()]) or ""
        values = _expand_models(text)
        if values is not None and values.size == frames:
            note = f"angles as requested by {path}: the measured ones are not in the file"
            return AngleList(values, "deg", f"{file}: {path}"), note
    return None, None


def _expand_models(text: str) -> NDArray[np.float64] | None:
    """Return the positions of the rotation that a GDA scan model describes, in degrees."""
    try:
        models = _axial_models(json.loads(text))
        parts = [_positions(model) for model in models]
    except (ValueError, KeyError, TypeError):
        return None
    return np.concatenate(parts) if parts else None


def _axial_models(node: Any) -> list[dict[str, Any]]:
    if isinstance(node, dict):
        if str(node.get("@type", "")).startswith("Axial"):
            return [node]
        return _axial_models(node.get("models", []))
    return [model for part in node for model in _axial_models(part)] if isinstance(node, list) else []


def _positions(model: dict[str, Any]) -> NDArray[np.float64]:
    start, stop = float(model["start"]), float(model["stop"])
    if "points" in model:
        return np.asarray(np.linspace(start, stop, int(model["points"])), np.float64)
    step = float(model["step"])
    count = int(np.floor((stop - start) / step + 1e-6)) + 1
    return np.asarray(start + step * np.arange(count), np.float64)


def _pixel_size(file: Path, names: list[str], data_path: str) -> float | None:
    beside = data_path.rsplit("/", 1)[0] + "/x_pixel_size"
    paths = [beside] if beside in names else _named(names, "x_pixel_size", data_path)
    if not paths:
        return None
    size = read_values(file, paths[0])
    # NeXus gives lengths in metres where nothing else is said
    return float(size.values.ravel()[0]) * length_factor(size.unit or "m", size.label)


def _exposure(file: Path, data_path: str) -> float | None:
    path = data_path.rsplit("/", 1)[0] + "/count_time"
    if not exists(file, path):
        return None
    values = read_values(file, path).values.ravel()
    return float(values[0]) if values.size == 1 and values[0] > 0 else None
