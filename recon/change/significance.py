"""Which voxels changed, when millions are looked at: control of false discoveries.

Among a million voxels without change, thousands have |z| > 3 by chance. Benjamini and Hochberg (1995) choose
the threshold so that among the voxels beyond it at most a given part is expected to be chance.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import erfc, ndtri

from deltamu.recon.errors import InputError

Float = NDArray[np.float64]
FINEST_Z = 0.005
LARGEST_Z = 40.0


@dataclass(frozen=True)
class Significance:
    """Voxels that stand out of the noise.

    Attributes
    ----------
    level : float
        Part of the discoveries that may be false.
    threshold_z : float or None
        Voxels with |z| at least this are discoveries; None where there are none.
    changed_fraction : float
        Discoveries over voxels with a score.
    strict_threshold_z, strict_changed_fraction
        The same for any dependence between the voxels (Benjamini and Yekutieli 2001).
    voxels : int
        With a score.
    """

    level: float
    threshold_z: float | None
    changed_fraction: float
    strict_threshold_z: float | None
    strict_changed_fraction: float
    voxels: int


@dataclass(frozen=True, eq=False)
class ScoreCounts:
    """Histogram of |z|, gathered slab by slab; counts of slabs add up.

    Attributes
    ----------
    counts : (bin,) int64 array
        Voxels with |z| in steps of 0.005; the last bin holds all from 40.
    """

    counts: NDArray[np.int64]

    def __add__(self, other: "ScoreCounts") -> "ScoreCounts":
        """Counts of both parts."""
        return ScoreCounts(self.counts + other.counts)

    @property
    def voxels(self) -> int:
        """All voxels with a score."""
        return int(self.counts.sum())


def count_scores(z_scores: NDArray[np.floating]) -> ScoreCounts:
    """Count scores; those that are not finite are left out."""
    known = np.abs(z_scores[np.isfinite(z_scores)])
    bins = round(LARGEST_Z / FINEST_Z)
    index = np.minimum(known / FINEST_Z, bins).astype(np.intp)
    return ScoreCounts(np.bincount(index, minlength=bins + 1).astype(np.int64))


def significant_voxels(scores: ScoreCounts | NDArray[np.floating], *, level: float = 0.05) -> Significance:
    """Choose the threshold of |z| beyond which at most a given part of the voxels is chance.

    Parameters
    ----------
    scores : ScoreCounts or array
        z scores of the voxels of a layer; NaN where the noise is not known.
    level : float
        Rate of false discoveries, (0, 1).

    Raises
    ------
    InputError
        If the level is out of range or no score is finite.

    Notes
    -----
    The noise of neighbouring voxels is correlated, over about one resolution width and partly with negative
    sign. The plain threshold holds for independent and positively dependent scores; for few, far-reaching
    correlations it is nearly unchanged. The strict one holds for any dependence, at the price of a factor ln(n).
    Thresholds are rounded up to the next 0.005.

    References
    ----------
    Benjamini, Hochberg, J. R. Stat. Soc. B 57 (1995) 289. Benjamini, Yekutieli, Ann. Stat. 29 (2001) 1165.
    """
    if not 0 < level < 1:
        raise InputError(f"level: found {level}, expected a rate between 0 and 1, for example 0.05")
    found = scores if isinstance(scores, ScoreCounts) else count_scores(scores)
    if found.voxels == 0:
        raise InputError("z scores: not one is finite; the noise of these voxels is not known")
    harmonic = np.euler_gamma + np.log(found.voxels)
    plain, strict = (_threshold(found, level / factor) for factor in (1.0, max(harmonic, 1.0)))
    return Significance(level, *plain, *strict, found.voxels)


def false_discovery_bins(z_scores: NDArray[np.floating], *, level: float = 0.05) -> NDArray[np.bool_]:
    """Mark the few means (bins of a profile, regions) that stand out, at a rate of false discoveries.

    Parameters
    ----------
    z_scores : array
        Means over their standard errors; NaN is not marked.
    """
    z = np.abs(np.asarray(z_scores, np.float64))
    known = np.isfinite(z)
    chance = np.where(known, erfc(z / np.sqrt(2)), 2.0)
    order = np.sort(chance[known])
    passed = np.flatnonzero(order <= level * np.arange(1, order.size + 1) / max(order.size, 1))
    limit = order[passed[-1]] if passed.size else -1.0
    return np.asarray(chance <= limit)


def _threshold(scores: ScoreCounts, level: float) -> tuple[float | None, float]:
    """Lowest |z| at which the expected false discoveries are at most a part of all discoveries."""
    edges = np.arange(scores.counts.size) * FINEST_Z
    above = np.cumsum(scores.counts[::-1])[::-1]
    expected = scores.voxels * erfc(edges / np.sqrt(2))
    passed = np.flatnonzero((expected <= level * above) & (above > 0))
    if passed.size == 0:
        return None, 0.0
    first = int(passed[0])
    return float(edges[first]), float(above[first] / scores.voxels)


def chance_threshold(voxels: int) -> float:
    """|z| that one voxel of so many exceeds by chance, on average."""
    return float(-ndtri(0.5 / max(voxels, 1)))
