"""Total variation against its definition, another program, and the laws of a proximal operator."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize

from deltamu.kernels.tv import tv_cost, tv_proximal, tv_value


def huber(length, threshold):
    if threshold == 0:
        return length
    return np.where(length < threshold, length**2 / (2 * threshold), length - threshold / 2)


def lengths(volume, planar):
    parts = [
        np.diff(volume, axis=a, append=np.take(volume, [-1], axis=a))
        for a in ((1, 2) if planar else (0, 1, 2))
    ]
    return np.sqrt(sum(p**2 for p in parts))


@settings(max_examples=20, deadline=None)
@given(
    shape=st.tuples(st.integers(1, 5), st.integers(1, 7), st.integers(1, 9)),
    threshold=st.sampled_from([0.0, 0.3]),
    planar=st.booleans(),
    seed=st.integers(0, 99),
)
def test_value_is_the_sum_of_gradient_lengths(shape, threshold, planar, seed):
    volume = np.random.default_rng(seed).standard_normal(shape).astype(np.float32)
    expected = huber(lengths(volume.astype(float), planar), threshold).sum(axis=(1, 2))
    np.testing.assert_allclose(
        tv_value(volume, threshold=threshold, planar=planar), expected, rtol=1e-5, atol=1e-5
    )


def objective(volume, image, strength, threshold, planar):
    return 0.5 * np.sum((volume - image) ** 2) + strength * huber(lengths(volume, planar), threshold).sum()


@pytest.mark.parametrize("planar", [False, True])
@pytest.mark.parametrize("threshold", [0.0, 0.2])
def test_no_volume_has_a_lower_objective(planar, threshold):
    """Against a general minimiser on a smoothed problem: total variation itself has no gradient."""
    shape, strength = (2, 3, 4), 0.3
    image = np.random.default_rng(1).standard_normal(shape).astype(np.float32)
    found = tv_proximal(image, strength, threshold=threshold, planar=planar, iterations=500)
    rounded = threshold or 1e-6
    best = minimize(
        lambda v: objective(v.reshape(shape), image, strength, rounded, planar),
        found.ravel() + 0.01 * np.random.default_rng(2).standard_normal(24),
        method="BFGS",
        options={"maxiter": 2000},
    )
    ours = objective(found.astype(float), image, strength, threshold, planar)
    # float32 arithmetic; BFGS stops early at the kinks, never below
    assert ours <= best.fun + 1e-5 * abs(best.fun)
    assert ours >= best.fun - 0.02 * abs(best.fun)


def test_agrees_with_another_program():
    restoration = pytest.importorskip("skimage.restoration")
    image = np.zeros((40, 50))
    image[10:30, 15:40] = 1
    image += 0.1 * np.random.default_rng(0).standard_normal(image.shape)
    # scikit-image minimises TV + |x - b|^2 / (2 weight) with the same forward differences
    theirs = restoration.denoise_tv_chambolle(image, weight=0.2, eps=0, max_num_iter=8000)
    ours = tv_proximal(image.astype(np.float32)[None], 0.2, planar=True, iterations=600)[0]
    # its plain projection converges as 1/n: 1e-3 away after 8000 iterations, with a higher objective
    assert np.abs(ours - theirs).max() < 2e-3
    objectives = [objective(v.astype(float)[None], image[None], 0.2, 0.0, True) for v in (ours, theirs)]
    assert objectives[0] <= objectives[1] * (1 + 1e-6)


def test_keeps_bounds_and_support_and_improves_within_them():
    rng = np.random.default_rng(3)
    image = rng.standard_normal((3, 8, 9)).astype(np.float32)
    support = np.zeros((8, 9), bool)
    support[2:6, 1:7] = True
    found = tv_proximal(image, 0.2, lower=-0.1, upper=0.7, support=support, iterations=300)
    assert found.min() >= np.float32(-0.1)
    assert found.max() <= np.float32(0.7)
    assert np.all(found[:, ~support] == 0)
    reached = objective(found.astype(float), image, 0.2, 0.0, False)
    for _ in range(50):
        other = np.clip(found + 0.02 * rng.standard_normal(found.shape) * support, -0.1, 0.7)
        assert objective(other, image, 0.2, 0.0, False) >= reached - 1e-5


def test_does_nothing_without_strength_and_flattens_with_much():
    image = np.random.default_rng(4).standard_normal((2, 6, 7)).astype(np.float32)
    np.testing.assert_array_equal(tv_proximal(image, 0.0), image)
    flat = tv_proximal(image, 100.0, iterations=3000)
    np.testing.assert_allclose(flat, image.mean(), atol=1e-3)
    planar = tv_proximal(image, 100.0, planar=True, iterations=3000)
    np.testing.assert_allclose(
        planar, np.broadcast_to(image.mean(axis=(1, 2), keepdims=True), image.shape), atol=1e-3
    )


def test_keeps_the_mean_and_is_nonexpansive():
    rng = np.random.default_rng(5)
    first, second = rng.standard_normal((2, 3, 10, 11)).astype(np.float32)
    a, b = (tv_proximal(v, 0.3, iterations=400) for v in (first, second))
    assert a.mean() == pytest.approx(first.mean(), abs=1e-5)
    assert np.linalg.norm(a - b) <= np.linalg.norm(first - second)


def test_a_dual_that_is_kept_saves_iterations():
    image = np.random.default_rng(6).standard_normal((2, 20, 20)).astype(np.float32)
    exact = tv_proximal(image, 0.5, iterations=2000)
    dual = np.zeros((3, *image.shape), np.float32)
    tv_proximal(image, 0.5, dual=dual, iterations=200)
    warm = tv_proximal(image, 0.5, dual=dual, iterations=5)
    cold = tv_proximal(image, 0.5, iterations=5)
    assert np.abs(warm - exact).max() < 0.1 * np.abs(cold - exact).max()


def test_slices_on_their_own_do_not_mix():
    image = np.random.default_rng(7).standard_normal((3, 9, 8)).astype(np.float32)
    together = tv_proximal(image, 0.4, planar=True)
    alone = np.concatenate([tv_proximal(image[z : z + 1], 0.4, planar=True) for z in range(3)])
    np.testing.assert_array_equal(together, alone)


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"strength": -1.0}, "strength"),
        ({"strength": np.nan}, "strength"),
        ({"threshold": -1.0}, "threshold"),
        ({"lower": 2.0, "upper": 1.0}, "lower"),
        ({"iterations": 0}, "iterations"),
        ({"support": np.ones((3, 3), bool)}, "support"),
        ({"support": np.ones((4, 5), np.float32)}, "support"),
        ({"dual": np.zeros((2, 2, 4, 5), np.float32)}, "dual"),
    ],
)
def test_wrong_arguments_are_named(options, named):
    with pytest.raises(ValueError, match=named):
        tv_proximal(np.zeros((2, 4, 5), np.float32), **({"strength": 1.0} | options))


def test_cost_counts_both_dual_variables():
    assert tv_cost((10, 20)).total(3) == 4 * 200 * 3 * 6
