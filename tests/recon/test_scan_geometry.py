"""Laws of the view matrices: conventions, composition, and that only relative motion is seen."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deltamu.recon.errors import InputError
from deltamu.recon.geometry import RigidTransform
from deltamu.recon.scan_geometry import ScanGeometry, cone_geometry, middle_of, parallel_geometry

ANGLES = np.array([0.0, 0.4, np.pi / 2, 3.0, -1.2])
PIXEL = 0.05
SHAPE = (21, 41)
MIDDLE = (1.0, 2.0, 2.1)
POINTS = np.array([[0.0, 0, 0], [1, 2, 3], [0.4, 2.2, 0.7], [-1, 5, 4]])
# float64 on coordinates of some hundred pixels
EXACT = 1e-9

small = st.floats(-3, 3)
triples = st.tuples(small, small, small)
motions = st.builds(RigidTransform, triples, triples, triples)


def parallel(angles=ANGLES, **change):
    options = {"detector_shape": SHAPE, "center": 19.3, "pixel_size_mm": PIXEL, "middle_mm": MIDDLE}
    return parallel_geometry(angles, **(options | change))


def cone(angles=ANGLES, **change):
    options = {"detector_shape": SHAPE, "center": 19.3, "pixel_size_mm": PIXEL, "middle_mm": MIDDLE}
    distances = {"source_axis_mm": 100.0, "source_detector_mm": 250.0}
    return cone_geometry(angles, **(options | distances | change))


KINDS = pytest.mark.parametrize("build", [parallel, cone])


def same(left, right):
    np.testing.assert_allclose(left.see(POINTS), right.see(POINTS), atol=EXACT, rtol=0)


def test_convention_of_the_project():
    """column = center + [(x - x0) cos + (y - y0) sin] / pixel, row = z / pixel where the middle is the detector's."""
    size, rows = 41, 21
    middle = middle_of((rows, size, size), PIXEL)
    geometry = parallel([0.0, np.pi / 2, 0.7], middle_mm=middle)
    z, y, x = 4, 13, 30
    seen = geometry.see(np.array([z, y, x]) * PIXEL)
    turn = 0.7
    columns = [19.3 + 10, 19.3 - 7, 19.3 + 10 * np.cos(turn) - 7 * np.sin(turn)]
    np.testing.assert_allclose(seen[:, 0], columns, atol=EXACT)
    np.testing.assert_allclose(seen[:, 1], z, atol=EXACT)


@KINDS
def test_the_middle_is_seen_at_the_centre(build):
    geometry = build(tilt_deg=3, roll_deg=-2)
    np.testing.assert_allclose(geometry.see(MIDDLE), np.tile([19.3, 10.0], (5, 1)), atol=EXACT)


@KINDS
@settings(max_examples=20, deadline=None)
@given(first=motions, second=motions)
def test_motions_of_the_volume_compose(build, first, second):
    same(build().of_moved_volume(first).of_moved_volume(second), build().of_moved_volume(first @ second))
    same(build().of_moved_volume(first).of_moved_volume(first.inverse()), build())


@KINDS
@settings(max_examples=20, deadline=None)
@given(motion=motions)
def test_a_moved_volume_is_seen_where_its_points_went(build, motion):
    np.testing.assert_allclose(
        build().of_moved_volume(motion).see(POINTS), build().see(motion.apply(POINTS)), atol=EXACT
    )


@KINDS
@given(turn=st.floats(-180, 180))
def test_turning_the_volume_is_turning_the_stage_back(build, turn):
    motion = RigidTransform((turn, 0, 0), (0, 0, 0), MIDDLE)
    same(build(tilt_deg=1).of_moved_volume(motion), build(ANGLES - np.radians(turn), tilt_deg=1))


@KINDS
@given(shift=triples)
def test_shifting_the_volume_is_shifting_the_stage_back(build, shift):
    moved = build(roll_deg=1).of_moved_volume(RigidTransform(translation_mm=shift))
    middle = tuple(m - s for m, s in zip(MIDDLE, shift, strict=True))
    same(moved, build(roll_deg=1, middle_mm=middle))


@given(shift=small)
def test_parallel_lift_of_the_volume_is_a_shift_of_the_rows(shift):
    same(
        parallel().of_moved_volume(RigidTransform(translation_mm=(shift, 0, 0))),
        parallel().shifted(0, shift / PIXEL),
    )


@KINDS
def test_leaning_the_axis_is_leaning_the_volume(build):
    """At angle 0, x runs along the columns and y along the beam."""
    tilted, upright = build([0.0], tilt_deg=2), build([0.0])
    same(tilted, upright.of_moved_volume(RigidTransform((0, 0, -2), (0, 0, 0), MIDDLE)))
    rolled = build([0.0], roll_deg=2)
    same(rolled, upright.of_moved_volume(RigidTransform((0, 2, 0), (0, 0, 0), MIDDLE)))


@KINDS
def test_a_roll_of_the_axis_is_a_turn_of_the_detector(build):
    same(build(roll_deg=2), build().detector_turned(-2, about=(19.3, 10.0)))


def test_roll_sign_is_that_of_find_center():
    """The centre grows with the row."""
    low, high = parallel([0.0], roll_deg=1).see([MIDDLE, (MIDDLE[0] + 1, *MIDDLE[1:])])[0]
    assert high[0] - low[0] == pytest.approx(np.sin(np.radians(1)) / PIXEL)


def test_tilt_leans_large_z_towards_the_detector():
    """Further from the source is magnified less."""
    low, high = (abs(cone([0.0], tilt_deg=t).see((3.0, 2.0, 4.0))[0, 0] - 19.3) for t in (5, 0))
    assert low < high


@KINDS
def test_direction_reverses_the_angles(build):
    same(build(direction=-1), build(-ANGLES))


@KINDS
@given(shifts=st.lists(st.tuples(small, small), min_size=5, max_size=5))
def test_shifts_of_single_views(build, shifts):
    moved = build().shifted(*np.array(shifts).T)
    np.testing.assert_allclose(moved.see(POINTS), build().see(POINTS) + np.array(shifts)[:, None], atol=EXACT)


@KINDS
def test_a_binned_pixel_lies_in_the_middle_of_its_pixels(build):
    binned = build().binned(2)
    assert binned.detector_shape == (10, 20)
    np.testing.assert_allclose(binned.see(POINTS), (build().see(POINTS) - 0.5) / 2, atol=EXACT)


@KINDS
def test_cropping_counts_from_the_new_corner(build):
    part = build().cropped(slice(3, 9), slice(5, None))
    assert part.detector_shape == (6, 36)
    np.testing.assert_allclose(part.see(POINTS), build().see(POINTS) - [5, 3], atol=EXACT)


def test_a_far_source_is_a_parallel_beam():
    far = cone(source_axis_mm=1e9, source_detector_mm=1e9)
    np.testing.assert_allclose(far.see(POINTS), parallel().see(POINTS), atol=1e-5)


def test_magnification():
    """On the plane through the axis a cone magnifies by the ratio of the distances."""
    point = (MIDDLE[0] + 0.2, MIDDLE[1], MIDDLE[2] + 0.3)
    seen = cone([0.0]).see(point)[0] - [19.3, 10.0]
    np.testing.assert_allclose(seen, np.array([0.3, 0.2]) * 2.5 / PIXEL, atol=EXACT)


def test_source_of_a_cone_stands_before_the_axis():
    source = cone([0.0, np.pi / 2]).sources_mm
    np.testing.assert_allclose(source, [[2.1, 2.0 - 100, 1.0], [2.1 + 100, 2.0, 1.0]], atol=1e-9)
    np.testing.assert_allclose(cone([0.0]).directions, [[0, 1, 0]], atol=1e-12)
    with pytest.raises(InputError, match="no source"):
        _ = parallel().sources_mm


@KINDS
def test_index_matrices_count_voxels(build):
    geometry, index, start = build(), np.array([3.0, 4, 5]), (1, 2, 0)
    matrices = geometry.index_matrices(0.1, start)
    seen = matrices @ [*index[::-1], 1]
    if geometry.is_cone:
        seen = seen[:, :2] / seen[:, 2:]
    np.testing.assert_allclose(seen, geometry.see(0.1 * (index + start)), atol=EXACT)


@KINDS
def test_chosen_views(build):
    np.testing.assert_array_equal(build().views([3, 1]).matrices, build().matrices[[3, 1]])
    assert len(build().views(slice(0, 2))) == 2


@KINDS
def test_is_immutable(build):
    with pytest.raises(ValueError, match="read-only"):
        build().matrices[0, 0, 0] = 1


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"angles": [np.nan]}, "angles"),
        ({"center": np.inf}, "center"),
        ({"pixel_size_mm": 0.0}, "pixel_size_mm"),
        ({"detector_shape": (0, 3)}, "detector_shape"),
        ({"middle_mm": (0.0, np.nan, 0.0)}, "middle_mm"),
        ({"tilt_deg": np.nan}, "tilt_deg"),
        ({"direction": 2}, "direction"),
        ({"source_axis_mm": -1.0}, "source_axis_mm"),
        ({"source_detector_mm": 50.0}, "source_detector_mm"),
    ],
)
def test_bad_arguments_are_named(change, named):
    with pytest.raises(InputError, match=named):
        cone(**change)


@pytest.mark.parametrize("matrices", [np.zeros((1, 2, 4)), np.zeros((0, 2, 4)), np.zeros((1, 4, 4))])
def test_impossible_matrices_are_refused(matrices):
    with pytest.raises(InputError, match="matrices"):
        ScanGeometry(matrices, (1, 1))
