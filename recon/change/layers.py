"""Find the surfaces of a cell's layers, tilted and bowed, to a fraction of a voxel."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deltamu.recon.change.columns import Columns, read_columns
from deltamu.recon.change.layer_stack import Layer, LayerStack, Surface, nominal_thickness
from deltamu.recon.change.log_blur import face_deficit
from deltamu.recon.change.stack import find_stack
from deltamu.recon.change.surface_model import SurfaceModel
from deltamu.recon.change.surfaces import HIGHEST_DEGREE, VOXELS_PER_DEGREE, SurfaceFit, fit_surfaces
from deltamu.recon.errors import InputError

__all__ = ["Layer", "LayerStack", "Surface", "find_layers"]

Float = NDArray[np.float64]
FWHM_PER_SIGMA = float(2 * np.sqrt(2 * np.log(2)))
EDGE_RADIUS = 0.95
REACH_VOXELS = 9
THICKNESS_TOLERANCE = 0.1
LIKENESS_MM = 0.015
LEAST_SIGNIFICANCE = 6.0


@dataclass(frozen=True)
class _Group:
    """Consecutive interfaces (indices along +z) that are fitted together, and the states that show them."""

    edges: tuple[int, ...]
    states: tuple[str, ...]


def find_layers(
    volumes: Mapping[str, Any] | Any,
    *,
    voxel_size_mm: float,
    order: Sequence[str],
    thickness_mm: Mapping[str, float] | Sequence[float],
    radius_mm: float | None = None,
    stack: LayerStack | None = None,
    active: str = "cathode",
    separator: str = "separator",
    blur_fwhm_mm: float | None = None,
    moving: Sequence[str] | None = None,
) -> LayerStack:
    """Fit the surfaces between the layers over the whole area, jointly over all registered states.

    Parameters
    ----------
    volumes : mapping of str to (z, y, x) array-like, or one volume
        cm⁻¹, registered to one grid; the first is the reference. Sliced slab by slab; NaN is left out.
    order, thickness_mm, radius_mm :
        As for `find_stack`.
    stack : LayerStack, optional
        Where to start; found in the reference when not given.
    active : str
        The layer between whose surfaces depth is measured; both are fitted together.
    blur_fwhm_mm : float, optional
        Expected blur across the interfaces of the instrument (the voxel comes on top); about one voxel when
        not given. It is a start and a prior: the blur is fitted.
    moving : sequence of str, optional
        Layers that may change place between the states (by default all on the other side of the separator);
        their surfaces are fitted in the reference alone.

    Returns
    -------
    LayerStack
        With covariances, fitted blur, and a warning for every surface that had to be placed.

    Raises
    ------
    InputError
        If a named layer is not in `order`, or the stack does not fit into the volume.

    Notes
    -----
    Model: in every state and layer the attenuation is a polynomial of depth whose level and slope may vary
    across the pellet; sharp surfaces; a common Gaussian blur. See `surfaces` for the method. The errors hold what
    one and two more powers of depth would move, what the states disagree by beyond their noise, and, away from the
    active layer, the shift of a face by blur before the logarithm (`face_deficit`), which at an opaque anode is
    most of a voxel.
    """
    states = dict(volumes) if isinstance(volumes, Mapping) else {"reference": volumes}
    _check_names(order, active, separator)
    thickness = nominal_thickness(order, thickness_mm)
    if stack is None:
        stack = find_stack(
            next(iter(states.values())),
            voxel_size_mm=voxel_size_mm,
            order=order,
            thickness_mm=thickness,
            radius_mm=radius_mm,
            separator=separator,
        )
    sense = stack.direction
    finder = _Finder(
        tuple(order)[::sense],
        thickness[::sense],
        stack,
        {name: _read(volume, stack) for name, volume in states.items()},
        blur_fwhm_mm,
    )
    still = _still_layers(order, active, separator) if moving is None else set(order) - set(moving)
    surfaces, pairs, width, warnings = finder.fit_all(_groups(finder.order, active, still, tuple(states)))
    return replace(
        stack,
        surfaces=tuple(surfaces[::sense]),
        pair_covariances=pairs,
        blur_fwhm_mm=width * FWHM_PER_SIGMA,
        warnings=stack.warnings + warnings,
    )


def layer_of_state(
    volume: Any, stack: LayerStack, name: str, *, thickness_mm: Mapping[str, float] | Sequence[float]
) -> Layer | None:
    """Fit the two surfaces of one layer to one state alone, for its own thickness.

    Parameters
    ----------
    volume : (z, y, x) array-like
        cm⁻¹, on the grid of the stack.
    stack : LayerStack
        As fitted to all states: where to start.
    thickness_mm
        As for `find_stack`; of the layers as assembled.

    Returns
    -------
    Layer or None
        None where a surface shows no contrast in this state.
    """
    sense = stack.direction
    order, thickness = stack.order[::sense], nominal_thickness(stack.order, thickness_mm)[::sense]
    home = order.index(name)
    reach = (REACH_VOXELS + 3) * stack.voxel_size_mm
    heights = [surface.coefficients[0] for surface in (stack[name].near, stack[name].far)]
    ends = [(min(heights) - reach) / stack.voxel_size_mm, (max(heights) + reach) / stack.voxel_size_mm]
    rows = slice(max(int(ends[0]), 0), min(int(ends[1]) + 1, volume.shape[0]))
    finder = _Finder(order, thickness, stack, {name: _read(volume, stack, rows)}, stack.blur_fwhm_mm)
    surfaces, pairs, _, _ = finder.fit_all([_Group((home, home + 1), (name,))])
    found = replace(stack, surfaces=tuple(surfaces[::sense]), pair_covariances=pairs)[name]
    return found if found.near.fitted and found.far.fitted else None


def _check_names(order: Sequence[str], active: str, separator: str) -> None:
    for argument, name in (("active", active), ("separator", separator)):
        if name not in order:
            raise InputError(f"{argument}: '{name}' is not a layer; expected one of {', '.join(order)}")


def _read(volume: Any, stack: LayerStack, rows: slice | None = None) -> Columns:
    return read_columns(
        volume,
        voxel_size_mm=stack.voxel_size_mm,
        axis_mm=stack.axis_mm,
        radius_mm=EDGE_RADIUS * stack.radius_mm,
        rows=rows or slice(0, volume.shape[0]),
    )


def _still_layers(order: Sequence[str], active: str, separator: str) -> set[str]:
    """The separator and what lies on the active layer's side of it."""
    at, home = list(order).index(separator), list(order).index(active)
    return set(order[at:] if home >= at else order[: at + 1])


def _groups(order: Sequence[str], active: str, still: set[str], states: tuple[str, ...]) -> list[_Group]:
    """The active layer's two surfaces first, then every other surface alone."""
    home = list(order).index(active)
    groups = [_Group((home, home + 1), states)]
    for edge in range(len(order) + 1):
        if edge in (home, home + 1):
            continue
        touching = {order[k] for k in (edge - 1, edge) if 0 <= k < len(order)}
        groups.append(_Group((edge,), states if touching <= still else states[:1]))
    return groups


@dataclass(frozen=True, eq=False)
class _Finder:
    """Everything that the fits of one stack share; layers and edges ascend in z."""

    order: tuple[str, ...]
    thickness: tuple[float, ...]
    stack: LayerStack
    columns: Mapping[str, Columns]
    blur_fwhm_mm: float | None

    def fit_all(
        self, groups: Sequence[_Group]
    ) -> tuple[list[Surface], dict[str, Float], float, tuple[str, ...]]:
        """Fit group by group; surfaces without contrast or outside the field are placed."""
        start = self.stack.surfaces[:: self.stack.direction]
        fitted: dict[int, Surface] = {}
        pairs: dict[str, Float] = {}
        warnings: list[str] = []
        width = 0.0
        for group in groups:
            fit = self._fit(group, start, fitted)
            if fit is None:
                continue
            warnings += self._take(group, fit, fitted, pairs)
            if len(group.edges) > 1:
                width = fit.width_mm
        surfaces = self._place_rest(fitted, start)
        return surfaces, pairs, width, tuple(warnings)

    def _fit(
        self, group: _Group, start: Sequence[Surface], fitted: Mapping[int, Surface]
    ) -> SurfaceFit | None:
        voxel = self.stack.voxel_size_mm
        heights = [start[edge].coefficients[0] for edge in group.edges]
        grid = next(iter(self.columns.values())).z_mm
        if heights[0] < grid[0] + 2 * voxel or heights[-1] > grid[-1] - 2 * voxel:
            return None
        shape = (
            fitted[min(fitted, key=lambda e: abs(e - group.edges[0]))].coefficients[1:]
            if fitted
            else (0.0,) * 3
        )
        guess = np.array([[height, *shape] for height in heights])
        data = [self.columns[state] for state in group.states]
        return fit_surfaces(data, guess, self._model(group), reach_mm=self._reach(group))

    def _model(self, group: _Group) -> SurfaceModel:
        voxel = self.stack.voxel_size_mm
        inner = [self.thickness[edge] for edge in group.edges[:-1]]
        known = self.blur_fwhm_mm is not None
        blur, sigma = (self.blur_fwhm_mm or voxel) / FWHM_PER_SIGMA, 0.2 if known else 0.5
        degrees = [int(np.clip(round(t / voxel / VOXELS_PER_DEGREE), 1, HIGHEST_DEGREE)) for t in inner]
        return SurfaceModel(
            (1, *degrees, 1),
            self.stack.axis_mm,
            self.stack.radius_mm,
            voxel,
            tuple(inner),
            tuple(THICKNESS_TOLERANCE * t for t in inner),
            LIKENESS_MM,
            float(np.hypot(blur, voxel / np.sqrt(12))),
            sigma,
        )

    def _reach(self, group: _Group) -> tuple[float, float]:
        """Half of the neighbouring layers, at most nine voxels: their other faces must not be seen."""
        limit = REACH_VOXELS * self.stack.voxel_size_mm
        below, above = group.edges[0] - 1, group.edges[-1]
        low = 0.5 * self.thickness[below] if below >= 0 else limit
        high = 0.5 * self.thickness[above] if above < len(self.thickness) else limit
        return min(low, limit), min(high, limit)

    def _take(
        self, group: _Group, fit: SurfaceFit, fitted: dict[int, Surface], pairs: dict[str, Float]
    ) -> list[str]:
        warnings, weak = [], []
        for position, edge in enumerate(group.edges):
            block = slice(4 * position, 4 * position + 4)
            covariance = fit.covariance[block, block]
            error = float(np.sqrt(covariance[0, 0]))
            if fit.significance[position] < LEAST_SIGNIFICANCE or error > self.stack.voxel_size_mm:
                weak.append(edge)
                continue
            c0, cy, cx, cb = (float(value) for value in fit.coefficients[position])
            found = Surface((c0, cy, cx, cb), self.stack.axis_mm, covariance, True)
            # of the active layer it stands in the budget, state by state
            fitted[edge] = found if len(group.edges) > 1 else self._unsure(found, fit)
        for edge in weak:
            warnings.append(
                f"{self._name(edge)}: hardly any contrast in any state; placed by the nominal thickness "
                "and the shape of its neighbour"
            )
        if not fit.converged:
            warnings.append(f"{self._name(group.edges[0])}: the fit of the surface did not settle")
        if len(group.edges) == 2 and not weak:
            pairs[self.order[group.edges[0]]] = self._near_first(group, fit.covariance)
        return warnings

    def _unsure(self, surface: Surface, fit: SurfaceFit) -> Surface:
        """Add to the error what the blur before the logarithm may have moved a surface by."""
        blur = max(fit.width_mm * FWHM_PER_SIGMA, self.blur_fwhm_mm or 0.0)
        moved = face_deficit(
            surface, float(fit.contrast[0]), radius_mm=self.stack.radius_mm, blur_fwhm_mm=blur
        ).shift_mm
        return replace(surface, covariance=surface.covariance + np.diag([moved**2, 0.0, 0.0, 0.0]))

    def _near_first(self, group: _Group, covariance: Float) -> Float:
        """Order the joint covariance as (near, far)."""
        layer = self.stack[self.order[group.edges[0]]]
        turn = np.arange(8) if layer.side > 0 else np.r_[4:8, 0:4]
        turned: Float = covariance[np.ix_(turn, turn)]
        return turned

    def _name(self, edge: int) -> str:
        sides = [self.order[k] for k in (edge - 1, edge) if 0 <= k < len(self.order)]
        return f"surface {'|'.join(sides)}" if len(sides) == 2 else f"outer face of {sides[0]}"

    def _place_rest(self, fitted: Mapping[int, Surface], start: Sequence[Surface]) -> list[Surface]:
        """Surfaces that were not fitted stand a nominal thickness from the nearest fitted one."""
        if not fitted:
            return list(start)
        offsets = np.concatenate([[0.0], np.cumsum(self.thickness)])
        surfaces = []
        for edge in range(len(self.order) + 1):
            nearest = min(fitted, key=lambda known: abs(known - edge))
            distance = float(offsets[edge] - offsets[nearest])
            placed = fitted[nearest].raised(distance, self._placing_covariance(distance))
            surfaces.append(fitted.get(edge, placed))
        return surfaces

    def _placing_covariance(self, distance_mm: float) -> Float:
        """Uncertainty of a nominal distance, and of the likeness of two surfaces, in their coefficients."""
        radius = self.stack.radius_mm
        shape = [LIKENESS_MM / radius, LIKENESS_MM / radius, LIKENESS_MM / radius**2]
        sigma = np.array([THICKNESS_TOLERANCE * distance_mm, *shape])
        return np.diag(sigma**2)
