"""How the sample stands in each scan, and the motions that a registration has to find."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from deltamu.recon.geometry import RigidTransform
from deltamu.recon.simulate.cell import CellState
from deltamu.recon.simulate.presets import Beam, Preset

Float = NDArray[np.float64]

ROTATION_DEG = 3.0
TILT_DEG = 0.2
SHIFT_PX = 2.0
AXIS_OFFSET_MM = 0.10


@dataclass(frozen=True)
class ViewGeometry:
    """Where the rotation axis and the sample appear in the views of one scan.

    Attributes
    ----------
    angles : (angle,) array
        Radians.
    center_px : float
        Column of the rotation axis in the middle row.
    roll : float
        Radians; the column of the axis grows by tan(roll) per row.
    jitter_px : (angle, 2) array
        Shift of each view, (row, column).
    """

    angles: Float
    center_px: float
    roll: float
    jitter_px: Float


def axis_column(preset: Preset, seed: int) -> float:
    """Column of the rotation axis: beside the middle by 0.10 mm and a fraction of a pixel."""
    fraction = float(np.random.default_rng([seed, 2000]).uniform(0.1, 0.9))
    return (preset.columns - 1) / 2 + AXIS_OFFSET_MM / preset.pixel_size_mm + fraction


def view_geometry(preset: Preset, beam: Beam, *, seed: int, state_index: int) -> ViewGeometry:
    """Work out where the views of a scan look."""
    rng = np.random.default_rng([seed, 2001, state_index])
    jitter = beam.jitter_px * rng.standard_normal((preset.views, 2))
    angles = np.radians(preset.angles_deg)
    return ViewGeometry(angles, axis_column(preset, seed), float(np.radians(beam.roll_deg)), jitter)


def field_middle_mm(preset: Preset) -> Float:
    """Middle of the reconstruction grid, (z, y, x) in mm, the centre of voxel 0 at 0."""
    size = np.array([preset.rows, preset.columns, preset.columns])
    return np.asarray((size - 1) / 2 * preset.pixel_size_mm)


def sample_pose(preset: Preset, *, seed: int, state_index: int) -> RigidTransform:
    """Motion from the frame of the sample to the frame of a scan.

    The first state stands where it was mounted; each further one has been taken out and mounted again: turned
    by up to 3° about the axis, tilted by up to 0.2°, shifted by up to 2 pixels with respect to the first.
    """
    first = _mounted(preset, seed)
    return first if state_index == 0 else _remounted(preset, seed, state_index) @ first


def _mounted(preset: Preset, seed: int) -> RigidTransform:
    rng = np.random.default_rng([seed, 2002])
    rotation = (rng.uniform(-ROTATION_DEG, ROTATION_DEG), *rng.uniform(-TILT_DEG, TILT_DEG, 2))
    shift = rng.uniform(-SHIFT_PX, SHIFT_PX, 3) * preset.pixel_size_mm
    position = field_middle_mm(preset) + shift
    return RigidTransform(rotation, (position[0], position[1], position[2]))


def _remounted(preset: Preset, seed: int, state_index: int) -> RigidTransform:
    rng = np.random.default_rng([seed, 2002, state_index])
    rotation = (rng.uniform(-ROTATION_DEG, ROTATION_DEG), *rng.uniform(-TILT_DEG, TILT_DEG, 2))
    shift = rng.uniform(-SHIFT_PX, SHIFT_PX, 3) * preset.pixel_size_mm
    middle = field_middle_mm(preset)
    return RigidTransform(rotation, (shift[0], shift[1], shift[2]), (middle[0], middle[1], middle[2]))


def body_registration(
    reference: RigidTransform, moving: RigidTransform, *, reference_state: CellState, moving_state: CellState
) -> RigidTransform:
    """Motion of separator, cathode and collector C from one scan to another."""
    moved = reference_state.shift_mm - moving_state.shift_mm
    return moving @ RigidTransform(translation_mm=(moved, 0.0, 0.0)) @ reference.inverse()
