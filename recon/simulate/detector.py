"""The detector: its faults, which stay, and its frames, which are drawn.

Order of the draw: neutrons that are counted (Poisson), light per neutron (excess noise), light spread, gain
of the pixel, read-out, gamma hits, 16 bits.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from deltamu.recon.errors import InputError
from deltamu.recon.simulate.blur import FWHM_PER_SIGMA, light_kernel, spread_light
from deltamu.recon.simulate.presets import Beam, Instrument, Preset

Array = NDArray[np.float32]
Raw = NDArray[np.uint16]
Float = NDArray[np.float64]

_FULL_SCALE = 65_535
_GRID_PITCH_MM = 1.7
_DOT_RADIUS_MM = 0.35
# order in which a gamma hit spreads over its neighbours
_CLUSTER = np.array([(0, 0), (0, 1), (1, 0), (0, -1), (-1, 0), (1, 1), (-1, -1), (1, -1), (-1, 1)])


@dataclass(frozen=True)
class Detector:
    """A camera behind a scintillator, in front of a beam.

    Attributes
    ----------
    preset, beam, instrument
        Size, optics, noise.
    flux : (row, column) array
        Shape of the beam, mean 1.
    gain : (row, column) array
        Response of the pixels, about 1.
    dead, hot : (k, 2) integer arrays
        Pixels (row, column) that read the offset, or full scale, whatever happens.
    light : (tap,) array
        Light spread along a line of pixels.
    """

    preset: Preset
    beam: Beam
    instrument: Instrument
    flux: Array
    gain: Array
    dead: NDArray[np.int64]
    hot: NDArray[np.int64]
    light: Float

    def __post_init__(self) -> None:
        level = self.instrument.offset_adu + self.instrument.open_beam_adu * float(self.flux.max())
        if level > 0.9 * _FULL_SCALE:
            raise InputError(
                f"open_beam_adu: the open beam reaches {level:.0f} of {_FULL_SCALE} ADU and would clip; "
                "expected at most 90 %"
            )


def make_detector(preset: Preset, beam: Beam, instrument: Instrument, *, seed: int) -> Detector:
    """Draw the faults of a detector and the shape of the beam; the same for all scans of a study."""
    rng = np.random.default_rng([seed, 3000])
    shape = (preset.rows, preset.columns)
    gain = 1 + instrument.gain_rms * rng.standard_normal(shape, dtype=np.float32)
    _draw_lines(rng, gain, instrument.line_fraction)
    faulty = rng.permutation(gain.size)[: round(instrument.dead_fraction * gain.size)]
    places = np.stack(np.unravel_index(faulty, shape), axis=1)
    dead, hot = places[::2], places[1::2]
    return Detector(
        preset, beam, instrument, _flux(shape, instrument), gain, dead, hot, light_kernel(preset, beam)
    )


def _flux(shape: tuple[int, int], instrument: Instrument) -> Array:
    """Return a beam that is brighter in the middle, with a slow ripple."""
    y = np.linspace(-1, 1, shape[0])[:, None] * shape[0] / shape[1]
    x = np.linspace(-1, 1, shape[1])[None, :]
    bow = 1 / 3 - (x**2 + y**2) + 0.2 * x
    ripple = np.sin(2 * np.pi * (2.3 * x + 0.4)) * np.cos(2 * np.pi * (1.7 * y + 0.1))
    flux = 1 + instrument.beam_bow * bow + instrument.beam_ripple * ripple
    result: Array = (flux / flux.mean()).astype(np.float32)
    return result


def _draw_lines(rng: np.random.Generator, gain: Array, fraction: float) -> None:
    """Weaken segments of columns, in place."""
    length = max(2, gain.shape[0] // 4)
    for _ in range(round(fraction * gain.size / length)):
        row, column = rng.integers(gain.shape[0] - length), rng.integers(gain.shape[1])
        gain[row : row + length, column] *= np.float32(rng.uniform(0.6, 0.9))


@dataclass(frozen=True)
class ScanGains:
    """Response of the pixels during the three parts of a scan; it drifts like a random walk."""

    before: Array
    scan: Array
    after: Array


def drifting_gains(detector: Detector, *, seed: int, state_index: int) -> ScanGains:
    """Draw the drift of one scan."""
    rng = np.random.default_rng([seed, 3001, state_index])
    step = np.float32(detector.instrument.gain_drift)

    def drifted(gain: Array) -> Array:
        return np.asarray(gain * (1 + step * rng.standard_normal(gain.shape, dtype=np.float32)))

    scan = drifted(detector.gain)
    return ScanGains(detector.gain, scan, drifted(scan))


def beam_doses(instrument: Instrument, frames: int, *, seed: int, state_index: int) -> Float:
    """Relative dose of consecutive frames: correlated fluctuation, slow growth, occasional dips."""
    rng = np.random.default_rng([seed, 3002, state_index])
    memory = instrument.dose_correlation
    kick = instrument.dose_rms * np.sqrt(1 - memory**2)
    fluctuation = np.empty(frames)
    value = instrument.dose_rms * rng.standard_normal()
    for frame in range(frames):
        fluctuation[frame] = value
        value = memory * value + kick * rng.standard_normal()
    hours = np.arange(frames) * instrument.frame_s / 3600
    dips = 1 - instrument.dip_depth * (rng.random(frames) < instrument.dip_probability)
    return np.asarray((1 + fluctuation) * (1 + instrument.trend_per_hour * hours) * dips)


def expose(
    detector: Detector,
    transmission: Array | None,
    gain: Array,
    *,
    dose: float,
    rng: np.random.Generator,
    grid: Array | None = None,
) -> Raw:
    """Record one frame.

    Parameters
    ----------
    detector : Detector
    transmission : (row, column) array or None
        None for the open beam.
    gain : (row, column) array
        Response of the pixels now.
    dose : float
        Relative beam of this frame; 0 with the shutter closed.
    rng : Generator
        Of this frame alone.
    grid : (row, column) array, optional
        What a grid of black bodies in front of the sample lets through.
    """
    instrument = detector.instrument
    adu = np.full(gain.shape, instrument.offset_adu, np.float32)
    if dose > 0:
        signal = _count(detector, _expected_counts(detector, transmission, dose, grid), rng)
        signal = spread_light(signal, detector.light)
        signal *= gain
        signal *= np.float32(instrument.adu_per_count(detector.preset.counts))
        adu += signal
    adu += np.float32(instrument.read_noise_adu) * rng.standard_normal(gain.shape, dtype=np.float32)
    _mark_faults(detector, adu)
    _hit(adu, instrument, rng)
    np.rint(adu, out=adu)
    return np.clip(adu, 0, _FULL_SCALE, out=adu).astype(np.uint16)


def _expected_counts(
    detector: Detector, transmission: Array | None, dose: float, grid: Array | None
) -> Array:
    level = detector.flux * np.float32(detector.preset.counts * dose)
    if transmission is None and grid is None:
        return np.asarray(level * np.float32(1 + detector.beam.background_fraction))
    if transmission is None:
        transmission = np.ones_like(detector.flux)
    return np.asarray(level * _seen(detector, transmission, grid))


def _seen(detector: Detector, transmission: Array, grid: Array | None) -> Array:
    """Transmission with the wide tail of the line spread, scattered neutrons and background.

    The grid reaches far beyond the field, so that it takes the same share of what scatters everywhere.
    """
    beam = detector.beam
    seen = transmission if grid is None else transmission * grid
    share = np.float32(1.0 if grid is None else grid.mean())
    if beam.tail_fraction:
        wide = _smooth(seen, beam.tail_fwhm_um / (detector.preset.pixel_size_mm * 1e3))
        seen = np.float32(1 - beam.tail_fraction) * seen + np.float32(beam.tail_fraction) * wide
    if beam.scatter_fraction:
        missing = _smooth_coarse(1 - transmission, beam.scatter_fwhm_mm / detector.preset.pixel_size_mm)
        seen = seen + share * np.float32(beam.scatter_fraction) * missing
    if not beam.background_fraction:
        return seen
    return np.asarray(seen + share * np.float32(beam.background_fraction), np.float32)


def black_body_grid(preset: Preset) -> Array:
    """What a regular grid of black discs in front of the sample lets through, (row, column)."""
    pitch, radius = _GRID_PITCH_MM / preset.pixel_size_mm, _DOT_RADIUS_MM / preset.pixel_size_mm
    away = []
    for pixels in (preset.rows, preset.columns):
        position = np.arange(pixels) - (pixels - 1) / 2
        away.append(position % pitch - pitch / 2)
    rim = np.hypot(away[0][:, None], away[1][None, :]) - radius
    result: Array = np.clip(rim + 0.5, 1e-4, 1).astype(np.float32)
    return result


def _smooth(image: Array, fwhm_px: float) -> Array:
    from scipy.ndimage import gaussian_filter

    return np.asarray(
        gaussian_filter(image, fwhm_px / FWHM_PER_SIGMA, mode="nearest", truncate=3.5), np.float32
    )


def _smooth_coarse(image: Array, fwhm_px: float) -> Array:
    """Smooth widely, on pixels an eighth of the width apart."""
    from scipy.ndimage import gaussian_filter, map_coordinates

    step = max(1, int(fwhm_px / 8))
    rows, columns = image.shape
    padded = np.pad(image, ((0, -rows % step), (0, -columns % step)), mode="edge")
    blocks = padded.reshape(padded.shape[0] // step, step, -1, step).mean(axis=(1, 3))
    smooth = gaussian_filter(blocks, fwhm_px / FWHM_PER_SIGMA / step, mode="nearest", truncate=3.0)
    index = [(np.arange(n) - (step - 1) / 2) / step for n in (rows, columns)]
    return np.asarray(
        map_coordinates(smooth, np.meshgrid(*index, indexing="ij"), order=1, mode="nearest"), np.float32
    )


def _count(detector: Detector, expected: Array, rng: np.random.Generator) -> Array:
    """Poisson numbers, each with the fluctuating light of its neutrons."""
    neutrons = rng.poisson(expected).astype(np.float32)
    light = rng.standard_normal(expected.shape, dtype=np.float32)
    light *= np.sqrt(neutrons * np.float32(detector.instrument.excess_noise - 1))
    neutrons += light
    return neutrons


def _mark_faults(detector: Detector, adu: Array) -> None:
    adu[tuple(detector.dead.T)] = detector.instrument.offset_adu
    adu[tuple(detector.hot.T)] = _FULL_SCALE


def _hit(adu: Array, instrument: Instrument, rng: np.random.Generator) -> None:
    """Add gamma hits: clusters of 1 to 9 pixels, the first one the brightest."""
    number = rng.poisson(instrument.spot_rate * adu.size)
    row, column = rng.integers(adu.shape[0], size=number), rng.integers(adu.shape[1], size=number)
    size, height = rng.integers(1, 10, number), rng.exponential(instrument.spot_mean_adu, number)
    share = rng.uniform(0.2, 1.0, (number, len(_CLUSTER)))
    share[:, 0] = 1.0
    share[np.arange(len(_CLUSTER))[None, :] >= size[:, None]] = 0.0
    at_row = np.clip(row[:, None] + _CLUSTER[:, 0], 0, adu.shape[0] - 1)
    at_column = np.clip(column[:, None] + _CLUSTER[:, 1], 0, adu.shape[1] - 1)
    np.add.at(adu, (at_row, at_column), (share * height[:, None]).astype(np.float32))


def expected_flat(detector: Detector) -> tuple[Float, Float]:
    """Mean and variance (row, column) in ADU of a flat of dose 1 without gamma hits and faulty pixels."""
    instrument = detector.instrument
    gain = instrument.adu_per_count(detector.preset.counts) * detector.gain.astype(float)
    counts = detector.flux.astype(float) * detector.preset.counts * (1 + detector.beam.background_fraction)
    # the light spread averages neighbours of nearly the same level
    shared = float(np.sum(detector.light**2)) ** 2
    mean = instrument.offset_adu + gain * counts
    # rounding to whole ADU adds a twelfth
    return mean, instrument.excess_noise * gain**2 * counts * shared + instrument.read_noise_adu**2 + 1 / 12
