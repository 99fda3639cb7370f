"""What every frame of a series is compared with: the reference frames, the stack in them, its axis and edges."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from deltamu.recon.errors import InputError
from deltamu.recon.operando.beam_hardening import Linearisation, fit_casing
from deltamu.recon.operando.drift import DriftReference, drift_reference
from deltamu.recon.operando.frame_chain import stream
from deltamu.recon.operando.series import Series
from deltamu.recon.operando.stack_fit import INTERFACE_MM, fit_stack
from deltamu.recon.operando.stack_geometry import StackGeometry
from deltamu.recon.operando.strips import Strips, equal_chord_strips, symmetry_axis
from deltamu.recon.operando.zones import Region, Zone, inert_rows
from deltamu.recon.preprocess.correction import Correction
from deltamu.recon.preprocess.hardening import Hardening

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
    casing_mm : tuple of float
        Outer radii of the shells around the pellet; none where the casing is not to be told from the cell.
    """

    names: tuple[str, ...]
    thickness_mm: tuple[float, ...]
    radius_mm: float
    core_radius_mm: float
    axis_column: float | None = None
    interface_mm: float = INTERFACE_MM
    collimation_mm: float = 0.0
    casing_mm: tuple[float, ...] = ()


@dataclass(frozen=True)
class ProfileNoise:
    """Counting variance of the strip profiles of one frame.

    Attributes
    ----------
    per_signal : (strip, 1) array
        Of one row at dose 1, over the signal. The light that neighbouring rows share makes one row less noisy than
        the limit of large areas.
    row_share : float
        What one row has of that limit.
    background, open_background : float
        Mean background of a frame and of the open beam: it is counted too.
    """

    per_signal: Float
    row_share: float
    background: float
    open_background: float

    def variance(self, profiles: Float, dose: Float | float = 1.0) -> Float:
        """Variance of profiles (..., strip, row) of transmission without background."""
        lit = 1 - self.open_background
        signal = (np.maximum(profiles, 1e-6) * lit + self.background) / lit**2
        return np.asarray(signal * self.per_signal / dose)


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
    noise : ProfileNoise
    linearisation : Linearisation or None
        None where no hardening is undone.
    """

    frames: tuple[int, int]
    transmission: Float32
    dose: float
    geometry: StackGeometry
    drift: DriftReference
    noise: ProfileNoise
    linearisation: Linearisation | None = None

    @property
    def strips(self) -> Strips:
        """Ranges of columns."""
        return self.geometry.strips

    def linear_profiles(self, profiles: Float, variance: Float) -> tuple[Float, Float]:
        """Profiles (..., strip, row) without hardening, and what becomes of their variance."""
        if self.linearisation is None:
            return profiles, variance
        casing = self.linearisation.strips(self.strips.weights(self.transmission.shape[1]))
        linear, growth = self.linearisation.apply(profiles, casing)
        return linear, growth**2 * variance

    def linear_frame(self, transmission: Float) -> tuple[Float, Float]:
        """Mean of frames (row, column) without hardening, and by what its relative error grows."""
        if self.linearisation is None:
            return transmission, np.ones((1, 1))
        linear, growth = self.linearisation.apply(transmission, self.linearisation.casing)
        return linear, growth * transmission / np.maximum(linear, 1e-9)


def find_reference(
    series: Series,
    correction: Correction,
    stack: Stack,
    *,
    frames: tuple[int, int],
    zones: tuple[Zone, ...] = (),
    regions: tuple[Region, ...] = (),
    hardening: Hardening | None = None,
) -> SeriesReference:
    """Average the reference frames and find the cell in them, after the hardening of the beam is undone.

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
    linearisation = _linearisation(mean, stack, axis, series.pixel_size_mm, hardening)
    weights = strips.weights(mean.shape[1])
    noise = profile_noise(weights, correction)
    profiles = np.asarray(mean.astype(np.float64) @ weights.astype(np.float64)).T
    variance = noise.variance(profiles, dose * (stop - first))
    if linearisation is not None:
        profiles, growth = linearisation.apply(profiles, linearisation.strips(weights))
        variance = growth**2 * variance
    geometry = fit_stack(
        profiles, np.sqrt(variance), strips, names=stack.names, thickness_mm=stack.thickness_mm,
        radius_mm=stack.radius_mm, core_radius_mm=stack.core_radius_mm, interface_mm=stack.interface_mm,
        collimation_mm=stack.collimation_mm,
    )  # fmt: skip
    pellet = _columns_of(axis, 0.9 * stack.core_radius_mm / series.pixel_size_mm, mean.shape[1])
    counts = float(np.median(correction.flat)) / correction.noise.adu_per_count * dose
    inert = inert_rows(geometry, zones, margin_px=_MARGIN_MM / series.pixel_size_mm)
    drift = drift_reference(mean, pellet=pellet, inert_rows=inert, counts=counts)
    return SeriesReference(frames, mean, dose, geometry, drift, noise, linearisation)


def _linearisation(
    mean: Float32, stack: Stack, axis: float, pixel_size_mm: float, hardening: Hardening | None
) -> Linearisation | None:
    if hardening is None:
        return None
    if not stack.casing_mm:
        return Linearisation(hardening, np.zeros(mean.shape[1]))
    casing = fit_casing(
        mean, radius_mm=stack.radius_mm, shells_mm=stack.casing_mm, axis_px=axis, pixel_size_mm=pixel_size_mm
    )
    return Linearisation(hardening, casing)


def profile_noise(weights: Float32, correction: Correction) -> ProfileNoise:
    """Noise of means over strips of columns, (column, strip) weights."""
    kernel = correction.noise.autocorrelation
    same_row = float(kernel[kernel.shape[0] // 2].sum())
    beam = float(np.median(correction.flat)) / correction.noise.adu_per_count
    pixels = 1 / np.sum(weights.astype(np.float64) ** 2, axis=0)
    behind = [float(np.mean(level)) for level in (correction.background_of(0), correction.open_background)]
    return ProfileNoise(same_row / beam / pixels[:, None], same_row, *behind)


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
