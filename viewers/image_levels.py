"""Images of a store as pyramids of lazy arrays."""

from dataclasses import dataclass
from pathlib import Path

from deltamu.recon.errors import InputError
from deltamu.recon.volumes.blocks import block_files, open_stack
from deltamu.recon.volumes.open import count_levels, image_attributes, open_image
from deltamu.viewers.lazy_array import LazyArray


@dataclass(frozen=True, eq=False)
class ImageLevels:
    """An image of deltamu.

    Attributes
    ----------
    levels : tuple of LazyArray
        Finest first.
    voxel_size_mm : float
    unit : str
        Of the values.
    problem : str
        What is missing, a sentence; empty for a whole image.
    """

    levels: tuple[LazyArray, ...]
    voxel_size_mm: float
    unit: str
    problem: str = ""


def open_levels(path: Path) -> ImageLevels:
    """Open every level of an image, whole or not.

    Parts that are missing read as NaN (0 in label images) and are told of in `problem`.

    Raises
    ------
    InputError
        If it is not an image of deltamu, or its description is damaged.
    """
    finest = open_image(path, require_complete=False)
    stamp = (path / "zarr.json").stat().st_mtime_ns
    levels = []
    for level in range(count_levels(path)):
        array = open_stack(path / str(level))
        z, y, x = array.chunk_shape
        levels.append(LazyArray(array, (z, y, x), (str(path), level, stamp)))
    return ImageLevels(tuple(levels), finest.voxel_size_mm, finest.unit, _problem(path, len(levels)))


def _problem(path: Path, levels: int) -> str:
    missing = sum(
        not file.is_file()
        for level in range(levels)
        for array in [open_stack(path / str(level))]
        for slab in range(array.slabs)
        for file in block_files(array, slab)
    )
    name = "/".join(path.parts[-3:])
    if not image_attributes(path).get("complete"):
        return f"{name} is not finished; `deltamu run` continues the run that was writing it"
    if missing:
        return f"{name} lacks {missing} files and is shown without them; `deltamu run` computes them again"
    return ""


def is_image(path: Path) -> bool:
    """Whether a folder is an image of deltamu."""
    try:
        image_attributes(path)
    except InputError:
        return False
    return True
