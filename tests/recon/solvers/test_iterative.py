"""Iterative solvers against closed solutions, and the laws they obey."""

from itertools import islice

import numpy as np
import pytest
from scipy.sparse.linalg import lsqr

from deltamu.recon.errors import Cancelled, InputError
from deltamu.recon.simulate.ellipses import Ellipse, line_integrals
from deltamu.recon.solvers.counts import mlem_iterates
from deltamu.recon.solvers.gradients import divergence_transpose, gradient
from deltamu.recon.solvers.iterate import Stopping, last
from deltamu.recon.solvers.iterative import cgls, fista, mlem, os_sart, pdhg, sirt
from deltamu.recon.solvers.least_squares import (
    cgls_iterates,
    ordered_subsets,
    os_sart_iterates,
    sirt_iterates,
)
from deltamu.recon.solvers.operators import operator
from deltamu.recon.solvers.penalties import Tikhonov, TotalVariation
from deltamu.recon.solvers.regularised import fista_iterates, largest_curvature, pdhg_iterates

N = 24


def small_operator(views=18, rows=2, size=N):
    return operator(
        np.arange(views) * np.pi / views,
        columns=size,
        rows=rows,
        center=(size - 1) / 2,
        pixel_size_mm=0.5,
        size=size,
    )


def block(A):
    volume = np.zeros(A.domain_shape, np.float32)
    volume[:, 6:16, 8:19] = 1.5
    volume[:, 9:12, 10:14] = 2.5
    volume[1:] *= 0.5
    return volume


def noisy(A, sigma=0.02, seed=0):
    noise = np.random.default_rng(seed).standard_normal(A.range_shape)
    return (A(block(A)) + sigma * noise).astype(np.float32)


def matrix_of(A):
    """The matrix of one slice; a tiny problem only."""
    one = A.pair.representative()
    basis = np.eye(one.domain_shape[1] * one.domain_shape[2], dtype=np.float32).reshape(-1, *one.domain_shape)
    return np.stack([one.forward(b).ravel() for b in basis], axis=1).astype(float)


GENERATORS = {
    "sirt": lambda A, b, **o: sirt_iterates(A, b, **o),
    "os-sart": lambda A, b, **o: os_sart_iterates(A, b, subsets=3, **o),
    "cgls": lambda A, b, **o: cgls_iterates(A, b, **o),
    "mlem": lambda A, b, **o: mlem_iterates(A, np.maximum(b, 0), **o),
    "fista": lambda A, b, **o: fista_iterates(A, b, penalty=TotalVariation(1e-3), **o),
    "pdhg": lambda A, b, **o: pdhg_iterates(A, b, penalty=TotalVariation(1e-3), **o),
}


@pytest.mark.parametrize("name", GENERATORS)
def test_comes_close_to_the_truth(name):
    A = small_operator(36)
    iterate = last(GENERATORS[name](A, noisy(A, 0.002)), Stopping(80))
    error = np.linalg.norm(iterate.volume - block(A)) / np.linalg.norm(block(A))
    assert error < 0.1
    assert iterate.number == 80


@pytest.mark.parametrize("name", ["sirt", "cgls", "mlem", "fista"])
def test_objective_never_rises(name):
    A = small_operator()
    objectives = [i.objective for i in islice(GENERATORS[name](A, noisy(A)), 40)]
    # float32 residuals: their squares are good to 1e-6
    assert np.all(np.diff(objectives) <= 2e-6 * np.array(objectives[:-1]))
    assert objectives[-1] < 0.5 * objectives[0]


def test_sirt_never_rises_with_relaxation_and_bounds():
    A = small_operator()
    iterates = islice(sirt_iterates(A, noisy(A), relaxation=1.9, lower=0, upper=2.0), 30)
    objectives = [i.objective for i in iterates]
    assert np.all(np.diff(objectives) <= 2e-6 * np.array(objectives[:-1]))


@pytest.mark.parametrize("tikhonov", [0.0, 0.01])
@pytest.mark.parametrize("weighted", [False, True])
def test_cgls_is_the_least_squares_solution(tikhonov, weighted):
    A = small_operator(views=11, rows=2, size=8)
    rng = np.random.default_rng(3)
    b = rng.standard_normal(A.range_shape).astype(np.float32)
    weights = rng.uniform(0.2, 2, A.range_shape).astype(np.float32) if weighted else None
    found = last(cgls_iterates(A, b, weights=weights, tikhonov=tikhonov), Stopping(400)).volume
    matrix = matrix_of(A)
    for row in range(2):
        root = np.ones(matrix.shape[0]) if weights is None else np.sqrt(weights[:, row].ravel())
        damp = np.sqrt(tikhonov)
        exact = lsqr(
            matrix * root[:, None], b[:, row].ravel() * root, damp=damp, atol=1e-12, btol=1e-12, iter_lim=5000
        )
        # without damping the smallest singular values are lost in float32: compared by what they project to
        difference = matrix @ (found[row].ravel() - exact[0])
        assert np.linalg.norm(difference) < 2e-3 * np.linalg.norm(matrix @ exact[0])
        if tikhonov:
            np.testing.assert_allclose(found[row].ravel(), exact[0], atol=2e-3 * np.abs(exact[0]).max())


def test_cgls_is_drawn_to_its_reference():
    A = small_operator()
    reference = block(A)
    found = last(
        cgls_iterates(A, np.zeros(A.range_shape), tikhonov=1e6, reference=reference), Stopping(10)
    ).volume
    np.testing.assert_allclose(found, reference, atol=1e-3)


def test_slices_do_not_influence_each_other():
    A, one = small_operator(rows=2), small_operator(rows=1)
    b = noisy(A)
    for solve in (
        lambda A, b: cgls_iterates(A, b),
        lambda A, b: fista_iterates(A, b, penalty=TotalVariation(1e-3, planar=True)),
    ):
        together = last(solve(A, b), Stopping(15)).volume
        alone = last(solve(one, np.ascontiguousarray(b[:, 1:])), Stopping(15)).volume
        np.testing.assert_allclose(together[1:], alone, atol=1e-5)


@pytest.mark.parametrize("weights", [None, "uneven"])
def test_mlem_keeps_the_counts(weights):
    A = small_operator()
    counts = np.random.default_rng(0).poisson(A(block(A)) * 20).astype(np.float32)
    weights = None if weights is None else np.random.default_rng(1).uniform(0.5, 1, A.range_shape)
    for iterate in islice(mlem_iterates(A, counts, weights=weights), 5):
        model = A(iterate.volume)
        factor = 1 if weights is None else weights
        seen = model > 0
        assert np.sum(model * factor) == pytest.approx(np.sum((counts * factor)[seen]), rel=1e-5)
        assert iterate.volume.min() >= 0


@pytest.mark.parametrize("name", ["sirt", "os-sart", "cgls", "mlem", "fista", "pdhg"])
def test_a_start_at_the_solution_stays(name):
    A = small_operator()
    b = A(block(A))
    generators = GENERATORS | {
        "fista": lambda A, b, **o: fista_iterates(A, b, **o),
        "pdhg": lambda A, b, **o: pdhg_iterates(A, b, penalty=TotalVariation(0.0), **o),
    }
    iterate = last(generators[name](A, b, start=block(A)), Stopping(10))
    np.testing.assert_allclose(iterate.volume, block(A), atol=1e-5)


@pytest.mark.parametrize("name", ["sirt", "os-sart", "cgls", "fista", "pdhg", "mlem"])
def test_weights_take_out_corrupted_rays(name):
    """Values under zero weight have no influence at all."""
    A = small_operator()
    b = noisy(A)
    bad = np.random.default_rng(5).random(A.range_shape) < 0.03
    weights = np.where(bad, 0, 1).astype(np.float32)
    clean, spoilt = (
        last(GENERATORS[name](A, np.where(bad, value, b), weights=weights), Stopping(30)).volume
        for value in (0.0, 50.0)
    )
    np.testing.assert_allclose(clean, spoilt, atol=1e-4)
    ignored = last(GENERATORS[name](A, np.where(bad, 50.0, b)), Stopping(30)).volume
    assert np.abs(ignored - block(A)).mean() > 5 * np.abs(spoilt - block(A)).mean()


@pytest.mark.parametrize("name", ["sirt", "os-sart", "fista", "pdhg"])
def test_keeps_bounds_and_support(name):
    A = small_operator()
    support = np.zeros(A.domain_shape[1:], bool)
    support[4:18, 6:21] = True
    for iterate in islice(GENERATORS[name](A, noisy(A), lower=0.0, upper=2.0, support=support), 5):
        assert iterate.volume.min() >= 0
        assert iterate.volume.max() <= 2
        assert np.all(iterate.volume[:, ~support] == 0)


def test_fista_and_pdhg_find_the_same_minimum():
    A = small_operator()
    b = noisy(A, 0.05)
    weights = np.random.default_rng(2).uniform(0.05, 1, A.range_shape).astype(np.float32)
    penalty = TotalVariation(0.01, threshold=0.05)
    options = {"penalty": penalty, "lower": 0.0, "weights": weights}
    first = last(fista_iterates(A, b, **options), Stopping(400))
    second = last(pdhg_iterates(A, b, **options), Stopping(1500))
    assert second.objective == pytest.approx(first.objective, rel=2e-3)
    assert np.abs(first.volume - second.volume).max() < 0.05


def test_tikhonov_of_fista_is_that_of_cgls():
    A = small_operator()
    b = noisy(A)
    reference = np.full(A.domain_shape, 0.3, np.float32)
    by_gradients = last(cgls_iterates(A, b, tikhonov=0.02, reference=reference), Stopping(60))
    by_steps = last(fista_iterates(A, b, penalty=Tikhonov(0.02, reference)), Stopping(400))
    assert by_steps.objective == pytest.approx(by_gradients.objective, rel=1e-4)
    np.testing.assert_allclose(by_steps.volume, by_gradients.volume, atol=5e-3)


def test_curvature_with_weights_covers_every_slice():
    A = small_operator(rows=3, size=10)
    weights = np.random.default_rng(4).uniform(0, 1, A.range_shape).astype(np.float32)
    matrix = matrix_of(A)
    exact = max(np.linalg.norm(matrix * np.sqrt(weights[:, row].reshape(-1, 1)), 2) ** 2 for row in range(3))
    # one slice with the largest weight of every ray stands for all: never below
    assert exact * 0.999 <= largest_curvature_of(A, weights) <= 2.5 * exact


def largest_curvature_of(A, weights):
    from deltamu.recon.solvers.problem import make_problem

    return largest_curvature(make_problem(A, np.zeros(A.range_shape), weights=weights))


def test_sirt_agrees_with_astra():
    astra = pytest.importorskip("astra")
    columns, iterations = 64, 10
    angles = np.arange(45) * np.pi / 45
    parts = [Ellipse(0.02, 24, 19, 2, -1, 25), Ellipse(0.02, 6, 4, 10, 5, -40)]
    views = line_integrals(parts, angles, columns=columns).astype(np.float32)
    # one pixel is 1 cm, so that attenuation is per pixel
    ours = sirt(views[:, None], angles, center=31.5, pixel_size_mm=10.0, iterations=iterations)[0]
    projector = astra.create_projector(
        "linear",
        astra.create_proj_geom("parallel", 1.0, columns, angles),
        astra.create_vol_geom(columns, columns),
    )
    _, theirs = astra.create_reconstruction("SIRT", projector, views, iterations=iterations)
    # its y axis points up
    assert np.abs(ours - theirs[::-1]).max() < 1e-3 * np.abs(theirs).max()


def test_gradient_and_divergence_are_transposes():
    rng = np.random.default_rng(0)
    for planar in (True, False):
        x = rng.standard_normal((3, 4, 5)).astype(np.float32)
        p = rng.standard_normal((2 if planar else 3, 3, 4, 5)).astype(np.float32)
        left = np.vdot(gradient(x, planar=planar).astype(float), p.astype(float))
        assert left == pytest.approx(
            np.vdot(x.astype(float), divergence_transpose(p).astype(float)), abs=1e-5
        )


def test_stops_by_discrepancy_and_by_change():
    A = small_operator()
    sigma = 0.05
    b = noisy(A, sigma)
    target = sigma * np.sqrt(b.size)
    iterates = list(islice(cgls_iterates(A, b), 40))
    stopped = last(cgls_iterates(A, b), Stopping(40, discrepancy=target))
    assert 1 < stopped.number < 40
    assert stopped.residual_norm <= target < iterates[stopped.number - 2].residual_norm
    settled = last(sirt_iterates(A, b), Stopping(2000, relative_change=1e-3))
    before = list(islice(sirt_iterates(A, b), settled.number))
    change = np.linalg.norm(before[-1].volume - before[-2].volume) / np.linalg.norm(before[-1].volume)
    assert settled.number < 2000
    assert change <= 1e-3


def test_progress_may_cancel():
    A = small_operator()
    seen = []

    def stop(done, most):
        seen.append((done, most))
        if done == 3:
            raise Cancelled("stopped")

    with pytest.raises(Cancelled):
        last(sirt_iterates(A, noisy(A)), Stopping(10), progress=stop)
    assert seen == [(1, 10), (2, 10), (3, 10)]


def test_iterates_stay_as_they_were():
    A = small_operator()
    for make in GENERATORS.values():
        first, *_, final = list(islice(make(A, noisy(A)), 4))
        again = next(iter(make(A, noisy(A))))
        np.testing.assert_array_equal(first.volume, again.volume)
        assert first.objective == again.objective
        assert final.objective != first.objective


def test_subsets_hold_every_view_once():
    for views, subsets in ((10, 3), (7, 7), (5, 1)):
        parts = ordered_subsets(views, subsets)
        assert sorted(np.concatenate([np.arange(views)[part] for part in parts])) == list(range(views))


@pytest.mark.parametrize(
    ("solve", "options"),
    [
        (sirt, {}),
        (os_sart, {"subsets": 4}),
        (cgls, {}),
        (mlem, {"subsets": 2}),
        (fista, {"penalty": TotalVariation(1e-3)}),
        (pdhg, {"penalty": TotalVariation(1e-3)}),
    ],
)
def test_one_call_gives_attenuation(solve, options):
    """A disc of 2.5 cm^-1, whatever the solver."""
    columns, pixel_mm, mu = 48, 0.1, 2.5
    angles = np.arange(60) * np.pi / 60
    disc = [Ellipse(mu * pixel_mm / 10, 17, 17, 2, -3)]
    views = line_integrals(disc, angles, columns=columns, center=24.2)[:, None].astype(np.float32)
    volume = solve(views, angles, center=24.2, pixel_size_mm=pixel_mm, iterations=100, **options)
    place = np.arange(columns) - 23.5
    inside = np.hypot(place[None] - 2, place[:, None] + 3) < 13
    assert volume.shape == (1, columns, columns)
    assert volume[0][inside].mean() == pytest.approx(mu, rel=5e-3)


A = small_operator()
B = np.zeros(A.range_shape, np.float32)


@pytest.mark.parametrize(
    ("call", "named"),
    [
        (lambda: sirt_iterates(A, B[1:]), "line_integrals"),
        (lambda: sirt_iterates(A, np.full_like(B, np.nan)), "view 0"),
        (lambda: sirt_iterates(A, B, weights=-np.ones_like(B)), "weights"),
        (lambda: sirt_iterates(A, B, weights=np.ones(5)), "weights"),
        (lambda: sirt_iterates(A, B, lower=1, upper=0), "lower"),
        (lambda: sirt_iterates(A, B, support=np.ones((3, 3), bool)), "support"),
        (lambda: sirt_iterates(A, B, support=np.ones((N, N))), "support"),
        (lambda: sirt_iterates(A, B, relaxation=2.5), "relaxation"),
        (lambda: sirt_iterates(A, B, start=np.zeros((1, 2, 3))), "start"),
        (lambda: fista_iterates(A, B, start=np.full(A.domain_shape, np.nan)), "start"),
        (lambda: os_sart_iterates(A, B, subsets=0), "subsets"),
        (lambda: os_sart_iterates(A, B, subsets=99), "subsets"),
        (lambda: cgls_iterates(A, B, tikhonov=-1), "tikhonov"),
        (lambda: cgls_iterates(A, B, tikhonov=1, reference=np.zeros(3)), "reference"),
        (lambda: mlem_iterates(A, B - 1), "counts"),
        (lambda: mlem_iterates(A, B + 1, start=-np.ones(A.domain_shape)), "start"),
        (lambda: iter([Stopping(0)]), "iterations"),
        (lambda: iter([Stopping(1, discrepancy=0.0)]), "discrepancy"),
        (lambda: iter([TotalVariation(-1.0)]), "strength"),
        (lambda: iter([Tikhonov(np.nan)]), "strength"),
    ],
)
def test_wrong_arguments_are_named(call, named):
    with pytest.raises(InputError, match=named):
        next(call())
