"""A small instrument: closed-form line integrals of a cell, and frames as a camera would store them."""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

OFFSET_ADU = 100.0
OPEN_BEAM_ADU = 30_000.0
READ_ADU = 4.0
# Kapton sleeve and aluminium housing as in the demo cell: radii over the width of the field, cm⁻¹
SHELLS = ((0.434, 0.290, 0.111), (0.290, 0.217, 1.68))
PELLET_RADIUS = 0.217


@dataclass
class StandInScan:
    """What the preprocessing reads of a scan."""

    frames: NDArray[np.float32]
    angles: NDArray[np.float64]
    flats: NDArray[np.float32]
    darks: NDArray[np.float32]
    flats_after: int | None = None
    exposure_s: dict[str, float] | None = None
    truth: dict[str, NDArray] = field(default_factory=dict)

    @property
    def shape(self) -> tuple[int, int, int]:
        return self.frames.shape

    def read(self, start: int, stop: int) -> NDArray[np.float32]:
        return self.frames[start:stop]


def chord(distance, radius):
    return 2 * np.sqrt(np.maximum(radius**2 - distance**2, 0))


def cell_line_integrals(angles, rows, columns, *, center, offset=(1.3, -0.8), mu_rows=None, width_cm=1.38):
    """Line integrals (angle, row, column) of a pellet in sleeve and housing, with a hole beside the axis."""
    mu_rows = np.full(rows, 2.0) if mu_rows is None else np.asarray(mu_rows, float)
    pitch = width_cm / columns

    def at(radius_px, angle_offset, radius):
        axis = center + radius_px * np.cos(angles - angle_offset)
        fine = (np.arange(4 * columns) + 0.5) / 4 - 0.5
        return chord(fine[None] - axis[:, None], radius).reshape(len(angles), columns, 4).mean(axis=2) * pitch

    shift, azimuth = np.hypot(*offset), np.arctan2(offset[1], offset[0])
    shells = sum(
        mu * (at(shift, azimuth, outer * columns) - at(shift, azimuth, inner * columns))
        for outer, inner, mu in SHELLS
    )
    pellet = at(shift, azimuth, PELLET_RADIUS * columns)
    hole = at(0.15 * columns, 0.7, 0.03 * columns)
    return (shells[:, None] + mu_rows[None, :, None] * (pellet - hole)[:, None]).astype(np.float32)


def detect(transmission, rng, *, counts, excess=1.0, blur_px=0.0, gain=1.0, dose=1.0, hits=0.0):
    """One frame in ADU: Poisson counts with excess noise, light spread, gain, read noise and gamma spots."""
    mean = counts * dose * transmission
    light = rng.poisson(mean / excess) * excess
    if blur_px:
        light = gaussian_filter(light.astype(float), blur_px, mode="reflect")
    adu = OFFSET_ADU + OPEN_BEAM_ADU / counts * light * gain + rng.normal(0, READ_ADU, transmission.shape)
    if hits:
        adu = adu + gamma_hits(transmission.shape, rng, hits)
    return adu.astype(np.float32)


def gamma_hits(shape, rng, fraction):
    spots = np.zeros(shape)
    for row, column in np.argwhere(rng.random(shape) < fraction):
        height, width = rng.integers(1, 4, 2)
        spots[row : row + height, column : column + width] += rng.exponential(32_000)
    return spots


def build_scan(
    *, views=24, rows=32, columns=256, counts=6000.0, excess=1.3, blur_px=0.0, gain_error=0.005,
    gain_drift=0.0, dose_rms=0.01, hits=0.0, flats=(20, 20), darks=20, seed=1, center=None, mu_rows=None,
    line_integrals=None, angles=None, offset=(1.3, -0.8),
):  # fmt: skip
    """A scan of the cell, or of given line integrals, as the instrument records it."""
    rng = np.random.default_rng(seed)
    angles = np.arange(views) * np.pi / views if angles is None else angles
    center = (columns - 1) / 2 + 4.3 if center is None else center
    if line_integrals is None:
        line_integrals = cell_line_integrals(
            angles, rows, columns, center=center, mu_rows=mu_rows, offset=offset
        )
    y, x = np.meshgrid(np.linspace(-1, 1, rows), np.linspace(-1, 1, columns), indexing="ij")
    beam = 1 - 0.1 * x**2 - 0.05 * y**2
    base = 1 + gain_error * rng.normal(size=(rows, columns))
    steps = [gain_drift * rng.normal(size=(rows, columns)) for _ in range(2)]
    gains = [base, base * (1 + steps[0]), base * (1 + steps[0] + steps[1])]
    dose = 1 + dose_rms * rng.normal(size=len(angles))
    camera = {"counts": counts, "excess": excess, "blur_px": blur_px, "hits": hits}

    def open_beam(n, gain):
        doses = 1 + dose_rms * rng.normal(size=n)
        return [detect(beam, rng, gain=gain, dose=d, **camera) for d in doses]

    frames = [
        detect(beam * np.exp(-p), rng, gain=gains[1], dose=d, **camera)
        for p, d in zip(line_integrals, dose, strict=True)
    ]
    dark_frames = [detect(0 * beam, rng, **camera) for _ in range(darks)]
    return StandInScan(
        np.stack(frames), angles, np.stack(open_beam(flats[0], gains[0]) + open_beam(flats[1], gains[2])),
        np.stack(dark_frames), flats[0] if flats[1] else None,
        truth={"line_integrals": line_integrals, "dose": dose, "gain": gains[1], "beam": beam},
    )  # fmt: skip


@pytest.fixture(scope="session")
def make_scan() -> Callable[..., StandInScan]:
    """Factory of scans of the cell."""
    return build_scan
