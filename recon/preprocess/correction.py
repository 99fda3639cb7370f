"""From raw frames to line integrals: what is known about the detector, and its use on a block of frames."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from deltamu.kernels.backend import thread_count
from deltamu.kernels.spots import fill_flagged, find_spots
from deltamu.recon.errors import InputError
from deltamu.recon.preprocess.bad_pixels import PixelRepair, plan_repair
from deltamu.recon.preprocess.detector import ScanLike, measure_detector
from deltamu.recon.preprocess.dose import Columns, air_dose, check_air_columns, find_air_columns
from deltamu.recon.preprocess.noise import NoiseModel, white_noise
from deltamu.recon.preprocess.spots import corner_variance, spot_variance
from deltamu.recon.preprocess.starvation import average_starved

Float32 = NDArray[np.float32]
Float = NDArray[np.float64]

SAMPLE_VIEWS = 24
SPOT_THRESHOLD = 5.0


@dataclass(frozen=True)
class Correction:
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
    corner_variance : (row, column) float32 array or None
        Added to the spot noise where the sample itself stands out in view after view.
    notes : tuple of str
        What was found and decided, for the log and the report.
    """

    dark: Float32
    flat: Float32
    flat_frames: float
    bad_pixels: NDArray[np.bool_]
    air_columns: Columns
    noise: NoiseModel
    spot_noise: tuple[float, float] | None
    spot_threshold: float = SPOT_THRESHOLD
    corner_variance: Float32 | None = None
    notes: tuple[str, ...] = ()
    repair: PixelRepair = field(init=False, repr=False, compare=False)
    inverse_flat: Float32 = field(init=False, repr=False, compare=False)
    counts_at_one: Float32 = field(init=False, repr=False, compare=False)

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

    @property
    def counts_known(self) -> bool:
        """Whether the counts are good enough to correct the bias of the logarithm."""
        return self.noise.origin != "views"

    @property
    def dose_weight(self) -> Float32:
        """The flat, zero at bad pixels."""
        return np.where(self.bad_pixels, np.float32(0), self.flat)


@dataclass(frozen=True)
class CorrectedFrames:
    """A block of corrected frames.

    Attributes
    ----------
    line_integrals : (n, row, column) float32 array
    starved : (n, row, column) bool array
        Pixels whose transmission is a local mean.
    dose : (n,) float64 array
        Beam over the beam of the flats.
    spots_fraction : (n,) float64 array
    """

    line_integrals: Float32
    starved: NDArray[np.bool_]
    dose: Float
    spots_fraction: Float


def prepare_correction(
    scan: ScanLike,
    *,
    dose: Literal["air", "none"] = "air",
    air_columns: Sequence[Sequence[int]] | None = None,
    spots: bool = True,
    spot_threshold: float = SPOT_THRESHOLD,
    counts_per_adu: float | None = None,
) -> Correction:
    """Learn from the darks, the flats and a few views how to correct every view of a scan.

    Parameters
    ----------
    scan : Scan
    dose : {"air", "none"}
        Scale each frame by its air regions, or trust the beam.
    air_columns : sequence of (first, stop), optional
        Columns without object in any view; found when not given.
    spots : bool
        Remove gamma spots.
    spot_threshold : float
        Standard deviations.
    counts_per_adu : float, optional
        Effective counts (variance = mean over large areas) per ADU; measured on repeated flats when not
        given.

    Raises
    ------
    InputError
        If there are no flats, they are no brighter than the darks, or an option is out of range.
    """
    _check_options(dose, spot_threshold, counts_per_adu)
    detector = measure_detector(
        scan, threshold=spot_threshold if spots else None, counts_per_adu=counts_per_adu
    )
    draft = Correction(
        detector.dark, detector.flat, detector.flat_frames, detector.bad_pixels, (),
        detector.noise or _rough_noise(1.0), None, spot_threshold,
    )  # fmt: skip
    return _learn_from_views(
        scan, draft, dose=dose, air_columns=air_columns, spots=spots, noise_known=detector.noise is not None
    )


def correct_frames(
    raw: NDArray[np.generic], correction: Correction, *, first_view: int = 0
) -> CorrectedFrames:
    """Turn raw frames into line integrals; every frame by itself, so blocks of any size give the same.

    Dark, bad pixels, open beam, spots, dose, starved pixels, −log, and the bias of the log where counts are
    known.

    Parameters
    ----------
    raw : (n, row, column) array
        ADU, any real type.
    correction : Correction
    first_view : int
        Number of the first frame in the scan, for messages.

    Raises
    ------
    InputError
        If the frames do not have the shape of the flat, or one holds no light.
    """
    if raw.ndim != 3 or raw.shape[1:] != correction.flat.shape:
        raise InputError(f"raw: found shape {raw.shape}, expected (n, *{correction.flat.shape}) as the flat")
    frames, spots_fraction = clean_transmission(raw, correction)
    starved = np.zeros(frames.shape, bool)
    dose = np.ones(len(frames))
    weight = correction.dose_weight

    def finish(index: int) -> None:
        if correction.air_columns:
            dose[index] = _positive_dose(
                air_dose(frames[index], weight, correction.air_columns), first_view + index
            )
        frames[index], starved[index] = _line_integrals_of_frame(frames[index], dose[index], correction)

    _each_frame(finish, len(frames))
    _refuse_dark_frames(starved, first_view)
    return CorrectedFrames(frames, starved, dose, spots_fraction)


def clean_transmission(raw: NDArray[np.generic], correction: Correction) -> tuple[Float32, Float]:
    """Transmission of raw frames without bad pixels and spots, not yet corrected for dose.

    Returns
    -------
    transmission : (n, row, column) float32 array
    spots_fraction : (n,) float64 array
    """
    frames = np.empty(raw.shape, np.float32)

    def divide(index: int) -> None:
        np.subtract(raw[index], correction.dark, out=frames[index], casting="unsafe")
        frames[index] *= correction.inverse_flat

    _each_frame(divide, len(frames))
    correction.repair.apply(frames)
    if correction.spot_noise is None:
        return frames, np.zeros(len(frames))
    mask = find_spots(frames, _spot_maps(correction), threshold=correction.spot_threshold)
    fill_flagged(frames, mask)
    return frames, np.count_nonzero(mask, axis=(1, 2)) / mask[0].size if len(mask) else np.zeros(0)


def line_integral_variance(
    line_integrals: Float32, dose: NDArray[np.floating], correction: Correction, *, rows: slice = slice(None)
) -> Float32:
    """Counting variance of each view's line integrals, large-area limit.

    Multiply by `correction.noise.autocorrelation` for pixels and their covariance.

    Parameters
    ----------
    line_integrals : (angle, row, column) array
    dose : (angle,) array
    correction : Correction
    rows : slice
        Detector rows that `line_integrals` holds.
    """
    beam = correction.flat[rows]
    signal = np.exp(-np.asarray(line_integrals, np.float32)) * beam
    signal *= np.asarray(dose, np.float32)[:, None, None]
    inverse = np.reciprocal(signal, out=signal)
    noise = correction.noise
    variance = inverse * np.float32(noise.adu_per_count)
    if noise.read_variance:
        variance += np.float32(noise.read_variance) * inverse * inverse
    return variance


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
    transmission: Float32, dose: float, correction: Correction
) -> tuple[Float32, NDArray[np.bool_]]:
    scaled = transmission / np.float32(dose)
    averaged, counts, starved = average_starved(scaled, correction.counts_at_one * np.float32(dose))
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
    return np.asarray(half - half * half / np.float32(3), np.float32)


def _learn_from_views(
    scan: ScanLike,
    draft: Correction,
    *,
    dose: str,
    air_columns: Sequence[Sequence[int]] | None,
    spots: bool,
    noise_known: bool,
) -> Correction:
    """Add what only the views can tell: spot noise, air regions, and the noise where flats could not."""
    sample = sample_views(scan)
    offset, slope = (float(v) for v in spot_variance(clean_transmission(sample, draft)[0]))
    notes: list[str] = []
    if not noise_known:
        per_count = max(slope, 1e-9) * float(np.median(draft.flat))
        draft = replace(draft, noise=_rough_noise(per_count))
        notes.append("noise: no repeated flats and no counts_per_adu; σ comes from subsets of the views")
    if spots:
        draft = _allow_corners(sample, replace(draft, spot_noise=(offset, slope)))
    if dose == "air":
        draft = replace(draft, air_columns=_air_regions(sample, draft, air_columns))
        if not draft.air_columns:
            notes.append("dose: no columns beside the object are air in every view; it is not corrected")
    return replace(draft, notes=tuple(notes))


def _allow_corners(sample: Float32, draft: Correction) -> Correction:
    """Keep the corners of the sample from being taken for spots."""
    frames = clean_transmission(sample, replace(draft, spot_noise=None))[0]
    extra = corner_variance(frames, _spot_maps(draft), threshold=draft.spot_threshold)
    return replace(draft, corner_variance=extra)


def _air_regions(sample: Float32, draft: Correction, given: Sequence[Sequence[int]] | None) -> Columns:
    if given is not None:
        return check_air_columns(given, draft.flat.shape[1])
    return find_air_columns(clean_transmission(sample, draft)[0])


def _rough_noise(per_count: float) -> NoiseModel:
    return white_noise(per_count, read_variance=0.0, gain_drift=0.0, origin="views")


def sample_views(scan: ScanLike, count: int = SAMPLE_VIEWS) -> Float32:
    """Raw frames of views spread evenly over the scan."""
    chosen = np.unique(np.linspace(0, scan.shape[0] - 1, count).round().astype(int))
    return np.concatenate([np.asarray(scan.read(int(i), int(i) + 1), np.float32) for i in chosen])


def _check_options(dose: str, threshold: float, counts_per_adu: float | None) -> None:
    if dose not in ("air", "none"):
        raise InputError(f"dose: found {dose!r}, expected 'air' or 'none'")
    if not threshold > 0:
        raise InputError(f"spot_threshold: found {threshold}, expected standard deviations above 0")
    if counts_per_adu is not None and not (np.isfinite(counts_per_adu) and counts_per_adu > 0):
        raise InputError(f"counts_per_adu: found {counts_per_adu}, expected a positive number")


def _positive_dose(value: float, index: int) -> float:
    if not (np.isfinite(value) and value > 1e-3):
        raise InputError(
            f"projection {index}: no beam in the air columns (dose {value:.3g} of the flats); "
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


def _spot_maps(correction: Correction) -> tuple[Float32, Float32]:
    """Spot noise of each pixel: counting noise of transmission goes as one over the flat."""
    offset, slope = correction.spot_noise or (0.0, 0.0)
    relative = (float(np.median(correction.flat)) * correction.inverse_flat).astype(np.float32)
    fixed = np.full(relative.shape, offset, np.float32)
    if correction.corner_variance is not None:
        fixed += correction.corner_variance
    return fixed, relative * np.float32(slope)


def _each_frame(work: Callable[[int], None], count: int) -> None:
    """Call `work(index)` for every frame, on as many threads as the kernels use."""
    threads = min(thread_count(), count)
    if threads < 2:
        for index in range(count):
            work(index)
        return
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(work, range(count), chunksize=1))
