"""Interpolating a box alone gives what interpolating everything gives there."""

import numpy as np
import pytest

from deltamu.recon.change.box_motion import between_boxes, moved_box
from deltamu.recon.change.resampling import resample
from deltamu.recon.geometry import RigidTransform

VOXEL, ROWS = 0.027, (6, 14)


@pytest.mark.parametrize("box", [(slice(30, 90), slice(28, 85)), (slice(0, 40), slice(70, 121))])
def test_a_box_is_resampled_as_part_of_the_whole(box) -> None:
    volume = np.random.default_rng(0).normal(size=(20, 120, 121)).astype(np.float32)
    motion = RigidTransform((2.0, 0.2, -0.1), (0.03, 0.05, -0.04), (0.3, 1.6, 1.6))
    whole = resample(volume, motion, voxel_size_mm=VOXEL, z_range=ROWS, order=3)
    source = moved_box(motion, box, ROWS, volume.shape, VOXEL)
    cut = volume[:, source[0], source[1]]
    assert cut.size < 0.75 * volume.size
    found = resample(
        cut, between_boxes(motion, box, source, VOXEL), voxel_size_mm=VOXEL, z_range=ROWS, order=3,
        reference_shape=(20, *(side.stop - side.start for side in box)),
    )  # fmt: skip
    # 0.27 ** 16 of the values beside the box, and rounding of float32
    np.testing.assert_allclose(found, whole[:, box[0], box[1]], atol=2e-6)
