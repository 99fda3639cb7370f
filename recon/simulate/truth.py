"""What the simulated cell really is, on the voxels of the pristine reconstruction; a run never opens it.

Everything is stated in the scan of the first state: its grid, and the other states moved on to it by the
motion of separator, cathode and collector C.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deltamu.recon.atomic import disk_errors, replacing, write_json
from deltamu.recon.errors import InputError
from deltamu.recon.geometry import RigidTransform
from deltamu.recon.simulate.cell import Cell
from deltamu.recon.simulate.field import PelletField, sample_field
from deltamu.recon.simulate.presets import Preset

Array = NDArray[np.float32]
Float = NDArray[np.float64]

# rows and columns around the cathode and the pellet that belong to the box
AXIAL_MARGIN_MM = 0.25
LATERAL_MARGIN_MM = 0.30
# samples of the field per voxel and direction
_FINE = 2


@dataclass(frozen=True)
class TruthBox:
    """Part of the reference grid: first voxel and size, (z, y, x)."""

    start: tuple[int, int, int]
    shape: tuple[int, int, int]

    @property
    def slices(self) -> tuple[slice, slice, slice]:
        """The box as an index of a volume on the reference grid."""
        z, y, x = (slice(a, a + n) for a, n in zip(self.start, self.shape, strict=True))
        return z, y, x


@dataclass(frozen=True)
class Truth:
    """The truth of a simulated study.

    Attributes
    ----------
    voxel_size_mm : float
    box : TruthBox
    attenuation : mapping of state to (z, y, x) array
        cm⁻¹, the mean over each voxel of the box.
    depth_mm : (z, y, x) array
        Distance from the separator along the layer normal, from the smooth surface.
    radius_mm : (z, y, x) array
        Distance from the axis of the bore.
    cathode_mm, pellet_mm : float
        Thickness of the cathode, radius of the pellet.
    registration : mapping of state to RigidTransform
        Motion from the reference scan to the scan of the state.
    facts : mapping
        The rest of truth.json.
    """

    voxel_size_mm: float
    box: TruthBox
    attenuation: Mapping[str, Array]
    depth_mm: Array
    radius_mm: Array
    cathode_mm: float
    pellet_mm: float
    registration: Mapping[str, RigidTransform]
    facts: Mapping[str, Any]

    @property
    def depth(self) -> Array:
        """Normalised depth, 0 at the separator and 1 at the collector."""
        return np.asarray(self.depth_mm / np.float32(self.cathode_mm))

    def change(self, name: str) -> Array:
        """True Δμ of a change such as "discharged-pristine"."""
        to, _, origin = name.partition("-")
        if to not in self.attenuation or origin not in self.attenuation:
            raise InputError(f"change: found {name!r}, the truth knows {', '.join(self.attenuation)}")
        return np.asarray(self.attenuation[to] - self.attenuation[origin])

    def unchanged(self, name: str) -> bool:
        """Whether both states of a change show the same cell."""
        to, _, origin = name.partition("-")
        return bool(self.facts["states"][to] == self.facts["states"][origin])


def truth_box(cell: Cell, pose: RigidTransform, preset: Preset) -> TruthBox:
    """Choose the voxels of the reference grid that hold the cathode and what touches it."""
    start, end = cell.cathode_start_mm, cell.cathode_start_mm + cell.cathode_mm
    side = cell.radius_mm + LATERAL_MARGIN_MM
    ends = pose.apply(np.array([[start - AXIAL_MARGIN_MM, 0, 0], [end + AXIAL_MARGIN_MM, 0, 0]]))
    around = np.array([0.0, side, side])
    low, high = ends.min(axis=0) - around, ends.max(axis=0) + around
    size = np.array([preset.rows, preset.columns, preset.columns])
    first = np.maximum(np.floor(low / preset.pixel_size_mm).astype(int), 0)
    last = np.minimum(np.ceil(high / preset.pixel_size_mm).astype(int) + 1, size)
    shape = last - first
    return TruthBox(
        (int(first[0]), int(first[1]), int(first[2])), (int(shape[0]), int(shape[1]), int(shape[2]))
    )


def voxel_means(field: PelletField, pose: RigidTransform, box: TruthBox, preset: Preset) -> Array:
    """Average the attenuation over the voxels of a box.

    Parameters
    ----------
    field : PelletField
        With the sleeve, one channel.
    pose : RigidTransform
        Sample → reference scan, for the state of the field.
    """
    values = np.empty(box.shape, np.float32)
    for row in range(box.shape[0]):
        affine = _box_affine(pose, box, preset, row)
        shape = (_FINE, *(_FINE * n for n in box.shape[1:]))
        fine = sample_field(field, affine, shape, voxel_mm=preset.pixel_size_mm / _FINE)[0]  # type: ignore[arg-type]
        blocks = fine.reshape(_FINE, box.shape[1], _FINE, box.shape[2], _FINE)
        values[row] = blocks.mean(axis=(0, 2, 4), dtype=np.float64)
    return values


def _box_affine(pose: RigidTransform, box: TruthBox, preset: Preset, row: int, fine: int = _FINE) -> Float:
    """(3, 4) map from the samples of a row of voxels to mm in the sample."""
    pixel = preset.pixel_size_mm
    first = np.array([box.start[0] + row, *box.start[1:]]) + 0.5 / fine - 0.5
    inverse = pose.inverse()
    return np.column_stack([inverse.matrix * (pixel / fine), inverse.apply(first * pixel)])


def depth_and_radius(cell: Cell, pose: RigidTransform, box: TruthBox, preset: Preset) -> tuple[Array, Array]:
    """Depth from the smooth separator|cathode surface, distance from the bore axis; voxel centres, mm."""
    index = np.indices(box.shape).reshape(3, -1).T
    affine = _box_affine(pose, box, preset, 0, fine=1)
    points = index @ affine[:, :3].T + affine[:, 3]
    squared = points[:, 1] ** 2 + points[:, 2] ** 2
    depth = points @ cell.normal - cell.bow_mm * squared / cell.radius_mm**2 - cell.cathode_start_mm
    return depth.reshape(box.shape).astype(np.float32), np.sqrt(squared).reshape(box.shape).astype(np.float32)


def write_truth(folder: Path, truth: Truth) -> None:
    """Write truth.json and the arrays beside it; truth.json comes last and marks them complete."""
    folder.mkdir(parents=True, exist_ok=True)
    arrays = {f"attenuation_{name}": values for name, values in truth.attenuation.items()}
    arrays |= {"depth": truth.depth_mm, "radius": truth.radius_mm}
    for name, values in arrays.items():
        _save(folder / f"{name}.npy", values)
    written = {
        "voxel_size_mm": truth.voxel_size_mm,
        "box": {"start": truth.box.start, "shape": truth.box.shape},
        "cathode_mm": truth.cathode_mm,
        "pellet_radius_mm": truth.pellet_mm,
        "registration": {name: _as_json(motion) for name, motion in truth.registration.items()},
        "facts": dict(truth.facts),
    }
    write_json(folder / "truth.json", written)


def read_truth(folder: Path) -> Truth:
    """Read what `write_truth` wrote; the arrays stay on disk until they are used.

    Raises
    ------
    InputError
        If the folder holds no truth.
    """
    file = folder / "truth.json"
    if not file.is_file():
        raise InputError(f"{file}: no such file; only a simulated study has a truth")
    found = json.loads(file.read_text(encoding="utf-8"))
    states = list(found["registration"])
    box = found["box"]
    return Truth(
        voxel_size_mm=found["voxel_size_mm"],
        box=TruthBox(tuple(box["start"]), tuple(box["shape"])),
        attenuation={name: np.load(folder / f"attenuation_{name}.npy", mmap_mode="r") for name in states},
        depth_mm=np.load(folder / "depth.npy", mmap_mode="r"),
        radius_mm=np.load(folder / "radius.npy", mmap_mode="r"),
        cathode_mm=found["cathode_mm"],
        pellet_mm=found["pellet_radius_mm"],
        registration={name: _from_json(motion) for name, motion in found["registration"].items()},
        facts=found["facts"],
    )


def _save(path: Path, values: Array) -> None:
    with disk_errors(path, needed=values.nbytes), replacing(path) as temporary, temporary.open("wb") as file:
        np.save(file, values)


def _as_json(motion: RigidTransform) -> dict[str, list[float]]:
    return {
        "rotation_deg": list(motion.rotation_deg),
        "translation_mm": list(motion.translation_mm),
        "center_mm": list(motion.center_mm),
    }


def _from_json(found: Mapping[str, list[float]]) -> RigidTransform:
    rotation, translation, center = (
        (float(z), float(y), float(x))
        for z, y, x in (found[k] for k in ("rotation_deg", "translation_mm", "center_mm"))
    )
    return RigidTransform(rotation, translation, center)
