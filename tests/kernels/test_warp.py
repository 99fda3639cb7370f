"""Warping against scipy, and the laws of interpolation."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from deltamu.kernels.warp import spline_coefficients, warp, warp_cost

IDENTITY = np.eye(3, 4)


def random_affine(rng, strength=0.1):
    return np.column_stack([np.eye(3) + strength * rng.normal(size=(3, 3)), rng.normal(size=3)])


@settings(max_examples=25, deadline=None)
@given(
    shape=st.tuples(*[st.integers(1, 14)] * 3),
    target=st.tuples(*[st.integers(1, 12)] * 3),
    order=st.sampled_from([1, 3]),
    seed=st.integers(0, 999),
)
def test_agrees_with_scipy(shape, target, order, seed):
    rng = np.random.default_rng(seed)
    volume = rng.normal(size=shape).astype(np.float32)
    affine = random_affine(rng)
    expected = ndimage.affine_transform(
        volume.astype(float), affine[:, :3], affine[:, 3], output_shape=target, order=order, cval=np.nan
    )
    result = warp(volume, affine, output_shape=target, order=order)
    np.testing.assert_array_equal(np.isnan(result), np.isnan(expected))
    # float32 storage of values of order 1, up to 64 products
    np.testing.assert_allclose(result, expected, atol=3e-6)


@pytest.mark.parametrize("order", [1, 3])
def test_identity_returns_every_voxel(order):
    volume = np.random.default_rng(0).normal(size=(5, 6, 7)).astype(np.float32)
    # a chain of rotations is off by rounding: nothing may fall out of the volume
    affine = IDENTITY + 1e-12 * np.random.default_rng(1).normal(size=(3, 4))
    # the spline's filter rounds to float32 three times
    np.testing.assert_allclose(
        warp(volume, affine, output_shape=volume.shape, order=order), volume, atol=3e-6
    )


def test_linear_interpolation_is_exact_on_a_plane():
    z, y, x = np.mgrid[:9, :10, :11].astype(np.float32)
    affine = random_affine(np.random.default_rng(2), 0.05)
    result = warp(1 + 2 * z - y + 0.5 * x, affine, output_shape=(9, 10, 11))
    u = np.einsum("ij,jzyx->izyx", affine[:, :3], np.mgrid[:9, :10, :11]) + affine[:, 3, None, None, None]
    inside = np.isfinite(result)
    assert inside.sum() > 300
    np.testing.assert_allclose(result[inside], (1 + 2 * u[0] - u[1] + 0.5 * u[2])[inside], atol=1e-5)


def test_a_part_of_the_output_equals_that_part_of_the_whole():
    volume = np.random.default_rng(3).normal(size=(12, 13, 14)).astype(np.float32)
    affine = random_affine(np.random.default_rng(4), 0.03)
    whole = warp(volume, affine, output_shape=(12, 13, 14))
    start = np.array([3, 4, 5])
    shifted = affine.copy()
    shifted[:, 3] += affine[:, :3] @ start
    # the position is summed in another order: equal to rounding of float64 positions
    np.testing.assert_allclose(warp(volume, shifted, output_shape=(6, 5, 4)), whole[3:9, 4:9, 5:9], atol=1e-6)


def test_a_voxel_without_value_spoils_only_what_lies_beside_it():
    volume = np.ones((4, 4, 4), np.float32)
    volume[2, 2, 2] = np.nan
    assert np.isnan(warp(volume, IDENTITY, output_shape=volume.shape)).sum() == 1
    half = IDENTITY.copy()
    half[2, 3] = 0.5
    assert np.isnan(warp(volume, half, output_shape=(4, 4, 3))).sum() == 2


def test_fill_and_out():
    volume = np.ones((3, 3, 3), np.float32)
    out = np.empty((3, 3, 4), np.float32)
    assert warp(volume, IDENTITY, output_shape=(3, 3, 4), fill=-1, out=out) is out
    assert (out[:, :, 3] == -1).all()
    assert (out[:, :, :3] == 1).all()


def test_input_is_not_written_to():
    volume = np.random.default_rng(5).normal(size=(5, 5, 5)).astype(np.float32)
    before = volume.copy()
    warp(volume, IDENTITY, output_shape=(5, 5, 5), order=3)
    np.testing.assert_array_equal(volume, before)


@pytest.mark.parametrize("shape", [(7, 1, 9), (2, 3, 60), (70, 4, 5)])
def test_spline_coefficients_agree_with_scipy(shape):
    volume = np.random.default_rng(6).normal(size=shape).astype(np.float32)
    expected = ndimage.spline_filter(volume.astype(float), 3, mode="mirror")
    np.testing.assert_allclose(
        spline_coefficients(volume), expected, atol=3e-5
    )  # coefficients reach about 10


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"affine": np.eye(3)}, "affine"),
        ({"affine": np.full((3, 4), np.nan)}, "affine"),
        ({"volume": np.zeros((3, 3), np.float32)}, "volume"),
        ({"output_shape": (3, 0, 3)}, "output_shape"),
        ({"order": 2}, "order"),
        ({"out": np.zeros((3, 3, 3))}, "out"),
    ],
)
def test_bad_arguments_are_named(change, words):
    good = {"volume": np.zeros((3, 3, 3), np.float32), "affine": IDENTITY, "output_shape": (3, 3, 3)}
    arguments = good | change
    with pytest.raises(ValueError, match=words):
        warp(arguments.pop("volume"), arguments.pop("affine"), **arguments)


def test_a_spline_refuses_voxels_without_value():
    volume = np.full((3, 3, 3), np.nan, np.float32)
    with pytest.raises(ValueError, match="not finite"):
        warp(volume, IDENTITY, output_shape=(3, 3, 3), order=3)


def test_cost_counts_the_coefficients():
    assert warp_cost((2, 3, 4)).total(1) == 0
    assert warp_cost((2, 3, 4), order=3).total(1) == 96
