"""Weights of rays that are seen twice: what the two views of a line add up to."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deltamu.recon.errors import InputError
from deltamu.recon.geometry import RigidTransform, view_weights
from deltamu.recon.scan_geometry import parallel_geometry
from deltamu.recon.solvers.orbit import find_orbit
from deltamu.recon.solvers.redundancy import (
    FULL_TURN,
    OffsetDetector,
    check_full_turn,
    offset_weights,
    scanned_arc,
    short_scan_weights,
)


@given(place=st.floats(-30, 30), near=st.floats(0.1, 30), far=st.floats(0.1, 30))
def test_both_sides_of_the_axis_together_count_twice(place, near, far):
    weights = offset_weights([place, -place], (-near, far))
    seen = [-near <= p <= far for p in (place, -place)]
    # where only the wide side sees the line, it counts for both
    if all(seen):
        assert weights.sum() == pytest.approx(2)
    elif any(seen):
        assert weights[seen.index(True)] == pytest.approx(2)


def test_the_narrow_end_counts_nothing():
    np.testing.assert_allclose(offset_weights([-4.0, 0.0, 4.0, 20.0], (-4.0, 20.0)), [0, 1, 2, 2])
    np.testing.assert_allclose(offset_weights([4.0, 0.0, -4.0, -20.0], (4.0, -20.0)), [0, 1, 2, 2])


def test_an_axis_beside_the_detector_is_refused():
    with pytest.raises(InputError, match="axis at 0 is not seen"):
        offset_weights([1.0], (0.5, 9.0))


@settings(max_examples=200)
# a ray at the very end of the reach, 0.5, is seen by the first and the last view alone, whose weights are 0
@given(spare=st.floats(0, 2.0), part=st.floats(0, 1), fan=st.floats(-0.4999, 0.4999))
def test_the_two_views_of_a_line_add_up_to_one(spare, part, fan):
    """View beta sees at gamma what view beta + pi + 2 gamma sees at -gamma."""
    arc = min(np.pi + 1.0 + spare, FULL_TURN - 1e-3)
    beta = part * arc
    other = np.mod(beta + np.pi + 2 * fan, FULL_TURN)
    weights = short_scan_weights([beta, other], [fan, -fan], arc)
    assert weights[0] + (weights[1] if other <= arc else 0) == pytest.approx(1, abs=1e-9)


def test_the_first_and_the_last_view_count_nothing():
    fan = np.linspace(-0.3, 0.3, 7)
    np.testing.assert_allclose(short_scan_weights(0.0, fan, np.pi + 0.8), 0, atol=1e-12)
    np.testing.assert_allclose(short_scan_weights(np.pi + 0.8, fan, np.pi + 0.8), 0, atol=1e-12)


@given(start=st.floats(-10, 10), arc=st.floats(3.3, 5.5))
def test_an_arc_is_counted_from_its_first_view(start, arc):
    views = np.random.default_rng(0).permutation(np.linspace(0, arc, 200))
    counted, found = scanned_arc(start + views)
    assert found == pytest.approx(arc, abs=1e-8)
    np.testing.assert_allclose(counted, views, atol=1e-6)


@pytest.mark.parametrize("views", [360, 361, 77])
def test_a_full_turn_is_seen_as_one(views):
    angles = np.arange(views) * 2 * np.pi / views + 0.3
    assert scanned_arc(angles)[1] == FULL_TURN
    check_full_turn(np.append(angles, angles[0] + 2 * np.pi))
    with pytest.raises(InputError, match="full turn"):
        check_full_turn(angles[: views * 3 // 4])


def test_views_of_a_full_circle_share_it_by_their_gaps():
    np.testing.assert_allclose(view_weights([0, np.pi], circle=2 * np.pi), [np.pi / 2, np.pi / 2])
    # a view and its mirror are not the same: each stands for the gaps about it
    np.testing.assert_allclose(view_weights(np.array([0, 0.5, 1, 1.5]) * np.pi, circle=2 * np.pi), np.pi / 4)


def test_weights_of_a_detector_follow_the_axis_through_every_view():
    """Turned, shaken and seen by a grid that stands elsewhere: the axis is where it is."""
    angles = np.arange(60) * np.pi / 30
    upright = parallel_geometry(
        angles, detector_shape=(5, 30), center=8.0, pixel_size_mm=0.1, middle_mm=(0.2, 1.0, 1.0)
    )
    expected = offset_weights(np.arange(30) - 8.0, (-8.5, 21.5))
    moved = upright.of_moved_volume(RigidTransform((10, 1, 2), (0.3, 0.5, -1)))
    for geometry in (upright, moved):
        weights = OffsetDetector(geometry, find_orbit(geometry).slopes)(np.arange(60))
        np.testing.assert_allclose(weights, np.broadcast_to(expected, (60, 5, 30)), atol=1e-5)
    shaken = upright.shifted(np.where(np.arange(60) % 2, 1.0, -1.0))
    weights = OffsetDetector(shaken, find_orbit(shaken).slopes)(np.arange(60))
    # the overlap that every view has is a column shorter
    np.testing.assert_allclose(weights[1, 0], offset_weights(np.arange(30) - 9.0, (-7.5, 20.5)), atol=1e-5)
