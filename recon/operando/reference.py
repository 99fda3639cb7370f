"""What every frame of a series is compared with: the reference frames, the stack in them, its axis and edges."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from deltamu.recon.errors import InputError
from deltamu.recon.operando.drift import DriftReference, drift_reference
from deltamu.recon.operando.frame_chain import stream
from deltamu.recon.operando.series import Series
from deltamu.recon.operando.stack_fit import INTERFACE_MM, fit_stack
from deltamu.recon.operando.stack_geometry import StackGeometry
from deltamu.recon.operando.strips import Strips, equal_chord_strips, symmetry_axis
from deltamu.recon.operando.zones import Region, Zone, inert_rows
from deltamu.recon.preprocess.correction import Correction

Float32 = NDArray[np.float32]
Float = NDArray[np.float64]
# strips reach so far beyond the pellet, and inert rows stay so far from what changes: three times the blur of 40 µm
_MARGIN_MM = 0.1


@dataclass(frozen=True)
class Stack:
    """The cell as assembled.

    Attributes
    ----------
    names, thickness_mm : tuples
        Layers along the rows.
    radius_mm, core_radius_mm : float
        Of the pellet, and of its narrowest layer.
    axis_column : float or None
        Found by symmetry when not given.
    interface_mm : float
        Largest spread of an interface along the beam.
    collimation_mm : float
        Diameter of the geometric blur.
    """

    names: tuple[str, ...]
    thickness_mm: tuple[float, ...]
    radius_mm: float
    core_radius_mm: float
    axis_column: float | None = None
    interface_mm: float = INTERFACE_MM
    collimation_mm: float = 0.0


@dataclass(frozen=True)
class SeriesReference:
    """The reference of a series.

    Attributes
    ----------
    frames : (first, stop)
    transmission : (row, column) array
        Mean of these frames.
    dose : float
        Their mean beam.
    geometry : StackGeometry
    drift : DriftReference
    """

    frames: tuple[int, int]
    transmission: Float32
    dose: float
    geometry: StackGeometry
    drift: DriftReference

    @property
    def strips(self) -> Strips:
        """Ranges of columns."""
        return self.geometry.strips


def find_reference(
    series: Series,
    correction: Correction,
    stack: Stack,
    *,
    frames: tuple[int, int],
    zones: tuple[Zone, ...] = (),
    regions: tuple[Region, ...] = (),
) -> SeriesReference:
    """Average the reference frames and find the cell in them.

    Raises
    ------
    InputError
        If the series has no such frames, or the stack is not found.
    """
    first, stop = frames
    if stop > series.shape[0]:
        raise InputError(
            f"reference_frames: found [{first}, {stop}], the series has {series.shape[0]} frames; expected fewer"
        )
    mean, dose = _mean_frame(series, correction, first, stop)
    axis = symmetry_axis(mean) if stack.axis_column is None else stack.axis_column
    strips = equal_chord_strips(
        radius_mm=stack.radius_mm, margin_mm=_MARGIN_MM, axis_px=axis, pixel_size_mm=series.pixel_size_mm,
        columns=mean.shape[1],
        borders_mm=(-stack.core_radius_mm, stack.core_radius_mm, *(b for region in regions for b in region.borders_mm)),
    )  # fmt: skip
    weights = strips.weights(mean.shape[1])
    profiles = np.asarray(mean.astype(np.float64) @ weights.astype(np.float64)).T
    variance = profile_variance(profiles, weights, correction, dose) / (stop - first)
    geometry = fit_stack(
        profiles, np.sqrt(variance), strips, names=stack.names, thickness_mm=stack.thickness_mm,
        radius_mm=stack.radius_mm, core_radius_mm=stack.core_radius_mm, interface_mm=stack.interface_mm,
        collimation_mm=stack.collimation_mm,
    )  # fmt: skip
    pellet = _columns_of(axis, 0.9 * stack.core_radius_mm / series.pixel_size_mm, mean.shape[1])
    counts = float(np.median(correction.flat)) / correction.noise.adu_per_count * dose
    inert = inert_rows(geometry, zones, margin_px=_MARGIN_MM / series.pixel_size_mm)
    drift = drift_reference(mean, pellet=pellet, inert_rows=inert, counts=counts)
    return SeriesReference(frames, mean, dose, geometry, drift)


def profile_variance(profiles: Float, weights: Float32, correction: Correction, dose: float) -> Float:
    """Counting variance of a row of strip profiles (strip, row) of one frame.

    The light that neighbouring rows share makes one row less noisy than the limit of large areas.
    """
    kernel = correction.noise.autocorrelation
    same_row = float(kernel[kernel.shape[0] // 2].sum())
    beam = float(np.median(correction.flat)) * dose / correction.noise.adu_per_count
    pixels = 1 / np.sum(weights.astype(np.float64) ** 2, axis=0)
    return np.asarray(np.maximum(profiles, 1e-6) * same_row / beam / pixels[:, None])


def _mean_frame(series: Series, correction: Correction, first: int, stop: int) -> tuple[Float32, float]:
    total, dose = np.zeros(series.shape[1:], np.float64), 0.0
    for block in stream(
        series, correction, lambda frame: (frame.transmission, frame.dose), start=first, stop=stop
    ):
        for transmission, beam in block:
            total += transmission
            dose += beam
    return (total / (stop - first)).astype(np.float32), dose / (stop - first)


def _columns_of(axis: float, reach: float, columns: int) -> slice:
    return slice(max(int(np.ceil(axis - reach)), 0), min(int(axis + reach) + 1, columns))
