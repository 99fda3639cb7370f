"""Weights of rays that are measured more than once, or of which only some are: short scans, offset detectors."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

from deltamu.recon.errors import InputError
from deltamu.recon.scan_geometry import ScanGeometry

Float = NDArray[np.float64]
FULL_TURN = 2 * np.pi
# the largest gap between the views of a full turn, in parts of their mean spacing
GAP_STEPS = 5.0


def offset_weights(places: ArrayLike, edges: tuple[float, float]) -> Float:
    """Weights of pixels where the detector stands to one side of the axis and the views make a full turn.

    What lies within reach of both sides is seen twice, half a turn apart, and the two weights add up to 2; what
    only the wide side sees counts twice. The sine between them starts and ends without a step, so that the
    filtering of a view does not see where the detector ends.

    Parameters
    ----------
    places : array
        Of the pixels, signed, from the axis: distances for parallel rays, fan angles for those of a cone.
    edges : (first, last)
        Places of the outer edges of the detector, in the same unit.

    Returns
    -------
    float64 array of the shape of `places`
        0 to 2.

    Raises
    ------
    InputError
        If the axis is not seen.

    References
    ----------
    P. S. Cho, R. H. Johnson, T. W. Griffin, "Cone-beam CT for radiotherapy applications", Physics in Medicine
    and Biology 40 (1995) 1863; G. Wang, "X-ray micro-CT with a displaced detector array", Medical Physics 29
    (2002) 1634.
    """
    low, high = sorted(edges)
    overlap = min(-low, high)
    if not overlap > 0:
        raise InputError(
            f"offset_detector: the detector reaches from {low:g} to {high:g}, the axis at 0 is not seen; "
            "expected it on the detector"
        )
    wide = 1 if high >= -low else -1
    return np.asarray(1 + np.sin(np.pi / 2 * np.clip(wide * np.asarray(places) / overlap, -1, 1)))


@dataclass(frozen=True, eq=False)
class OffsetDetector:
    """Weights of the pixels of parallel views that an offset detector took in a full turn.

    Attributes
    ----------
    geometry : ScanGeometry
        Parallel beam.
    slopes : (view,) array
        Rows per column along the perpendicular of the axis, see `orbit.Orbit`.
    """

    geometry: ScanGeometry
    slopes: Float

    def __call__(self, chosen: NDArray[np.intp]) -> NDArray[np.float32]:
        """(view, row, column) weights of the chosen views."""
        rows, columns = (np.arange(n, dtype=np.float64) for n in self.geometry.detector_shape)
        return offset_weights(self._places(chosen, rows, columns), self._edges).astype(np.float32)

    def _places(self, chosen: NDArray[np.intp], rows: Float, columns: Float) -> Float:
        """Distances from the axis, columns."""
        column, row = self._axis_seen[chosen].T[:, :, None, None]
        slope = self.slopes[chosen, None, None]
        return np.asarray((columns - column + slope * (rows[:, None] - row)) / np.hypot(1, slope))

    @cached_property
    def _edges(self) -> tuple[float, float]:
        """Distances of the detector's edges where they are closest to the axis."""
        ends = [np.array([-0.5, n - 0.5]) for n in self.geometry.detector_shape]
        places = self._places(np.arange(len(self.geometry)), *ends)
        return float(places[..., 0].max()), float(places[..., 1].min())

    @cached_property
    def _axis_seen(self) -> Float:
        """(view, 2) where a point of the axis is seen: one that stays in the same column, as far as one does."""
        column = self.geometry.matrices[:, 0]
        unknown = np.column_stack([column[:, :3], -np.ones(len(column))])
        point = np.linalg.lstsq(unknown, -column[:, 3], rcond=None)[0][:3]
        return np.asarray(self.geometry.see(point[::-1]))


def short_scan_weights(angles: ArrayLike, fan_angles: ArrayLike, arc: float) -> Float:
    """Weights of the rays of a fan over less than a full turn: those of the two views of a line add up to 1.

    Parameters
    ----------
    angles : array
        Of the views, 0 to `arc`.
    fan_angles : array
        Of the rays, in the sense in which the angles count; broadcast against `angles`.
    arc : float
        What the views span, pi plus twice the largest fan angle or more.

    Returns
    -------
    float64 array

    Notes
    -----
    D. L. Parker, "Optimal short scan convolution reconstruction for fanbeam CT", Medical Physics 9 (1982) 254. An
    arc that is longer than it needs to be counts as that of a wider fan: M. D. Silver, "A method for including
    redundant data in computed tomography", Medical Physics 27 (2000) 773.
    """
    reach = (arc - np.pi) / 2
    beta, gamma = np.broadcast_arrays(np.asarray(angles, np.float64), np.asarray(fan_angles, np.float64))
    # a fan angle at the very end of the reach would divide nothing by nothing
    rising = np.maximum(reach - gamma, 1e-12)
    falling = np.maximum(reach + gamma, 1e-12)
    begin = np.clip(beta / (2 * rising), 0, 1)
    end = np.clip((arc - beta) / (2 * falling), 0, 1)
    return np.asarray(np.sin(np.pi / 2 * begin) ** 2 * np.sin(np.pi / 2 * end) ** 2)


def scanned_arc(angles: ArrayLike) -> tuple[Float, float]:
    """Angles counted from the first view after the largest gap, and what they span.

    Returns
    -------
    (angle,) float64 array, float
        The arc is `FULL_TURN` where no gap stands out from the spacing of the views.
    """
    theta = np.mod(np.asarray(angles, np.float64), FULL_TURN)
    ordered = np.unique(np.round(theta, 9))
    gaps = np.diff(np.append(ordered, ordered[0] + FULL_TURN))
    widest = int(np.argmax(gaps))
    first = ordered[(widest + 1) % ordered.size]
    counted = np.mod(theta - first + 1e-9, FULL_TURN) - 1e-9
    if gaps[widest] <= GAP_STEPS * FULL_TURN / ordered.size:
        return counted, FULL_TURN
    return counted, float(FULL_TURN - gaps[widest])


def check_full_turn(angles: ArrayLike) -> None:
    """Raise InputError unless the views go all the way round."""
    _, arc = scanned_arc(angles)
    if arc < FULL_TURN:
        raise InputError(
            f"angles: found views over {np.degrees(arc):.1f} degrees; a detector beside the axis (offset_detector) "
            "needs those of a full turn"
        )
