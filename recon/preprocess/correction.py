"""From raw frames to line integrals: what is known about the detector, and its use on a block of frames."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from deltamu.kernels.backend import thread_count
from deltamu.kernels.spots import fill_flagged, find_spots
from deltamu.recon.errors import InputError
from deltamu.recon.preprocess.bad_pixels import PixelRepair, find_bad_pixels, plan_repair
from deltamu.recon.preprocess.dose import Columns, air_dose, check_air_columns, find_air_columns
from deltamu.recon.preprocess.noise import (
    FLATS_NEEDED,
    NoiseModel,
    gain_drift_between,
    noise_from_flats,
    white_noise,
)
from deltamu.recon.preprocess.references import CombinedFrames, combine_darks, combine_flats, split_sets
from deltamu.recon.preprocess.spots import spot_variance
from deltamu.recon.preprocess.starvation import average_starved

Float32 = NDArray[np.float32]
Float = NDArray[np.float64]

SAMPLE_VIEWS = 24
SPOT_THRESHOLD = 5.0


class ScanLike(Protocol):
    """What is used of a `deltamu.recon.scans.scan.Scan`."""

    @property
    def shape(self) -> tuple[int, int, int]:
        """(angle, row, column)."""

    @property
    def flats(self) -> Float32:
        """(k, row, column)."""

    @property
    def darks(self) -> Float32:
        """(k, row, column)."""

    @property
    def flats_after(self) -> int | None:
        """Index of the first flat taken after the scan."""

    @property
    def exposure_s(self) -> Any:
        """Exposures of projections, flats and darks, or None."""

    def read(self, start: int, stop: int) -> Float32:
        """Raw frames, (n, row, column)."""


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
        Variance of transmission at level v, offset + slope v, which spots are compared with; None: spots stay.
    spot_threshold : float
        Standard deviations.
    counts_known : bool
        Whether the bias of the logarithm is corrected.
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
        Effective counts (variance = mean over large areas) per ADU; measured on repeated flats when not given.

    Raises
    ------
    InputError
        If there are no flats, they are no brighter than the darks, or an option is out of range.
    """
    _check_options(scan, dose, spot_threshold, counts_per_adu)
    threshold = spot_threshold if spots else None
    darks = _dark_frames(scan)
    dark = combine_darks(darks, threshold=threshold)
    flat = combine_flats(np.asarray(scan.flats, np.float32), dark.mean, threshold=threshold)
    bad = find_bad_pixels(flat.mean, dark.mean, flat.frames, dark.frames)
    if bad.mean() > 0.5:
        raise InputError(
            f"flats: {100 * bad.mean():.0f} % of the pixels are dead or hot; expected working open-beam frames"
        )
    ratio = _exposure_ratio(scan)
    mean_flat = flat.mean[None].copy()
    plan_repair(bad).apply(mean_flat)
    noise = _noise(scan, flat, dark, bad, counts_per_adu)
    draft = Correction(
        dark.mean, mean_flat[0] * np.float32(ratio), len(flat.frames) / ratio, bad, (),
        noise or white_noise(1.0, read_variance=0.0, gain_drift=0.0, origin="views"), None, spot_threshold,
    )  # fmt: skip
    return _learn_from_views(scan, draft, noise, dose=dose, air_columns=air_columns, spots=spots)


def correct_frames(raw: NDArray[np.generic], correction: Correction) -> CorrectedFrames:
    """Turn raw frames into line integrals; every frame by itself, so blocks of any size give the same.

    Dark, bad pixels, open beam, spots, dose, starved pixels, −log, and the bias of the log where counts are known.

    Parameters
    ----------
    raw : (n, row, column) array
        ADU, any real type.

    Raises
    ------
    InputError
        If the frames do not have the shape of the flat.
    """
    if raw.ndim != 3 or raw.shape[1:] != correction.flat.shape:
        raise InputError(
            f"raw: found shape {raw.shape}, expected (n, {correction.flat.shape[0]}, {correction.flat.shape[1]})"
        )
    frames, spots_fraction = clean_transmission(raw, correction)
    starved = np.zeros(frames.shape, bool)
    dose = np.ones(len(frames))
    weight = correction.dose_weight

    def finish(index: int) -> None:
        if correction.air_columns:
            dose[index] = _positive_dose(air_dose(frames[index], weight, correction.air_columns), index)
        frames[index], starved[index] = _line_integrals_of_frame(frames[index], dose[index], correction)

    _each_frame(finish, len(frames))
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


def open_beam_variance(correction: Correction) -> Float32:
    """Variance of a line integral that is the same in every view: counts of the flats and gain drift.

    Returns
    -------
    (row, column) float32 array
        Large-area limit.
    """
    noise, flat = correction.noise, correction.flat
    counting = noise.adu_per_count / flat + noise.read_variance / flat**2
    return np.asarray(counting / correction.flat_frames + noise.gain_drift**2, np.float32)


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
    """Mean bias of −ln N, written in the measured N: 1/(2N) − 1/(12N²), so that its mean is 1/(2N̄) + 5/(12N̄²)."""
    half = np.float32(0.5 * pixel_fraction) / counts
    if starved.any():
        # a window averages over the light's correlation
        half[starved] = 0.5 / counts[starved]
    return np.asarray(half - half * half / np.float32(3), np.float32)


def _learn_from_views(
    scan: ScanLike,
    draft: Correction,
    noise: NoiseModel | None,
    *,
    dose: str,
    air_columns: Sequence[Sequence[int]] | None,
    spots: bool,
) -> Correction:
    """Add what only the views can tell: spot noise, air regions, and the noise where flats could not."""
    sample = sample_views(scan)
    transmission, _ = clean_transmission(sample, draft)
    offset, slope = (float(v) for v in spot_variance(transmission))
    notes = []
    if noise is None:
        per_count = max(slope, 1e-9) * float(np.median(draft.flat))
        noise = white_noise(per_count, read_variance=0.0, gain_drift=0.0, origin="views")
        notes.append("noise: no repeated flats and no counts_per_adu; σ comes from subsets of the views")
    known: dict[str, Any] = {
        "dark": draft.dark, "flat": draft.flat, "flat_frames": draft.flat_frames, "bad_pixels": draft.bad_pixels,
        "noise": noise, "spot_noise": (offset, slope) if spots else None, "spot_threshold": draft.spot_threshold,
    }  # fmt: skip
    if dose == "none":
        return Correction(air_columns=(), notes=tuple(notes), **known)
    if air_columns is not None:
        regions = check_air_columns(air_columns, draft.flat.shape[1])
    else:
        cleaned, _ = clean_transmission(sample, Correction(air_columns=(), **known))
        regions = find_air_columns(cleaned)
        if not regions:
            notes.append(
                "dose: no columns beside the object are air in every view; the dose is not corrected"
            )
    return Correction(air_columns=regions, notes=tuple(notes), **known)


def sample_views(scan: ScanLike, count: int = SAMPLE_VIEWS) -> Float32:
    """Raw frames of views spread evenly over the scan."""
    chosen = np.unique(np.linspace(0, scan.shape[0] - 1, count).round().astype(int))
    return np.concatenate([np.asarray(scan.read(int(i), int(i) + 1), np.float32) for i in chosen])


def _noise(
    scan: ScanLike,
    flat: CombinedFrames,
    dark: CombinedFrames,
    bad: NDArray[np.bool_],
    counts_per_adu: float | None,
) -> NoiseModel | None:
    sets = split_sets(flat.frames, scan.flats_after)
    good = ~bad
    drift = gain_drift_between(sets[0], sets[1], flat.mean, good) if len(sets) == 2 else 0.0
    read = _read_variance(dark, good)
    if max(len(frames) for frames in sets) < FLATS_NEEDED:
        if counts_per_adu is None:
            return None
        return white_noise(1 / counts_per_adu, read_variance=read, gain_drift=drift, origin="given")
    measured = noise_from_flats(sets, flat.mean, good, read_variance=read)
    if counts_per_adu is None:
        return NoiseModel(measured.adu_per_count, read, measured.autocorrelation, drift, "flats")
    return NoiseModel(1 / counts_per_adu, read, measured.autocorrelation, drift, "given")


def _read_variance(dark: CombinedFrames, good: NDArray[np.bool_]) -> float:
    if len(dark.frames) < 2:
        return 0.0
    scatter = np.var(dark.frames, axis=0, ddof=1, dtype=np.float64)[good]
    # a few unstable pixels must not speak for all: the mean without the highest per cent
    return float(np.mean(scatter[scatter <= np.quantile(scatter, 0.99)]))


def _dark_frames(scan: ScanLike) -> Float32:
    darks = np.asarray(scan.darks, np.float32)
    return darks if len(darks) else np.zeros((1, *scan.shape[1:]), np.float32)


def _exposure_ratio(scan: ScanLike) -> float:
    """Exposure of a projection over that of a flat; 1 when unknown."""
    exposure = scan.exposure_s
    if not exposure or not exposure.get("flats") or not exposure.get("projections"):
        return 1.0
    return float(exposure["projections"]) / float(exposure["flats"])


def _check_options(scan: ScanLike, dose: str, threshold: float, counts_per_adu: float | None) -> None:
    if dose not in ("air", "none"):
        raise InputError(f"dose: found {dose!r}, expected 'air' or 'none'")
    if not threshold > 0:
        raise InputError(
            f"spot_threshold: found {threshold}, expected a positive number of standard deviations"
        )
    if counts_per_adu is not None and not (np.isfinite(counts_per_adu) and counts_per_adu > 0):
        raise InputError(f"counts_per_adu: found {counts_per_adu}, expected a positive number")
    if scan.flats is None or len(scan.flats) == 0:
        raise InputError(
            "flats: none found; expected at least one open-beam frame (give the scan option `flats`)"
        )


def _positive_dose(value: float, index: int) -> float:
    if not (np.isfinite(value) and value > 1e-3):
        raise InputError(
            f"frame {index} of the block: no beam in the air columns (dose {value:.3g} of the flats); "
            'expected light there: a closed shutter? Leave the view out, or set dose = "none"'
        )
    return value


def _spot_maps(correction: Correction) -> tuple[Float32, Float32]:
    """Spot noise of each pixel: counting noise of transmission goes as one over the flat."""
    offset, slope = correction.spot_noise or (0.0, 0.0)
    relative = (float(np.median(correction.flat)) * correction.inverse_flat).astype(np.float32)
    return np.full(relative.shape, offset, np.float32), relative * np.float32(slope)


def _each_frame(work: Any, count: int) -> None:
    """Call `work(index)` for every frame, on as many threads as the kernels use."""
    threads = min(thread_count(), count)
    if threads < 2:
        for index in range(count):
            work(index)
        return
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(work, range(count), chunksize=1))
