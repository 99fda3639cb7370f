"""The general projector against closed forms, the aligned one, and its transpose."""

import os
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deltamu.kernels.project import project
from deltamu.kernels.rays import backproject_rays, project_rays, ray_maps, rays_cost


def turns(angles):
    """(view, 3, 3) rotations: x along the columns, z along the rows, y along the beam at angle 0."""
    cosine, sine, zero = np.cos(angles), np.sin(angles), np.zeros(len(angles))
    rows = [(cosine, sine, zero), (zero, zero, zero + 1), (-sine, cosine, zero)]
    return np.array(rows).transpose(2, 0, 1)


def leaning(degrees):
    """A rotation about x and then about y, so that no axis of the grid is spared."""
    a, b = np.radians([degrees, 0.7 * degrees])
    about_x = np.array([[1, 0, 0], [0, np.cos(a), -np.sin(a)], [0, np.sin(a), np.cos(a)]])
    about_y = np.array([[np.cos(b), 0, np.sin(b)], [0, 1, 0], [-np.sin(b), 0, np.cos(b)]])
    return about_x @ about_y


def view_matrices(angles, shape, detector_shape, *, tilt=0.0, distance=None, pixel=1.0):
    """Views about the middle of a volume, seen in the middle of the detector; a source at `distance` voxels."""
    camera = leaning(tilt) @ turns(np.asarray(angles, float))
    middle = (np.array(shape[::-1]) - 1) / 2
    camera = np.concatenate([camera, -(camera @ middle)[:, :, None]], axis=2)
    seen = (np.array(detector_shape[::-1]) - 1) / 2
    if distance is None:
        matrices = camera[:, :2] / pixel
        matrices[:, :, 3] += seen
        return matrices
    camera[:, 2] /= distance
    camera[:, 2, 3] += 1
    camera[:, :2] = camera[:, :2] / pixel + seen[:, None] * camera[:, 2:]
    return camera


@settings(max_examples=40, deadline=None)
@given(
    shape=st.tuples(*[st.integers(1, 12)] * 3),
    detector=st.tuples(st.integers(1, 9), st.integers(1, 14)),
    views=st.integers(1, 6),
    tilt=st.sampled_from([0.0, 0.5, 20.0, 80.0]),
    distance=st.sampled_from([None, 40.0, 15.0]),
    pixel=st.sampled_from([1.0, 0.4, 2.5]),
    seed=st.integers(0, 999),
)
def test_backprojection_is_the_transpose(shape, detector, views, tilt, distance, pixel, seed):
    rng = np.random.default_rng(seed)
    matrices = view_matrices(
        rng.uniform(-4, 4, views), shape, detector, tilt=tilt, distance=distance, pixel=pixel
    )
    volume = rng.normal(size=shape).astype(np.float32)
    views_of = rng.normal(size=(views, *detector)).astype(np.float32)
    forward = project_rays(volume, matrices, detector_shape=detector, voxel_size=0.7)
    back = backproject_rays(views_of, matrices, volume_shape=shape, voxel_size=0.7)
    left = np.vdot(forward.astype(float), views_of.astype(float))
    right = np.vdot(volume.astype(float), back.astype(float))
    # float32 sums; an inner product may cancel, so it is no scale
    assert abs(left - right) <= 1e-6 * np.linalg.norm(forward) * np.linalg.norm(views_of)


@pytest.mark.parametrize("tilt", [0.0, 3.0])
@pytest.mark.parametrize("distance", [None, 60.0])
def test_chord_of_a_ball(tilt, distance):
    """2 mu sqrt(R^2 - s^2) with s the distance of the ray from the middle of a ball."""
    size, radius = 48, 18.0
    place = np.arange(size) - (size - 1) / 2
    squared = place[:, None, None] ** 2 + place[:, None] ** 2 + place**2
    # the edge is one voxel wide, so that a voxel holds about its covered part
    ball = (0.3 * np.clip(radius + 0.5 - np.sqrt(squared), 0, 1)).astype(np.float32)
    detector = (31, 33)
    matrices = view_matrices([0.0, 0.4, 0.8, 2.0], ball.shape, detector, tilt=tilt, distance=distance)
    views = project_rays(ball, matrices, detector_shape=detector, voxel_size=0.01)
    row, column = np.indices(detector) - (np.array(detector)[:, None, None] - 1) / 2
    offset = np.hypot(row, column)
    if distance is not None:
        # a ray through (column, row) on the plane of the axis passes the middle at this distance
        offset = offset * distance / np.hypot(offset, distance)
    exact = 2 * 0.3 * 0.01 * np.sqrt(np.clip(radius**2 - offset**2, 0, None))
    inner = offset < 0.8 * radius
    # the two ends of a chord are placed to half a voxel together
    assert np.abs(views - exact)[:, inner].max() < 0.5 * 0.3 * 0.01
    np.testing.assert_allclose(views[:, inner].mean(axis=1), exact[inner].mean(), rtol=3e-3)


def test_is_the_aligned_projector_where_nothing_leans():
    rng = np.random.default_rng(0)
    volume = rng.random((5, 21, 24)).astype(np.float32)
    angles = rng.uniform(-4, 4, 20)
    general = project_rays(volume, view_matrices(angles, volume.shape, (5, 30)), detector_shape=(5, 30))
    aligned = project(volume, angles, center=14.5, columns=30)
    np.testing.assert_allclose(general, aligned, atol=1e-5 * aligned.max())


@pytest.mark.parametrize("distance", [None, 30.0])
def test_a_pixel_sees_the_points_of_its_ray(distance):
    matrices = view_matrices([0.3, 2.0], (9, 10, 11), (7, 8), tilt=10.0, distance=distance)
    maps = ray_maps(matrices)
    pixel = np.array([1.0, 5.0, 2.0])
    for view, map_ in zip(matrices, maps, strict=True):
        point = pixel @ map_[0] + 4.0 * (pixel @ map_[1])
        seen = view @ [*point, 1]
        np.testing.assert_allclose(seen[:2] / (seen[2] if distance else 1), pixel[1:], atol=1e-9)


def test_a_constant_volume_of_one_voxel_is_seen_from_every_side():
    """A single voxel: the sum over all pixels of a view is its volume over the area of a pixel, on average."""
    volume = np.ones((1, 1, 1), np.float32)
    matrices = view_matrices(np.linspace(0, np.pi, 90), (1, 1, 1), (40, 40), tilt=30.0, pixel=0.1)
    views = project_rays(volume, matrices, detector_shape=(40, 40))
    # Joseph's footprint holds the voxel's volume exactly; the pixels sample it at a tenth of a voxel
    np.testing.assert_allclose(views.sum(axis=(1, 2)) * 0.01, 1, rtol=0.01)


def test_any_number_of_threads_gives_the_same_bits():
    program = (
        "import numpy as np, zlib; from deltamu.kernels.rays import project_rays, backproject_rays;"
        "v = np.random.default_rng(0).random((20, 40, 30)).astype('f');"
        "m = np.random.default_rng(1).normal(size=(30, 2, 4)) + [[0, 0, 0, 20]];"
        "p = project_rays(v, m, detector_shape=(40, 41));"
        "b = backproject_rays(p, m, volume_shape=(20, 40, 30));"
        "print(zlib.crc32(p.tobytes()), zlib.crc32(b.tobytes()), p.any(), b.any())"
    )
    printed = {
        subprocess.run(
            [sys.executable, "-c", program],
            env=os.environ | {"OMP_NUM_THREADS": threads},
            capture_output=True,
            check=True,
            text=True,
        ).stdout
        for threads in ("1", "2")
    }
    assert len(printed) == 1
    assert "True True" in printed.pop()


ONE_VIEW = view_matrices([0.0], (2, 3, 3), (2, 3))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"matrices": np.zeros((1, 2, 4))}, "matrices"),
        ({"matrices": np.zeros((1, 3, 4))}, "matrices"),
        ({"matrices": np.zeros((0, 2, 4))}, "matrices"),
        ({"matrices": np.full((1, 2, 4), np.nan)}, "matrices"),
        ({"detector_shape": (0, 3)}, "detector_shape"),
        ({"voxel_size": 0.0}, "voxel_size"),
        ({"out": np.zeros((1, 1, 1), np.float32)}, "out"),
    ],
)
def test_bad_arguments_are_named(change, words):
    arguments = {"matrices": ONE_VIEW, "detector_shape": (2, 3)} | change
    with pytest.raises(ValueError, match=words):
        project_rays(np.zeros((2, 3, 3), np.float32), arguments.pop("matrices"), **arguments)


def test_backprojection_wants_a_matrix_per_view():
    with pytest.raises(ValueError, match="matrices"):
        backproject_rays(np.zeros((2, 2, 3), np.float32), ONE_VIEW, volume_shape=(2, 3, 3))


def test_cost_counts_the_rim():
    assert rays_cost((10, 10, 10)).total(1) == 4 * 13**3
