"""Which figures a study has, in the order in which they are shown."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from deltamu.recon.report import (
    figure_balance,
    figure_centers,
    figure_changes,
    figure_cutaway,
    figure_depths,
    figure_noise,
    figure_profile,
    figure_registration,
    figure_resolution,
    figure_states,
)
from deltamu.recon.report.content import ReportContent

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class FigureKind:
    """One figure of the report.

    Attributes
    ----------
    name : str
        File name without ending.
    title : str
    draw, describe : callables
        From the content to the figure and to its caption.
    possible : callable
        Whether this study has what the figure shows.
    """

    name: str
    title: str
    draw: "Callable[[ReportContent], Figure]"
    describe: Callable[[ReportContent], str]
    possible: Callable[[ReportContent], bool]


def _has_profiles(content: ReportContent) -> bool:
    return bool(content.changes) and content.profile_layer is not None


def _has_pellet(content: ReportContent) -> bool:
    return _has_profiles(content) and bool(content.layers[content.profile_layer or ""].get("radius_mm"))


def _has_inert_layers(content: ReportContent) -> bool:
    return bool(content.changes) and any("label" in content.layers[name] for name in content.inert_layers)


FIGURES = (
    FigureKind("profile", "Change against depth", figure_profile.draw_profile,
               figure_profile.describe_profile, _has_profiles),
    FigureKind("changes", "Maps of the change", figure_changes.draw_changes, figure_changes.describe_changes,
               _has_profiles),
    FigureKind("cutaway", "The cell cut open", figure_cutaway.draw_cutaway, figure_cutaway.describe_cutaway,
               _has_pellet),
    FigureKind("depths", "From separator to current collector", figure_depths.draw_depths,
               figure_depths.describe_depths, _has_profiles),
    FigureKind("balance", "Lithium balance", figure_balance.draw_balance, figure_balance.describe_balance,
               figure_balance.has_balance),
    FigureKind("states", "The states", figure_states.draw_states, figure_states.describe_states,
               lambda content: True),
    FigureKind("centers", "Centre of rotation and dose", figure_centers.draw_centers,
               figure_centers.describe_centers, lambda content: bool(figure_centers.scanned_states(content))),
    FigureKind("registration", "Registration", figure_registration.draw_registration,
               figure_registration.describe_registration, lambda content: bool(content.moving_states)),
    FigureKind("resolution", "Resolution", figure_resolution.draw_resolution,
               figure_resolution.describe_resolution, lambda content: bool(figure_resolution.resolved_states(content))),
    FigureKind("noise", "Noise", figure_noise.draw_noise, figure_noise.describe_noise, _has_inert_layers),
)  # fmt: skip
