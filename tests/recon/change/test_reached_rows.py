import numpy as np
import pytest

from deltamu.recon.change.reached_rows import reached_voxels
from deltamu.recon.errors import InputError
from deltamu.recon.geometry import RigidTransform

SHAPE, VOXEL = (20, 6, 8), 0.5


def rows(*numbers: int) -> np.ndarray:
    mask = np.zeros(SHAPE[0], bool)
    mask[list(numbers)] = True
    return mask


def test_a_starved_row_reaches_as_far_as_the_blur_beyond_its_faces() -> None:
    found = reached_voxels([(rows(8, 9), RigidTransform())], SHAPE, reach_mm=1.2, voxel_size_mm=VOXEL)
    # 2.4 rows beyond the faces at 7.5 and 9.5: rows 6 to 11 have their middle within it
    assert np.flatnonzero(found.all(axis=(1, 2))).tolist() == [6, 7, 8, 9, 10, 11]
    assert not found[[5, 12]].any()


def test_the_rows_of_a_moving_state_are_looked_up_where_it_stands() -> None:
    # reference row k is moving row k + 3
    moved = RigidTransform(translation_mm=(3 * VOXEL, 0.0, 0.0))
    found = reached_voxels([(rows(8), moved)], SHAPE, reach_mm=0.0, voxel_size_mm=VOXEL)
    assert np.flatnonzero(found.any(axis=(1, 2))).tolist() == [5]


def test_a_tilted_state_reaches_other_rows_at_the_rim() -> None:
    shape, center = (20, 5, 41), (5.0, 1.0, 10.0)
    tilted = RigidTransform(rotation_deg=(0.0, 10.0, 0.0), center_mm=center)
    found = reached_voxels([(rows(10), tilted)], shape, reach_mm=0.0, voxel_size_mm=VOXEL)
    left, right = (int(np.flatnonzero(found[:, 2, x]).mean()) for x in (0, 40))
    # 10 mm to either side: 20 · tan 10° = 3.5 rows
    assert abs(left - right) in (6, 7, 8)
    assert found[10, 2, 20]


def test_slabs_give_the_rows_of_the_whole() -> None:
    tilted = RigidTransform((1.0, 2.0, -3.0), (0.3, 0.1, 0.0), (4.0, 1.0, 1.0))
    states = [(rows(4, 5), tilted), (rows(), RigidTransform()), (rows(19), RigidTransform())]
    options = {"reach_mm": 0.7, "voxel_size_mm": VOXEL}
    whole = reached_voxels(states, SHAPE, **options)
    parts = [reached_voxels(states, SHAPE, z_range=(a, a + 4), **options) for a in range(0, 20, 4)]
    np.testing.assert_array_equal(whole, np.concatenate(parts))
    assert whole.any()
    assert not whole.all()


def test_rows_beyond_the_detector_are_reached_by_its_last_row_only_nearby() -> None:
    away = RigidTransform(translation_mm=(10 * VOXEL, 0.0, 0.0))
    found = reached_voxels([(rows(19), away)], SHAPE, reach_mm=2 * VOXEL, voxel_size_mm=VOXEL)
    assert np.flatnonzero(found.any(axis=(1, 2))).tolist() == [7, 8, 9, 10, 11]


def test_a_negative_reach_is_refused() -> None:
    with pytest.raises(InputError, match="reach_mm"):
        reached_voxels([], SHAPE, reach_mm=-1.0, voxel_size_mm=VOXEL)
