"""Figure: the states laid over the reference, before and after registration."""

from typing import TYPE_CHECKING

import numpy as np

from deltamu.recon.report.content import ReportContent, state_title
from deltamu.recon.report.figure_states import grey_limit, pellet_half_width, slab_mm
from deltamu.recon.report.images import open_study_image
from deltamu.recon.report.numbers import finite, number
from deltamu.recon.report.section_grid import SectionPair, draw_section_grid
from deltamu.recon.report.sections import CellFrame, Section, axial_section, cell_frame, cross_section

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PELLET_MARGIN = 1.55


def draw_registration(content: ReportContent) -> "Figure":
    """Draw the reference in magenta and each moving state in green; where they agree the sum is grey."""
    frame = cell_frame(content)
    reference = _sections(content, f"states/{content.reference}/attenuation", frame)
    white = grey_limit([reference], frame)
    pairs = []
    for state in content.moving_states:
        for folder, moment in (("states", "as scanned"), ("registered", "registered")):
            moving = _sections(content, f"{folder}/{state}/attenuation", frame)
            if (
                moving.cross.extent == reference.cross.extent
                and moving.axial.extent == reference.axial.extent
            ):
                pairs.append(_overlay(f"{state_title(state)}, {moment}", reference, moving, white))
    residuals = {
        f"{state_title(state)}, registered": _residual_text(content, state) for state in content.moving_states
    }

    def write_residual(cross: "Axes", axial: "Axes", index: int) -> None:
        text = residuals.get(pairs[index].title, "")
        if text:
            label = cross.text(
                0.04, 0.96, text, transform=cross.transAxes, va="top", color="white", fontsize=6.5
            )
            label.set_bbox({"facecolor": "black", "edgecolor": "none", "alpha": 0.6, "pad": 1.5})

    return draw_section_grid(pairs, columns=4, decorate=write_residual)


def describe_registration(content: ReportContent) -> str:
    """Caption of the figure."""
    frame = cell_frame(content)
    return (
        f"Registration to {state_title(content.reference)}: reference in magenta, moving state in green, "
        "grey where "
        f"both agree. Top: perpendicular to the axis at z = {_check_height(frame):.2f} mm, beside the "
        "layer that "
        "changes. Bottom: through the axis. Colour that stays after registration inside the layers that "
        "take part "
        "in the reaction is change, elsewhere it is error."
    )


def _residual_text(content: ReportContent, state: str) -> str:
    residual = content.summary["registration"][state].get("residual_voxel")
    return "" if finite(residual) is None else f"residual {number(residual, digits=2)} voxel"


def _sections(content: ReportContent, name: str, frame: CellFrame) -> SectionPair:
    image = open_study_image(content, name)
    half_width = pellet_half_width(frame, margin=PELLET_MARGIN)
    return SectionPair(
        name,
        cross_section(
            image, frame, _check_height(frame), half_width_mm=half_width, thickness_mm=slab_mm(frame)
        ),
        axial_section(image, frame, half_width_mm=half_width, thickness_mm=slab_mm(frame)),
    )


def _check_height(frame: CellFrame) -> float:
    """Height on the separator's side of the profile layer, half the layer's thickness away from it."""
    height = frame.near_z_mm - 0.5 * (frame.far_z_mm - frame.near_z_mm)
    return float(np.clip(height, 0, (frame.shape[0] - 1) * frame.voxel_mm))


def _overlay(title: str, reference: SectionPair, moving: SectionPair, white: float) -> SectionPair:
    return SectionPair(
        title,
        _two_colors(reference.cross, moving.cross, white),
        _two_colors(reference.axial, moving.axial, white),
    )


def _two_colors(reference: Section, moving: Section, white: float) -> Section:
    """Reference in the red and blue channel, moving in the green one; black where either has no value."""
    fixed, moved = (np.clip(np.nan_to_num(s.values, nan=0.0) / white, 0, 1) for s in (reference, moving))
    return Section(np.stack([fixed, moved, fixed], axis=-1), reference.horizontal_mm, reference.vertical_mm)
