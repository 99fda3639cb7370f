"""Figure: the cell cut open, with the change on the faces of the cut.

In the manner of Figure 4c (left) of Cao et al., MRS Bulletin (2023), doi 10.1557/s43577-023-00611-7.
"""

from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.ndimage import map_coordinates

from deltamu.recon.report.canvas import (
    color_bar_options,
    is_narrow,
    length_text,
    new_figure,
    round_length,
    sheet_width,
)
from deltamu.recon.report.content import Float, ReportContent, change_title, state_title
from deltamu.recon.report.cutaway import Camera, CutCylinder, Hits, cast_cutaway
from deltamu.recon.report.figure_changes import CHANGE_COLORMAP, CHANGE_LABEL, change_limit
from deltamu.recon.report.images import StudyImage, level_within, open_study_image
from deltamu.recon.report.sections import CellFrame, cell_frame, layer_surfaces

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST_COLUMNS = 3
LEAST_COLUMN_IN = 1.9
# names of the layers on the left, and the colour bar on the right of a wide sheet
LETTER_IN = 0.056
COLOR_BAR_IN = 0.75
# a picture in space leaves out the outermost part of the pellet, which the blur of the sleeve reaches
RADIUS_FRACTION = 0.97
# the sector is cut down to this part of the profile layer's thickness
FLOOR_FRACTION = 0.6
# values are means over this many voxels into the material
VOXELS_INWARD = 3
LEAST_NAMED_PART = 0.04
DARKEST_GREY = 0.42


def draw_cutaway(content: ReportContent) -> "Figure":
    """Draw every change on a cut-open pellet: grey is the reference state, colour the change."""
    frame, camera = cell_frame(content), Camera()
    solid = cell_solid(content, frame)
    hits = cast_cutaway(camera, solid)
    grey = _reference_grey(content, frame, hits)
    limit = change_limit(content)
    columns = min(len(content.changes), MOST_COLUMNS, max(1, int(sheet_width() / LEAST_COLUMN_IN)))
    rows = -(-len(content.changes) // columns)
    figure, panels = _sheet(content, hits, columns, rows)
    for panel, change in zip(panels.flat, content.changes, strict=False):
        colors = _colors(content, change, frame, hits, grey, limit)
        colors[..., :3] *= hits.brightness(camera)[..., None]
        panel.imshow(colors, extent=hits.extent)
        panel.set_title(change_title(change))
        _draw_edges(panel, camera, solid)
        _add_scale(panel, hits)
    _name_layers(panels[0, 0], content, frame, camera, solid, hits)
    _add_color_bar(figure, panels, limit)
    return figure


def _sheet(content: ReportContent, hits: Hits, columns: int, rows: int) -> tuple["Figure", Any]:
    """Return a figure with empty panels of the shape of the picture."""
    names = LETTER_IN * max((len(name) for name in content.layers), default=0)
    margins = 0.1 + names + (0.1 if is_narrow() else COLOR_BAR_IN)
    width_in = min(sheet_width(), columns * 3.2 + margins)
    panel_in = (width_in - margins) / columns * hits.points.shape[0] / hits.points.shape[1]
    figure = new_figure(width_in, rows * (panel_in + 0.3) + (0.65 if is_narrow() else 0.15))
    panels = figure.subplots(rows, columns, squeeze=False)
    for panel in panels.flat:
        panel.set_axis_off()
    return figure, panels


def describe_cutaway(content: ReportContent) -> str:
    """Caption of the figure."""
    starved = content.starved_heights_mm is not None
    return (
        "The pellet cut open; the separator's side is up. Grey: the "
        f"{state_title(content.reference)} state, darker where it attenuates more. Colour: the change, on the "
        f"scale of the maps; the floor of the cut lies at {FLOOR_FRACTION:.0%} of the depth of the "
        f"{content.profile_layer}. Values are means over {VOXELS_INWARD} voxels into the material; the rim "
        f"is at {RADIUS_FRACTION:.0%} of the radius."
        f"{' Rows that were starved of neutrons show no colour.' if starved else ''}"
    )


def cell_solid(content: ReportContent, frame: CellFrame) -> CutCylinder:
    """Return the pellet as a cylinder, mm; up is towards the separator, 0 is the face at the separator."""
    depths = [frame.depth_of_z(0.0), frame.depth_of_z((frame.shape[0] - 1) * frame.voxel_mm)]
    known = [
        frame.depth_of_z(float(np.nanmean(np.where(frame.inside, surface, np.nan))))
        for faces in layer_surfaces(content).values()
        for surface in faces
    ]
    first = max(min(depths), min(known)) + frame.voxel_mm
    last = min(max(depths), max(known)) - frame.voxel_mm
    floor = FLOOR_FRACTION * abs(frame.far_z_mm - frame.near_z_mm)
    return CutCylinder(
        RADIUS_FRACTION * float(frame.radius_mm or 0.0), -max(last, 1.5 * floor), -floor, -first
    )


def _reference_grey(content: ReportContent, frame: CellFrame, hits: Hits) -> Float:
    """Light grey for weak absorbers, darker for strong ones; white where the rays miss."""
    values = _sample(content, f"states/{content.reference}/attenuation", frame, hits)
    known = values[np.isfinite(values)]
    top = float(np.percentile(known, 99)) if known.size else 1.0
    grey = 1 - (1 - DARKEST_GREY) * np.clip(np.nan_to_num(values) / max(top, 1e-6), 0, 1) ** 0.6
    return np.where(hits.seen, grey, 1.0)


def _colors(
    content: ReportContent, change: str, frame: CellFrame, hits: Hits, grey: Float, limit: float
) -> Float:
    """Blend the change over the grey: full colour where it is large, none where it is small or starved."""
    from matplotlib import colormaps

    values = _sample(content, f"changes/{change}/delta_mu", frame, hits)
    values = np.where(np.isfinite(values) & ~_starved(content, frame, hits), values, 0.0)
    tint = np.asarray(colormaps[CHANGE_COLORMAP](0.5 + 0.5 * np.clip(values / limit, -1, 1)))
    weight = np.clip(np.abs(values) / (0.3 * limit), 0, 1)[..., None] ** 1.5
    blended = np.ones((*values.shape, 4))
    blended[..., :3] = weight * tint[..., :3] + (1 - weight) * grey[..., None]
    blended[..., 3] = hits.seen
    return blended


def _sample(content: ReportContent, name: str, frame: CellFrame, hits: Hits) -> Float:
    """Mean of an image over a few voxels behind every face; NaN where the image has no value."""
    reach = frame.radius_mm or 0.0
    voxels = frame.shape[0] * (2 * reach / frame.voxel_mm) ** 2
    image = open_study_image(content, name, level=level_within(content, name, voxels))
    rows, columns = (_window(image, axis, frame, reach) for axis in (0, 1))
    box = image.read(slice(None), rows, columns)
    total, count = np.zeros(hits.points.shape[:2]), np.zeros(hits.points.shape[:2])
    for step in range(VOXELS_INWARD):
        place = hits.points - (step + 0.5) * image.voxel_mm * hits.normals
        index = _voxel_index(place[hits.seen], image, frame, (rows.start, columns.start))
        values = map_coordinates(box, index, order=1, cval=np.nan, prefilter=False)
        known = np.isfinite(values)
        total[hits.seen] += np.where(known, values, 0)
        count[hits.seen] += known
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def _window(image: StudyImage, axis: int, frame: CellFrame, reach: float) -> slice:
    middle = (frame.axis_mm[axis] - image.origin_mm[axis + 1]) / image.voxel_mm
    half = reach / image.voxel_mm + 2
    first = int(np.clip(np.floor(middle - half), 0, image.shape[axis + 1] - 1))
    return slice(first, int(np.clip(np.ceil(middle + half), first + 1, image.shape[axis + 1])))


def _voxel_index(points: Float, image: StudyImage, frame: CellFrame, start: tuple[int, int]) -> Float:
    """(3, point) indices into a box of an image of points (x, y, up) measured from axis and face."""
    heights = frame.near_z_mm - frame.toward_collector * points[:, 2]
    positions = (heights, points[:, 1] + frame.axis_mm[0], points[:, 0] + frame.axis_mm[1])
    index = [(p - o) / image.voxel_mm for p, o in zip(positions, image.origin_mm, strict=True)]
    return np.stack([index[0], index[1] - start[0], index[2] - start[1]])


def _starved(content: ReportContent, frame: CellFrame, hits: Hits) -> np.ndarray:
    heights = frame.near_z_mm - frame.toward_collector * hits.points[..., 2]
    first, last = content.starved_heights_mm or (np.inf, -np.inf)
    return (heights >= first) & (heights <= last)


def _draw_edges(axes: "Axes", camera: Camera, solid: CutCylinder) -> None:
    """Draw the edges of the cut as thin lines."""
    ends = [np.array([*np.cross([0, 0, sign], normal)[:2], 0.0]) * solid.radius
            for sign, normal in zip((-1, 1), camera.cut_normals, strict=True)]  # fmt: skip
    up = np.array([0.0, 0.0, 1.0])
    lines = [[solid.top * up, solid.floor * up]]
    for end in ends:
        lines += [[level * up, level * up + end] for level in (solid.top, solid.floor)]
        lines.append([end + solid.top * up, end + solid.floor * up])
    for line in lines:
        shown = camera.project(np.array(line))
        axes.plot(shown[:, 0], shown[:, 1], color="#333333", linewidth=0.5, solid_capstyle="round")


def _name_layers(
    axes: "Axes", content: ReportContent, frame: CellFrame, camera: Camera, solid: CutCylinder, hits: Hits
) -> None:
    """Write the names of the layers to the left of the outline, each at the height of its layer there."""
    level = float(np.cos(np.radians(camera.elevation_deg)))
    for name, faces in layer_surfaces(content).items():
        depths = [frame.depth_of_z(float(np.nanmean(np.where(frame.inside, s, np.nan)))) for s in faces]
        low, high = max(-max(depths), solid.bottom), min(-min(depths), solid.top)
        if high - low < LEAST_NAMED_PART * (solid.top - solid.bottom):
            continue
        axes.annotate(
            name.replace("_", " "), (hits.extent[0], 0.5 * (low + high) * level), xytext=(-1, 0),
            textcoords="offset points", ha="right", va="center", fontsize=6, color="#111111",
            annotation_clip=False,
        )  # fmt: skip


def _add_scale(axes: "Axes", hits: Hits) -> None:
    """Draw a scale bar in the lower right corner; lengths across the line of sight are true."""
    left, right, bottom, _ = hits.extent
    length = round_length(0.2 * (right - left))
    end = right - 0.02 * (right - left)
    axes.plot([end - length, end], [bottom, bottom], color="#111111", linewidth=2, solid_capstyle="butt")
    axes.annotate(
        length_text(length), (end - 0.5 * length, bottom), xytext=(0, 3), textcoords="offset points",
        ha="center", va="bottom", fontsize=7,
    )  # fmt: skip


def _add_color_bar(figure: "Figure", panels: np.ndarray, limit: float) -> None:
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize

    shown = ScalarMappable(Normalize(-limit, limit), CHANGE_COLORMAP)
    figure.colorbar(shown, ax=panels, label=CHANGE_LABEL, extend="both", **color_bar_options())
