"""Two bodies in one volume, such as the stack and its casing: do they move alike, and what one says of the other."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deltamu.recon.change.registration import Registration, mask_points
from deltamu.recon.change.registration_information import (
    PARAMETERS,
    displacements,
    parameter_names,
    variances,
)
from deltamu.recon.geometry import RigidTransform

Float = NDArray[np.float64]

# two bodies that were found this much apart may still move alike
AGREEMENT_VOXEL = 0.05
# what streaks and rings add to each of two registrations beyond its stated deviation, seen on simulated cells
_UNSTATED_VOXEL = 0.02
# eigenvalues below this share of the largest belong to parameters that were held
_HELD = 1e-9


@dataclass(frozen=True)
class BodyComparison:
    """How another body's motion departs from the one that counts, apart from a slip along the axis.

    Attributes
    ----------
    max_voxel, axial_voxel : float
        Largest difference of the displacements, and its largest component along z, where they are compared.
    deviation_voxel : float
        Largest standard deviation of that difference.
    slip_mm, slip_deviation_mm : float
        How far the body moved along +z against the other one; NaN where one of them does not tell.
    """

    max_voxel: float
    axial_voxel: float
    deviation_voxel: float
    slip_mm: float
    slip_deviation_mm: float

    @property
    def agree(self) -> bool:
        """Whether chance explains the difference: up to three standard deviations of it."""
        chance = 3 * float(np.hypot(self.deviation_voxel, 2**0.5 * _UNSTATED_VOXEL))
        return self.max_voxel <= max(AGREEMENT_VOXEL, chance)


def compare_bodies(
    body: Registration, other: Registration, *, voxel_size_mm: float, within: Any
) -> BodyComparison:
    """Compare two registrations of one pair of volumes on different parts.

    Parameters
    ----------
    body, other : Registration
    voxel_size_mm : float
    within : (z, y, x) array
        The displacements are compared at the rim of its voxels above 0.

    Returns
    -------
    BodyComparison
    """
    points = mask_points(within) * voxel_size_mm - np.asarray(body.transform.center_mm)
    known = _parallel(_information(body), _information_about(other, body.transform.center_mm))
    difference = _small_motion(body, other)
    along = known[0, 0]
    slip = float(known[0] @ difference / along) if along > 0 else np.nan
    difference[0] -= slip if along > 0 else 0.0
    rest = _without_slip(known)
    moves = displacements(points)
    apart = np.einsum("ijn,j->in", moves, _resolved(rest) @ difference) / voxel_size_mm
    variance = max(float(variances(moves, _inverse(rest)).max()), 0.0)
    return BodyComparison(
        max_voxel=float(np.linalg.norm(apart, axis=0).max()),
        axial_voxel=float(np.abs(apart[0]).max()),
        deviation_voxel=float(np.sqrt(variance)) / voxel_size_mm,
        slip_mm=-slip,
        slip_deviation_mm=float(along**-0.5) if along > 0 else np.nan,
    )


def join_bodies(
    body: Registration, other: Registration, *, voxel_size_mm: float, within: Any
) -> Registration:
    """Improve the registration of a body by one that moves alike but may slip along the axis.

    The mean of both motions, weighted by the inverse of their covariances; the other body has no say in the
    position along z. What the first leaves open, such as the rotation of a featureless cylinder about its
    axis, is taken from the second.

    Parameters
    ----------
    body, other, voxel_size_mm, within
        As for `compare_bodies`; `residual_voxel` of the result refers to `within`.

    Returns
    -------
    Registration
    """
    center = body.transform.center_mm
    own, others = _information(body), _without_slip(_information_about(other, center))
    covariance = _inverse(own + others)
    step = covariance @ others @ _small_motion(body, other)
    small = RigidTransform(_triple(np.degrees(step[3:])), _triple(step[:3]), center)
    points = mask_points(within) * voxel_size_mm - np.asarray(center)
    moves = displacements(points)
    variance = variances(moves, covariance).max()
    units = np.repeat([1.0, 180 / np.pi], 3)
    return replace(
        body,
        transform=body.transform @ small,
        covariance=covariance * np.outer(units, units),
        residual_voxel=float(np.sqrt(variance)) / voxel_size_mm,
        undetermined=_unknown(own + others),
    )


def _small_motion(body: Registration, other: Registration) -> Float:
    """What the other moves before the body's motion to end where it does, (6,): mm and radians."""
    between = body.transform.inverse() @ other.transform.about(body.transform.center_mm)
    return np.array([*between.translation_mm, *np.radians(between.rotation_deg)])


def _information(found: Registration) -> Float:
    """Inverse of the covariance in mm and radians; zero along what was held."""
    units = np.repeat([1.0, np.pi / 180], 3)
    return _inverse(found.covariance * np.outer(units, units))


def _information_about(found: Registration, center_mm: Sequence[float]) -> Float:
    """Write the information on motions about the registration's own centre as one about another."""
    moved = np.asarray(found.transform.center_mm) - np.asarray(center_mm)
    to_own = np.eye(6)
    to_own[:3, 3:] = displacements(moved[None])[:, 3:, 0]
    information: Float = to_own.T @ _information(found) @ to_own
    return information


def _without_slip(information: Float) -> Float:
    """Information that is left when the position along z is of no account."""
    if information[0, 0] <= 0:
        return information
    rest = information - np.outer(information[0], information[0]) / information[0, 0]
    return np.asarray(rest, np.float64)


def _parallel(first: Float, second: Float) -> Float:
    """Information on the difference of two estimates: the inverse of the sum of their covariances."""
    found = first @ _inverse(first + second) @ second
    return np.asarray(0.5 * (found + found.T), np.float64)


def _inverse(matrix: Float) -> Float:
    """Inverse within the directions that are known."""
    return np.asarray(np.linalg.pinv(matrix, rcond=_HELD, hermitian=True), np.float64)


def _resolved(information: Float) -> Float:
    """Projection on to the directions that are known."""
    projection: Float = _inverse(information) @ information
    return projection


def _unknown(information: Float) -> tuple[str, ...]:
    values, vectors = np.linalg.eigh(information)
    names = parameter_names(vectors[:, values <= _HELD * values.max()])
    return tuple(name for name in PARAMETERS if name in names)


def _triple(values: Float) -> tuple[float, float, float]:
    return float(values[0]), float(values[1]), float(values[2])
