"""Frames of a series over its reference, made as they are shown."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deltamu.recon.errors import InputError
from deltamu.recon.operando.series import Series
from deltamu.recon.report.operando.content import SeriesContent

Float = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class RatioFrames:
    """Tr_t / Tr_0 of every frame, each pixel for itself: drift and spots are as they were recorded.

    Attributes
    ----------
    series : Series
    dark : (row, column) array
    reference : (row, column) array
        Mean of the reference frames, dark and dose taken out.
    dose : (frame,) array
        Of the open beam in each frame, relative.
    """

    series: Series
    dark: Float
    reference: Float
    dose: NDArray[np.float64]

    @property
    def shape(self) -> tuple[int, ...]:
        """(time, row, column)."""
        return self.series.shape

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the ratios."""
        return np.dtype(np.float32)

    def __getitem__(self, key: tuple[slice, slice, slice]) -> Float:
        """Form the ratios of some frames; NaN where the reference holds no counts."""
        frames, rows, columns = key
        values = self.series.read(frames.start, frames.stop) - self.dark
        values /= self.dose[frames].astype(np.float32)[:, None, None]
        ratio = np.full(values.shape, np.nan, np.float32)
        np.divide(values, self.reference, out=ratio, where=self.reference > 0)
        return ratio[:, rows, columns]


def ratio_frames(series: Series, content: SeriesContent) -> RatioFrames:
    """Frames over the reference and the dose that a finished run found.

    Raises
    ------
    InputError
        If the run was of another number of frames, or kept no dose.
    """
    dose = np.asarray(content.arrays.get("dose", ()), np.float64)
    if dose.shape != series.shape[:1]:
        raise InputError(
            f"{content.output}: holds the dose of {dose.size} frames, the series has {series.shape[0]}; "
            "`deltamu operando` computes it again"
        )
    dark = np.zeros(series.shape[1:], np.float32)
    if len(series.darks):
        dark = np.asarray(series.darks, np.float64).mean(axis=0).astype(np.float32)
    first, stop = content.summary["frames"]["reference"]
    frames = (series.read(first, stop) - dark) / dose[first:stop, None, None]
    return RatioFrames(series, dark, frames.mean(axis=0).astype(np.float32), dose)
