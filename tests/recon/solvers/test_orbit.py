"""The turn of a scan is found again, whatever pose the volume has."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deltamu.recon.errors import InputError
from deltamu.recon.geometry import RigidTransform
from deltamu.recon.scan_geometry import cone_geometry, parallel_geometry
from deltamu.recon.solvers.orbit import find_orbit

ANGLES = np.linspace(0, 3.5, 30)
COMMON = {"detector_shape": (21, 41), "center": 17.0, "pixel_size_mm": 0.05, "middle_mm": (1.0, 2.0, 2.1)}
DISTANCES = {"source_axis_mm": 100.0, "source_detector_mm": 250.0}
turns = st.floats(-30, 30)
motions = st.builds(RigidTransform, st.tuples(turns, turns, turns), st.tuples(turns, turns, turns))


@settings(max_examples=40, deadline=None)
@given(motion=motions, tilt=st.floats(-5, 5), roll=st.floats(-20, 20), direction=st.sampled_from([1, -1]))
def test_axis_angles_slope_and_lean(motion, tilt, roll, direction):
    geometry = parallel_geometry(ANGLES, tilt_deg=tilt, roll_deg=roll, direction=direction, **COMMON)
    orbit = find_orbit(geometry.of_moved_volume(motion))
    # the axis of the stage in the coordinates of the moved grid
    np.testing.assert_allclose(orbit.axis, (motion.matrix.T @ [1.0, 0, 0])[::-1], atol=1e-6)
    np.testing.assert_allclose(orbit.angles - orbit.angles[0], _wrapped(direction * ANGLES, orbit), atol=1e-6)
    np.testing.assert_allclose(orbit.slopes, -np.tan(np.radians(roll)), atol=1e-6)
    np.testing.assert_allclose(orbit.inclination, np.cos(np.radians(tilt)), atol=1e-9)
    assert orbit.pixel_size_mm == pytest.approx(0.05)


def _wrapped(angles, orbit):
    """The same angles with the whole turns that the orbit's own have."""
    found = orbit.angles - orbit.angles[0]
    return angles - angles[0] + 2 * np.pi * np.round((found - angles + angles[0]) / (2 * np.pi))


@settings(max_examples=20, deadline=None)
@given(motion=motions, roll=st.floats(-20, 20))
def test_a_cone_is_measured_at_the_axis(motion, roll):
    orbit = find_orbit(cone_geometry(ANGLES, roll_deg=roll, **COMMON, **DISTANCES).of_moved_volume(motion))
    np.testing.assert_allclose(orbit.axis, (motion.matrix.T @ [1.0, 0, 0])[::-1], atol=1e-6)
    np.testing.assert_allclose(orbit.slopes, -np.tan(np.radians(roll)), atol=1e-6)
    # a detector pixel of 0.05 mm, 2.5 times magnified
    assert orbit.pixel_size_mm == pytest.approx(0.02)


def test_shifts_of_views_are_no_turn():
    geometry = parallel_geometry(ANGLES, **COMMON)
    shifted = geometry.shifted(np.arange(30.0), np.sin(np.arange(30.0)))
    np.testing.assert_allclose(find_orbit(shifted).angles, find_orbit(geometry).angles, atol=1e-12)


def test_an_axis_along_the_columns_is_refused():
    with pytest.raises(InputError, match="rotation axis"):
        find_orbit(parallel_geometry(ANGLES, roll_deg=60, **COMMON))
