"""The projector against closed forms, and against its transpose."""

import os
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deltamu.kernels.project import backproject, project, project_cost


def test_sign_convention():
    """A point at positive x appears at larger columns at 0 degrees, a point at positive y at 90 degrees."""
    volume = np.zeros((1, 21, 21), np.float32)
    volume[0, 10 + 4, 10 + 7] = 1
    views = project(volume, np.radians([0, 90, 180, 270]), center=12.0, columns=25)
    assert views[:, 0].argmax(axis=1).tolist() == [19, 16, 5, 8]
    # rays along the grid pass through the middle of voxels
    np.testing.assert_allclose(views.max(axis=2)[:, 0], 1, atol=1e-6)


def test_center_need_not_be_the_middle():
    volume = np.zeros((1, 11, 11), np.float32)
    volume[0, 5, 5] = 1
    view = project(volume, [0.3], center=2.25, columns=8)[0, 0]
    assert view @ np.arange(8) / view.sum() == pytest.approx(2.25, abs=0.1)


def test_every_view_may_have_its_own_center():
    volume = np.random.default_rng(0).random((2, 11, 12)).astype(np.float32)
    angles, centers = np.array([0.3, 1.4]), np.array([5.25, 7.5])
    views = project(volume, angles, center=centers, columns=13)
    for view, (angle, center) in enumerate(zip(angles, centers, strict=True)):
        np.testing.assert_array_equal(views[view], project(volume, [angle], center=center, columns=13)[0])


def test_chord_of_a_disc():
    """T17: 2 mu sqrt(R^2 - s^2), for a disc whose edge voxels hold their covered part."""
    size, radius, fine = 101, 40.0, 24
    place = (np.arange(size * fine) - (size * fine - 1) / 2) / fine
    disc = np.hypot(place[:, None], place) < radius
    volume = (2.5 * disc).reshape(size, fine, size, fine).mean((1, 3)).astype(np.float32)[None]
    angles = np.linspace(0, np.pi, 13)
    views = project(volume, angles, center=50.0, columns=size, voxel_size=0.01)[:, 0]
    s = np.arange(size) - 50.0
    expected = 2 * 2.5 * 0.01 * np.sqrt(np.clip(radius**2 - s**2, 0, None))
    inner = np.abs(s) < 0.9 * radius
    # the edge voxels of a ray are right on average: half a voxel of 2 mu at worst, far less over a view
    assert np.abs(views - expected)[:, inner].max() < 0.5 * 2.5 * 0.01
    # the covered part of an edge voxel is itself counted on 24 x 24 points; a chord falls off more
    # steeply than the straight line between two columns
    np.testing.assert_allclose(views[:, inner].mean(), expected[inner].mean(), rtol=2e-4)


def test_every_view_keeps_the_mass():
    """Summed over columns that cover the volume, the weights of a voxel average to one."""
    rng = np.random.default_rng(0)
    volume = rng.random((2, 40, 40)).astype(np.float32)
    angles = rng.uniform(0, 2 * np.pi, 60)
    views = project(volume, angles, center=39.5, columns=80)
    # Joseph's weights of one voxel vary by tens of percent, but average out over a whole slice
    np.testing.assert_allclose(views.sum(axis=2), np.tile(volume.sum((1, 2)), (60, 1)), rtol=0.01)


@settings(max_examples=20, deadline=None)
@given(
    ny=st.integers(1, 40),
    nx=st.integers(1, 40),
    nz=st.sampled_from([1, 3, 32, 35]),
    columns=st.integers(1, 50),
    pixel=st.sampled_from([1.0, 0.4, 2.5]),
    shift=st.floats(-5, 5),
    jitter=st.sampled_from([0.0, 1.3]),
    seed=st.integers(0, 999),
)
def test_backprojection_is_the_transpose(ny, nx, nz, columns, pixel, shift, jitter, seed):
    rng = np.random.default_rng(seed)
    angles = np.concatenate([np.arange(8) * np.pi / 4, rng.uniform(-7, 7, 20)])
    volume = rng.normal(size=(nz, ny, nx)).astype(np.float32)
    views = rng.normal(size=(angles.size, nz, columns)).astype(np.float32)
    center = (columns - 1) / 2 + shift + jitter * rng.normal(size=angles.size)
    geometry = {"center": center, "pixel_in_voxels": pixel, "voxel_size": 0.7}
    forward = project(volume, angles, columns=columns, **geometry)
    back = backproject(views, angles, size=(ny, nx), **geometry)
    left = np.vdot(forward.astype(float), views.astype(float))
    right = np.vdot(volume.astype(float), back.astype(float))
    # float32 sums of some hundred terms; an inner product may cancel, so it is no scale
    assert abs(left - right) <= 1e-6 * np.linalg.norm(forward) * np.linalg.norm(views)


def test_a_ray_that_just_misses_the_last_voxel_reads_nothing_beyond_it():
    """At 1 − 1e-16 voxels beyond it, one more is 2 after rounding, which lies beyond the rim of zeros."""
    for width in range(2, 60):
        # behind the rim lies memory that others have left
        junk = [np.full(length, 1e30, np.float32) for length in range(64, 20000, 64)]
        del junk
        volume = np.zeros((32, 1, width), np.float32)
        views = project(volume, [np.pi / 2], center=2.5, columns=6, pixel_in_voxels=0.4)
        assert not views.any()


def test_wide_pixels_are_every_second_ray_of_a_fine_detector():
    volume = np.random.default_rng(1).random((3, 30, 30)).astype(np.float32)
    angles = np.linspace(0, 3, 7)
    fine = project(volume, angles, center=19.0, columns=40)
    wide = project(volume, angles, center=9.5, columns=20, pixel_in_voxels=2.0)
    np.testing.assert_allclose(wide, fine[:, :, ::2], atol=1e-5)


def test_slices_do_not_mix():
    volume = np.zeros((40, 16, 16), np.float32)
    volume[33] = 1
    views = project(volume, [0.2, 1.1], center=7.5, columns=16)
    assert (views[:, 33].max(axis=1) > 10).all()
    assert not np.delete(views, 33, axis=1).any()


def test_any_number_of_threads_gives_the_same_bits():
    program = (
        "import numpy as np, zlib; from deltamu.kernels.project import project, backproject;"
        "v = np.random.default_rng(0).random((5, 70, 70)).astype('f'); t = np.linspace(0, 3, 50);"
        "p = project(v, t, center=34.2, columns=70); b = backproject(p, t, center=34.2, size=70);"
        "print(zlib.crc32(p.tobytes()), zlib.crc32(b.tobytes()))"
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


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"angles": [np.nan]}, "angles"),
        ({"angles": []}, "angles"),
        ({"center": np.inf}, "center"),
        ({"center": [1.0, 2.0]}, "center"),
        ({"columns": 0}, "columns"),
        ({"pixel_in_voxels": 0.0}, "pixel_in_voxels"),
        ({"voxel_size": -1.0}, "voxel_size"),
        ({"out": np.zeros((1, 1, 1), np.float32)}, "out"),
    ],
)
def test_bad_arguments_are_named(change, words):
    arguments = {"angles": [0.0], "center": 1.0, "columns": 3} | change
    with pytest.raises(ValueError, match=words):
        project(np.zeros((1, 3, 3), np.float32), arguments.pop("angles"), **arguments)


def test_backprojection_wants_an_angle_per_view():
    with pytest.raises(ValueError, match="angles"):
        backproject(np.zeros((2, 1, 3), np.float32), [0.0], center=1.0, size=3)


def test_cost_counts_one_block_of_slices():
    cost = project_cost((512, 512), 625, 512)
    assert 60e6 < cost.total(1) < 100e6
