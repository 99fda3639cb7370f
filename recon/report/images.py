"""Images and maps of a study's store, opened lazily."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deltamu.recon.report.content import Float, ReportContent
from deltamu.recon.volumes.open import count_levels, open_image, open_map
from deltamu.recon.volumes.volume import Volume

# voxels of a box that is held in memory for a picture in space: 160 MB
LARGEST_BOX = 4e7


@dataclass(frozen=True)
class StudyImage:
    """An image of the store: nothing is read before a part is asked for."""

    volume: Volume

    @property
    def shape(self) -> tuple[int, int, int]:
        """(z, y, x)."""
        return self.volume.shape

    @property
    def origin_mm(self) -> tuple[float, float, float]:
        """Where the centre of voxel 0 is, (z, y, x)."""
        return self.volume.origin_mm

    @property
    def voxel_mm(self) -> float:
        """Edge of a voxel."""
        return self.volume.voxel_size_mm

    def read(self, rows: slice, y: slice, x: slice) -> NDArray[Any]:
        """Read a part, (z, y, x)."""
        return self.volume[rows, y, x]


def open_study_image(content: ReportContent, image: str, *, level: int = 0) -> StudyImage:
    """Open one image of the store, for example `registered/charged/attenuation`, at a level of its pyramid.

    Raises
    ------
    InputError
        If it is missing, damaged or incomplete.
    """
    return StudyImage(open_image(content.image_path(image), level=level))


def level_within(content: ReportContent, image: str, voxels: float) -> int:
    """Finest level of a pyramid at which a box of `voxels` of level 0 holds at most LARGEST_BOX voxels."""
    last = count_levels(content.image_path(image)) - 1
    return next((level for level in range(last) if voxels / 8**level <= LARGEST_BOX), last)


def read_surface(content: ReportContent, layer: str | None, side: str) -> Float | None:
    """Read the height z (mm) over (y, x) of a face, `near` or `far`, of a layer; None if there is none."""
    name = f"layers/{layer}/{side}"
    if layer is None or not content.has_image(name):
        return None
    return np.asarray(open_map(content.image_path(name)).values, np.float64)
