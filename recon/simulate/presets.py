"""Sizes of the simulated study and the instrument that records it."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from deltamu.recon.errors import InputError
from deltamu.recon.materials.spectrum import GammaSpectrum


@dataclass(frozen=True)
class Preset:
    """Detector and number of views of a simulated scan.

    Attributes
    ----------
    rows, columns, views : int
    pixel_size_mm : float
    counts : float
        Detected neutrons per pixel and frame in the open beam.
    fine : int
        Rays per pixel and direction; also voxels of the simulated pellet per pixel.
    """

    rows: int
    columns: int
    views: int
    pixel_size_mm: float
    counts: float
    fine: int = 2

    @property
    def fine_mm(self) -> float:
        """Distance between rays."""
        return self.pixel_size_mm / self.fine

    @property
    def angles_deg(self) -> NDArray[np.float64]:
        """View angles over half a turn, the end excluded."""
        return np.arange(self.views) * (180.0 / self.views)  # type: ignore[return-value]


# 60 s frames; the counts grow with the area of a pixel
PRESETS = {
    "tiny": Preset(rows=48, columns=160, views=250, pixel_size_mm=0.090, counts=66_700),
    "small": Preset(rows=128, columns=512, views=625, pixel_size_mm=0.027, counts=6_000),
    "full": Preset(rows=256, columns=1024, views=625, pixel_size_mm=0.0135, counts=1_500),
}


def find_preset(name: str) -> Preset:
    """Look up a preset.

    Raises
    ------
    InputError
        If there is none of that name.
    """
    if name not in PRESETS:
        raise InputError(f"preset: found {name!r}, expected one of {', '.join(PRESETS)}")
    return PRESETS[name]


@dataclass(frozen=True)
class Beam:
    """What the beam and the optics do, apart from the cell.

    Attributes
    ----------
    name : str
    wavelength_angstrom : float
        Reference wavelength of every attenuation coefficient: the only one of a monochromatic beam, the mean
        of a spectrum.
    spectrum : GammaSpectrum or None
        None for one wavelength.
    aperture_blur_um : float
        Diameter of the disc that the finite collimation makes of a point at the sample.
    detector_fwhm_um : float
        Gaussian spread of the detector, light spread included.
    light_fwhm_um : float
        The part of it that happens to the light of the scintillator and so correlates noise.
    tail_fraction, tail_fwhm_um : float
        Share and width of the wide part of the line spread.
    scatter_fraction, background_fraction : float
        Scattered neutrons at full attenuation, and a constant, relative to the open beam.
    scatter_fwhm_mm : float
    roll_deg : float
        Tilt of the rotation axis in the plane of the detector; the axis moves to larger columns with the row.
    jitter_px : float
        Standard deviation of the shift of a view, both directions.
    black_bodies : int
        Views that are taken again behind a grid of black bodies; 0: no such acquisition.
    """

    name: str
    wavelength_angstrom: float = 2.6
    spectrum: GammaSpectrum | None = None
    aperture_blur_um: float = 20.0
    detector_fwhm_um: float = 30.0
    light_fwhm_um: float = 20.0
    tail_fraction: float = 0.0
    tail_fwhm_um: float = 300.0
    scatter_fraction: float = 0.0
    background_fraction: float = 0.0
    scatter_fwhm_mm: float = 4.0
    roll_deg: float = 0.0
    jitter_px: float = 0.0
    black_bodies: int = 0

    @property
    def neutron_fwhm_um(self) -> float:
        """Gaussian spread that acts before neutrons are counted."""
        return float(np.sqrt(self.detector_fwhm_um**2 - self.light_fwhm_um**2))


_SPECTRUM = GammaSpectrum()
BEAMS = {
    "ideal": Beam("ideal"),
    "real": Beam(
        "real",
        wavelength_angstrom=_SPECTRUM.mean_angstrom,
        spectrum=_SPECTRUM,
        tail_fraction=0.05,
        scatter_fraction=0.015,
        background_fraction=0.005,
        roll_deg=0.1,
        jitter_px=0.1,
        black_bodies=25,
    ),
}


def find_beam(name: str) -> Beam:
    """Look up a beam.

    Raises
    ------
    InputError
        If there is none of that name.
    """
    if name not in BEAMS:
        raise InputError(f"beam: found {name!r}, expected one of {', '.join(BEAMS)}")
    return BEAMS[name]


@dataclass(frozen=True)
class Instrument:
    """Beam fluctuations and detector faults.

    Attributes
    ----------
    open_beam_adu : float
        Mean level of the open beam above the offset.
    offset_adu, read_noise_adu : float
    excess_noise : float
        Variance of the light per neutron number: F in var = F g² N.
    beam_bow, beam_ripple : float
        Variation of the flux over the detector.
    dose_rms, dose_correlation : float
        Of the first-order autoregressive dose of a frame.
    trend_per_hour : float
        Growth of the reactor power.
    dip_probability, dip_depth : float
        Frames with less beam.
    gain_rms : float
        Fixed differences between pixels.
    gain_drift : float
        Relative step of every pixel's gain between the flats before and the scan, and before the flats after.
    dead_fraction, line_fraction : float
        Share of pixels that are dead or hot, and that lie on a line defect.
    spot_rate, spot_mean_adu : float
        Gamma hits per pixel and frame, and their mean height.
    flats, darks : int
        Frames of the open beam, before and again after; frames of the closed beam.
    frame_s : float
        Exposure time.
    """

    open_beam_adu: float = 30_000.0
    offset_adu: float = 100.0
    read_noise_adu: float = 4.0
    excess_noise: float = 1.3
    beam_bow: float = 0.15
    beam_ripple: float = 0.03
    dose_rms: float = 0.01
    dose_correlation: float = 0.9
    trend_per_hour: float = 0.005
    dip_probability: float = 0.004
    dip_depth: float = 0.05
    gain_rms: float = 0.005
    gain_drift: float = 0.001
    dead_fraction: float = 2e-4
    line_fraction: float = 1e-3
    spot_rate: float = 3e-4
    spot_mean_adu: float = 0.5 * 65_535
    flats: int = 20
    darks: int = 20
    frame_s: float = field(default=60.0)

    def adu_per_count(self, counts: float) -> float:
        """Camera gain g that gives the open-beam level."""
        return self.open_beam_adu / counts
