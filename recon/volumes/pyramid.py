"""The pyramid of an image: how high the slabs are, how many levels, and how a level becomes the next."""

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Reduction = Literal["mean", "mode"]

CHUNK_ROWS = 32
CHUNK_SIDE = 128
SHARD_SIDE = 512
_COARSEST_SLAB = 4


def storage_slab(rows: int) -> int:
    """Rows of an image that are written at a time; a property of the file, never of the computer.

    Parameters
    ----------
    rows : int
        Rows (z) of the image.

    Returns
    -------
    int
        64 from 1024 rows, 32 from 128, 16 from 64, 8 below (4 for at most 4 rows).
    """
    if rows < 1:
        raise ValueError(f"rows: found {rows}, expected at least 1")
    for least, slab in ((1024, 64), (128, 32), (64, 16), (5, 8)):
        if rows >= least:
            return slab
    return _COARSEST_SLAB


def level_count(slab: int) -> int:
    """Levels of the pyramid: a slab keeps at least 4 rows on the coarsest, so it never shares a file."""
    if slab < _COARSEST_SLAB or slab & (slab - 1):
        raise ValueError(f"slab: found {slab} rows, expected a power of two, at least {_COARSEST_SLAB}")
    return slab.bit_length() - _COARSEST_SLAB.bit_length() + 1


def level_shape(shape: tuple[int, int, int], level: int) -> tuple[int, int, int]:
    """Shape of a level: halved `level` times, rounded up, so that no voxel at an edge is lost."""
    z, y, x = (-(-n // 2**level) for n in shape)
    return z, y, x


def level_chunks(shape: tuple[int, int, int], slab: int, level: int) -> tuple[int, int, int]:
    """(z, y, x) voxels that are read together on a level."""
    _, y, x = level_shape(shape, level)
    return min(CHUNK_ROWS, slab >> level), min(CHUNK_SIDE, y), min(CHUNK_SIDE, x)


def level_shards(shape: tuple[int, int, int], slab: int, level: int) -> tuple[int, int, int]:
    """(z, y, x) voxels of one file on a level: as high as the slab, whole chunks wide."""
    _, y, x = level_shape(shape, level)
    _, chunk_y, chunk_x = level_chunks(shape, slab, level)
    return slab >> level, _whole_chunks(y, chunk_y), _whole_chunks(x, chunk_x)


def level_scale_mm(voxel_size_mm: float, level: int) -> float:
    """Voxel size on a level."""
    return float(voxel_size_mm * 2**level)


def level_origin_mm(voxel_size_mm: float, level: int) -> float:
    """Where the centre of voxel 0 of a level is: in the middle of the 2^level voxels it stands for."""
    return float(voxel_size_mm * (2**level - 1) / 2)


def halve(image: NDArray[Any], reduction: Reduction) -> NDArray[Any]:
    """Make the next coarser level of an image.

    Parameters
    ----------
    image : (z, y, x) array
    reduction : {"mean", "mode"}
        "mean" averages the voxels of each 2×2×2 block that exist (at an odd edge there are fewer) and are
        not NaN. "mode" takes the most frequent value, on a tie the largest, so that a thin layer wins over
        the background 0: labels must not be averaged.

    Returns
    -------
    (ceil(z/2), ceil(y/2), ceil(x/2)) array of the same type
    """
    halved = np.empty(level_shape((image.shape[0], image.shape[1], image.shape[2]), 1), image.dtype)
    # a pair of planes at a time: temporaries stay in the processor's cache and small
    for z in range(halved.shape[0]):
        planes = image[2 * z : 2 * z + 2]
        halved[z] = _mean_of_blocks(planes) if reduction == "mean" else _mode_of_blocks(planes)
    return halved


def _whole_chunks(length: int, chunk: int) -> int:
    return min(SHARD_SIDE // chunk * chunk, -(-length // chunk) * chunk)


def _mean_of_blocks(planes: NDArray[Any]) -> NDArray[Any]:
    if planes.dtype.kind in "iu":
        return np.asarray(np.rint(_mean_of_blocks(planes.astype(np.float32))))
    total = _sum_of_blocks(planes)
    if not np.isnan(total.sum()):
        return np.asarray(total / _voxels_in_blocks(planes.shape))
    present = ~np.isnan(planes)
    count = _sum_of_blocks(present.astype(total.dtype))
    total = _sum_of_blocks(np.where(present, planes, 0))
    return np.asarray(np.divide(total, count, out=np.full_like(total, np.nan), where=count > 0))


def _mode_of_blocks(planes: NDArray[Any]) -> NDArray[Any]:
    winner = np.zeros(level_shape((1, planes.shape[1], planes.shape[2]), 1)[1:], planes.dtype)
    votes = np.zeros(winner.shape, np.uint8)
    for label in np.unique(planes):
        for_label = _sum_of_blocks((planes == label).view(np.uint8))
        wins = for_label >= votes
        winner[wins & (for_label > 0)] = label
        votes = np.maximum(votes, for_label)
    return winner


def _sum_of_blocks(planes: NDArray[Any]) -> NDArray[Any]:
    """Sum over z (one or two planes) and over pairs along y and x; the last of an odd number stands alone."""
    total = planes[0] + planes[1] if planes.shape[0] == 2 else planes[0]
    rows = total[0::2].copy()
    rows[: total.shape[0] // 2] += total[1::2]
    columns = rows[:, 0::2].copy()
    columns[:, : total.shape[1] // 2] += rows[:, 1::2]
    return np.asarray(columns)


def _voxels_in_blocks(shape: tuple[int, ...]) -> NDArray[np.float32]:
    per_axis = [_voxels_in_pairs(n) for n in shape[1:]]
    return np.asarray(shape[0] * np.multiply.outer(*per_axis), np.float32)


def _voxels_in_pairs(length: int) -> NDArray[np.float32]:
    count = np.full(-(-length // 2), 2, np.float32)
    count[length // 2 :] = 1
    return count
