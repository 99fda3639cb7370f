"""What a viewer is told about one layer; nothing here knows a window system."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from deltamu.recon.errors import InputError

Kind = Literal["image", "labels"]
Role = Literal[
    "state",
    "registered",
    "residual",
    "change",
    "significance",
    "layers",
    "projections",
    "open beam",
    "volume",
    "series",
    "ratio",
]
GREY = "gray"
# red and blue are told apart by the colour-blind, and white is no change
DIVERGING = "RdBu_r"


@dataclass(frozen=True, eq=False)
class Layer:
    """One layer with its place, its unit and how it is shown.

    Attributes
    ----------
    name : str
    kind : {"image", "labels"}
    levels : tuple of array-likes
        The pyramid, finest first; one level where there is none.
    scale, translate : tuples of floats
        Size of a voxel of the finest level and centre of its first voxel, along every axis.
    units, axes : tuples of str
        Unit and name of every axis.
    role : str
        What it is in the study.
    subject : str
        The state or the change it shows.
    value_unit : str
        Of the values, "cm^-1" for attenuation.
    colors : str
        A colour map of matplotlib.
    limits : tuple of 2 floats or None
        Values at the ends of the colour map.
    visible : bool
    label_names : mapping of int to str
        Of a label image.
    source : str
        Folder or file it was read from.
    """

    name: str
    kind: Kind
    levels: tuple[Any, ...]
    scale: tuple[float, ...]
    translate: tuple[float, ...]
    units: tuple[str, ...]
    axes: tuple[str, ...]
    role: Role
    subject: str = ""
    value_unit: str = ""
    colors: str = GREY
    limits: tuple[float, float] | None = None
    visible: bool = True
    label_names: Mapping[int, str] = field(default_factory=dict)
    source: str = ""

    def __post_init__(self) -> None:
        if not self.levels:
            raise InputError(f"layer '{self.name}': has no data")
        axes = self.levels[0].ndim
        for what in ("scale", "translate", "units", "axes"):
            if len(getattr(self, what)) != axes:
                raise InputError(
                    f"layer '{self.name}': {what} has {len(getattr(self, what))} entries for {axes} axes"
                )
        if self.limits is not None and not self.limits[0] < self.limits[1]:
            raise InputError(f"layer '{self.name}': limits {self.limits}, expected the lower one first")


@dataclass(frozen=True)
class Opened:
    """What was found at a path.

    Attributes
    ----------
    title : str
    layers : tuple of Layer
        From the bottom to the top.
    notes : tuple of str
        Sentences on what is missing or was assumed.
    output : str or None
        Output folder of the study, where it is one.
    focus_mm : tuple of floats or None
        Where to look first, along the axes of the layers.
    """

    title: str
    layers: tuple[Layer, ...]
    notes: tuple[str, ...] = ()
    output: str | None = None
    focus_mm: tuple[float, ...] | None = None
