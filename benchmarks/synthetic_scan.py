"""A raw scan of the head phantom with counting noise, as large as asked for, for benchmarks of whole programs."""

from pathlib import Path

import h5py
import numpy as np

from deltamu.recon.simulate.ellipses import head_phantom, line_integrals

PIXEL_MM = 0.01
OPEN_BEAM = 20_000.0
DARK = 100.0
COUNTS_PER_ADU = 1.0
# the most that a ray loses: a twentieth of the beam is left
LARGEST_LINE_INTEGRAL = 3.0
# the object leaves columns of air at both sides
FILLED = 0.85
FLATS, DARKS = 16, 8


def write_scan(path: Path, *, views: int, rows: int, columns: int, seed: int = 0) -> Path:
    """Write a Data Exchange file of uint16 frames; the object's density grows by half from the first row to the last."""
    rng = np.random.default_rng(seed)
    angles = np.arange(views) * np.pi / views
    sinogram = line_integrals(head_phantom(round(FILLED * columns)), angles, columns=columns)
    sinogram *= LARGEST_LINE_INTEGRAL / 1.5 / sinogram.max()
    density = (1 + 0.5 * np.arange(rows) / rows)[:, None]
    beam = OPEN_BEAM * (
        1 + 0.1 * np.cos(np.linspace(-1, 1, rows))[:, None] * np.sin(np.linspace(0, 3, columns))
    )
    noise = rng.standard_normal((rows, columns), np.float32)

    def expose(signal):
        """Counts of one frame; the noise of every frame is one pattern, shifted at random."""
        shifted = np.roll(noise, rng.integers(0, [rows, columns]), (0, 1))
        return np.rint(signal + DARK + np.sqrt(signal / COUNTS_PER_ADU) * shifted).clip(0, 65535)

    with h5py.File(path, "w") as file:
        for name, count in (("data_white", FLATS), ("data_dark", DARKS)):
            stack = file.create_dataset(f"exchange/{name}", (count, rows, columns), np.uint16)
            for index in range(count):
                stack[index] = expose(beam if name == "data_white" else np.full_like(beam, 4.0))
        data = file.create_dataset("exchange/data", (views, rows, columns), np.uint16)
        for view in range(views):
            data[view] = expose(beam * np.exp(-density * sinogram[view]))
        file["exchange/theta"] = np.degrees(angles)
        file["exchange/theta"].attrs["units"] = "deg"
    return path
