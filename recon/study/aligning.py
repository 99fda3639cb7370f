"""Shifts of single views and the tilt of the axis of a state: measured once, applied in the geometry."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deltamu.recon.preprocess.alignment import align_moments
from deltamu.recon.preprocess.axis_tilt import AxisTilt, axis_tilt
from deltamu.recon.preprocess.moments import view_moments
from deltamu.recon.scan_geometry import ScanGeometry, parallel_geometry
from deltamu.recon.solvers.direct import fbp_direct
from deltamu.recon.study.frames_to_rows import FRAMES_PER_FILE, Stack
from deltamu.recon.study.settings import Study
from deltamu.recon.study.settings_reconstruction import AlignmentSettings

Array = NDArray[np.float32]
Float = NDArray[np.float64]

# a tilt is applied when it is known to this and differs from none by three standard errors
KNOWN_TILT_DEG = 0.02
SIGNIFICANT = 3.0
# beyond what geometry asks for: interpolation between rows
MORE_ROWS = 3


@dataclass(frozen=True)
class Alignment:
    """What is applied to the geometry of a state.

    Attributes
    ----------
    column_px, row_px : (angle,) arrays
        Shift of every view; their gauge is that of `ViewShifts`.
    roll_deg, lean_deg : float
        Of the rotation axis, as in `AxisTilt`.
    facts : mapping
        What was found, for summary and report.
    """

    column_px: Float
    row_px: Float
    roll_deg: float
    lean_deg: float
    facts: Mapping[str, Any]

    @property
    def is_trivial(self) -> bool:
        """Whether views and axis stand as they are taken to stand without it."""
        return not (self.roll_deg or self.lean_deg or np.any(self.column_px) or np.any(self.row_px))

    def reach(self, columns: int) -> int:
        """Rows beyond those of a slice that some view shows of it."""
        slope = abs(np.radians(self.roll_deg)) + abs(np.radians(self.lean_deg))
        return int(np.ceil(np.abs(self.row_px).max() + slope * columns / 2)) + MORE_ROWS


def measure_alignment(stack: Stack, angles: Float, wanted: AlignmentSettings) -> dict[str, Any]:
    """Measure what the settings ask for, on the line integrals of a whole state.

    Returns
    -------
    dict
        Of plain numbers and lists, for the journal; `alignment_of` reads it.

    Raises
    ------
    InputError
        If the sample leaves the field at the sides: then nothing of this can be told.
    """
    moments = view_moments(_blocks(stack))
    shifts = align_moments(moments, angles) if wanted.views else None
    found: dict[str, Any] = {}
    if shifts is not None:
        found |= {
            "column_px": shifts.column_px.tolist(), "row_px": shifts.row_px.tolist(),
            "column_error_px": shifts.column_error_px, "row_error_px": shifts.row_error_px,
        }  # fmt: skip
    if wanted.tilt:
        found |= _tilt_facts(axis_tilt(moments, angles, shifts=shifts))
    return found


def alignment_text(study: Study) -> str | bool:
    """What was applied, and which gauge it has, for the report; False where nothing was asked for."""
    wanted, said = study.alignment, []
    if wanted.views:
        said.append(
            "every view shifted by what its centre of mass and its profile along the axis say, in the geometry; the "
            "gauge: a shift of all views, and one along the columns that follows the sine or cosine of the angle, are "
            "left to the centre of rotation and the place of the sample"
        )
    if wanted.tilt:
        said.append(
            f"the tilt of the axis in the plane of the detector and along the beam, each where it is known to "
            f"{KNOWN_TILT_DEG:g}°, in the geometry"
        )
    given = {name: state.tilt_deg for name, state in study.states.items() if state.tilt_deg is not None}
    if given:
        tilts = ", ".join(f"{name} {tilt:g}°" for name, tilt in given.items())
        said.append(f"the tilt of the axis in the plane of the detector as given ({tilts}), in the geometry")
    return "; ".join(said) or False


def with_given_tilt(found: Mapping[str, Any], tilt_deg: float | None) -> Mapping[str, Any]:
    """Put the tilt that the settings of a state give in the place of a measured one."""
    if tilt_deg is None:
        return found
    kept = {key: value for key, value in found.items() if key != "roll_error_deg"}
    return kept | {"roll_deg": tilt_deg, "applied_roll_deg": tilt_deg}


def alignment_warnings(found: Mapping[str, Any]) -> list[str]:
    """Directions of the axis that the sample cannot tell."""
    names = {"roll": "in the plane of the detector", "lean": "along the beam"}
    return [
        f"alignment: the tilt of the axis {where} cannot be told from this sample (standard error "
        f"{_degrees(found.get(f'{name}_error_deg'))}, expected at most {KNOWN_TILT_DEG:g}°); none is applied"
        for name, where in names.items()
        if f"{name}_error_deg" in found and found[f"{name}_deg"] is None
    ]


def _degrees(value: float | None) -> str:
    return "infinite" if value is None else f"{value:.2g}°"


def _blocks(stack: Stack) -> Iterator[Array]:
    for first in range(0, stack.shape[0], FRAMES_PER_FILE):
        yield np.asarray(stack[first : first + FRAMES_PER_FILE], np.float32)


def _tilt_facts(tilt: AxisTilt) -> dict[str, Any]:
    """Each direction with its error (None: cannot be told) and what of it is applied."""
    found: dict[str, Any] = {}
    for name in ("roll", "lean"):
        value, error = getattr(tilt, f"{name}_deg"), getattr(tilt, f"{name}_error_deg")
        known = bool(np.isfinite(error)) and error <= KNOWN_TILT_DEG
        found[f"{name}_deg"] = value if known else None
        found[f"{name}_error_deg"] = error if np.isfinite(error) else None
        found[f"applied_{name}_deg"] = value if known and abs(value) > SIGNIFICANT * error else 0.0
    return found


def alignment_of(found: Mapping[str, Any], views: int) -> Alignment:
    """What `measure_alignment` found, as it is applied."""
    still = np.zeros(views)
    return Alignment(
        np.asarray(found.get("column_px", still), np.float64),
        np.asarray(found.get("row_px", still), np.float64),
        float(found.get("applied_roll_deg", 0.0)),
        float(found.get("applied_lean_deg", 0.0)),
        _told(found),
    )


def _told(found: Mapping[str, Any]) -> dict[str, Any]:
    """What summary.json says: no list of every view, but how large shifts are."""
    told = {
        key: value
        for key, value in found.items()
        if key not in ("column_px", "row_px") and not key.startswith("seconds")
    }
    for name in ("column", "row"):
        if f"{name}_px" in found:
            shifts = np.asarray(found[f"{name}_px"])
            told |= {f"{name}_rms_px": float(shifts.std()), f"{name}_largest_px": float(np.abs(shifts).max())}
    return told


def aligned_fbp(
    rows: Array,
    angles: Float,
    alignment: Alignment,
    *,
    low: int,
    first: int,
    stop: int,
    center: float,
    center_row: float,
    pixel_size_mm: float,
    **options: Any,
) -> Array:
    """Reconstruct slices first to stop − 1 through the geometry that an alignment has found.

    Parameters
    ----------
    rows : (angle, row, column) array
        Line integrals from detector row `low` on; where the detector ends, its last row is repeated.
    angles : (angle,) array
        Radians.
    alignment : Alignment
        Of these views.
    center, center_row : float
        Column of the axis, and the row in which it lies there.
    **options
        Of `deltamu.recon.solvers.direct.fbp_direct`.

    Returns
    -------
    (z, y, x) float32 array
    """
    reach, columns = alignment.reach(rows.shape[2]), rows.shape[2]
    before, after = max(low - (first - reach), 0), max(stop + reach - (low + rows.shape[1]), 0)
    if before or after:
        rows = np.pad(rows, ((0, 0), (before, after), (0, 0)), mode="edge")
    geometry = _geometry(
        angles, alignment, (rows.shape[1], columns), center=center, center_row=center_row - (low - before),
        height=center_row - first, pixel_size_mm=pixel_size_mm,
    )  # fmt: skip
    shape = (stop - first, columns, columns)
    return fbp_direct(rows, geometry, volume_shape=shape, voxel_size_mm=pixel_size_mm, **options)


def _geometry(
    angles: Float,
    alignment: Alignment,
    detector_shape: tuple[int, int],
    *,
    center: float,
    center_row: float,
    height: float,
    pixel_size_mm: float,
) -> ScanGeometry:
    """Views on a grid whose plane `height` lies on the row `center_row`."""
    middle = 0.5 * (detector_shape[1] - 1) * pixel_size_mm
    geometry = parallel_geometry(
        angles, detector_shape=detector_shape, center=center, center_row=center_row, pixel_size_mm=pixel_size_mm,
        middle_mm=(height * pixel_size_mm, middle, middle), tilt_deg=alignment.lean_deg, roll_deg=alignment.roll_deg,
    )  # fmt: skip
    return geometry.shifted(alignment.column_px, alignment.row_px)


def part_of(alignment: Alignment, views: slice) -> Alignment:
    """Return the alignment of some of the views."""
    return Alignment(
        alignment.column_px[views],
        alignment.row_px[views],
        alignment.roll_deg,
        alignment.lean_deg,
        alignment.facts,
    )
