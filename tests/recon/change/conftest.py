"""A cell of tilted, bowed layers with its exact surfaces: a stand-in for registered scans."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter
from scipy.special import ndtr

ORDER = ("collector_a", "anode", "separator", "cathode", "collector_c")
THICKNESS = (0.90, 0.39, 0.50, 0.40, 0.90)
SULFUR = 1.5367
PLUNGER = 0.111


def discharged(x: np.ndarray) -> np.ndarray:
    return 0.30 + 0.55 * np.exp(-((x - 0.35) ** 2) / (2 * 0.25**2))


def charged(x: np.ndarray) -> np.ndarray:
    return discharged(x) * (0.15 + 0.60 / (1 + np.exp(-(x - 0.55) / 0.10)))


def pristine(x: np.ndarray) -> np.ndarray:
    return np.zeros_like(x)


@dataclass(frozen=True)
class Cell:
    """Shape and voxel of the grid, and the truth of the surfaces (mm)."""

    shape: tuple[int, int, int] = (128, 256, 256)
    voxel: float = 0.027
    radius: float = 3.0
    axis: tuple[float, float] = (3.46, 3.42)
    start: float = 0.171
    tilt_deg: float = 0.3
    azimuth_deg: float = 40.0
    bow_um: float = 15.0
    blur_mm: float = 0.0165  # standard deviation of the blur along z, without the voxel
    thickness: tuple[float, ...] = THICKNESS
    levels: tuple[float, ...] = (1.286, 10.169, 2.568, 1.363, 1.286)
    noise: tuple[float, ...] = (0.3, 2.5, 0.4, 0.3, 0.3)
    texture: float = 0.03

    @property
    def edges(self) -> np.ndarray:
        return self.start + np.concatenate([[0.0], np.cumsum(self.thickness)])

    def tilt(self, y_mm: Any, x_mm: Any) -> Any:
        slope = np.tan(np.radians(self.tilt_deg))
        v, u = y_mm - self.axis[0], x_mm - self.axis[1]
        plane = slope * (np.sin(np.radians(self.azimuth_deg)) * v + np.cos(np.radians(self.azimuth_deg)) * u)
        return plane + 1e-3 * self.bow_um * (v**2 + u**2) / self.radius**2

    def lateral(self) -> tuple[np.ndarray, np.ndarray]:
        return np.meshgrid(*(np.arange(n) * self.voxel for n in self.shape[1:]), indexing="ij")

    def volume(
        self,
        lithium: Callable[[np.ndarray], np.ndarray] = pristine,
        *,
        seed: int | None = None,
        gradient: float = 0.0,
        fine: int = 6,
    ) -> np.ndarray:
        """Blurred, voxel-averaged attenuation (z, y, x); `seed` adds texture and noise."""
        y, x = self.lateral()
        radius = np.hypot(y - self.axis[0], x - self.axis[1])
        inside = radius < self.radius
        shift = self.tilt(y, x)[inside]
        lateral = 1.0 + gradient * ((x - self.axis[1]) / self.radius)[inside]
        # one fine profile along z, looked up at every column's own shift: layers are flat over a voxel
        profile_z, base, active = self._profile(lithium, fine)
        out = np.empty(self.shape, np.float32)
        around = np.where(radius < self.radius + 1.0, 1.68, PLUNGER) * (radius < 6.0)
        for row in range(self.shape[0]):
            z = row * self.voxel - shift
            values = np.interp(z, profile_z, base) + lateral * np.interp(z, profile_z, active)
            out[row] = around
            out[row][inside] = values
        return out if seed is None else self._with_noise(out, inside, seed)

    def _profile(self, lithium: Callable[[np.ndarray], np.ndarray], fine: int) -> tuple[np.ndarray, ...]:
        step = self.voxel / (4 * fine)
        z = np.arange(-0.3, self.shape[0] * self.voxel + 0.3, step)
        edges = self.edges
        base = np.full_like(z, PLUNGER)
        for low, high, level in zip(edges[:-1], edges[1:], self.levels, strict=True):
            base += (level - PLUNGER) * (_soft(z, low, step) - _soft(z, high, step))
        depth = (z - edges[3]) / self.thickness[3]
        layer = _soft(z, edges[3], step) - _soft(z, edges[4], step)
        active = SULFUR * lithium(np.clip(depth, 0, 1)) * layer
        kernel = self._kernel(step)
        return z, np.convolve(base, kernel, "same"), np.convolve(active, kernel, "same")

    def _kernel(self, step: float) -> np.ndarray:
        """Blur and the voxel's own average, on the fine grid."""
        half = int(np.ceil((5 * self.blur_mm + self.voxel) / step))
        t = np.arange(-half, half + 1) * step
        kernel = ndtr((t + self.voxel / 2) / self.blur_mm) - ndtr((t - self.voxel / 2) / self.blur_mm)
        return kernel / kernel.sum()

    def _with_noise(self, out: np.ndarray, inside: np.ndarray, seed: int) -> np.ndarray:
        rng = np.random.default_rng(seed)
        # texture belongs to the cell, noise to the scan
        grain = gaussian_filter(np.random.default_rng(7).standard_normal(self.shape, dtype=np.float32), 0.9)
        out *= 1.0 + self.texture / float(grain.std()) * grain * inside
        z = np.arange(self.shape[0]) * self.voxel
        sigma = np.full(self.shape[0], 0.25)
        for low, high, value in zip(self.edges[:-1], self.edges[1:], self.noise, strict=True):
            sigma[(z >= low - self.voxel) & (z < high + self.voxel)] = value
        out += (sigma[:, None, None] * rng.standard_normal(self.shape, dtype=np.float32)).astype(np.float32)
        return out


def _soft(z: np.ndarray, edge: float, step: float) -> np.ndarray:
    """A step whose sample values are the averages over one fine cell: exact in the mean."""
    return np.clip((z - edge) / step + 0.5, 0.0, 1.0)


@pytest.fixture(scope="session")
def cell() -> type[Cell]:
    return Cell


@pytest.fixture(scope="session")
def lithium_profiles() -> dict[str, Callable[[np.ndarray], np.ndarray]]:
    return {"pristine": pristine, "discharged": discharged, "charged": charged}


@pytest.fixture(scope="session")
def stack_order() -> Sequence[str]:
    return ORDER
