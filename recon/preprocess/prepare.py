"""What has to be known before the first frame of a scan can be corrected, learnt from the scan itself."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from deltamu.recon.errors import InputError
from deltamu.recon.preprocess.bad_pixels import bad_in_views, plan_repair
from deltamu.recon.preprocess.black_body import BlackBodyFrames
from deltamu.recon.preprocess.correction import SPOT_THRESHOLD, Correction, clean_transmission, spot_maps
from deltamu.recon.preprocess.detector import ScanLike, measure_detector
from deltamu.recon.preprocess.dose import Columns, check_air_columns, find_air_columns
from deltamu.recon.preprocess.line_spread import LineSpreadTail, noise_without_tail
from deltamu.recon.preprocess.noise import NoiseModel, white_noise
from deltamu.recon.preprocess.scatter import UniformBackground
from deltamu.recon.preprocess.spots import corner_variance, spot_variance, upside_down

Float32 = NDArray[np.float32]

SAMPLE_VIEWS = 24


def prepare_correction(
    scan: ScanLike,
    *,
    dose: Literal["air", "counted", "region", "none"] = "air",
    air_columns: Sequence[Sequence[int]] | None = None,
    spots: bool = True,
    spot_threshold: float = SPOT_THRESHOLD,
    dark_spots: bool = False,
    counts_per_adu: float | None = None,
    dose_counts: NDArray[np.floating] | None = None,
    dose_region: Sequence[int] | None = None,
    black_body: BlackBodyFrames | None = None,
    scatter_fraction: float | None = None,
    tail: LineSpreadTail | None = None,
) -> Correction:
    """Learn from the darks, the flats and a few views how to correct every view of a scan.

    Parameters
    ----------
    scan : Scan
    dose : {"air", "counted", "region", "none"}
        Scale each frame by its air regions, by what a monitor counted (`dose_counts`), by a part that looks the
        same in every view (`dose_region`), or trust the beam.
    dose_counts : (view,) array, optional
        Monitor counts or proton charge of every view over those of an open-beam frame.
    dose_region : (first row, stop, first column, stop), optional
        Of the inert part; the mean dose of the views is taken to be that of the flats.
    air_columns : sequence of (first, stop), optional
        Columns without object in any view; found when not given.
    spots : bool
        Remove gamma spots.
    spot_threshold : float
        Standard deviations.
    dark_spots : bool
        Replace spots that are darker than their surroundings as well; gamma hits are bright.
    counts_per_adu : float, optional
        Effective counts (variance = mean over large areas) per ADU; measured on repeated flats when not
        given.
    black_body : BlackBodyFrames, optional
        Frames behind a grid, from which the scattered background is known.
    scatter_fraction : float, optional
        Without a grid: a background of this fraction of the open beam in every pixel of every view.
    tail : LineSpreadTail, optional
        Wide part of the line spread, which is removed from the transmission.

    Raises
    ------
    InputError
        If there are no flats, they are no brighter than the darks, or an option is out of range.
    """
    _check_options(dose, spot_threshold, counts_per_adu)
    _check_dose(scan, dose, dose_counts, dose_region)
    if black_body is not None and scatter_fraction is not None:
        raise InputError("scatter_fraction: given beside black-body frames; expected one of the two")
    detector = measure_detector(
        scan, threshold=spot_threshold if spots else None, counts_per_adu=counts_per_adu
    )
    draft = Correction(
        detector.dark, detector.flat, detector.flat_frames, detector.bad_pixels, (),
        detector.noise or _rough_noise(1.0), None, spot_threshold, dark_spots,
        doses=None if dose_counts is None else np.asarray(dose_counts, np.float64),
        background=None if scatter_fraction is None else UniformBackground(scatter_fraction), tail=tail,
        flat_drift=detector.flat_drift,
    )  # fmt: skip
    learnt = _learn_from_views(
        scan, draft, dose=dose, air_columns=air_columns, spots=spots,
        noise_known=detector.noise is not None, black_body=black_body,
    )  # fmt: skip
    if dose_region is not None:
        learnt = _with_region(scan, learnt, dose_region)
    if tail is None:
        return learnt
    return replace(learnt, noise=noise_without_tail(learnt.noise, tail))


def _learn_from_views(
    scan: ScanLike,
    draft: Correction,
    *,
    dose: str,
    air_columns: Sequence[Sequence[int]] | None,
    spots: bool,
    noise_known: bool,
    black_body: BlackBodyFrames | None,
) -> Correction:
    """Add what only the views can tell: spot noise, air regions, and the noise where flats could not."""
    chosen, sample = spread_views(scan)
    offset, slope = (float(v) for v in spot_variance(clean_transmission(sample, draft)[0]))
    notes: list[str] = []
    if draft.flat_drift is not None:
        notes.append(
            f"flats: the shape of the beam changes by {100 * draft.flat_drift.rms:.2g} % (rms) from before the scan to "
            "after it; it is interpolated in time"
        )
    failing = bad_in_views(
        clean_transmission(sample, draft)[0], spot_maps(replace(draft, spot_noise=(offset, slope)))
    )
    if failing.any():
        draft = _without_pixels(draft, failing)
        notes.append(
            f"bad pixels: {np.count_nonzero(failing)} fail in the views only; they are interpolated as well"
        )
    if not noise_known:
        per_count = max(slope, 1e-9) * float(np.median(draft.flat))
        draft = replace(draft, noise=_rough_noise(per_count))
        notes.append("noise: no repeated flats and no counts_per_adu; σ comes from subsets of the views")
    if spots:
        draft = _allow_corners(sample, replace(draft, spot_noise=(offset, slope)))
    if black_body is not None:
        draft = replace(draft, background=black_body.background(draft))
    if dose == "air":
        draft = replace(draft, air_columns=_air_regions(sample, chosen, draft, air_columns))
        if not draft.air_columns:
            notes.append("dose: no columns beside the object are air in every view; it is not corrected")
    if black_body is not None:
        draft = replace(draft, background=black_body.background(draft))
    return replace(draft, notes=tuple(notes))


def _without_pixels(draft: Correction, failing: NDArray[np.bool_]) -> Correction:
    """Interpolate further pixels."""
    flat = draft.flat[None].copy()
    bad = draft.bad_pixels | failing
    plan_repair(bad).apply(flat)
    return replace(draft, bad_pixels=bad, flat=flat[0])


def _allow_corners(sample: Float32, draft: Correction) -> Correction:
    """Keep the corners of the sample from being taken for spots."""
    frames = clean_transmission(sample, replace(draft, spot_noise=None))[0]
    extra = corner_variance(frames, spot_maps(draft), threshold=draft.spot_threshold)
    if draft.dark_spots:
        dark = corner_variance(upside_down(frames), spot_maps(draft), threshold=draft.spot_threshold)
        extra = np.maximum(extra, dark)
    return replace(draft, corner_variance=extra)


def _air_regions(
    sample: Float32, chosen: NDArray[np.integer], draft: Correction, given: Sequence[Sequence[int]] | None
) -> Columns:
    if given is not None:
        return check_air_columns(given, draft.flat.shape[1])
    frames = clean_transmission(sample, draft)[0]
    if draft.background is not None:
        # a dose that is not known yet hardly matters to a background of a few per cent
        for frame, view in zip(frames, chosen, strict=True):
            frame -= draft.background_of(int(view)) - draft.open_background
    return find_air_columns(frames)


def _rough_noise(per_count: float) -> NoiseModel:
    return white_noise(per_count, read_variance=0.0, gain_drift=0.0, origin="views")


def sample_views(scan: ScanLike, count: int = SAMPLE_VIEWS) -> Float32:
    """Raw frames of views spread evenly over the scan."""
    return spread_views(scan, count)[1]


def spread_views(scan: ScanLike, count: int = SAMPLE_VIEWS) -> tuple[NDArray[np.int64], Float32]:
    """Numbers of views spread evenly over the scan, and their raw frames."""
    chosen = np.unique(np.linspace(0, scan.shape[0] - 1, count).round().astype(np.int64))
    frames = [np.asarray(scan.read(int(i), int(i) + 1), np.float32) for i in chosen]
    return chosen, np.concatenate(frames)


def _with_region(scan: ScanLike, learnt: Correction, region: Sequence[int]) -> Correction:
    """Learn the usual level of an inert part."""
    top, bottom, left, right = (int(v) for v in region)
    frames = clean_transmission(sample_views(scan), learnt)[0][:, top:bottom, left:right]
    levels = frames.mean(axis=(1, 2), dtype=np.float64)
    return replace(
        learnt, inert_region=(top, bottom, left, right), inert_level=float(np.mean(levels)), air_columns=()
    )


def _check_dose(
    scan: ScanLike, dose: str, counts: NDArray[np.floating] | None, region: Sequence[int] | None
) -> None:
    if (dose == "counted") != (counts is not None) or (dose == "region") != (region is not None):
        raise InputError(
            f"dose: found {dose!r}; 'counted' goes with dose_counts, 'region' with dose_region, and neither without it"
        )
    if counts is not None:
        values = np.asarray(counts, np.float64)
        if values.shape != (scan.shape[0],) or not np.all(np.isfinite(values) & (values > 0)):
            raise InputError(
                f"dose_counts: found {values.size} values, expected {scan.shape[0]} positive ones, one per view"
            )
    if region is not None:
        _, rows, columns = scan.shape
        if len(region) != 4 or not (
            0 <= region[0] < region[1] <= rows and 0 <= region[2] < region[3] <= columns
        ):
            raise InputError(
                f"dose_region: found {list(region)}, expected [row, stop, column, stop] within {rows} x {columns}"
            )


def _check_options(dose: str, threshold: float, counts_per_adu: float | None) -> None:
    if dose not in ("air", "counted", "region", "none"):
        raise InputError(f"dose: found {dose!r}, expected 'air', 'counted', 'region' or 'none'")
    if not threshold > 0:
        raise InputError(f"spot_threshold: found {threshold}, expected standard deviations above 0")
    if counts_per_adu is not None and not (np.isfinite(counts_per_adu) and counts_per_adu > 0):
        raise InputError(f"counts_per_adu: found {counts_per_adu}, expected a positive number")
