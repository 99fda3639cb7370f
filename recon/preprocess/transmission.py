"""The whole chain from a scan to line integrals, and what it did in numbers."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deltamu.kernels.backend import array_module, to_host
from deltamu.recon.preprocess.correction import (
    CorrectedFrames,
    Correction,
    clean_transmission,
    correct_frames,
    dose_of_frame,
    open_beam_variance,
    true_transmission,
)
from deltamu.recon.preprocess.detector import ScanLike
from deltamu.recon.preprocess.prepare import prepare_correction
from deltamu.recon.preprocess.stripes import StripeMode, remove_stripes

Float32 = NDArray[np.float32]
BLOCK_FRAMES = 32
STARVED_ROW_FRACTION = 0.05


@dataclass(frozen=True)
class CorrectionStatistics:
    """What the correction of one scan did.

    Attributes
    ----------
    dose_rms : float
        Standard deviation of the dose over its mean.
    spots_fraction, starved_fraction : float
        Of all pixels of all frames.
    starved_rows : tuple of int
        Detector rows with more than 5 % starved pixels.
    noise_origin : {"given", "flats", "views"}
    bad_pixels_fraction : float
    """

    dose_rms: float
    spots_fraction: float
    starved_fraction: float
    starved_rows: tuple[int, ...]
    noise_origin: str
    bad_pixels_fraction: float


def line_integrals(scan: ScanLike, *, stripes: StripeMode = "auto", **options: Any) -> Float32:
    """Line integrals −ln T of a whole scan that fits into memory.

    Parameters
    ----------
    scan : Scan
    stripes : {"auto", "on", "off"}
        See `deltamu.recon.preprocess.stripes.remove_stripes`.
    **options
        Of `deltamu.recon.preprocess.prepare.prepare_correction`.

    Returns
    -------
    (angle, row, column) float32 array, dimensionless
    """
    correction = prepare_correction(scan, **options)
    result = np.empty(scan.shape, np.float32)
    for start in range(0, scan.shape[0], BLOCK_FRAMES):
        stop = min(start + BLOCK_FRAMES, scan.shape[0])
        result[start:stop] = correct_frames(
            scan.read(start, stop), correction, first_view=start
        ).line_integrals
    return remove_stripes(
        result,
        mode=stripes,
        open_beam_variance=open_beam_variance(correction),
        autocorrelation=correction.noise.autocorrelation,
    )


def transmission(raw: NDArray[np.generic], correction: Correction, *, first_view: int = 0) -> Float32:
    """Transmission of raw frames (radiographs), corrected for everything but the starved pixels.

    Parameters
    ----------
    raw : (n, row, column) array
        ADU; numpy or cupy.
    correction : Correction
    first_view : int
        Number of the first frame in the scan.
    """
    correction = correction.beside(raw)
    frames, _ = clean_transmission(raw, correction)
    weight = correction.dose_weight
    for index, frame in enumerate(frames):
        if correction.flat_drift is not None:
            correction.flat_drift.undo(frame, first_view + index)
        behind = correction.background_of(first_view + index)
        dose = dose_of_frame(frame, weight, behind, correction, view=first_view + index)
        frames[index] = true_transmission(frame, dose, behind, correction)
    return frames


def starved_per_row(frames: CorrectedFrames) -> NDArray[np.int64]:
    """Count starved pixels of each detector row in a block of frames."""
    starved = frames.starved
    result: NDArray[np.int64] = to_host(array_module(starved).count_nonzero(starved, axis=(0, 2)))
    return result


def correction_statistics(
    correction: Correction,
    *,
    dose: NDArray[np.floating],
    spots_fraction: NDArray[np.floating],
    starved_per_row: NDArray[np.integer],
) -> CorrectionStatistics:
    """Sum up what the correction did.

    Parameters
    ----------
    dose, spots_fraction : (angle,) arrays
        Of all frames of the scan.
    starved_per_row : (row,) array
        Starved pixels summed over frames and columns.
    """
    per_row = np.asarray(starved_per_row, float) / (len(dose) * correction.flat.shape[1])
    return CorrectionStatistics(
        dose_rms=float(np.std(dose) / np.mean(dose)),
        spots_fraction=float(np.mean(spots_fraction)),
        starved_fraction=float(per_row.mean()),
        starved_rows=tuple(int(row) for row in np.flatnonzero(per_row > STARVED_ROW_FRACTION)),
        noise_origin=correction.noise.origin,
        bad_pixels_fraction=float(correction.bad_pixels.mean()),
    )
