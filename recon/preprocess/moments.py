"""Sums over the columns of every view: what a sample inside the field must have in common at all angles."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from deltamu.recon.errors import InputError

Float = NDArray[np.float64]

EDGE_FRACTION = 32
# a rim this bright against the brightest column means that the sample leaves the field
TRUNCATED = 0.05


@dataclass(frozen=True)
class ViewMoments:
    """Moments along the columns of every row of every view.

    Attributes
    ----------
    mass, first, second : (view, row) arrays
        Σ p, Σ u p and Σ u² p over the columns u, p the line integral.
    """

    mass: Float
    first: Float
    second: Float


class MomentSums:
    """Moments of views that come in blocks, one after another."""

    def __init__(self) -> None:
        self._sums: list[Float] = []
        self._profile = np.zeros(0)

    def __setitem__(self, views: slice, block: NDArray[np.floating]) -> None:
        """Take in the next block, as an array would."""
        self.add(block)

    def add(self, block: NDArray[np.floating]) -> None:
        """Take in the next line integrals (view, row, column)."""
        views = np.asarray(block)
        powers = np.vander(np.arange(views.shape[2], dtype=np.float64), 3, increasing=True)
        self._sums.append(views.astype(np.float64) @ powers)
        total = views.sum(axis=(0, 1), dtype=np.float64)
        self._profile = self._profile + total if self._profile.size else total

    def result(self) -> ViewMoments:
        """Return the moments of all views.

        Raises
        ------
        InputError
            If values are not finite, a view shows no attenuation, or the sample leaves the field at the sides.
        """
        found = ViewMoments(*np.moveaxis(np.concatenate(self._sums), 2, 0))
        if not np.all(np.isfinite(found.mass)):
            raise InputError("line_integrals: found values that are not finite")
        _refuse_truncated(np.abs(self._profile))
        if not np.all(found.mass.sum(axis=1) > 0):
            raise InputError("line_integrals: a view without attenuation; expected a sample in every view")
        return found


def view_moments(blocks: Iterable[NDArray[np.floating]]) -> ViewMoments:
    """Sum up views that come in blocks.

    Parameters
    ----------
    blocks : iterable of (view, row, column) arrays
        Line integrals of a sample that stays inside the field at the sides.

    Raises
    ------
    InputError
        As `MomentSums.result`.
    """
    sums = MomentSums()
    for block in blocks:
        sums.add(block)
    return sums.result()


def _refuse_truncated(profile: Float) -> None:
    width = max(profile.size // EDGE_FRACTION, 1)
    rim = max(float(profile[:width].mean()), float(profile[-width:].mean()))
    if rim > TRUNCATED * float(profile.max()):
        raise InputError(
            f"line_integrals: the outermost columns hold {100 * rim / profile.max():.0f} % of the brightest; shifts can "
            "be told from a centre of mass only where the sample stays inside the field"
        )
