import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deltamu.recon.errors import InputError
from deltamu.recon.geometry import RigidTransform, view_weights

numbers = st.tuples(*[st.floats(-20, 20)] * 3)
transforms = st.builds(RigidTransform, numbers, numbers, numbers)


@given(transforms)
def test_inverse_undoes(transform):
    points = np.array([[0.0, 0, 0], [1, 2, 3], [-4, 5, 6]])
    # float64 with coordinates up to 100 mm
    np.testing.assert_allclose(transform.inverse().apply(transform.apply(points)), points, atol=1e-10)


@given(transforms, transforms)
def test_matmul_is_first_then_self(second, first):
    points = np.array([[0.0, 0, 0], [1, 2, 3], [-4, 5, 6]])
    np.testing.assert_allclose((second @ first).apply(points), second.apply(first.apply(points)), atol=1e-9)


@given(transforms, numbers)
def test_about_another_centre_is_the_same_motion(transform, center):
    points = np.array([[0.0, 0, 0], [1, 2, 3]])
    np.testing.assert_allclose(transform.about(center).apply(points), transform.apply(points), atol=1e-9)


def test_positive_z_rotation_turns_x_towards_y():
    moved = RigidTransform(rotation_deg=(90, 0, 0)).apply(np.array([0.0, 0.0, 1.0]))
    np.testing.assert_allclose(moved, [0, 1, 0], atol=1e-12)


def test_index_affine_between_voxel_sizes():
    transform = RigidTransform((1, 2, 3), (0.1, 0.2, 0.3), (1, 1, 1))
    affine = transform.index_affine(0.02, 0.05)
    index = np.array([3.0, 4, 5])
    np.testing.assert_allclose(affine[:, :3] @ index + affine[:, 3], transform.apply(index * 0.02) / 0.05)


@pytest.mark.parametrize("turn", [np.pi, 2 * np.pi])
def test_even_views_weigh_the_same(turn):
    weights = view_weights(np.arange(90) * turn / 90)
    np.testing.assert_allclose(weights, np.pi / 90, rtol=1e-5)


def test_duplicate_views_share_one_weight():
    weights = view_weights(np.linspace(0, np.pi, 91))
    assert weights.sum() == pytest.approx(np.pi)
    assert weights[0] == pytest.approx(weights[45] / 2, rel=1e-4)
    assert weights[0] == pytest.approx(weights[-1])


def test_angles_that_are_not_finite_are_refused():
    with pytest.raises(InputError, match="angles"):
        view_weights(np.array([0.0, np.nan]))
