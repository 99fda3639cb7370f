"""Regions that a user draws in the viewer: shapes, or labels of their own."""

from typing import TYPE_CHECKING, Any

import numpy as np

from deltamu.recon.errors import InputError
from deltamu.viewers.depth_regions import Columns, Mask
from deltamu.viewers.napari_layers import OURS

if TYPE_CHECKING:
    from napari.layers import Labels, Shapes
    from napari.viewer import Viewer

REGION_NAME = "region"


def region_layers(viewer: "Viewer") -> list[str]:
    """Names of the layers that can be regions: shapes, and labels that are not those of the study."""
    from napari.layers import Labels, Shapes

    return [
        layer.name
        for layer in viewer.layers
        if isinstance(layer, Shapes | Labels) and OURS not in layer.metadata
    ]


def region_mask(viewer: "Viewer", name: str, columns: Columns) -> Mask:
    """Mask over the columns of the pellet that a layer stands for.

    Raises
    ------
    InputError
        If nothing is drawn, or it does not meet the pellet.
    """
    from napari.layers import Labels, Shapes

    layer = next((layer for layer in viewer.layers if layer.name == name), None)
    if isinstance(layer, Shapes):
        return _from_shapes(layer, columns)
    if isinstance(layer, Labels):
        return _from_labels(layer, columns)
    raise InputError(f"there is no layer '{name}' any more; choose another region")


def add_region_layer(viewer: "Viewer") -> Any:
    """Add an empty layer to draw a region in, and take up the pen."""
    layer = viewer.add_shapes(
        ndim=2,
        name=REGION_NAME,
        edge_color="#F0E442",
        face_color="transparent",
        units=("mm", "mm"),
        edge_width=0.05,
    )
    layer.mode = "add_polygon_lasso"
    return layer


def _from_shapes(layer: "Shapes", columns: Columns) -> Mask:
    if not len(layer.data):
        raise InputError(f"nothing is drawn in '{layer.name}' yet; draw a polygon, rectangle or ellipse")
    corners = [np.array([layer.data_to_world(vertex)[-2:] for vertex in shape]) for shape in layer.data]
    return columns.shapes(corners, list(layer.shape_type))


def _from_labels(layer: "Labels", columns: Columns) -> Mask:
    """Columns in which the selected label stands anywhere."""
    data = np.asarray(layer.data if not layer.multiscale else layer.data[0])
    painted = (data == layer.selected_label).any(axis=tuple(range(data.ndim - 2)))
    y, x = columns.positions_mm
    rows, across = (
        np.rint((place - start) / step).astype(int)
        for place, start, step in zip((y, x), layer.translate[-2:], layer.scale[-2:], strict=True)
    )
    known = ((rows >= 0) & (rows < painted.shape[0]))[:, None] & (
        (across >= 0) & (across < painted.shape[1])
    )[None, :]
    inside = painted[
        np.clip(rows, 0, painted.shape[0] - 1)[:, None], np.clip(across, 0, painted.shape[1] - 1)[None, :]
    ]
    return columns.checked(inside & known, f"label {layer.selected_label} of '{layer.name}'")
