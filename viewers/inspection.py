"""A change looked at closely: planes through a point, and what every image says there."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from deltamu.recon.errors import InputError
from deltamu.recon.report.content import ReportContent, change_title, state_title
from deltamu.recon.report.load import load_report_content
from deltamu.viewers.coloring import Pixels, colored, outlined
from deltamu.viewers.image_levels import open_levels
from deltamu.viewers.layer import DIVERGING, GREY
from deltamu.viewers.planes import Pyramid, window_around
from deltamu.viewers.study_layers import study_layers

Point = tuple[float, float, float]
CHANGE_COLUMN = "Δμ"
LITRE_CM3 = 1000.0
# of the radius of the pellet that planes show
PELLET_MARGIN = 1.15


@dataclass(frozen=True)
class Readout:
    """What the images hold at a point; NaN where there is no value.

    Attributes
    ----------
    point_mm : (z, y, x)
    attenuation : mapping of state to cm⁻¹, on the grid of the reference
    delta_mu, sigma : float
        cm⁻¹
    z_score : float
    depth_mm : float
        NaN outside the layer whose depth is known.
    lithium_mol_l : float
        Change of lithium per litre, if lithium is all that changed.
    layer : str
        Empty outside all of them.
    """

    point_mm: Point
    attenuation: Mapping[str, float]
    delta_mu: float
    sigma: float
    z_score: float
    depth_mm: float
    lithium_mol_l: float
    layer: str

    @property
    def text(self) -> str:
        """Lines for a reader."""
        z, y, x = self.point_mm
        states = "   ".join(f"μ {state_title(name)} {_number(v)}" for name, v in self.attenuation.items())
        return "\n".join(
            [
                f"z {z:.3f}   y {y:.3f}   x {x:.3f} mm   {self.layer.replace('_', ' ') or 'outside the layers'}",
                f"{states} cm⁻¹",
                f"Δμ {_number(self.delta_mu, signed=True)} ± {_number(self.sigma)} cm⁻¹   z {_number(self.z_score, 1, signed=True)}",
                f"d {_number(self.depth_mm)} mm   lithium {_number(self.lithium_mol_l, 2, signed=True)} mol/L",
            ]
        )


class Inspection:
    """The images of one finished study, on the grid of the reference.

    Parameters
    ----------
    output : Path
        Output folder of the study.

    Raises
    ------
    InputError
        If the study is not finished, or has no changes.
    """

    def __init__(self, output: Path) -> None:
        self.content: ReportContent = load_report_content(output)
        if not self.content.changes:
            raise InputError(f"{output}: the study forms no changes; name some in `changes` of study.toml")
        self.states = (self.content.reference, *self.content.moving_states)
        self.images = {state: self._pyramid(self._state_image(state)) for state in self.states}
        self.labels = self._pyramid("layers/labels")
        self.depth = self._pyramid(f"layers/{self.content.profile_layer}/depth")
        self.label_names = {int(v["label"]): k for k, v in self.content.layers.items() if "label" in v}
        opened = study_layers(output)
        self.limits = {layer.role: layer.limits for layer in opened.layers}
        self.focus_mm = opened.focus_mm or tuple(0.5 * end for end in self.labels.extent_mm)
        layer = self.content.layers.get(self.content.profile_layer or "", {})
        axis, radius = layer.get("axis_mm"), layer.get("radius_mm")
        self.window = window_around(
            self.labels, (axis[0], axis[1]) if axis else None, PELLET_MARGIN * radius if radius else None
        )
        self.changes = {
            change: {n: self._pyramid(f"changes/{change}/{n}") for n in ("delta_mu", "sigma", "z_score")}
            for change in self.content.changes
        }

    @property
    def columns(self) -> dict[str, str]:
        """Titles of the images side by side, the change last."""
        return {**{state: f"μ {state_title(state)}" for state in self.states}, CHANGE_COLUMN: CHANGE_COLUMN}

    def title(self, change: str) -> str:
        """Name of a change for a reader."""
        return change_title(change)

    def read(self, change: str, point_mm: Point) -> Readout:
        """Read every image at a point, from the finest level."""
        images = self.changes[change]
        delta = images["delta_mu"].value(point_mm)
        kappa = (self.content.summary.get("lithium") or {}).get("kappa_cm2_per_mol")
        return Readout(
            point_mm,
            {state: image.value(point_mm) for state, image in self.images.items()},
            delta,
            images["sigma"].value(point_mm),
            images["z_score"].value(point_mm),
            self.depth.value(point_mm),
            LITRE_CM3 * delta / kappa if kappa else float("nan"),
            self.label_names.get(int(self.labels.value(point_mm)), ""),
        )

    def picture(
        self,
        change: str,
        column: str,
        plane: str,
        point_mm: Point,
        *,
        threshold: float = 0.0,
        outlines: bool = True,
    ) -> Pixels:
        r"""Draw one plane of one column.

        Parameters
        ----------
        column : str
            A state, or `CHANGE_COLUMN`.
        plane : {"xy", "xz", "yz"}
        threshold : float
            Changes with a smaller \|z\| are hidden.
        outlines : bool
            Draw the boundaries of the layers.
        """
        image = self.changes[change]["delta_mu"] if column == CHANGE_COLUMN else self.images[column]
        level = image.plane_level()
        values = image.plane(plane, point_mm, level, self.window)
        if column == CHANGE_COLUMN:
            scores = self.changes[change]["z_score"].plane(plane, point_mm, level, self.window)
            hidden = ~(np.abs(scores) >= threshold) if threshold > 0 else None
            pixels = colored(values, DIVERGING, self.limits["change"] or (-1.0, 1.0), hidden=hidden)
        else:
            pixels = colored(values, GREY, self.limits["state"] or (0.0, 1.0))
        if not outlines:
            return pixels
        color = (0, 0, 0) if column == CHANGE_COLUMN else (240, 228, 66)
        return outlined(pixels, self.labels.plane(plane, point_mm, level, self.window), color)

    def _state_image(self, state: str) -> str:
        group = "states" if state == self.content.reference else "registered"
        return f"{group}/{state}/attenuation"

    def _pyramid(self, name: str) -> Pyramid:
        image = open_levels(self.content.image_path(name))
        if image.problem:
            raise InputError(image.problem)
        return Pyramid(image.levels, image.voxel_size_mm)


def _number(value: float, digits: int = 3, *, signed: bool = False) -> str:
    if not np.isfinite(value):
        return "–"
    return f"{value:+.{digits}f}" if signed else f"{value:.{digits}f}"
