import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from deltamu.recon.change.difference import Change, difference
from deltamu.recon.errors import InputError

# multiples of 2^-10 below 8: sums and differences of them are exact in float32
EXACT = st.integers(-8192, 8192).map(lambda i: i / 1024)
VOLUMES = arrays(np.float32, (2, 3, 4), elements=EXACT)


@given(VOLUMES)
@settings(max_examples=20, deadline=None)
def test_a_state_does_not_differ_from_itself(volume: np.ndarray) -> None:
    change = difference(volume, volume, sigma_reference=1.0, sigma_moving=1.0)
    assert not change.delta_mu.any()
    assert not change.z_score.any()


@given(VOLUMES, VOLUMES, VOLUMES)
@settings(max_examples=20, deadline=None)
def test_changes_add_up_voxel_by_voxel(
    pristine: np.ndarray, discharged: np.ndarray, charged: np.ndarray
) -> None:
    """T14: (discharged − pristine) − (charged − pristine) = discharged − charged."""
    left = difference(pristine, discharged).delta_mu - difference(pristine, charged).delta_mu
    np.testing.assert_array_equal(left, difference(charged, discharged).delta_mu)


def test_missing_voxels_stay_missing_and_are_counted() -> None:
    reference, moving = np.ones((2, 2, 2), np.float32), np.ones((2, 2, 2), np.float32)
    reference[0, 0, 0], moving[1, 1, 1] = np.nan, np.nan
    change = difference(reference, moving, sigma_reference=0.3, sigma_moving=0.4)
    assert change.missing == 2
    assert np.isnan(change.z_score[0, 0, 0])
    assert np.count_nonzero(np.isnan(change.delta_mu)) == 2


def test_sigmas_add_in_quadrature_and_scale_z() -> None:
    reference = np.zeros((2, 3, 3), np.float32)
    change = difference(
        reference, reference + 1, sigma_reference=np.full((2, 1, 1), 0.3, np.float32), sigma_moving=0.4
    )
    np.testing.assert_allclose(change.sigma, 0.5, rtol=1e-6)  # float32
    np.testing.assert_allclose(change.z_score, 2.0, rtol=1e-6)
    assert change.delta_mu.dtype == change.sigma.dtype == np.float32


def test_a_sigma_of_zero_has_no_z_score() -> None:
    zero = np.zeros((1, 1, 2), np.float32)
    change = difference(
        zero, zero + 1, sigma_reference=0.0, sigma_moving=np.array([[[0.0, 1.0]]], np.float32)
    )
    assert np.isnan(change.z_score[0, 0, 0])
    assert change.z_score[0, 0, 1] == 1.0


def test_slabs_give_what_the_volume_gives() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal((2, 6, 4, 4)).astype(np.float32)
    whole = difference(a, b, sigma_reference=0.1, sigma_moving=0.2)
    parts = [difference(a[i : i + 2], b[i : i + 2], sigma_reference=0.1, sigma_moving=0.2) for i in (0, 2, 4)]
    np.testing.assert_array_equal(whole.z_score, np.concatenate([part.z_score for part in parts]))


def test_inputs_are_not_written_to() -> None:
    a, b = np.zeros((1, 2, 2), np.float32), np.ones((1, 2, 2), np.float32)
    a.setflags(write=False)
    b.setflags(write=False)
    difference(a, b, sigma_reference=a, sigma_moving=b)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"sigma_reference": 0.1}, "both or none"),
        ({"sigma_reference": -0.1, "sigma_moving": 0.1}, "negative"),
        ({"sigma_reference": np.ones(7), "sigma_moving": 0.1}, "does not fit"),
    ],
)
def test_wrong_sigmas_are_refused(options: dict, message: str) -> None:
    volume = np.zeros((2, 2, 2), np.float32)
    with pytest.raises(InputError, match=message):
        difference(volume, volume, **options)


def test_two_grids_are_refused() -> None:
    with pytest.raises(InputError, match="resample"):
        difference(np.zeros((2, 2, 2), np.float32), np.zeros((2, 2, 3), np.float32))
    with pytest.raises(InputError, match="sigma"):
        Change(np.zeros((2, 2, 2)), np.zeros((2, 2)), None, 0)
