"""The layer of a single volume, by deltamu or by another program."""

from pathlib import Path

from deltamu.recon.errors import InputError
from deltamu.recon.volumes.read import read_volume
from deltamu.recon.volumes.volume import Volume
from deltamu.viewers.image_levels import open_levels
from deltamu.viewers.layer import DIVERGING, GREY, Layer, Opened
from deltamu.viewers.lazy_array import LazyArray
from deltamu.viewers.limits import grey_limits, symmetric_limits

ROWS_TOGETHER = 1


def image_layers(path: Path) -> Opened:
    """Describe one image of deltamu."""
    image = open_levels(path)
    name = (
        " ".join(path.parts[-2:])
        if path.name in ("attenuation", "delta_mu", "z_score", "sigma")
        else path.stem
    )
    signed = path.name in ("delta_mu", "z_score")
    labels = image.levels[0].dtype.kind in "iu"
    limits = symmetric_limits([image.levels]) if signed else grey_limits(image.levels)
    layer = Layer(
        name=name, kind="labels" if labels else "image", levels=image.levels, scale=(image.voxel_size_mm,) * 3,
        translate=(0.0,) * 3, units=("mm",) * 3, axes=("z", "y", "x"), role="volume", subject=name,
        value_unit=image.unit, colors=DIVERGING if signed else GREY, limits=None if labels else limits,
        source=str(path),
    )  # fmt: skip
    return Opened(name, (layer,), (image.problem,) if image.problem else ())


def volume_layers(path: Path) -> Opened:
    """Describe a volume of another program; what the file does not state is assumed, and said.

    Raises
    ------
    InputError
        If nothing readable is there.
    """
    volume, notes = _open(path)
    z, y, x = volume.shape
    levels = (LazyArray(volume, (min(z, ROWS_TOGETHER), y, x), (str(path), path.stat().st_mtime_ns)),)
    unit = "pixel" if any("voxel size" in note for note in notes) else "mm"
    layer = Layer(
        name=volume.name, kind="image", levels=levels, scale=(volume.voxel_size_mm,) * 3, translate=volume.origin_mm,
        units=(unit,) * 3, axes=("z", "y", "x"), role="volume", subject=volume.name, value_unit=volume.unit,
        limits=_limits(volume), source=str(path),
    )  # fmt: skip
    return Opened(volume.name, (layer,), (*volume.notes, *notes))


def _open(path: Path) -> tuple[Volume, list[str]]:
    """Open a volume, first as the file states it, then with what it leaves out assumed."""
    assumptions: tuple[tuple[dict[str, object], list[str]], ...] = (
        ({}, []),
        ({"unit": "1"}, [f"{path.name} does not state the unit of its values"]),
        ({"unit": "1", "voxel_size_mm": 1.0}, [f"{path.name} states neither unit nor voxel size; lengths are in voxels"]),
    )  # fmt: skip
    for given, notes in assumptions[:-1]:
        try:
            return read_volume(path, allow_nan=True, **given), notes  # type: ignore[arg-type]
        except InputError:
            continue
    given, notes = assumptions[-1]
    return read_volume(path, allow_nan=True, **given), notes  # type: ignore[arg-type]


def _limits(volume: Volume) -> tuple[float, float]:
    return grey_limits((volume[volume.shape[0] // 2 : volume.shape[0] // 2 + 1],))
