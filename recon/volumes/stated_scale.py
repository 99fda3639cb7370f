"""The voxel size and the unit that a volume file of another program states about itself."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tifffile

from deltamu.recon.errors import InputError
from deltamu.recon.volumes.units import length_in_mm

# files write sizes as float32 or as fractions: 0.1 % covers their rounding and is a tenth of a voxel in 100
_SAME_SIZE = 1e-3


@dataclass(frozen=True)
class StatedScale:
    """What a file says; None where it says nothing."""

    voxel_size_mm: float | None = None
    unit: str | None = None


def cubic_voxel_mm(label: str, steps: Sequence[float], unit: str | None) -> float | None:
    """Return the voxel size in mm of steps along (z, y, x); None when the unit is not a length.

    Raises
    ------
    InputError
        If the voxels are not cubes.
    """
    factor = length_in_mm(unit) if unit else None
    if factor is None or not all(step > 0 for step in steps):
        return None
    if max(steps) > min(steps) * (1 + _SAME_SIZE):
        sizes = " × ".join(f"{step * factor:g}" for step in steps)
        raise InputError(
            f"{label}: found voxels of {sizes} mm (z, y, x), expected cubes; resample the volume first"
        )
    return float(steps[-1]) * factor


def tiff_scale(path: Path) -> StatedScale:
    """Read the scale of an ImageJ or OME-TIFF stack."""
    with tifffile.TiffFile(path) as tif:
        if tif.is_imagej:
            return _imagej_scale(path, tif)
        if tif.is_ome and tif.ome_metadata:
            return _ome_tiff_scale(path, tifffile.xml2dict(tif.ome_metadata))
    return StatedScale()


def hdf5_scale(label: str, attributes: Mapping[str, Any]) -> StatedScale:
    """Read the scale of attributes: `element_size_um` (z, y, x) as Fiji writes them, or `voxel_size_mm`."""
    unit = attributes.get("unit", attributes.get("units"))
    text = unit.decode() if isinstance(unit, bytes) else None if unit is None else str(unit)
    if "element_size_um" in attributes:
        steps = [float(step) for step in attributes["element_size_um"]]
        return StatedScale(cubic_voxel_mm(label, steps, "um"), text)
    size = attributes.get("voxel_size_mm")
    return StatedScale(None if size is None else float(size), text)


def ome_zarr_scale(label: str, multiscale: Mapping[str, Any], index: int) -> StatedScale:
    """Read the scale of a level of an OME-Zarr image (0.4 or 0.5)."""
    axes = multiscale.get("axes", [])
    spatial = [i for i, axis in enumerate(axes) if isinstance(axis, dict) and axis.get("type") == "space"]
    steps = [1.0] * len(axes)
    # a scale for all levels may stand beside that of the level
    for holder in (multiscale["datasets"][index], multiscale):
        for transformation in holder.get("coordinateTransformations", []):
            if transformation.get("type") == "scale" and len(transformation.get("scale", ())) == len(axes):
                steps = [a * float(b) for a, b in zip(steps, transformation["scale"], strict=True)]
    if len(spatial) != 3:
        return StatedScale()
    units = {axes[i].get("unit") for i in spatial}
    return StatedScale(
        cubic_voxel_mm(label, [steps[i] for i in spatial], units.pop() if len(units) == 1 else None)
    )


def _imagej_scale(path: Path, tif: Any) -> StatedScale:
    metadata = tif.imagej_metadata or {}
    tags = tif.pages[0].tags
    unit = _unescaped(str(metadata.get("unit", "")))
    if "XResolution" not in tags or "YResolution" not in tags:
        return StatedScale(None, _unit_in_text(str(metadata.get("Info", ""))))
    across, down = (_per_pixel(tags[name].value) for name in ("XResolution", "YResolution"))
    steps = (float(metadata.get("spacing", across)), down, across)
    return StatedScale(cubic_voxel_mm(str(path), steps, unit), _unit_in_text(str(metadata.get("Info", ""))))


def _ome_tiff_scale(path: Path, metadata: Mapping[str, Any]) -> StatedScale:
    image = metadata.get("OME", {}).get("Image", {})
    image = image[0] if isinstance(image, list) else image
    pixels = image.get("Pixels", {})
    sizes = [pixels.get(f"PhysicalSize{axis}") for axis in "ZYX"]
    unit = _unit_in_text(str(image.get("Description", "")))
    if any(size is None for size in sizes):
        return StatedScale(None, unit)
    # OME's default is the micrometre
    return StatedScale(
        cubic_voxel_mm(str(path), [float(size) for size in sizes], pixels.get("PhysicalSizeXUnit", "um")),
        unit,
    )


def _per_pixel(resolution: tuple[int, int]) -> float:
    """Length of a pixel from a resolution in pixels per length, a fraction."""
    pixels, length = resolution
    return length / pixels if pixels else 0.0


def _unescaped(text: str) -> str:
    r"""ImageJ writes µ as \u00B5."""
    return re.sub(r"\\u([0-9a-fA-F]{4})", lambda match: chr(int(match[1], 16)), text)


def _unit_in_text(text: str) -> str | None:
    """Find the line that `export_volume` leaves: `unit of the values: cm^-1`."""
    match = re.search(r"unit of the values: (\S+)", text)
    return match[1] if match else None
