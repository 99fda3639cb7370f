"""A moving state laid over the reference: how well a registration fits, seen on planes."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import binary_dilation, map_coordinates

from deltamu.recon.change.registration import Registration, register
from deltamu.recon.errors import InputError
from deltamu.recon.geometry import AffineTransform, RigidTransform, read_transform
from deltamu.recon.report.load import load_report_content
from deltamu.viewers.coloring import Pixels, colored
from deltamu.viewers.image_levels import open_levels
from deltamu.viewers.layer import DIVERGING, GREY
from deltamu.viewers.planes import PLANES, Pyramid, Window, window_around
from deltamu.viewers.study_layers import study_layers

Point = tuple[float, float, float]
MODES = ("magenta–green", "checkerboard", "reference", "moving", "residual")
SQUARE_PX = 16
# a trial registration is done on the finest level that is not larger than this
TRIAL_PX = 256
# of the grey scale that residuals reach
RESIDUAL_PART = 0.5
# around what is held still, for edges tell; and away from what changes, as far as blur reaches
RIM_VOXELS = 3
MARGIN_VOXELS = 4


class Overlay:
    """The reference and the other states of a finished study, as reconstructed.

    Parameters
    ----------
    output : Path

    Raises
    ------
    InputError
        If the study is not finished or has one state only.
    """

    def __init__(self, output: Path) -> None:
        self.content = load_report_content(output)
        self.states = self.content.moving_states
        if not self.states:
            raise InputError(f"{output}: no state was registered; a study with changes has some")
        names = (self.content.reference, *self.states)
        opened = {name: open_levels(self.content.image_path(f"states/{name}/attenuation")) for name in names}
        self.images = {name: Pyramid(image.levels, image.voxel_size_mm) for name, image in opened.items()}
        layers = study_layers(output)
        self.focus_mm = layers.focus_mm or tuple(0.5 * end for end in self.reference.extent_mm)
        self.limits = next(layer.limits for layer in layers.layers if layer.role == "state") or (0.0, 1.0)
        self.window: Window = window_around(self.reference, None, None)

    @property
    def reference(self) -> Pyramid:
        """The image that the others are laid over."""
        return self.images[self.content.reference]

    def transform(self, state: str) -> AffineTransform:
        """Registration of a state as the study found it, about the middle of the reference."""
        known = self.content.summary["registration"][state]
        stored = {**known, "center_mm": known.get("center_mm") or self.middle_mm}
        return read_transform(stored).about(self.middle_mm)

    @property
    def middle_mm(self) -> Point:
        """Middle of the reference, about which a nudge turns."""
        z, y, x = (0.5 * end for end in self.reference.extent_mm)
        return z, y, x

    def moved_plane(
        self, state: str, plane: str, point_mm: Point, transform: AffineTransform
    ) -> NDArray[np.float32]:
        """Values of a state on a plane of the reference, read through a transform; NaN outside."""
        image = self.images[state]
        level = image.plane_level()
        size, origin = image.voxel_size_mm * 2**level, image.voxel_size_mm * (2**level - 1) / 2
        index = (transform.apply(self._points(plane, point_mm, level)) - origin) / size
        shape = np.array(image.levels[level].shape)
        low = np.clip(np.floor(index.min(axis=(0, 1))).astype(int), 0, shape - 1)
        high = np.clip(np.ceil(index.max(axis=(0, 1))).astype(int) + 1, low + 1, shape)
        part = np.asarray(
            image.levels[level][tuple(slice(int(a), int(b)) for a, b in zip(low, high, strict=True))]
        )
        inside = np.all((index >= 0) & (index <= shape - 1), axis=-1)
        values = map_coordinates(part, np.moveaxis(index - low, -1, 0), order=1, mode="nearest")
        return np.where(inside, values, np.nan).astype(np.float32)

    def picture(
        self, state: str, plane: str, point_mm: Point, transform: AffineTransform, mode: str
    ) -> Pixels:
        """Draw a plane of the reference and the moved state in one of `MODES`."""
        level = self.reference.plane_level()
        fixed = self.reference.plane(plane, point_mm, level, self.window)
        moved = self.moved_plane(state, plane, point_mm, transform)
        if mode == "residual":
            limit = RESIDUAL_PART * (self.limits[1] - self.limits[0])
            return colored(moved - fixed, DIVERGING, (-limit, limit))
        one, other = (colored(values, GREY, self.limits) for values in (fixed, moved))
        if mode == "magenta–green":
            one[..., 1] = other[..., 1]
            return one
        if mode == "checkerboard":
            rows, columns = (np.arange(n) // SQUARE_PX for n in fixed.shape)
            return np.where(((rows[:, None] + columns[None, :]) % 2 == 0)[..., None], one, other)
        return one if mode == "reference" else other

    def register_again(self, state: str, start: RigidTransform) -> Registration:
        """Register from a start, on a coarse level and the layers that do not change."""
        level = self.reference.plane_level(TRIAL_PX)
        size = self.reference.voxel_size_mm * 2**level
        origin = self.reference.voxel_size_mm * (2**level - 1) / 2
        z, y, x = (c - origin for c in start.center_mm)
        return register(
            np.asarray(self.reference.levels[level]), np.asarray(self.images[state].levels[level]),
            voxel_size_mm=size, mask=self._mask(state, level), search_deg=0.0,
            initial=RigidTransform(start.rotation_deg, start.translation_mm, (z, y, x)),
        )  # fmt: skip

    def in_full(self, found: RigidTransform) -> RigidTransform:
        """Write a transform of the coarse level's coordinates in those of the finest."""
        level = self.reference.plane_level(TRIAL_PX)
        origin = self.reference.voxel_size_mm * (2**level - 1) / 2
        z, y, x = (c + origin for c in found.center_mm)
        return RigidTransform(found.rotation_deg, found.translation_mm, (z, y, x)).about(self.middle_mm)

    def _points(self, plane: str, point_mm: Point, level: int) -> NDArray[np.float64]:
        """Voxel centres of a plane on a level, (row, column, 3) mm."""
        size = self.reference.voxel_size_mm * 2**level
        origin = self.reference.voxel_size_mm * (2**level - 1) / 2
        cut, down, right = PLANES[plane]
        shape = self.reference.levels[level].shape
        points = np.empty((shape[down], shape[right], 3))
        points[..., cut] = self.reference.index(point_mm, level)[cut] * size + origin
        points[..., down] = (np.arange(shape[down]) * size + origin)[:, None]
        points[..., right] = (np.arange(shape[right]) * size + origin)[None, :]
        return points

    def _mask(self, state: str, level: int) -> NDArray[np.float32]:
        """1 in the layers that the study held still, with a rim of some voxels, away from the others."""
        labels = np.asarray(open_levels(self.content.image_path("layers/labels")).levels[level])
        stated = (self.content.diagnostics.get("registration") or {}).get(state, {}).get("mask")
        held = [self.content.layers[name]["label"] for name in stated or self.content.inert_layers]
        inside = np.isin(labels, held)
        mask = binary_dilation(inside, iterations=RIM_VOXELS)
        mask &= ~binary_dilation((labels > 0) & ~inside, iterations=MARGIN_VOXELS)
        return np.asarray(mask, np.float32)
