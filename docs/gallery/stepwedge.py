"""From raw neutron radiographs to transmission: python docs/gallery/stepwedge.py FOLDER_OF_THE_STEP_WEDGES picture.png."""

import sys
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import tifffile

from deltamu.recon import prepare_correction, scan_from_arrays, transmission


def wedges(folder: Path) -> tuple[np.ndarray, np.ndarray]:
    """Two radiographs (water, empty holders) divided by the open beam: as they are, and cleaned of gamma spots."""
    water, empty, flat, dark = (
        tifffile.imread(folder / f"exp20s_{name}.tif").astype(np.float32) for name in ("h2o", "empty", "ob", "dc")
    )
    frames = np.stack([water, empty])
    scan = scan_from_arrays(frames, [0.0, 90.0], flats=flat[None], darks=dark[None], pixel_size_mm=0.04399)
    plain = (frames - dark) / np.maximum(flat - dark, 1)
    return plain, transmission(frames, prepare_correction(scan))


def main() -> None:
    plain, clean = wedges(Path(sys.argv[1]))
    figure, panels = plt.subplots(1, 2, figsize=(12, 4), layout="constrained")
    for panel, image, title in zip(panels, (plain[0], clean[0]), ("divided by the open beam", "cleaned"), strict=True):
        shown = panel.imshow(image, vmin=0, vmax=1.2, cmap="gray")
        panel.set(title=title, xlabel="column", ylabel="row")
    figure.colorbar(shown, ax=panels, label="transmission")
    figure.savefig(sys.argv[2], dpi=150)


if __name__ == "__main__":
    main()
