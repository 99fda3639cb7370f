"""Where the layers of a cell are in the reference frames."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from deltamu.recon.errors import InputError
from deltamu.recon.operando.stack_model import StackModel
from deltamu.recon.operando.strips import Strips

Float = NDArray[np.float64]


@dataclass(frozen=True)
class StackGeometry:
    """The stack in the reference frames.

    Attributes
    ----------
    names : tuple of str
        Layers along the rows.
    model : StackModel
        On the axis of the pellet.
    strips : Strips
    offsets_px : (strip,) array
        How many rows lower the layers lie in each strip than on the axis.
    depths : (strip, layer) array
        Line integral of every layer; NaN where a strip has none.
    boundary_sigma_px : (layer − 1,) array
    tilt_deg, bow_um : float
        Slope in the plane of the frame; sagitta over the width of the pellet, if the layer is a paraboloid.
    misfit : float
        Largest relative deviation of the fitted from the measured profile on the axis.
    pixel_size_mm : float
    """

    names: tuple[str, ...]
    model: StackModel
    strips: Strips
    offsets_px: Float
    depths: Float
    boundary_sigma_px: Float
    tilt_deg: float
    bow_um: float
    misfit: float
    pixel_size_mm: float

    def rows_of(self, layer: str) -> tuple[float, float]:
        """First and last row of a layer on the axis; the frame's end for the outer layers."""
        index = self.index(layer)
        edges = [-0.5, *self.model.boundaries, self.model.rows - 0.5]
        return float(edges[index]), float(edges[index + 1])

    def index(self, layer: str) -> int:
        """Number of a layer.

        Raises
        ------
        InputError
            If there is none of that name.
        """
        if layer not in self.names:
            raise InputError(f"layer {layer!r}: unknown, known are {', '.join(self.names)}")
        return self.names.index(layer)

    @property
    def thickness_mm(self) -> dict[str, float]:
        """Thickness of the layers that have both faces in the frame."""
        steps = np.diff(self.model.boundaries) * self.pixel_size_mm
        return dict(zip(self.names[1:-1], (float(step) for step in steps), strict=True))
