"""The noise-free transmission of a cell at every view: exact casing, voxelised pellet, fine rays, pixels.

The pellet is sampled directly in the pose of the scan on a grid finer than the detector, projected on to a
finer detector, and turned into transmission before it is blurred and averaged over pixels.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from deltamu.kernels.project import project
from deltamu.recon.geometry import RigidTransform
from deltamu.recon.materials.spectrum import GammaSpectrum
from deltamu.recon.simulate.blur import PixelBlur, pixel_blur
from deltamu.recon.simulate.casing import Casing, Rays
from deltamu.recon.simulate.field import PelletField, sample_field
from deltamu.recon.simulate.poses import ViewGeometry, field_middle_mm
from deltamu.recon.simulate.presets import Beam, Preset
from deltamu.recon.simulate.shear import REACH, shear_columns, shear_rows

Array = NDArray[np.float32]
Float = NDArray[np.float64]

# line integrals of a block of rows that are held at a time
_BLOCK_BYTES = 96 << 20


@dataclass(frozen=True)
class Scene:
    """Everything that the beam passes in one scan.

    Attributes
    ----------
    field : PelletField
        Contents of the bore.
    pose : RigidTransform
        Sample → scan.
    views : ViewGeometry
    preset : Preset
    beam : Beam
    """

    field: PelletField
    pose: RigidTransform
    views: ViewGeometry
    preset: Preset
    beam: Beam

    @property
    def casing(self) -> Casing:
        """Sleeve and housing in this pose."""
        parts = self.field.materials.parts
        middle = field_middle_mm(self.preset)
        return Casing(self.field.cell, self.pose, middle[1:], parts["sleeve"], parts["housing"])


def clean_transmission(
    scene: Scene,
    *,
    pool: ThreadPoolExecutor,
    after_block: Callable[[int, int], None] = lambda done, total: None,
) -> Array:
    """Transmission (angle, row, column) before counting: without scatter, wide line spread and light spread.

    Parameters
    ----------
    scene : Scene
    pool : ThreadPoolExecutor
    after_block : callable
        Called with the finished and the total number of blocks; may raise to stop.
    """
    preset = scene.preset
    blur = pixel_blur(preset, scene.beam)
    result = np.empty((preset.views, preset.rows, preset.columns), np.float32)
    blocks = list(_row_blocks(scene, blur))
    for number, (start, stop) in enumerate(blocks):
        _fill_rows(scene, blur, start, stop, result, pool)
        after_block(number + 1, len(blocks))
    return result


def _row_blocks(scene: Scene, blur: PixelBlur) -> Iterator[tuple[int, int]]:
    window = _Window(scene, 0, 1, blur.halo)
    per_row = 4 * scene.preset.views * window.columns * scene.preset.fine * scene.field.materials.channels
    step = max(4, min(scene.preset.rows, _BLOCK_BYTES // per_row))
    for start in range(0, scene.preset.rows, step):
        yield start, min(start + step, scene.preset.rows)


def _fill_rows(
    scene: Scene, blur: PixelBlur, start: int, stop: int, result: Array, pool: ThreadPoolExecutor
) -> None:
    """Compute the rows from `start` to `stop` of all views."""
    window = _Window(scene, start, stop, blur.halo)
    pellet = window.project_pellet(pool)
    casing = scene.casing

    def one_view(view: int) -> None:
        depth = casing.line_integrals(window.rays(view))
        window.cut_notch(casing, view, depth)
        window.add_pellet(pellet[:, view], view, depth)
        transmission = _transmit(depth, scene.beam.spectrum)
        result[view, start:stop] = blur(transmission)

    for _ in pool.map(one_view, range(scene.preset.views)):
        pass


def _transmit(line_integrals: Array, spectrum: GammaSpectrum | None) -> Array:
    """Transmission of (channel, row, column) line integrals."""
    if spectrum is None:
        depth = line_integrals[0]
    else:
        absorption, scattering = line_integrals
        depth = np.log1p(absorption * np.float32(spectrum.scale_angstrom))
        depth *= np.float32(spectrum.shape)
        depth += absorption * np.float32(spectrum.shortest_angstrom)
        depth += scattering
    np.negative(depth, out=depth)
    result: Array = np.exp(depth, out=depth)
    return result


class _Window:
    """The fine rays of a block of rows, halo included, and the part of them that meets the pellet."""

    def __init__(self, scene: Scene, start: int, stop: int, halo: int) -> None:
        preset, views = scene.preset, scene.views
        fine = preset.fine
        self._scene = scene
        self._step = preset.fine_mm
        self._rows = np.arange(fine * start - halo, fine * stop + halo)
        self._columns = np.arange(-halo, fine * preset.columns + halo)
        # fine ray j has its centre at (j + 1/2) / fine − 1/2 pixels
        self._axis = fine * (views.center_px + 0.5) - 0.5
        reach = self._reach_px(scene)
        # first ray of the part that meets the pellet
        self._first = int(np.floor(self._axis)) - reach
        self.columns = 2 * reach + 2
        self.size = 2 * reach
        # rows that a shear may reach beyond the block
        self._extra = REACH if self._is_sheared() else 0

    def _reach_px(self, scene: Scene) -> int:
        """Half width of the window in fine pixels: the pellet wherever it turns, and room for the shears."""
        middle = field_middle_mm(scene.preset)
        ends = scene.pose.apply(np.array([[-middle[0], 0, 0], [0, 0, 0], [middle[0], 0, 0]])) - middle
        reach_mm = scene.field.cell.radius_mm + float(np.hypot(ends[:, 1], ends[:, 2]).max())
        return int(np.ceil(reach_mm / self._step)) + 2 * REACH

    def _is_sheared(self) -> bool:
        views = self._scene.views
        return bool(views.roll or np.any(views.jitter_px))

    def project_pellet(self, pool: ThreadPoolExecutor) -> Array:
        """Line integrals (channel, angle, fine row, fine column) of the contents of the bore."""
        shape = (self._rows.size + 2 * self._extra, self.size, self.size)
        values = sample_field(self._scene.field, self._to_sample(), shape, voxel_mm=self._step, pool=pool)
        views = self._scene.views
        out = np.empty((values.shape[0], views.angles.size, shape[0], self.columns), np.float32)
        for channel, volume in enumerate(values):
            project(
                volume,
                views.angles,
                center=self._axis - self._first,
                columns=self.columns,
                voxel_size=self._step / 10,
                out=out[channel],
            )
        return out

    def _to_sample(self) -> Float:
        """(3, 4) map from a voxel of the fine grid, centred on the rotation axis, to mm in the sample."""
        fine = self._scene.preset.fine
        middle = field_middle_mm(self._scene.preset)
        first_row = ((self._rows[0] - self._extra) + 0.5) / fine - 0.5
        origin = np.array([first_row * self._scene.preset.pixel_size_mm, *middle[1:]])
        origin[1:] -= (self.size - 1) / 2 * self._step
        inverse = self._scene.pose.inverse()
        return np.column_stack([inverse.matrix * self._step, inverse.apply(origin)])

    def rays(self, view: int) -> Rays:
        """Position of all fine rays of a view, the roll and the shift of the view undone."""
        v, u = self._detector(view)
        return Rays(float(self._scene.views.angles[view]), u, v)

    def _detector(self, view: int) -> tuple[Float, Float]:
        """Coordinates (v, u) in mm where the sample would be seen without roll and jitter."""
        preset, views = self._scene.preset, self._scene.views
        row = (self._rows[:, None] + 0.5) / preset.fine - 0.5 - views.jitter_px[view, 0]
        column = (self._columns[None, :] + 0.5) / preset.fine - 0.5 - views.jitter_px[view, 1]
        middle, pixel = (preset.rows - 1) / 2, preset.pixel_size_mm
        u, v = column - views.center_px, row - middle
        if views.roll:
            roll = np.tan(views.roll)
            u, v = u - roll * v, v + roll * u
        return (v + middle) * pixel, u * pixel

    def add_pellet(self, pellet: Array, view: int, depth: Array) -> None:
        """Add the pellet's line integrals (channel, row, column) to those of all rays."""
        start = self._first - self._columns[0]
        for channel, image in enumerate(pellet):
            depth[channel, :, start : start + self.columns] += self._sheared(image, view)

    def _sheared(self, image: Array, view: int) -> Array:
        if not self._extra:
            return image
        preset, views = self._scene.preset, self._scene.views
        roll, jitter = np.tan(views.roll), views.jitter_px[view] * preset.fine
        rows = (np.arange(image.shape[0]) + self._rows[0] - self._extra) - (preset.fine * preset.rows - 1) / 2
        columns = np.arange(image.shape[1]) + self._first - self._axis
        image = shear_columns(image, -roll * rows - jitter[1])
        return shear_rows(image, roll * columns - jitter[0])[self._extra : -self._extra]

    def cut_notch(self, casing: Casing, view: int, depth: Array) -> None:
        """Take the notch out of the housing, in the part of the view where it can be seen."""
        if casing.cell.featureless:
            return
        rays = self.rays(view)
        v_start, v_stop, u_start, u_stop = casing.notch_shadow(rays.theta)
        rows = np.flatnonzero(np.any((rays.v_mm > v_start) & (rays.v_mm < v_stop), axis=1))
        columns = np.flatnonzero(np.any((rays.u_mm > u_start) & (rays.u_mm < u_stop), axis=0))
        if rows.size == 0 or columns.size == 0:
            return
        part = (slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1))
        seen = Rays(rays.theta, _part(rays.u_mm, part), _part(rays.v_mm, part))
        chord = casing.notch_chord(seen)
        for channel, coefficient in enumerate(casing.housing):
            depth[(channel, *part)] -= np.float32(coefficient) * chord


def _part(values: Float, part: tuple[slice, slice]) -> Float:
    """Cut a rectangle out of an array that may be one row or one column only."""
    rows = part[0] if values.shape[0] > 1 else slice(None)
    columns = part[1] if values.shape[1] > 1 else slice(None)
    return values[rows, columns]
