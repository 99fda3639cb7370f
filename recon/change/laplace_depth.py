"""Depth between any two surfaces of a layer, bent, wrinkled or rolled, by Laplace's equation.

The potential is 0 on the near surface, 1 on the far one and harmonic between them; depth is the length of the
field line from the near surface. For a flat layer both are the plain distance.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage, sparse
from scipy.sparse.linalg import cg

from deltamu.recon.errors import InputError

Float = NDArray[np.float64]
Volume = NDArray[np.float32]
# labels are smoothed by this many voxels before the half-way level is taken for the surface: more smooths the steps of
# whole voxels better, and moves a surface of radius r inwards by half its square over r
SMOOTHING_VOXELS = 0.7
# a surface nearer to a voxel than this part of the spacing is taken to be at this part, to keep the matrix bounded
LEAST_ARM = 0.05
CG_TOLERANCE = 1e-6
STEP_VOXELS = 0.5
# a field line this long has lost its way in a closed corner; its depth is NaN
LONGEST_LINE_VOXELS = 2000.0
# beyond the border of the image
NO_LABEL = np.iinfo(np.int64).min


@dataclass(frozen=True, eq=False)
class LaplaceDepth:
    """Depth coordinate of a layer.

    Attributes
    ----------
    depth_mm : (z, y, x) float32 array
        Length of the field line from the near surface; NaN outside the layer.
    thickness_mm : (z, y, x) float32 array
        Length of the whole field line through the voxel; NaN outside.
    potential : (z, y, x) float32 array
        0 at the near, 1 at the far surface; NaN outside.
    normal : (3, z, y, x) float32 array
        Unit vector (z, y, x) from near to far; NaN outside.
    """

    depth_mm: Volume
    thickness_mm: Volume
    potential: Volume
    normal: Volume


def laplace_depth(
    labels: NDArray[np.integer[Any]], *, layer: int, near: int, far: int, voxel_size_mm: float
) -> LaplaceDepth:
    """Measure depth through a layer of a label image along the field lines between its two surfaces.

    Parameters
    ----------
    labels : (z, y, x) integer array
        Label image.
    layer, near, far : int
        Labels of the layer and of what lies before and behind it. Where the layer touches anything else, or
        the border of the image, field lines run along that face.
    voxel_size_mm : float

    Returns
    -------
    LaplaceDepth

    Raises
    ------
    InputError
        If the image is not three-dimensional, a label is missing, or the layer does not touch `near` and `far`.

    Notes
    -----
    Surfaces lie where the smoothed labels of the two sides are equal, between the voxels. Boundary values are
    imposed there by the symmetric scheme of Gibou et al. (2002), the field lines followed by the midpoint rule.
    Memory: about 200 bytes per voxel of the layer and 60 per voxel of its bounding box.

    References
    ----------
    Jones, Buchbinder, Aharon, Human Brain Mapping 11 (2000) 12: Laplace's equation for thickness.
    Gibou, Fedkiw, Cheng, Kang, J. Comput. Phys. 176 (2002) 205: boundary values between grid points.
    """
    _check(labels, layer, near, far, voxel_size_mm)
    box = _bounding_box(labels == layer, margin=4)
    inside = labels[box] == layer
    sides = _sides(labels[box].astype(np.int64), layer, near, far)
    potential = _solve(inside, sides)
    field = _field(potential, inside, sides)
    start = np.array(np.nonzero(inside), np.float64)
    below, above = (_follow(field, start, direction) for direction in (-1.0, 1.0))
    normal = field.normal_at(start)

    def place(values: Float) -> Volume:
        whole = np.full((*values.shape[:-1], *labels.shape), np.nan, np.float32)
        whole[..., labels == layer] = values
        return whole

    return LaplaceDepth(
        place(below * voxel_size_mm), place((below + above) * voxel_size_mm), place(potential), place(normal)
    )


@dataclass(frozen=True, eq=False)
class _Side:
    """One face direction of the layer's voxels: which neighbour lies there, and how far its surface is.

    Attributes
    ----------
    inner : (n,) bool
        The neighbour is in the layer.
    near, far : (n,) float64
        Distance to the near or far surface in voxels, 0 where there is none on this side.
    """

    axis: int
    step: int
    inner: NDArray[np.bool_]
    near: Float
    far: Float


def _check(labels: NDArray[np.integer[Any]], layer: int, near: int, far: int, voxel_size_mm: float) -> None:
    if labels.ndim != 3 or not np.issubdtype(labels.dtype, np.integer):
        raise InputError(
            f"labels: found {labels.ndim} dimensions of {labels.dtype}, expected (z, y, x) whole numbers"
        )
    if not (np.isfinite(voxel_size_mm) and voxel_size_mm > 0):
        raise InputError(f"voxel_size_mm: found {voxel_size_mm}, expected a positive number")
    if len({layer, near, far}) != 3:
        raise InputError(f"labels: layer {layer}, near {near} and far {far} must be three different labels")
    inside = labels == layer
    if not inside.any():
        raise InputError(f"labels: no voxel has the label {layer} of the layer")
    around = ndimage.binary_dilation(inside)
    for name, label in (("near", near), ("far", far)):
        if not np.any(around & (labels == label)):
            raise InputError(f"labels: layer {layer} nowhere touches {name} label {label}; check the labels")


def _bounding_box(inside: NDArray[np.bool_], *, margin: int) -> tuple[slice, ...]:
    found = ndimage.find_objects(inside.astype(np.uint8))[0]
    return tuple(
        slice(max(part.start - margin, 0), min(part.stop + margin, size))
        for part, size in zip(found, inside.shape, strict=True)
    )


def _solve(inside: NDArray[np.bool_], sides: list[_Side]) -> Float:
    """Potential of every voxel of the layer."""
    index = np.full(inside.shape, -1, np.int64)
    index[inside] = np.arange(np.count_nonzero(inside))
    diagonal = np.sum([side.inner + _inverse(side.near) + _inverse(side.far) for side in sides], axis=0)
    source = np.sum([_inverse(side.far) for side in sides], axis=0)
    loose = diagonal == 0
    matrix = _neighbour_matrix(index, inside, sides) + sparse.diags(np.where(loose, 1.0, diagonal))
    scale = sparse.diags(1 / matrix.diagonal())
    start = np.full(source.shape, 0.5)
    potential, failed = cg(matrix, source, x0=start, rtol=CG_TOLERANCE, maxiter=20_000, M=scale)
    if failed:
        raise InputError(
            "labels: Laplace's equation did not converge; does every part of the layer touch near or far?"
        )
    return np.asarray(np.clip(potential, 0.0, 1.0))


def _neighbour_matrix(
    index: NDArray[np.int64], inside: NDArray[np.bool_], sides: list[_Side]
) -> sparse.csr_matrix:
    own = index[inside]
    rows = [own[side.inner] for side in sides]
    columns = [_shifted(index, side)[inside][side.inner] for side in sides]
    values = np.full(sum(map(len, rows)), -1.0)
    size = len(own)
    return sparse.csr_matrix((values, (np.concatenate(rows), np.concatenate(columns))), shape=(size, size))


def _sides(labels: NDArray[np.integer[Any]], layer: int, near: int, far: int) -> list[_Side]:
    inside = labels == layer
    level_near, level_far = (_level(labels, layer, other) for other in (near, far))
    found = []
    for axis in range(3):
        for step in (-1, 1):
            bare = _Side(axis, step, np.empty(0, bool), np.empty(0), np.empty(0))
            beside = _shifted(labels, bare, fill=NO_LABEL)[inside]
            arms = [
                np.where(beside == other, _arm(level, bare, inside), 0.0)
                for other, level in ((near, level_near), (far, level_far))
            ]
            found.append(_Side(axis, step, beside == layer, *arms))
    return found


def _level(labels: NDArray[np.integer[Any]], layer: int, other: int) -> Volume:
    """Positive on the side of the layer, negative on the other's, 0 on the surface between them."""
    difference = (labels == layer).astype(np.float32) - (labels == other)
    return np.asarray(ndimage.gaussian_filter(difference, SMOOTHING_VOXELS, mode="nearest"), np.float32)


def _arm(level: Volume, side: _Side, inside: NDArray[np.bool_]) -> Float:
    """Distance in voxels at which the level reaches 0 on the way to the neighbour."""
    here = level[inside].astype(np.float64)
    there = _shifted(level, side)[inside].astype(np.float64)
    fall = here - there
    arm = np.divide(here, fall, out=np.full(here.shape, 0.5), where=fall > 0)
    result: Float = np.clip(arm, LEAST_ARM, 1.5)
    return result


def _shifted(values: NDArray[Any], side: _Side, fill: float = 0) -> NDArray[Any]:
    """Value of the neighbour on a side."""
    moved = np.full_like(values, fill)
    take, put = [slice(None)] * 3, [slice(None)] * 3
    take[side.axis], put[side.axis] = (slice(1, None), slice(None, -1))[:: side.step]
    moved[tuple(put)] = values[tuple(take)]
    return moved


def _inverse(arm: Float) -> Float:
    return np.divide(1.0, arm, out=np.zeros_like(arm), where=arm > 0)


def _gradient(potential: Float, grid: Float, inside: NDArray[np.bool_], sides: list[_Side]) -> Float:
    """Slope along each axis (3, n): through the surface where one is near, one-sided at other faces."""
    slopes = np.zeros((3, potential.size))
    for axis in range(3):
        low, high = (s for s in sides if s.axis == axis)
        (reach_low, value_low), (reach_high, value_high) = (
            _next_value(potential, grid, inside, side) for side in (low, high)
        )
        reach = reach_low + reach_high
        slopes[axis] = np.divide(value_high - value_low, reach, out=np.zeros_like(reach), where=reach > 0)
    return slopes


def _next_value(potential: Float, grid: Float, inside: NDArray[np.bool_], side: _Side) -> tuple[Float, Float]:
    """Distance to the next known value on a side, and that value; at a closed face the own value at 0."""
    value = np.where(side.inner, _shifted(grid, side)[inside], potential)
    value = np.where(side.near > 0, 0.0, np.where(side.far > 0, 1.0, value))
    return side.inner + side.near + side.far, value


@dataclass(frozen=True, eq=False)
class _Field:
    """Potential and unit gradient on the grid, extended beyond the layer so that lines can end at its surface."""

    potential: Volume
    normal: Volume

    def potential_at(self, points: Float) -> Float:
        """Interpolate the potential at points (3, n) in voxels."""
        return np.asarray(
            ndimage.map_coordinates(self.potential, points, order=1, mode="nearest"), np.float64
        )

    def normal_at(self, points: Float) -> Float:
        """Interpolate the direction at points and make it a unit vector again."""
        found = np.stack(
            [ndimage.map_coordinates(part, points, order=1, mode="nearest") for part in self.normal]
        ).astype(np.float64)
        result: Float = found / np.maximum(np.linalg.norm(found, axis=0), np.finfo(np.float32).tiny)
        return result


def _field(potential: Float, inside: NDArray[np.bool_], sides: list[_Side]) -> _Field:
    """Extend potential and direction from the nearest voxel of the layer, the potential by its slope."""
    grid = np.zeros(inside.shape)
    grid[inside] = potential
    slopes = np.zeros((3, *inside.shape))
    slopes[:, inside] = _gradient(potential, grid, inside, sides)
    nearest = ndimage.distance_transform_edt(~inside, return_distances=False, return_indices=True)
    slopes = slopes[(slice(None), *nearest)]
    away = np.indices(inside.shape) - nearest
    extended = grid[tuple(nearest)] + np.sum(slopes * away, axis=0)
    size = np.linalg.norm(slopes, axis=0)
    normal = slopes / np.maximum(size, np.finfo(np.float32).tiny)
    return _Field(extended.astype(np.float32), normal.astype(np.float32))


def _follow(field: _Field, start: Float, direction: float) -> Float:
    """Length of the field line from every point to the surface in a direction; midpoint rule."""
    length = np.zeros(start.shape[1])
    point, active = start.copy(), np.arange(start.shape[1])
    goal = 0.0 if direction < 0 else 1.0
    value = field.potential_at(point)
    while active.size:
        here = point[:, active]
        half = here + 0.5 * direction * STEP_VOXELS * field.normal_at(here)
        there = here + direction * STEP_VOXELS * field.normal_at(half)
        reached = field.potential_at(there)
        gained, left = np.abs(reached - value[active]), np.abs(goal - value[active])
        arrived = (reached - goal) * direction >= 0
        part = np.divide(left, gained, out=np.ones_like(left), where=arrived & (gained > 0))
        length[active] += STEP_VOXELS * np.where(arrived, np.clip(part, 0, 1), 1.0)
        point[:, active], value[active] = there, reached
        lost = length[active] >= LONGEST_LINE_VOXELS
        length[active[lost]] = np.nan
        active = active[~(arrived | lost)]
    return length
