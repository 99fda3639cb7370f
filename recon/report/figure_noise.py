"""Figure: is the stated uncertainty honest? z-scores where nothing should have changed."""

from typing import TYPE_CHECKING

import numpy as np

from deltamu.recon.report.canvas import change_color, new_figure, sheet_width
from deltamu.recon.report.content import Float, ReportContent, change_title
from deltamu.recon.report.numbers import THIN_SPACE, number
from deltamu.recon.report.scores import MIDDLES, ScoreStatistics, score_statistics
from deltamu.recon.report.sections import cell_frame

if TYPE_CHECKING:
    from matplotlib.figure import Figure

BIN_EDGES = np.linspace(-6, 6, 61)
LARGEST_WIDTH_IN = 5.2
LEAST_WIDTH_FOR_LEGEND_BESIDE_IN = 4.5


def draw_noise(content: ReportContent) -> "Figure":
    """Draw the distribution of z-scores of every change with the standard normal distribution."""
    frame = cell_frame(content)
    width_in = min(sheet_width(), LARGEST_WIDTH_IN)
    beside = width_in > LEAST_WIDTH_FOR_LEGEND_BESIDE_IN
    figure = new_figure(width_in, 2.9 if beside else 4.0)
    axes = figure.subplots()
    middle = 0.5 * (BIN_EDGES[1:] + BIN_EDGES[:-1])
    normal = np.exp(-0.5 * middle**2) / np.sqrt(2 * np.pi)
    axes.fill_between(middle, normal, color="#dddddd", label="standard normal")
    for index, change in enumerate(content.changes):
        found = score_statistics(content, change, frame, layers=content.inert_layers)
        if found is not None:
            axes.stairs(
                _density(found), BIN_EDGES, color=change_color(index), linewidth=1.2,
                label=_legend(change, found),
            )  # fmt: skip
    axes.set_yscale("log")
    axes.set_ylim(1e-5, 1)
    axes.set_xlim(BIN_EDGES[0], BIN_EDGES[-1])
    axes.set_xlabel("z = Δµ / σ")
    axes.set_ylabel("density")
    figure.legend(loc="outside right center" if beside else "outside upper left")
    return figure


def describe_noise(content: ReportContent) -> str:
    """Caption of the figure."""
    names = ", ".join(name.replace("_", " ") for name in content.inert_layers)
    return (
        f"Is σ honest? Distribution of z = Δµ/σ of single voxels where no change is expected ({names}), "
        "two voxels away from the faces and inside 95 % of the radius. Grey: standard normal distribution. "
        "SD is half the distance between the 16 % and the 84 % quantile; for an honest σ it is 1 and |z| "
        "exceeds 3 in 0.27 % of the voxels."
    )


def _legend(change: str, found: ScoreStatistics) -> str:
    beyond = f"{number(100 * found.beyond_three)}{THIN_SPACE}%"
    return f"{change_title(change)}\nSD {found.robust_sd:.3f}, |z| > 3: {beyond}"


def _density(found: ScoreStatistics) -> Float:
    """Density in coarse bins, without the scores outside them."""
    coarse = np.histogram(MIDDLES, BIN_EDGES, weights=found.counts)[0]
    return np.asarray(coarse / (found.total * (BIN_EDGES[1] - BIN_EDGES[0])), float)
