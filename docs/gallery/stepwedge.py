"""From raw neutron radiographs of water wedges to an attenuation coefficient that does not depend on thickness.

python docs/gallery/stepwedge.py FOLDER_OF_THE_STEP_WEDGES picture.png
"""

import sys
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import tifffile

from deltamu.recon import (
    BlackBodyFrames,
    Scan,
    fit_hardening,
    linearise,
    prepare_correction,
    scan_from_arrays,
    transmission,
)

PIXEL_MM = 0.04399
# what two states of a radiograph would be in tomography: two views
ANGLES_DEG = (0.0, 90.0)
# below lies the holder of the wedges
ROWS = 770
# between the wedges, beside the dots of the grid
AIR = ((690, 770),)
# window of every step, rows and columns; the thickest step is left out: the water ends inside its window
STEPS_CM = {
    0.05: (570, 620, 960, 1240), 0.10: (460, 520, 960, 1240), 0.15: (350, 410, 960, 1240),
    0.20: (230, 290, 960, 1240), 0.25: (130, 185, 960, 1240), 0.30: (580, 640, 230, 530),
    0.35: (460, 520, 230, 530), 0.40: (350, 410, 230, 530), 0.45: (235, 300, 230, 530),
}  # fmt: skip


def read(folder: Path, *names: str) -> np.ndarray:
    """Radiographs (n, row, column), ADU."""
    return np.stack([tifffile.imread(folder / f"exp20s_{name}.tif").astype(np.float32) for name in names])


def scans(folder: Path, *, crop_rows: tuple[int, int] | None = None) -> tuple[Scan, Scan]:
    """Water and empty holders as the two views of a scan, and the same behind a grid of black bodies."""
    options = {"darks": read(folder, "dc"), "pixel_size_mm": PIXEL_MM, "crop_rows": crop_rows}
    plain = scan_from_arrays(read(folder, "h2o", "empty"), ANGLES_DEG, flats=read(folder, "ob"), **options)
    grid = scan_from_arrays(read(folder, "bbh2o", "bbempty"), ANGLES_DEG, flats=read(folder, "bbob"), **options)
    return plain, grid


def wedges(folder: Path) -> tuple[np.ndarray, np.ndarray]:
    """Two radiographs (water, empty holders) divided by the open beam: as they are, and cleaned of gamma spots."""
    scan, _ = scans(folder)
    frames = scan.read(0, 2)
    plain = (frames - scan.darks[0]) / np.maximum(scan.flats[0] - scan.darks[0], 1)
    return plain, transmission(frames, prepare_correction(scan))


def line_integrals(folder: Path, *, scatter: bool) -> np.ndarray:
    """−ln T of the water alone in every step, with or without the scattered background."""
    scan, grid = scans(folder, crop_rows=(0, ROWS))
    mask = tifffile.imread(folder / "bb_masked.tif")[:ROWS]
    frames = BlackBodyFrames(grid, scan.angles, mask) if scatter else None
    water, empty = transmission(
        scan.read(0, 2), prepare_correction(scan, air_columns=AIR, black_body=frames)
    )
    windows = [np.s_[a:b, c:d] for a, b, c, d in STEPS_CM.values()]
    return np.array([-np.log(water[window].mean() / empty[window].mean()) for window in windows])


def attenuation(folder: Path) -> dict[str, np.ndarray]:
    """Attenuation coefficient of water over the steps, cm⁻¹, after each correction.

    The polynomial is fitted to every other step, and judged on all.
    """
    thickness = np.array(list(STEPS_CM))
    plain, clean = (line_integrals(folder, scatter=scatter) for scatter in (False, True))
    fit = fit_hardening(thickness[::2], clean[::2], degree=2)
    linear = linearise(clean, fit.hardening)[0]
    return {
        "divided by the open beam": plain / thickness,
        "scattered background subtracted": clean / thickness,
        "and hardening corrected": linear / thickness,
    }


def main() -> None:
    folder = Path(sys.argv[1])
    plain, _ = wedges(folder)
    figure, panels = plt.subplots(1, 2, figsize=(12, 4), layout="constrained")
    shown = panels[0].imshow(plain[0], vmin=0, vmax=1.2, cmap="gray")
    figure.colorbar(shown, ax=panels[0], label="transmission")
    panels[0].set(title="water wedges, 0.5 to 5 mm", xlabel="column", ylabel="row")
    for name, values in attenuation(folder).items():
        spread = 100 * np.ptp(values) / values.mean()
        panels[1].plot(10 * np.array(list(STEPS_CM)), values, "o-", label=f"{name}: spread {spread:.1f} %")
    panels[1].set(xlabel="thickness of water (mm)", ylabel="apparent attenuation (cm⁻¹)", ylim=(0, 6))
    panels[1].legend(loc="lower left")
    figure.savefig(sys.argv[2], dpi=90)


if __name__ == "__main__":
    main()
