"""Images of a study's store, opened lazily."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray

from deltamu.recon.report.content import ReportContent


@dataclass(frozen=True)
class StudyImage:
    """An image on disk: nothing is read before a part is asked for."""

    source: Any
    shape: tuple[int, int, int]
    voxel_mm: float

    def read(self, *window: slice) -> NDArray[Any]:
        """Read a part given by one slice per axis; everything without slices."""
        return np.asarray(self.source[window or ...])


def open_study_image(content: ReportContent, image: str) -> StudyImage:
    """Open one image of the store, for example `states/pristine/attenuation`."""
    array = zarr.open_array(content.image_path(image) / "0", mode="r")
    return StudyImage(array, array.shape, float(content.summary["voxel_size_mm"]))
