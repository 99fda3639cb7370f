"""From raw frames to line integrals: what is known about the detector, and its use on a block of frames."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from deltamu.kernels.backend import array_module, thread_count, to_host
from deltamu.kernels.spots import fill_flagged, find_spots
from deltamu.recon.errors import InputError
from deltamu.recon.preprocess.bad_pixels import PixelRepair, plan_repair
from deltamu.recon.preprocess.dose import Columns, air_dose
from deltamu.recon.preprocess.flat_drift import FlatDrift
from deltamu.recon.preprocess.line_spread import LineSpreadTail, remove_tail
from deltamu.recon.preprocess.noise import NoiseModel
from deltamu.recon.preprocess.on_device import OnDevice
from deltamu.recon.preprocess.scatter import Background
from deltamu.recon.preprocess.spots import find_dark_spots
from deltamu.recon.preprocess.starvation import average_starved

Float32 = NDArray[np.float32]
Float = NDArray[np.float64]

SPOT_THRESHOLD = 5.0


@dataclass(frozen=True)
class Correction(OnDevice):
    """Everything that turns raw frames of one scan into line integrals.

    Attributes
    ----------
    dark, flat : (row, column) float32 arrays
        ADU; the flat is dark-corrected, at the exposure of a projection, and interpolated over bad pixels.
    flat_frames : float
        Open-beam frames behind the flat, counted in exposures of a projection.
    bad_pixels : (row, column) bool array
    air_columns : tuple of (first, stop)
        Where the dose is measured; empty: no dose correction.
    noise : NoiseModel
    spot_noise : (offset, slope) or None
        Variance of transmission at level v, offset + slope v, which spots are compared with; None: spots
        stay.
    spot_threshold : float
        Standard deviations.
    dark_spots : bool
        Spots darker than their surroundings are replaced as well.
    corner_variance : (row, column) float32 array or None
        Added to the spot noise where the sample itself stands out in view after view.
    doses : (view,) array or None
        Beam of every view over that of the flats, where a monitor counted it.
    inert_region : (first row, stop, first column, stop) or None
        Part of the view that looks the same at every angle; its level tells the dose.
    inert_level : float
        Its usual transmission.
    background : Background or None
        Scattered neutrons and the like, subtracted from every frame.
    tail : LineSpreadTail or None
        Wide part of the line spread, removed from the transmission.
    flat_drift : FlatDrift or None
        Change of the beam's shape since the flats, undone in every view.
    notes : tuple of str
        What was found and decided, for the log and the report.
    """

    maps: ClassVar = (
        "dark", "flat", "bad_pixels", "corner_variance", "background", "flat_drift", "repair", "inverse_flat",
        "counts_at_one", "open_background",
    )  # fmt: skip

    dark: Float32
    flat: Float32
    flat_frames: float
    bad_pixels: NDArray[np.bool_]
    air_columns: Columns
    noise: NoiseModel
    spot_noise: tuple[float, float] | None
    spot_threshold: float = SPOT_THRESHOLD
    dark_spots: bool = False
    corner_variance: Float32 | None = None
    doses: Float | None = None
    inert_region: tuple[int, int, int, int] | None = None
    inert_level: float = 1.0
    background: Background | None = None
    tail: LineSpreadTail | None = None
    flat_drift: FlatDrift | None = None
    notes: tuple[str, ...] = ()
    repair: PixelRepair = field(init=False, repr=False, compare=False)
    inverse_flat: Float32 = field(init=False, repr=False, compare=False)
    counts_at_one: Float32 = field(init=False, repr=False, compare=False)
    open_background: Float32 = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if self.dark.shape != self.flat.shape or self.bad_pixels.shape != self.flat.shape:
            raise InputError(f"dark: found {self.dark.shape}, flat {self.flat.shape}; expected one shape")
        if not np.min(self.flat) > 0:
            raise InputError(
                "flat: found values that are not positive; expected open beam in every good pixel"
            )
        object.__setattr__(self, "repair", plan_repair(self.bad_pixels))
        object.__setattr__(self, "inverse_flat", (1 / self.flat).astype(np.float32))
        object.__setattr__(self, "counts_at_one", (self.flat / self.noise.adu_per_count).astype(np.float32))
        none = np.zeros((1, 1), np.float32)
        object.__setattr__(
            self, "open_background", none if self.background is None else self.background.open_beam
        )

    @property
    def counts_known(self) -> bool:
        """Whether the counts are good enough to correct the bias of the logarithm."""
        return self.noise.origin != "views"

    @property
    def dose_weight(self) -> Float32:
        """The flat, zero at bad pixels."""
        return np.where(self.bad_pixels, np.float32(0), self.flat)

    def background_of(self, view: int) -> Float32:
        """Background of a view of dose 1 over the open beam, (row, column) or (1, 1)."""
        if self.background is None:
            return self.open_background
        behind: Float32 = array_module(self.flat).asarray(self.background.of_view(view))
        return behind


@dataclass(frozen=True)
class CorrectedFrames:
    """A block of corrected frames.

    Attributes
    ----------
    line_integrals : (n, row, column) float32 array
    starved : (n, row, column) bool array
        Pixels whose transmission is a local mean.
    dose : (n,) float64 array
        Beam over the beam of the flats; on the host, as the next.
    spots_fraction : (n,) float64 array
    """

    line_integrals: Float32
    starved: NDArray[np.bool_]
    dose: Float
    spots_fraction: Float


def correct_frames(
    raw: NDArray[np.generic], correction: Correction, *, first_view: int = 0
) -> CorrectedFrames:
    """Turn raw frames into line integrals; every frame by itself, so blocks of any size give the same.

    Dark, bad pixels, open beam, spots, dose, starved pixels, −log, and the bias of the log where counts are
    known.

    Parameters
    ----------
    raw : (n, row, column) array
        ADU, any real type; numpy, or cupy: then all of it is computed there, and stays there.
    correction : Correction
        Its maps are copied to a device once.
    first_view : int
        Number of the first frame in the scan, for messages.

    Raises
    ------
    InputError
        If the frames do not have the shape of the flat, or one holds no light.
    """
    if raw.ndim != 3 or raw.shape[1:] != correction.flat.shape:
        raise InputError(f"raw: found shape {raw.shape}, expected (n, *{correction.flat.shape}) as the flat")
    correction = correction.beside(raw)
    frames, spots_fraction = clean_transmission(raw, correction)
    starved = np.zeros_like(frames, dtype=bool)
    dose = np.ones(len(frames))
    weight = correction.dose_weight

    def finish(index: int) -> None:
        view = first_view + index
        if correction.flat_drift is not None:
            correction.flat_drift.undo(frames[index], view)
        behind = correction.background_of(view)
        dose[index] = dose_of_frame(frames[index], weight, behind, correction, view=view)
        frames[index], starved[index] = _line_integrals_of_frame(
            frames[index], dose[index], behind, correction
        )

    _each_frame(finish, frames)
    _refuse_dark_frames(starved, first_view)
    return CorrectedFrames(frames, starved, dose, spots_fraction)


def dose_of_frame(
    frame: Float32, weight: Float32, background: Float32, correction: Correction, *, view: int
) -> float:
    """Beam of a frame over that of the flats: counted, from an inert region, or from its air; 1 without any.

    Raises
    ------
    InputError
        If there is no light in the air.
    """
    if correction.doses is not None:
        return _positive_dose(float(correction.doses[view]), view)
    if correction.inert_region is not None:
        top, bottom, left, right = correction.inert_region
        level = float(frame[top:bottom, left:right].mean(dtype=np.float64))
        return _positive_dose(level / correction.inert_level, view)
    regions = correction.air_columns
    if not regions:
        return 1.0
    level = air_dose(frame, weight, regions)
    if correction.background is not None:
        expected = np.broadcast_to(1 - correction.open_background + background, frame.shape)
        level /= air_dose(expected, weight, regions)
    return _positive_dose(level, view)


def true_transmission(frame: Float32, dose: float, background: Float32, correction: Correction) -> Float32:
    """Transmission of a frame for dose 1, without background and without the wide tail of the line spread."""
    scaled = frame / np.float32(dose)
    if correction.background is not None:
        scaled -= background
        scaled /= 1 - correction.open_background
    return scaled if correction.tail is None else remove_tail(scaled, correction.tail)


def clean_transmission(raw: NDArray[np.generic], correction: Correction) -> tuple[Float32, Float]:
    """Transmission of raw frames without bad pixels and spots, not yet corrected for dose.

    Returns
    -------
    transmission : (n, row, column) float32 array
    spots_fraction : (n,) float64 array
    """
    xp, correction = array_module(raw), correction.beside(raw)
    frames: Float32 = xp.empty(raw.shape, np.float32)

    def divide(index: int) -> None:
        np.subtract(raw[index], correction.dark, out=frames[index], casting="unsafe")
        frames[index] *= correction.inverse_flat

    _each_frame(divide, frames)
    correction.repair.apply(frames)
    if correction.spot_noise is None:
        return frames, np.zeros(len(frames))
    mask = find_spots(frames, spot_maps(correction), threshold=correction.spot_threshold)
    if correction.dark_spots:
        mask |= find_dark_spots(frames, spot_maps(correction), threshold=correction.spot_threshold)
    fill_flagged(frames, mask)
    flagged: Any = to_host(xp.count_nonzero(mask, axis=(1, 2)))
    return frames, flagged / max(correction.flat.size, 1)


def line_integral_variance(
    line_integrals: Float32,
    dose: NDArray[np.floating],
    correction: Correction,
    *,
    rows: slice = slice(None),
    views: NDArray[np.integer] | None = None,
) -> Float32:
    """Counting variance of each view's line integrals, large-area limit.

    Multiply by `correction.noise.autocorrelation` for pixels and their covariance.

    Parameters
    ----------
    line_integrals : (angle, row, column) array
        numpy or cupy; the variance is computed and stays where it is.
    dose : (angle,) array
        On the host.
    correction : Correction
    rows : slice
        Detector rows that `line_integrals` holds.
    views : (angle,) int array, optional
        Which views of the scan they are; the first ones by default.
    """
    xp, correction = array_module(line_integrals), correction.beside(line_integrals)
    result: Float32 = xp.empty(line_integrals.shape, np.float32)
    beam, noise = correction.flat[rows], correction.noise
    open_ = _rows_of(correction.open_background, rows)
    numbers = range(len(line_integrals)) if views is None else views
    for view, (depth, strength) in enumerate(zip(line_integrals, dose, strict=True)):
        signal = np.exp(-xp.asarray(depth, np.float32)) * beam
        signal *= np.float32(strength) * (1 - open_)
        inverse = np.reciprocal(signal)
        np.multiply(inverse, np.float32(noise.adu_per_count), out=result[view])
        unseen = xp.full((1, 1), noise.read_variance, np.float32)
        if correction.background is not None:
            behind = _rows_of(correction.background_of(int(numbers[view])), rows)
            unseen = unseen + behind * beam * np.float32(strength * noise.adu_per_count)
        if np.any(unseen):
            result[view] += unseen * inverse * inverse
    return result


def _rows_of(background: Float32, rows: slice) -> Float32:
    return background if background.shape[0] == 1 else background[rows]


def open_beam_variance(correction: Correction, *, part: Literal["all", "counts", "gain"] = "all") -> Float32:
    """Variance of a line integral that is the same in every view: counts of the flats and gain drift.

    Parameters
    ----------
    correction : Correction
    part : {"all", "counts", "gain"}
        Counts correlate between neighbours as `noise.autocorrelation` says (this is their large-area limit);
        the drift of a pixel's gain is its own.

    Returns
    -------
    (row, column) float32 array
    """
    noise, flat = correction.noise, correction.flat
    counts = (noise.adu_per_count / flat + noise.read_variance / flat**2) / correction.flat_frames
    gain = np.full(flat.shape, noise.gain_drift**2)
    parts = {"all": counts + gain, "counts": counts, "gain": gain}
    if part not in parts:
        raise InputError(f"part: found {part!r}, expected 'all', 'counts' or 'gain'")
    return np.asarray(parts[part], np.float32)


def _line_integrals_of_frame(
    transmission: Float32, dose: float, background: Float32, correction: Correction
) -> tuple[Float32, NDArray[np.bool_]]:
    true = true_transmission(transmission, dose, background, correction)
    at_one = correction.counts_at_one * np.float32(dose)
    if correction.background is None:
        averaged, counts, starved = average_starved(true, at_one)
    else:
        averaged, counts, starved = average_starved(
            true, at_one * (1 - correction.open_background), background=at_one * background
        )
    result = np.log(averaged)
    np.negative(result, out=result)
    if correction.counts_known:
        result -= _log_bias_of_measured(counts, starved, correction.noise.pixel_fraction)
    return result, starved


def _log_bias_of_measured(counts: Float32, starved: NDArray[np.bool_], pixel_fraction: float) -> Float32:
    """Bias of −ln N in terms of the measured N, 1/(2N) − 1/(12N²): its mean is 1/(2N̄) + 5/(12N̄²)."""
    half = np.float32(0.5 * pixel_fraction) / counts
    if starved.any():
        # a window averages over the light's correlation
        half[starved] = 0.5 / counts[starved]
    bias = half * np.float32(-1 / 3)
    bias += 1
    bias *= half
    return bias


def _positive_dose(value: float, index: int) -> float:
    if not (np.isfinite(value) and value > 1e-3):
        raise InputError(
            f"projection {index}: no beam where the dose is measured (dose {value:.3g} of the flats); "
            'expected light there: a closed shutter? Leave the view out, or set dose = "none"'
        )
    return value


def _refuse_dark_frames(starved: NDArray[np.bool_], first_view: int) -> None:
    """Refuse a frame without light: it would stand for an opaque sample."""
    dark = np.flatnonzero(starved.all(axis=(1, 2)))
    if dark.size:
        raise InputError(
            f"projection {first_view + int(dark[0])}: every pixel has too few counts ({dark.size} such frames in "
            "this block); expected light beside or through the sample: a closed shutter? Leave the view out"
        )


def spot_maps(correction: Correction) -> tuple[Float32, Float32]:
    """Spot noise of each pixel: counting noise of transmission goes as one over the flat."""
    offset, slope = correction.spot_noise or (0.0, 0.0)
    relative = (float(np.median(correction.flat)) * correction.inverse_flat).astype(np.float32)
    fixed = np.full_like(relative, offset)
    if correction.corner_variance is not None:
        fixed += correction.corner_variance
    return fixed, relative * np.float32(slope)


def _each_frame(work: Callable[[int], None], frames: Float32) -> None:
    """Call `work(index)` for every frame: on as many threads as the kernels use, on a GPU one after another."""
    count = len(frames)
    threads = min(thread_count(), count)
    if threads < 2 or array_module(frames) is not np:
        for index in range(count):
            work(index)
        return
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(work, range(count), chunksize=1))
