"""Memory that back-projections state, and what they take."""

import tracemalloc

import numpy as np
import pytest

from deltamu.kernels.gridding import forget_plans
from deltamu.recon.geometry import RigidTransform
from deltamu.recon.scan_geometry import cone_geometry, parallel_geometry
from deltamu.recon.solvers.direct import fbp_direct, fbp_direct_cost
from deltamu.recon.solvers.fbp import fbp, fbp_cost
from deltamu.recon.solvers.fdk import fdk, fdk_cost
from deltamu.recon.solvers.onto import fbp_onto, fbp_onto_cost

VIEWS, ROWS, COLUMNS = 40, 60, 128
HALF = np.linspace(0, np.pi, VIEWS, endpoint=False)
FULL = 2 * HALF
SHAPE = (ROWS, COLUMNS, COLUMNS)
GRID = {"volume_shape": SHAPE, "voxel_size_mm": 0.1}
MIDDLE_MM = (2.95, 6.35, 6.35)
LINES = np.ones((VIEWS, ROWS, COLUMNS), np.float32)
# what was allocated stays below the statement, and the statement is no more than this above it
SLACK = 1.15


def taken(compute):
    """Peak of what NumPy and SciPy allocate, without the result."""
    tracemalloc.start()
    result = compute()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak - result.nbytes


def parallel(center_row):
    return parallel_geometry(
        HALF, detector_shape=(ROWS, COLUMNS), center=63.5, pixel_size_mm=0.1, center_row=center_row,
        middle_mm=MIDDLE_MM,
    )  # fmt: skip


@pytest.mark.parametrize("center_row", [29.5, 29.7])
def test_direct_back_projection_takes_what_it_states(center_row):
    """Read in the middle of rows, and between them."""
    geometry = parallel(center_row=center_row)
    stated = fbp_direct_cost(geometry, **GRID).total(ROWS)
    assert stated / SLACK <= taken(lambda: fbp_direct(LINES, geometry, **GRID)) <= stated


def test_a_cone_beam_takes_what_it_states():
    geometry = cone_geometry(
        FULL, detector_shape=(ROWS, COLUMNS), center=63.5, pixel_size_mm=0.1, source_axis_mm=100.0,
        source_detector_mm=200.0, middle_mm=MIDDLE_MM,
    )  # fmt: skip
    stated = fdk_cost(geometry, **GRID).total(ROWS)
    assert stated / SLACK <= taken(lambda: fdk(LINES, geometry, **GRID)) <= stated


@pytest.mark.parametrize("tilt_deg", [0.0, 1.0])
def test_onto_a_reference_takes_what_it_states(tilt_deg):
    """By gridding where slices stay in their rows, else directly; the plan of the gridding is not NumPy's."""
    transform = RigidTransform(
        (tilt_deg, 0.0, 0.0) if tilt_deg == 0 else (0.0, tilt_deg, 0.0), (0.0, 0.2, 0.1)
    )
    place = {"center": 63.5, "pixel_size_mm": 0.1}
    forget_plans()
    stated = fbp_onto_cost(LINES.shape, HALF, transform, **place).total(ROWS)
    found = taken(lambda: fbp_onto(LINES, HALF, transform, **place))
    assert found <= stated
    assert tilt_deg == 0 or found >= stated / SLACK


def test_gridding_takes_less_than_three_slabs_in_and_out():
    views, rows, columns = 360, 32, 256
    lines, angles = np.ones((views, rows, columns), np.float32), np.linspace(0, np.pi, views, endpoint=False)
    forget_plans()
    found = taken(lambda: fbp(lines, angles, center=127.5, pixel_size_mm=0.1))
    assert found <= fbp_cost(views, columns).total(rows)
    assert found < 3 * 4 * rows * columns * (views + columns)
