"""Filtering of views on their way to direct back-projection: ramp, finer sampling, compensation."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from deltamu.kernels.backend import array_module, thread_count
from deltamu.recon.solvers.filters import filter_response

Array = NDArray[np.float32]
Float = NDArray[np.float64]
COLUMN_STEPS = 2  # samples per column
FINER = 16  # points of the transform of a kernel between two frequencies of the padded views


@dataclass(frozen=True, eq=False)
class ViewFilter:
    """Filters views along their rows and samples them more finely, where they are to be interpolated.

    Linear interpolation between samples at half the pitch multiplies the spectrum by sinc²(f / 2); it is divided
    out beforehand, so that what is read between the samples keeps its amplitude up to the Nyquist frequency.
    That holds on the average over where it is read: across columns, over the views. Rows are read at nearly the
    same fraction in all views, and are sampled more finely for that.

    Attributes
    ----------
    columns : int
        Of the views.
    before, after : int
        Columns beyond the detector that the result is to cover: filtering spreads the object there.
    name, cutoff
        Filter, see `filters.filter_response`.
    repeat_edge : bool
        Continue views with their outermost values instead of zeros.
    row_steps : int
        Samples per row of the detector: 1 where voxels are seen in the middle of rows only. Beyond the first and
        last row a view is continued by its mirror image.
    """

    columns: int
    before: int
    after: int
    name: str
    cutoff: float
    repeat_edge: bool
    row_steps: int

    @property
    def padded(self) -> int:
        """Columns of a padded view: no column of the result sees the object's periodic image."""
        return _even_fast(max(4, 2 * (self.columns + max(self.before, self.after))))

    @property
    def change(self) -> Float:
        """(2, 3) map from detector positions (column, row, 1) to those in the result."""
        return np.array([[2.0, 0, 2.0 * self.before], [0, self.row_steps, 0]])

    def result_bytes(self, rows: int) -> int:
        """Bytes of a filtered view of so many rows."""
        return 4 * (self.row_steps * (rows - 1) + 1) * self._covered

    def working_bytes(self, rows: int, views: int) -> int:
        """Bytes that filtering so many views needs beside them, with the result."""
        result = views * self.result_bytes(rows)
        if self.row_steps == 1:
            # the spectrum, and with twice as many frequencies; what that becomes, from which the result is copied
            samples = views * rows * self.padded
            return max((4 + 8 + 8) * samples, (4 + 8) * samples + result)
        mirrored = max(2 * (rows - 1), 1)
        samples = mirrored * self.padded
        # spectrum, finer along columns, then along rows, and what it becomes; response and its positions in float64;
        # the results of single views are put together in the end
        one = samples * (4 + 8 + 8 * self.row_steps + 8 * self.row_steps) + 16 * samples
        return one + 2 * result

    def __call__(self, views: Array, slopes: Float) -> Array:
        """Filter views.

        Parameters
        ----------
        views : (view, row, column) float32 array
        slopes : (view,) array
            Rows per column along which each view is filtered; used where there are more `row_steps` than one.

        Returns
        -------
        (view, row_steps (row - 1) + 1, 2 (before + columns + after) - 1) float32 array
        """
        with fft.set_workers(thread_count()):
            if self.row_steps == 1:
                return self._along_columns(views)
            parts = [self._along_slope(views[i : i + 1], slope) for i, slope in enumerate(slopes)]
            return np.concatenate(parts)

    def _along_columns(self, views: Array) -> Array:
        xp = array_module(views)
        spectrum = _transforms(views).rfft(self._padded_columns(views), axis=-1)
        response = self._response() * _compensation(fft.rfftfreq(self.padded), COLUMN_STEPS)
        spectrum *= xp.asarray(response.astype(np.float32))
        fine = _transforms(views).irfft(_finer(spectrum), 2 * self.padded, axis=-1)
        filtered: Array = xp.ascontiguousarray(fine[..., : self._covered])
        return filtered

    def _along_slope(self, views: Array, slope: float) -> Array:
        rows = views.shape[1]
        mirrored = np.concatenate([views, views[:, rows - 2 : 0 : -1]], axis=1)
        xp = array_module(views)
        spectrum = _transforms(views).rfft2(self._padded_columns(mirrored))
        spectrum *= xp.asarray(self._slanted_response(mirrored.shape[1], slope))
        tall = _finer_rows(_finer(spectrum), self.row_steps)
        shape = (tall.shape[1], 2 * self.padded)
        fine = _transforms(views).irfft2(tall, shape)
        filtered: Array = xp.ascontiguousarray(fine[:, : self.row_steps * (rows - 1) + 1, : self._covered])
        return filtered

    @property
    def _covered(self) -> int:
        return 2 * (self.before + self.columns + self.after) - 1

    def _padded_columns(self, views: Array) -> Array:
        """Views with `before` columns in front; the rest of the padding behind, its second half wrapped around."""
        padded: Array = array_module(views).zeros((*views.shape[:-1], self.padded), np.float32)
        end = self.before + self.columns
        padded[..., self.before : end] = views
        if self.repeat_edge:
            middle = end + (self.padded - self.columns) // 2
            padded[..., end:middle] = views[..., -1:]
            padded[..., middle:] = views[..., :1]
            padded[..., : self.before] = views[..., :1]
        return padded

    def _response(self) -> Float:
        return filter_response(self.name, self.padded, cutoff=self.cutoff)

    def _slanted_response(self, rows: int, slope: float) -> Array:
        """Response at the frequency along the line of the given slope, with both compensations."""
        kernel = fft.irfft(self._response(), self.padded)
        half = self.padded // 2
        longer = np.zeros(FINER * self.padded)
        longer[: half + 1], longer[-half + 1 :] = kernel[: half + 1], kernel[half + 1 :]
        longer[half], longer[-half] = kernel[half] / 2, kernel[half] / 2
        fine = fft.rfft(longer).real
        across = np.abs(fft.rfftfreq(self.padded) + slope * fft.fftfreq(rows)[:, None])
        response = np.interp(across, np.arange(fine.size) / longer.size, fine) / np.hypot(1, slope)
        across_rows = _compensation(fft.fftfreq(rows), self.row_steps)[:, None]
        across_columns = _compensation(fft.rfftfreq(self.padded), COLUMN_STEPS)
        return np.asarray(response * across_rows * across_columns, np.float32)


def _transforms(views: Array) -> Any:
    """Fourier transforms on the device of the views; SciPy's keep single precision and use threads."""
    xp = array_module(views)
    return fft if xp is np else xp.fft


def _compensation(frequency: Float, steps: int) -> Float:
    """Reciprocal of the transfer function of linear interpolation between `steps` samples per pixel."""
    return np.asarray(1 / np.sinc(frequency / steps) ** 2)


def _finer(spectrum: NDArray[np.complexfloating]) -> NDArray[np.complexfloating]:
    """Spectrum of twice as many samples along the last axis, which holds half of it."""
    half = spectrum.shape[-1] - 1
    wide: NDArray[np.complexfloating] = array_module(spectrum).zeros(
        (*spectrum.shape[:-1], 2 * half + 1), spectrum.dtype
    )
    wide[..., : half + 1] = 2 * spectrum
    # the Nyquist frequency is shared between its two signs
    wide[..., half] *= 0.5
    return wide


def _finer_rows(spectrum: NDArray[np.complexfloating], steps: int) -> NDArray[np.complexfloating]:
    """Spectrum of `steps` times as many samples along the rows, an even number of them or one."""
    rows = spectrum.shape[1]
    if rows == 1:
        return spectrum
    half = rows // 2
    tall: NDArray[np.complexfloating] = array_module(spectrum).zeros(
        (spectrum.shape[0], steps * rows, spectrum.shape[2]), spectrum.dtype
    )
    tall[:, :half], tall[:, -half:] = steps * spectrum[:, :half], steps * spectrum[:, half:]
    tall[:, -half] *= 0.5
    tall[:, half] = tall[:, -half]
    return tall


def _even_fast(at_least: int) -> int:
    """A good length for a transform, even, not below `at_least`."""
    return 2 * int(fft.next_fast_len(-(-at_least // 2), real=True))
