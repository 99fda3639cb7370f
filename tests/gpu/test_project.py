"""Parallel-beam projector and transpose: device against CPU, and against each other."""

import numpy as np
import pytest

from deltamu.kernels.project import backproject, project

# odd sides, a single slice, more slices than a thread takes, coarse and fine detectors
CASES = [((3, 19, 24), 30, 1.0), ((1, 1, 9), 5, 0.4), ((11, 16, 7), 12, 2.3)]


def geometry(columns):
    """Rays along both axes of the grid, on the diagonals between, and the axis off the middle, moving."""
    angles = np.array([0.0, 0.3, np.pi / 4, 1.2, np.pi / 2, 2.0, 3 * np.pi / 4, 3.1, 4.0, 6.0])
    return angles, columns / 2 - 0.8 + 0.1 * np.arange(len(angles))


@pytest.mark.parametrize(("shape", "columns", "pitch"), CASES)
def test_same_projections_as_on_the_cpu(device, agree, shape, columns, pitch):
    angles, centers = geometry(columns)
    volume = np.random.default_rng(1).normal(size=shape).astype(np.float32)
    options = {"center": centers, "columns": columns, "voxel_size": 0.3, "pixel_in_voxels": pitch}
    found = project(device.asarray(volume), angles, **options)
    # float32 sums of the same terms; positions agree to 1e-9
    agree(found, project(volume, angles, **options), 2e-6)


@pytest.mark.parametrize(("shape", "columns", "pitch"), CASES)
def test_same_transpose_as_on_the_cpu(device, agree, shape, columns, pitch):
    angles, centers = geometry(columns)
    views = np.random.default_rng(2).normal(size=(len(angles), shape[0], columns)).astype(np.float32)
    options = {"center": centers, "size": shape[1:], "voxel_size": 0.3, "pixel_in_voxels": pitch}
    found = backproject(device.asarray(views), angles, **options)
    agree(found, backproject(views, angles, **options), 2e-6)


@pytest.mark.parametrize(("shape", "columns", "pitch"), CASES)
def test_pair_is_matched(device, shape, columns, pitch):
    rng = np.random.default_rng(3)
    angles, centers = geometry(columns)
    x = rng.normal(size=shape).astype(np.float32)
    y = rng.normal(size=(len(angles), shape[0], columns)).astype(np.float32)
    options = {"center": centers, "pixel_in_voxels": pitch}
    forward = project(device.asarray(x), angles, columns=columns, **options).get().astype(float)
    back = backproject(device.asarray(y), angles, size=shape[1:], **options).get().astype(float)
    error = abs(np.vdot(forward, y.astype(float)) - np.vdot(x.astype(float), back))
    assert error <= 1e-6 * np.linalg.norm(forward) * np.linalg.norm(y)


def test_an_output_on_the_other_side_is_refused(device):
    with pytest.raises(ValueError, match="input in cupy, out in numpy"):
        project(
            device.zeros((1, 2, 2), np.float32),
            [0.0],
            center=0.5,
            columns=2,
            out=np.zeros((1, 1, 2), np.float32),
        )
