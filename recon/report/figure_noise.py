"""Figure: is the stated uncertainty honest? z-scores where nothing should have changed."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from deltamu.recon.report.canvas import CHANGE_COLORS, FULL_WIDTH_IN, new_figure
from deltamu.recon.report.content import Float, ReportContent, change_title
from deltamu.recon.report.images import open_study_image
from deltamu.recon.report.numbers import THIN_SPACE, number
from deltamu.recon.report.sections import CellFrame, cell_frame

if TYPE_CHECKING:
    from matplotlib.figure import Figure

BLOCK_ROWS = 32
CORE_FRACTION = 0.95
BIN_EDGES = np.linspace(-6, 6, 61)
FINE_EDGES = np.linspace(-12, 12, 4801)


@dataclass(frozen=True)
class ScoreStatistics:
    """z-scores of one change in the inert layers.

    Attributes
    ----------
    counts : (bin,) array
        Voxels per bin of FINE_EDGES; scores beyond the edges count in the outermost bins.
    total : int
    """

    counts: Float
    total: int

    @property
    def median(self) -> float:
        """Median score; 0 when nothing is shifted."""
        return self._quantile(0.5)

    @property
    def robust_sd(self) -> float:
        """Half the distance between the 16 % and the 84 % quantile; 1 when the uncertainty is honest."""
        return 0.5 * (self._quantile(0.841345) - self._quantile(0.158655))

    @property
    def beyond_three(self) -> float:
        """Fraction with |z| > 3; 0.0027 for a normal distribution."""
        middle = 0.5 * (FINE_EDGES[1:] + FINE_EDGES[:-1])
        return float(self.counts[np.abs(middle) > 3].sum() / self.total)

    def _quantile(self, fraction: float) -> float:
        cumulated = np.concatenate([[0.0], np.cumsum(self.counts)]) / self.total
        return float(np.interp(fraction, cumulated, FINE_EDGES))


def score_statistics(content: ReportContent, change: str, frame: CellFrame) -> ScoreStatistics | None:
    """Count the z-scores of a change in the inert layers, away from their faces; None if there are none."""
    labels = [content.layers[name].get("label") for name in content.inert_layers]
    wanted = np.array([label for label in labels if isinstance(label, int)], np.int64)
    z_score, label_image = (
        open_study_image(content, f"changes/{change}/z_score"),
        open_study_image(content, "layers/labels"),
    )
    core = frame.core(CORE_FRACTION)
    rows, columns = (slice(int(i.min()), int(i.max()) + 1) for i in np.nonzero(core))
    counts = np.zeros(FINE_EDGES.size - 1)
    for start in range(0, frame.shape[0], BLOCK_ROWS):
        # two rows beyond the block on either side tell whether a face is near
        padded = slice(max(0, start - 2), min(frame.shape[0], start + BLOCK_ROWS + 2))
        inside = _away_from_faces(np.isin(label_image.read(padded, rows, columns), wanted))
        own = slice(start - padded.start, min(start + BLOCK_ROWS, frame.shape[0]) - padded.start)
        scores = z_score.read(slice(start, start + BLOCK_ROWS), rows, columns)
        chosen = scores[inside[own] & core[rows, columns] & np.isfinite(scores)]
        counts += np.histogram(np.clip(chosen, FINE_EDGES[0], FINE_EDGES[-1]), FINE_EDGES)[0]
    total = int(counts.sum())
    return ScoreStatistics(counts, total) if total > 0 else None


def draw_noise(content: ReportContent) -> "Figure":
    """Draw the distribution of z-scores of every change with the standard normal distribution."""
    frame = cell_frame(content)
    figure = new_figure(0.72 * FULL_WIDTH_IN, 2.9)
    axes = figure.subplots()
    width = float(BIN_EDGES[1] - BIN_EDGES[0])
    middle = 0.5 * (BIN_EDGES[1:] + BIN_EDGES[:-1])
    axes.fill_between(
        middle, np.exp(-0.5 * middle**2) / np.sqrt(2 * np.pi), color="#dddddd", label="standard normal"
    )
    for index, change in enumerate(content.changes):
        found = score_statistics(content, change, frame)
        if found is None:
            continue
        density = _rebinned(found.counts) / (found.total * width)
        color = CHANGE_COLORS[index % len(CHANGE_COLORS)]
        axes.stairs(density, BIN_EDGES, color=color, linewidth=1.2, label=_legend(change, found))
    axes.set_yscale("log")
    axes.set_ylim(1e-5, 1)
    axes.set_xlim(BIN_EDGES[0], BIN_EDGES[-1])
    axes.set_xlabel("z = Δµ / σ")
    axes.set_ylabel("density")
    figure.legend(loc="outside right center")
    return figure


def _legend(change: str, found: ScoreStatistics) -> str:
    beyond = f"{number(100 * found.beyond_three)}{THIN_SPACE}%"
    return f"{change_title(change)}\nSD {found.robust_sd:.3f}, |z| > 3: {beyond}"


def describe_noise(content: ReportContent) -> str:
    """Caption of the figure."""
    names = ", ".join(name.replace("_", " ") for name in content.inert_layers)
    return (
        f"Is σ honest? Distribution of z = Δµ/σ of single voxels where no change is expected ({names}), "
        "two voxels away "
        "from the faces and inside 95 % of the radius. Grey: standard normal distribution. SD is half the "
        "distance "
        "between the 16 % and the 84 % quantile; for an honest σ it is 1 and |z| exceeds 3 in 0.27 % of "
        "the voxels."
    )


def _away_from_faces(
    inside: np.ndarray[tuple[int, ...], np.dtype[np.bool_]],
) -> np.ndarray[tuple[int, ...], np.dtype[np.bool_]]:
    """Remove two voxels along z from every face of a mask; the ends of the block stay."""
    kept = inside.copy()
    for step in (1, 2):
        kept[step:] &= inside[:-step]
        kept[:-step] &= inside[step:]
    return kept


def _rebinned(counts: Float) -> Float:
    """Coarse bins of the histogram, without the scores outside it."""
    middle = 0.5 * (FINE_EDGES[1:] + FINE_EDGES[:-1])
    return np.asarray(np.histogram(middle, BIN_EDGES, weights=counts)[0], float)
