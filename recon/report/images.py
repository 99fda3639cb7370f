"""Images and maps of a study's store, opened lazily."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deltamu.recon.report.content import Float, ReportContent
from deltamu.recon.volumes.open import open_image, open_map
from deltamu.recon.volumes.volume import Volume


@dataclass(frozen=True)
class StudyImage:
    """An image of the store: nothing is read before a part is asked for."""

    volume: Volume

    @property
    def shape(self) -> tuple[int, int, int]:
        """(z, y, x)."""
        return self.volume.shape

    @property
    def voxel_mm(self) -> float:
        """Edge of a voxel."""
        return self.volume.voxel_size_mm

    def read(self, rows: slice, y: slice, x: slice) -> NDArray[Any]:
        """Read a part, (z, y, x)."""
        return self.volume[rows, y, x]


def open_study_image(content: ReportContent, image: str) -> StudyImage:
    """Open one image of the store, for example `registered/charged/attenuation`.

    Raises
    ------
    InputError
        If it is missing, damaged or incomplete.
    """
    return StudyImage(open_image(content.image_path(image)))


def read_surface(content: ReportContent, layer: str | None, side: str) -> Float | None:
    """Read the height z (mm) over (y, x) of a face, `near` or `far`, of a layer; None if there is none."""
    name = f"layers/{layer}/{side}"
    if layer is None or not content.has_image(name):
        return None
    return np.asarray(open_map(content.image_path(name)).values, np.float64)
