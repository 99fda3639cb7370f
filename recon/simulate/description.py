"""What an experimenter would know of a simulated study."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from deltamu.recon.simulate.presets import Beam


@dataclass(frozen=True)
class SimulatedScan:
    """A raw scan: its path relative to the study, and what its reader has to be told.

    `black_body` is the path of the acquisition behind a grid, where there is one.
    """

    path: str
    black_body: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class NoiseFacts:
    """What the simulated camera does to a number of neutrons.

    Attributes
    ----------
    counts_open_beam : float
        Mean neutrons per pixel and frame.
    adu_per_count : float
        Camera gain g.
    excess_noise : float
        F in var = F g² N; over areas larger than the light spread, variance / mean is F g.
    read_noise_adu, offset_adu, gain_drift : float
    light_taps : tuple of float
        Light spread along a line of pixels, sum 1.
    """

    counts_open_beam: float
    adu_per_count: float
    excess_noise: float
    read_noise_adu: float
    offset_adu: float
    gain_drift: float
    light_taps: tuple[float, ...]


@dataclass(frozen=True)
class SimulatedStudy:
    """What an experimenter would know of a simulated study, and where its files are.

    Attributes
    ----------
    folder : Path
    scans : mapping of state to SimulatedScan
    pixel_size_mm : float
    layer_order, layer_thickness_mm : tuples
        The stack along +z, nominal.
    pellet_radius_mm : float
    housing_radius_mm : (inner, outer)
    wavelength_angstrom : float
        Reference wavelength.
    charge_mah : mapping of change to charge
        As the cycler counted it, positive for lithium into the cathode; empty when nothing was cycled.
    beam : Beam
        As the instrument's scientists know it: spectrum and line spread.
    center_px : float
        True column of the rotation axis.
    noise : NoiseFacts
    truth : Path
        Folder that a run must not open.
    """

    folder: Path
    scans: Mapping[str, SimulatedScan]
    pixel_size_mm: float
    layer_order: tuple[str, ...]
    layer_thickness_mm: tuple[float, ...]
    pellet_radius_mm: float
    housing_radius_mm: tuple[float, float]
    wavelength_angstrom: float
    charge_mah: Mapping[str, float]
    beam: Beam
    center_px: float
    noise: NoiseFacts
    truth: Path
