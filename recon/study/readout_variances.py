"""Exact variances of what is read from a state, by the transpose of interpolation, back-projection and filter."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from deltamu.recon.change.readout_slices import MovedBins, PatchBins
from deltamu.recon.solvers.line_noise import Gathered, LineNoise
from deltamu.recon.solvers.readout_weights import ReadoutRays

Array = NDArray[np.float32]
Float = NDArray[np.float64]
Mask = NDArray[np.bool_]
# bins of depth that are projected together: the projector works on 32 slices at a time
BINS_TOGETHER = 3


@dataclass(frozen=True, eq=False)
class BinGroup:
    """A region of the pellet as a union of patches, and sums over its bins that are read-outs as well.

    Attributes
    ----------
    name : str
    patches : tuple of int
    sums : mapping of name to (bin,) bool array
        Read-outs over the voxels of several bins.
    by_bin : bool
        Whether the mean of every bin is a read-out.
    """

    name: str
    patches: tuple[int, ...]
    sums: Mapping[str, Mask]
    by_bin: bool = True


@dataclass
class StateVariances:
    """Variances of the read-outs of one state, by name; one number, or one per bin, cm⁻².

    Attributes
    ----------
    counting, open_beam : dict of name to (read-out,) array
        From what is independent from view to view, and from what is the same in all.
    gathered : dict of name to list
        Weights of every read-out, summed over the views; None for an empty bin.
    """

    counting: dict[str, Float] = field(default_factory=dict)
    open_beam: dict[str, Float] = field(default_factory=dict)
    gathered: dict[str, list[Gathered | None]] = field(default_factory=dict)

    def add(self, name: str, index: int, count: int, noise: LineNoise, weights: Array, row: int) -> None:
        """Work out one read-out of `count` of that name."""
        if name not in self.counting:
            self.counting[name], self.open_beam[name] = np.zeros(count), np.zeros(count)
            self.gathered[name] = [None] * count
        together = noise.gathered(weights, row)
        self.counting[name][index] = noise.counting_variance(weights, row)
        self.open_beam[name][index] = noise.open_beam_variance(together)
        self.gathered[name][index] = together


@dataclass
class _Sum:
    """Weights of a read-out over many bins on all rows of the noise, and the voxels that it holds."""

    weights: Array
    voxels: int = 0


def add_variances(
    found: StateVariances,
    patches: Sequence[PatchBins],
    moved: Sequence[MovedBins] | None,
    groups: Sequence[BinGroup],
    bins: int,
    rays: ReadoutRays,
    noise: LineNoise,
    *,
    between: Callable[[int], None] = lambda done: None,
) -> None:
    """Work out the read-outs of groups of patches.

    Parameters
    ----------
    found : StateVariances
        Receives the read-outs `name` (mean of every bin) and `name sum` (mean over the bins of a sum).
    patches, moved
        Voxels on the grid of the reference; and of the moving state, where the state was resampled.
    groups : sequence of BinGroup
    bins : int
    rays, noise
    between : callable
        Called with the bins done, after some.
    """
    sums = {
        f"{group.name} {name}": _Sum(np.zeros((len(noise.sigma), *noise.sigma.shape[1:]), np.float32))
        for group in groups
        for name in group.sums
    }
    for first in range(0, bins, BINS_TOGETHER):
        together = range(first, min(first + BINS_TOGETHER, bins))
        for index, parts in _projected(patches, moved or patches, together, rays, noise):
            for group in groups:
                chosen = [parts[patch] for patch in group.patches if patch in parts]
                if chosen:
                    _add_bin(found, group, index, bins, chosen, noise, sums)
        between(together.stop)
    for name, total in sums.items():
        if total.voxels:
            found.add(name, 0, 1, noise, total.weights / np.float32(total.voxels), noise.row)


def _projected(
    patches: Sequence[PatchBins],
    read: Sequence[PatchBins | MovedBins],
    together: range,
    rays: ReadoutRays,
    noise: LineNoise,
) -> Iterator[tuple[int, dict[int, tuple[Array, int, int]]]]:
    """Yield every bin with the weights, first row and voxels of its patches."""
    found: dict[int, dict[int, tuple[Array, int, int]]] = {index: {} for index in together}
    for patch, (plain, source) in enumerate(zip(patches, read, strict=True)):
        voxels = [source.weights(index) for index in together]
        stacked = np.concatenate([part for part, _ in voxels])
        if not len(stacked):
            continue
        weights, begin = rays.weights(stacked, source.corner), 0
        for index, (part, row) in zip(together, voxels, strict=True):
            seen, low = noise.seen(weights[begin : begin + len(part)], row)
            begin += len(part)
            if len(seen):
                found[index][patch] = seen, low, int(np.count_nonzero(plain.bins == index))
    yield from found.items()


def _add_bin(
    found: StateVariances,
    group: BinGroup,
    index: int,
    bins: int,
    parts: Sequence[tuple[Array, int, int]],
    noise: LineNoise,
    sums: Mapping[str, _Sum],
) -> None:
    """Add one bin of a group: as a read-out of its own, and to the sums that hold it."""
    voxels = sum(count for *_, count in parts)
    weights, row = _united(parts)
    for name, bins_of_sum in group.sums.items():
        if bins_of_sum[index]:
            total = sums[f"{group.name} {name}"]
            total.weights[row - noise.row : row - noise.row + len(weights)] += weights
            total.voxels += voxels
    if group.by_bin:
        found.add(group.name, index, bins, noise, weights / np.float32(voxels), row)


def _united(parts: Sequence[tuple[Array, int, int]]) -> tuple[Array, int]:
    """Sum of weights that begin at different rows, and its first row."""
    if len(parts) == 1:
        return parts[0][0], parts[0][1]
    low = min(row for _, row, _ in parts)
    high = max(row + len(weights) for weights, row, _ in parts)
    total = np.zeros((high - low, *parts[0][0].shape[1:]), np.float32)
    for weights, row, _ in parts:
        total[row - low : row - low + len(weights)] += weights
    return total, low
