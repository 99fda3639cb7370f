"""The jelly roll of a cylindrical cell, unrolled along the foil of its electrode.

python docs/gallery/unrolling.py cell_vol_041_072.tif picture.png
"""

import sys
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import tifffile

from deltamu.recon import Winding, follow_winding, unroll

SLICE = 30
# grey level that only the can reaches
CAN = 150
# a point of the foil, and its pitch, read off the slice in polar coordinates
START_RADIUS_PX, PITCH_PX, TURNS = 167.5, 11.15, 10
OFFSETS_PX = np.arange(-11.0, 11.5, 0.5)
STRIPS = 4


def middle_of_the_can(image: np.ndarray) -> tuple[float, float]:
    """Centre (y, x) of the circle through the bright pixels, by least squares."""
    y, x = np.nonzero(image > CAN)
    solution = np.linalg.lstsq(np.stack([2 * y, 2 * x, np.ones(y.size)], axis=1), y**2 + x**2, rcond=None)[0]
    return float(solution[0]), float(solution[1])


def follow(image: np.ndarray) -> Winding:
    """Follow the foil in a slice (y, x)."""
    return follow_winding(
        image, middle_of_the_can(image), start_angle=0.0, start_radius_px=START_RADIUS_PX, turns=TURNS, pitch_px=PITCH_PX
    )  # fmt: skip


def draw(volume: np.ndarray, winding: Winding, picture: Path) -> None:
    """Draw the slice with the path that was followed, and the roll along that path."""
    flat = unroll(volume[SLICE : SLICE + 1], winding, offsets_px=OFFSETS_PX)[0]
    figure = plt.figure(figsize=(12, 6.4), layout="constrained")
    left, right = figure.subfigures(1, 2, width_ratios=(1, 1.25))
    axes = left.subplots()
    axes.imshow(volume[SLICE], cmap="gray", vmax=120)
    y = winding.center_px[0] + winding.radius_px * np.sin(winding.angle)
    x = winding.center_px[1] + winding.radius_px * np.cos(winding.angle)
    axes.plot(x, y, color="#d95f02", linewidth=0.9)
    axes.plot(x[0], y[0], "o", color="#d95f02", markersize=4)
    axes.set(title=f"slice {SLICE}, {TURNS} turns followed", xlabel="x (px)", ylabel="y (px)")
    for strip, panel in enumerate(right.subplots(STRIPS)):
        first, last = (int(k * flat.shape[1] / STRIPS) for k in (strip, strip + 1))
        shown = (first, last, OFFSETS_PX[-1], OFFSETS_PX[0])
        panel.imshow(flat[:, first:last], cmap="gray", vmax=90, aspect="auto", extent=shown)
        panel.set(ylabel="outwards (px)", yticks=(-10, 0, 10))
    panel.set_xlabel("along the foil (px)")
    right.suptitle("the same slice along the foil, which lies at 0", fontsize="medium")
    figure.savefig(picture, dpi=90)


def main() -> None:
    """Follow the foil and draw it."""
    volume = tifffile.imread(sys.argv[1]).astype(np.float32)
    winding = follow(volume[SLICE])
    print(f"radius after each turn (px): {np.round(winding.radius_px[::360], 1)}; {winding.length_px[-1]:.0f} px long")
    draw(volume, winding, Path(sys.argv[2]))


if __name__ == "__main__":
    main()
