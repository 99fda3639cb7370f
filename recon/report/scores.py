"""z-scores of a change in chosen layers: are they as noise makes them, and how many stand out of it?"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import erfc

from deltamu.recon.report.content import Float, ReportContent
from deltamu.recon.report.images import open_study_image
from deltamu.recon.report.sections import CellFrame

BLOCK_ROWS = 32
CORE_FRACTION = 0.95
FINE_EDGES = np.linspace(-12, 12, 4801)
MIDDLES = 0.5 * (FINE_EDGES[1:] + FINE_EDGES[:-1])


@dataclass(frozen=True)
class ScoreStatistics:
    """z-scores of one change in some layers.

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
        return float(self.counts[np.abs(MIDDLES) > 3].sum() / self.total)

    def changed_fraction(self, false_discovery_rate: float) -> float:
        """Fraction of voxels that changed, of which at most the given part is noise.

        Benjamini and Hochberg (1995), doi 10.1111/j.2517-6161.1995.tb02031.x, on the histogram of |z|.
        """
        size = self.counts.size // 2
        folded = self.counts[size:] + self.counts[:size][::-1]
        above = np.cumsum(folded[::-1])[::-1]
        expected = self.total * erfc(FINE_EDGES[size:-1] / np.sqrt(2))
        found = above[(expected <= false_discovery_rate * above) & (above > 0)]
        return float(found[0] / self.total) if found.size else 0.0

    def _quantile(self, fraction: float) -> float:
        cumulated = np.concatenate([[0.0], np.cumsum(self.counts)]) / self.total
        return float(np.interp(fraction, cumulated, FINE_EDGES))


def score_statistics(
    content: ReportContent, change: str, frame: CellFrame, *, layers: Sequence[str]
) -> ScoreStatistics | None:
    """Count the z-scores of a change in some layers, away from their faces; None if there are none."""
    labels = [content.layers[name].get("label") for name in layers]
    wanted = np.array([label for label in labels if isinstance(label, int)], np.int64)
    z_score = open_study_image(content, f"changes/{change}/z_score")
    label_image = open_study_image(content, "layers/labels")
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


def _away_from_faces(inside: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Remove two voxels along z from every face of a mask; the ends of the block stay."""
    kept = inside.copy()
    for step in (1, 2):
        kept[step:] &= inside[:-step]
        kept[:-step] &= inside[step:]
    return kept
