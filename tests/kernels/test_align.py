"""The normal equations against finite differences of the cost they describe."""

import numpy as np
import pytest
from scipy import ndimage

from deltamu.kernels.align import normal_equations
from deltamu.recon.geometry import RigidTransform

CENTER = np.array([9.0, 10.0, 11.0])
SPACING = np.array([2.0, 1.0, 1.0])


def smooth_pair(seed=0):
    rng = np.random.default_rng(seed)
    field = ndimage.gaussian_filter(rng.normal(size=(20, 22, 24)), 2.5)
    other = ndimage.gaussian_filter(rng.normal(size=(20, 22, 24)), 2.5)
    return (field / field.std()).astype(np.float32), (other / other.std()).astype(np.float32)


def equations(reference, moving, parameters, **options):
    """At the motion of six small parameters about CENTER, in units of SPACING."""
    turn = RigidTransform(tuple(np.degrees(parameters[3:]))).matrix
    index = turn * SPACING[None, :] / SPACING[:, None]
    affine = np.column_stack([index, CENTER - index @ CENTER + parameters[:3] / SPACING])
    weights = np.zeros_like(reference)
    weights[4:-4, 4:-4, 4:-4] = 1
    return normal_equations(
        reference, moving, weights, affine, rotation=turn, spacing=SPACING, center=CENTER, **options
    )


def test_score_is_the_gradient_of_the_cost():
    reference, moving = smooth_pair()
    # half way between voxels, so that a small step stays within one cell of the interpolant
    base, step = np.array([1.0, 0.5, 0.5, 0, 0, 0]), 5e-3

    def cost(parameters):
        found = equations(reference, moving, parameters, moving_share=1.0)
        return 0.5 * found.residual_ms * found.robust_weight

    score = equations(reference, moving, base, moving_share=1.0).score
    numeric = [(cost(base + step * unit) - cost(base - step * unit)) / (2 * step) for unit in np.eye(6)]
    # float32 sums per row of a cost near 2000
    np.testing.assert_allclose(numeric, score, atol=2e-3 * np.abs(score).max())


def test_noise_adds_to_one_curvature_and_not_to_the_other():
    reference, _ = smooth_pair()
    clean = equations(reference, reference, np.full(6, 1e-3), moving_share=0.0)
    # one-sided and central gradients of a field 2.5 voxels smooth
    np.testing.assert_allclose(np.diag(clean.cross), np.diag(clean.hessian), rtol=0.1)
    rng = np.random.default_rng(1)
    noisy = [reference + rng.normal(size=reference.shape).astype(np.float32) for _ in range(2)]
    found = equations(*noisy, np.full(6, 1e-3), moving_share=0.0)
    # a central difference of unit noise has variance 1/2 per spacing^2: 2688 voxels of it
    added = np.diag(found.hessian - clean.hessian)[:3]
    np.testing.assert_allclose(added, 2688 * 0.5 / SPACING**2, rtol=0.15)
    # the product of gradients of variance 1/2 and 2 scatters by sqrt(2688) about the clean sum
    shift = np.diag(found.cross - clean.cross)[:3] * SPACING**2
    assert (np.abs(shift) < 4 * np.sqrt(2688 * 0.5 * 2)).all()


def test_bundles_add_up_and_moments_are_those_of_numpy():
    reference, moving = smooth_pair()
    found = equations(reference, moving, np.zeros(6), gain=1.5, offset=0.2)
    inside = (slice(4, -4),) * 3
    f, m = reference[inside].astype(float), moving[inside].astype(float)
    assert found.weight == pytest.approx(f.size)
    assert found.mean_reference == pytest.approx(f.mean(), abs=1e-5)
    assert found.var_moving == pytest.approx(m.var(), rel=1e-4)
    assert found.covariance == pytest.approx(np.mean(f * m) - f.mean() * m.mean(), abs=1e-4)
    assert found.residual_ms == pytest.approx(np.mean((1.5 * m + 0.2 - f) ** 2), rel=1e-4)
    np.testing.assert_allclose(found.bundle_scores.sum(axis=(0, 1, 2)), found.score)


def test_voxels_without_value_do_not_count():
    reference, moving = smooth_pair()
    reference[10, 10, 10] = np.nan
    moving[6, 6, 6] = np.inf
    found = equations(reference, moving, np.zeros(6))
    assert np.isfinite(found.hessian).all()
    # a voxel and the six that take their gradient from it; eight that interpolate the other one
    assert found.weight == pytest.approx(12 * 14 * 16 - 7 - 8)


@pytest.mark.parametrize(("redescending", "expected"), [(True, 0.0), (False, 0.1)])
def test_influence_of_an_outlier(redescending, expected):
    reference = np.zeros((8, 8, 8), np.float32)
    weights = np.zeros_like(reference)
    weights[4, 4, 4] = 1
    found = normal_equations(
        reference,
        reference + 10,
        weights,
        np.eye(3, 4),
        rotation=np.eye(3),
        spacing=np.ones(3),
        center=np.zeros(3),
        cut=1.0,
        redescending=redescending,
    )
    assert found.robust_weight == pytest.approx(expected)
    assert found.weight == 1
