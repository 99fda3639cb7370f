"""How to correct the frames of a series, learnt from its flats and darks and from a few of its frames."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from deltamu.recon.errors import InputError
from deltamu.recon.operando.grid_frames import GridFrames, steady_background
from deltamu.recon.operando.series import Series
from deltamu.recon.preprocess.correction import Correction, clean_transmission
from deltamu.recon.preprocess.dose import check_air_columns
from deltamu.recon.preprocess.line_spread import LineSpreadTail
from deltamu.recon.preprocess.noise import white_noise
from deltamu.recon.preprocess.prepare import prepare_correction, sample_views
from deltamu.recon.preprocess.references import combine_darks
from deltamu.recon.preprocess.scatter import UniformBackground
from deltamu.recon.preprocess.spots import spot_variance

Float32 = NDArray[np.float32]

_EDGE_FRACTION = 40
# air: as bright as the outermost columns but for 1 % (what a thin object takes, several σ of any counting noise
# over a column and many frames), at a level that a beam can have against the flats
_AIR_SEED_FRACTION, _DARKEST_AIR, _AIR_LEVELS, _AIR_MARGIN = 64, 0.01, (0.6, 1.5), 5


def prepare_series_correction(
    series: Series,
    *,
    dose: str = "air",
    air_columns: Sequence[Sequence[int]] | None = None,
    spots: bool = True,
    counts_per_adu: float | None = None,
    scatter_fraction: float | None = None,
    grid: GridFrames | None = None,
    tail: LineSpreadTail | None = None,
) -> Correction:
    """Learn how to correct the frames; without flats transmission is relative, and ratios are still right.

    Parameters
    ----------
    series : Series
    dose : {"air", "none"}
    air_columns : sequence of (first, stop), optional
        Found when not given.
    spots : bool
    counts_per_adu : float, optional
    scatter_fraction : float, optional
        A background of this fraction of the open beam in every pixel of every frame.
    grid : GridFrames, optional
        Frames behind a grid of black bodies, from which the background is known.
    tail : LineSpreadTail, optional
        Wide part of the line spread, which is removed from the transmission.

    Raises
    ------
    InputError
        If an option is wrong, or flats and darks cannot be right.
    """
    if grid is not None and not len(series.flats):
        raise InputError(
            "scatter: black-body frames need flats of the series, to which they are compared; expected flats, or "
            "method = 'uniform'"
        )
    if not len(series.flats):
        bare = _without_flats(
            series, dose=dose, air_columns=air_columns, spots=spots, counts_per_adu=counts_per_adu
        )
        behind = None if scatter_fraction is None else UniformBackground(scatter_fraction)
        return replace(bare, background=behind, tail=tail)
    correction = prepare_correction(
        series,
        dose="none",
        spots=spots,
        counts_per_adu=counts_per_adu,
        scatter_fraction=scatter_fraction,
        tail=tail,
    )
    if dose == "air":
        columns = (
            _air_of_series(series, correction)
            if air_columns is None
            else check_air_columns(air_columns, series.shape[2])
        )
        note = () if columns else ("dose: no columns beside the object are air; the beam is not corrected",)
        correction = replace(correction, air_columns=columns, notes=(*correction.notes, *note))
    return correction if grid is None else replace(correction, background=steady_background(grid, correction))


def _air_of_series(series: Series, correction: Correction) -> tuple[tuple[int, int], ...]:
    """Columns at the edges that are as bright as the edges themselves, in the mean of frames from the whole series.

    The view does not change in a series, so that many frames show one profile, with little noise.
    """
    frames = clean_transmission(sample_views(series), correction)[0]
    edge = max(3, series.shape[2] // _AIR_SEED_FRACTION)
    profiles = frames.mean(axis=1, dtype=np.float64)
    level = np.maximum(profiles[:, :edge].mean(axis=1), profiles[:, -edge:].mean(axis=1))
    if not _AIR_LEVELS[0] < float(np.median(level)) < _AIR_LEVELS[1]:
        return ()
    profile = np.median(profiles / level[:, None], axis=0)
    is_air = np.abs(profile - 1) < _DARKEST_AIR
    left = int(np.argmin(is_air)) - _AIR_MARGIN
    right = int(np.argmin(is_air[::-1])) - _AIR_MARGIN
    return tuple(
        region
        for width, region in ((left, (0, left)), (right, (is_air.size - right, is_air.size)))
        if width >= edge // 2
    )


def _without_flats(
    series: Series,
    *,
    dose: str,
    air_columns: Sequence[Sequence[int]] | None,
    spots: bool,
    counts_per_adu: float | None,
) -> Correction:
    """Take the level beside the object for the beam everywhere."""
    darks = series.darks if len(series.darks) else np.zeros((1, *series.shape[1:]), np.float32)
    dark = combine_darks(darks, threshold=5.0 if spots else None).mean
    sample = sample_views(series, 8) - dark
    edge = max(3, series.shape[2] // _EDGE_FRACTION)
    regions = ((0, edge), (series.shape[2] - edge, series.shape[2])) if air_columns is None else air_columns
    columns = check_air_columns(regions, series.shape[2]) if dose == "air" else ()
    level = float(np.median(np.concatenate([sample[:, :, a:b].ravel() for a, b in columns or ((0, edge),)])))
    offset, slope = (float(v) for v in spot_variance(np.asarray(sample / level, np.float32)))
    per_count = 1 / counts_per_adu if counts_per_adu else max(slope * level, 1e-9)
    note = (
        "no flats: transmission is relative to the beam beside the object, the shape of the beam stays in it; "
        "ratios to the reference frames, and what follows from them, do not depend on that"
    )
    return Correction(
        dark=dark,
        flat=np.full(series.shape[1:], level, np.float32),
        flat_frames=1.0,
        bad_pixels=np.zeros(series.shape[1:], bool),
        air_columns=columns,
        noise=white_noise(
            per_count, read_variance=0.0, gain_drift=0.0, origin="given" if counts_per_adu else "views"
        ),
        spot_noise=(offset, slope) if spots else None,
        notes=(note,),
    )
