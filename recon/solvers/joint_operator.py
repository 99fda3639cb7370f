"""Scans of several states as one operator: what all have in common, and what is different in each of the others."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from deltamu.kernels.backend import array_module
from deltamu.recon.errors import InputError
from deltamu.recon.solvers.operators import Operator, ProjectorPair, Shape

Array = NDArray[np.float32]
JOINT = "joint, several states"


@dataclass(frozen=True, eq=False)
class JointPair:
    """Volumes x, d₁, d₂ … behind each other along z; the first scan sees x, scan k sees x + dₖ.

    Attributes
    ----------
    pairs : tuple of ProjectorPair
        One for each scan, on the same grid, with detectors of one shape.
    """

    pairs: tuple[ProjectorPair, ...]

    path = JOINT

    @property
    def domain_shape(self) -> Shape:
        """(scans · z, y, x)."""
        z, y, x = self.pairs[0].domain_shape
        return len(self.pairs) * z, y, x

    @property
    def range_shape(self) -> Shape:
        """(angles of all scans, row, column)."""
        views = sum(pair.range_shape[0] for pair in self.pairs)
        return views, *self.pairs[0].range_shape[1:]

    def forward(self, volume: Array) -> Array:
        """Project every state."""
        common, *changes = self.split(volume)
        first, *others = self.pairs
        seen = [first.forward(common)]
        seen += [pair.forward(common + d) for pair, d in zip(others, changes, strict=True)]
        return array_module(volume).concatenate(seen)  # type: ignore[no-any-return]

    def transpose(self, projections: Array) -> Array:
        """Back-project every scan; what is common gets all of them."""
        ends = np.cumsum([pair.range_shape[0] for pair in self.pairs])[:-1]
        parts = np.split(projections, ends)
        spread = [pair.transpose(part) for pair, part in zip(self.pairs, parts, strict=True)]
        spread[0] = sum(spread[1:], spread[0])
        return array_module(projections).concatenate(spread)  # type: ignore[no-any-return]

    def of_views(self, views: NDArray[np.intp]) -> "JointPair":
        """Return the pair of some of the views, which stay in the order of the scans."""
        starts = np.cumsum([0, *(pair.range_shape[0] for pair in self.pairs)])
        if np.any(np.diff(views) < 0):
            raise InputError("views: of several scans they are expected in rising order")
        inside = [views[(views >= a) & (views < b)] - a for a, b in pairwise(starts)]
        if min(part.size for part in inside) == 0:
            raise InputError("views: found a scan without any; expected some of each")
        return JointPair(tuple(p.of_views(v) for p, v in zip(self.pairs, inside, strict=True)))

    def representative(self) -> "JointPair":
        """The same of the smallest pairs, where all have one of the same grid."""
        small = tuple(pair.representative() for pair in self.pairs)
        alike = len({(pair.domain_shape, pair.range_shape[1:]) for pair in small}) == 1
        return JointPair(small) if alike else self

    def split(self, volume: Array) -> list[Array]:
        """The common volume and the changes, as views of the array."""
        return list(np.split(volume, len(self.pairs)))


def joint_operator(*operators: Operator) -> Operator:
    """Scans of several states as one operator on (common, change, change …), behind each other along z.

    Parameters
    ----------
    *operators : Operator
        The first of the state that all others are compared with; each sees the grid of the first.

    Raises
    ------
    InputError
        If there are fewer than two, or their grids or detectors differ.
    """
    if len(operators) < 2:
        raise InputError(f"operators: found {len(operators)}, expected one for each of at least two scans")
    shapes = {(A.domain_shape, A.range_shape[1:]) for A in operators}
    if len(shapes) > 1:
        raise InputError(
            f"operators: found (volume, detector) of shapes {sorted(shapes)}, expected one grid and one detector"
        )
    return Operator(JointPair(tuple(A.pair for A in operators)))
