"""General projector and transpose: device against CPU, and against each other."""

import numpy as np
import pytest

from deltamu.kernels.rays import backproject_rays, project_rays

SHAPE, DETECTOR = (7, 9, 12), (8, 15)


def views(distance, tilt=0.4):
    """Views from all around and from above, of a leaning camera; a source at `distance` voxels."""
    angles = np.array([0.0, 0.5, 1.4, np.pi / 2, 2.5, 4.0])
    c, s, zero = np.cos(angles), np.sin(angles), np.zeros(len(angles))
    camera = np.stack(
        [np.stack(row, 1) for row in ((c, s, zero), (zero, zero, zero + 1), (-s, c, zero))], axis=1
    )
    lean = np.array([[1, 0, 0], [0, np.cos(tilt), -np.sin(tilt)], [0, np.sin(tilt), np.cos(tilt)]])
    camera[1::2] = lean @ camera[1::2]
    camera[-1] = np.eye(3)  # along z
    camera = np.concatenate([camera, -(camera @ ((np.array(SHAPE[::-1]) - 1) / 2))[:, :, None]], axis=2)
    middle = (np.array(DETECTOR[::-1]) - 1) / 2
    if distance is None:
        camera[:, :2, 3] += middle
        return camera[:, :2]
    camera[:, 2] /= distance
    camera[:, 2, 3] += 1
    camera[:, :2] += middle[:, None] * camera[:, 2:]
    return camera


@pytest.mark.parametrize("distance", [None, 20.0])
def test_same_projections_as_on_the_cpu(device, agree, distance):
    volume = np.random.default_rng(1).normal(size=SHAPE).astype(np.float32)
    options = {"detector_shape": DETECTOR, "voxel_size": 0.2}
    found = project_rays(device.asarray(volume), views(distance), **options)
    # float32 sums of the same terms
    agree(found, project_rays(volume, views(distance), **options), 2e-6)


@pytest.mark.parametrize("distance", [None, 20.0])
def test_same_transpose_as_on_the_cpu(device, agree, distance):
    matrices = views(distance)
    data = np.random.default_rng(2).normal(size=(len(matrices), *DETECTOR)).astype(np.float32)
    options = {"volume_shape": SHAPE, "voxel_size": 0.2}
    found = backproject_rays(device.asarray(data), matrices, **options)
    # the same terms, added in another order
    agree(found, backproject_rays(data, matrices, **options), 4e-6)


@pytest.mark.parametrize("distance", [None, 20.0])
def test_pair_is_matched(device, distance):
    rng, matrices = np.random.default_rng(3), views(distance)
    x = rng.normal(size=SHAPE).astype(np.float32)
    y = rng.normal(size=(len(matrices), *DETECTOR)).astype(np.float32)
    forward = project_rays(device.asarray(x), matrices, detector_shape=DETECTOR).get().astype(float)
    back = backproject_rays(device.asarray(y), matrices, volume_shape=SHAPE).get().astype(float)
    error = abs(np.vdot(forward, y.astype(float)) - np.vdot(x.astype(float), back))
    assert error <= 1e-6 * np.linalg.norm(forward) * np.linalg.norm(y)
