"""Hand described layers to napari, and find them again."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from deltamu.viewers.layer import Layer, Opened

if TYPE_CHECKING:
    from napari.layers import Layer as NapariLayer
    from napari.viewer import Viewer

LayerData = tuple[Any, dict[str, Any], str]
OURS = "deltamu"
# Okabe and Ito (2008): told apart by the colour-blind
LABEL_COLORS = ("#E69F00", "#56B4E9", "#CC79A7", "#009E73", "#F0E442", "#0072B2", "#D55E00", "#999999")
OUTLINE_PIXELS = 2
LINE_MM = 0.02
STUDY_ROLES = ("state", "registered", "residual", "change", "significance", "layers")


def layer_data(layer: Layer, *, output: str | None = None) -> LayerData:
    """Write a layer as napari's readers return it: data, options, kind."""
    known = {
        "role": layer.role,
        "subject": layer.subject,
        "unit": layer.value_unit,
        "source": layer.source,
        "output": output,
    }
    options: dict[str, Any] = {
        "name": layer.name, "scale": layer.scale, "translate": layer.translate, "units": layer.units,
        "axis_labels": layer.axes, "visible": layer.visible, "metadata": {OURS: known},
    }  # fmt: skip
    if layer.kind == "labels":
        options |= _label_options(layer)
    else:
        options |= {"colormap": layer.colors, "contrast_limits": layer.limits}
    if len(layer.levels) == 1:
        return layer.levels[0], options, layer.kind
    return list(layer.levels), {**options, "multiscale": True}, layer.kind


def add_opened(viewer: "Viewer", opened: Opened) -> list["NapariLayer"]:
    """Add what was opened to a viewer, look at its focus, and tell what is missing."""
    from napari.layers import Layer as NapariLayer

    added = []
    for layer in opened.layers:
        made = NapariLayer.create(*layer_data(layer, output=opened.output))
        if layer.kind == "labels":
            made.contour = OUTLINE_PIXELS
            made.editable = False
        added.append(viewer.add_layer(made))
    look_at(viewer, opened.focus_mm)
    viewer.title = f"deltamu: {opened.title}"
    show_scale_bar(viewer)
    tell(opened.notes)
    return added


def show_scale_bar(viewer: "Viewer") -> None:
    """Show a bar of a round length; its place in napari moved with version 0.9."""
    canvas: Any = getattr(viewer, "canvas", None)
    bar = canvas.overlays.scale_bar if hasattr(canvas, "overlays") else viewer.scale_bar
    bar.visible = True


def look_at(viewer: "Viewer", point_mm: tuple[float, ...] | None) -> None:
    """Move the sliders of a viewer to a point."""
    if point_mm is not None and viewer.dims.ndim == len(point_mm):
        viewer.dims.point = tuple(point_mm)


def tell(notes: tuple[str, ...]) -> None:
    """Show sentences in the window, without a traceback."""
    from napari.utils.notifications import show_info

    for note in notes:
        show_info(note)


def our_layers(viewer: "Viewer", role: str, *, subject: str | None = None) -> Iterator["NapariLayer"]:
    """Layers of a study that have a role, and show a state or change where that is given."""
    for layer in viewer.layers:
        known = layer.metadata.get(OURS)
        if known and known["role"] == role and subject in (None, known["subject"]):
            yield layer


def study_of(viewer: "Viewer") -> str | None:
    """Output folder of the study that is open; None where there is none."""
    return _output(viewer, STUDY_ROLES)


def series_of(viewer: "Viewer") -> str | None:
    """Output folder of the series of radiographs that is open; None where there is none or it was not computed."""
    return _output(viewer, ("series",))


def _output(viewer: "Viewer", roles: tuple[str, ...]) -> str | None:
    known = (layer.metadata.get(OURS) for layer in viewer.layers)
    return next((str(k["output"]) for k in known if k and k["output"] and k["role"] in roles), None)


def show_line(viewer: "Viewer", name: str, line_mm: Any) -> None:
    """Show a line, (point, 2) in mm along the last two axes, in a layer of its own."""
    layer = next((layer for layer in our_layers(viewer, "cursor") if layer.name == name), None)
    if layer is not None:
        layer.data = [(line_mm, "path")]
        return
    known = {"role": "cursor", "subject": "", "output": None}
    selected = list(viewer.layers.selection)
    viewer.add_shapes(
        [line_mm], shape_type="path", ndim=2, name=name, edge_color="#E69F00", edge_width=LINE_MM, units=("mm", "mm"),
        metadata={OURS: known},
    )  # fmt: skip
    # the mouse still belongs to what was selected
    viewer.layers.selection = selected


def _label_options(layer: Layer) -> dict[str, Any]:
    from napari.utils.colormaps import direct_colormap

    labels = sorted(layer.label_names)
    colors: dict[int | None, str] = {0: "transparent", None: "transparent"}
    colors |= {label: LABEL_COLORS[i % len(LABEL_COLORS)] for i, label in enumerate(labels)}
    options: dict[str, Any] = {"opacity": 0.9, "blending": "translucent_no_depth"}
    if labels:
        last = max(labels) + 1
        names = [layer.label_names.get(label, "") for label in range(last)]
        options |= {
            "colormap": direct_colormap(colors),
            "features": {"index": list(range(last)), "layer": names},
        }
    return options
