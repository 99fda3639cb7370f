"""PICCS and joint reconstruction: what a second state adds to few views of the first."""

from itertools import islice

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize

from deltamu.recon.errors import InputError
from deltamu.recon.geometry import RigidTransform
from deltamu.recon.scan_geometry import middle_of, parallel_geometry
from deltamu.recon.simulate.body_rays import Cylinder, ray_integrals, voxel_means
from deltamu.recon.solvers.complete_rays import complete_rays
from deltamu.recon.solvers.iterate import Stopping, last
from deltamu.recon.solvers.joint_operator import joint_operator
from deltamu.recon.solvers.operators import dot_product_error, operator_of
from deltamu.recon.solvers.penalties import Difference, Stacked, Sum, Tikhonov, TotalVariation, Unpenalised
from deltamu.recon.solvers.prior_image import StateViews, joint_iterates, piccs_iterates
from deltamu.recon.solvers.problem import Bounds
from deltamu.recon.solvers.regularised import fista_iterates

SHAPE, VOXEL = (8, 32, 32), 0.1
MIDDLE = middle_of(SHAPE, VOXEL)
MOVED = RigidTransform((-2.3, -0.4, 0.3), (0.03, -0.06, 0.04), MIDDLE)
BOTTOM, TOP = -1.0, 2.0
BODY = [
    Cylinder(2.0, 1.2, BOTTOM, TOP, x=MIDDLE[2], y=MIDDLE[1]),
    Cylinder(-1.0, 0.2, BOTTOM, TOP, x=MIDDLE[2] + 0.5, y=MIDDLE[1]),
    Cylinder(1.5, 0.15, BOTTOM, TOP, x=MIDDLE[2] - 0.3, y=MIDDLE[1] - 0.6),
]
CHANGE = [Cylinder(1.0, 0.5, 0.15, 0.55, x=MIDDLE[2] - 0.2, y=MIDDLE[1] + 0.3)]
FEW, MANY, NOISE = 12, 96, 0.004


def geometry(views, pose=None):
    own = parallel_geometry(
        (np.arange(views) + 0.25) * np.pi / views, detector_shape=SHAPE[:2], center=15.2,
        pixel_size_mm=VOXEL, middle_mm=MIDDLE,
    )  # fmt: skip
    return own if pose is None else own.of_moved_volume(pose)


def operator_in(views, pose=None):
    return operator_of(geometry(views, pose), volume_shape=SHAPE, voxel_size_mm=VOXEL)


def heard(views):
    """Rays that see the slab alone; the bodies go on beyond it."""
    return complete_rays(geometry(views, MOVED), volume_shape=SHAPE, voxel_size_mm=VOXEL).astype(np.float32)


def views_of(bodies, views, pose=None, seed=0):
    """Exact line integrals over the area of every pixel, with noise."""
    exact = ray_integrals(bodies, geometry(views, pose), samples=4)
    return exact + NOISE * np.random.default_rng(seed).standard_normal(exact.shape, np.float32)


@pytest.fixture(scope="module")
def truth():
    return voxel_means(CHANGE, SHAPE, voxel_size_mm=VOXEL)


@pytest.fixture(scope="module")
def prior():
    iterates = fista_iterates(operator_in(MANY), views_of(BODY, MANY), penalty=TotalVariation(2e-4))
    return last(iterates, Stopping(60)).volume


def rms(error):
    return float(np.sqrt(np.mean(np.square(error, dtype=float))))


def test_piccs_finds_the_change_in_few_views_of_a_moved_state(truth, prior):
    A = operator_in(FEW, MOVED)
    few = views_of(BODY + CHANGE, FEW, MOVED, seed=1)
    options = {"penalty": TotalVariation(2e-4), "lower": 0.0, "weights": heard(FEW)}
    alone = last(fista_iterates(A, few, **options), Stopping(80)).volume
    with_prior = last(piccs_iterates(A, few, prior, **options), Stopping(80)).volume
    found = with_prior - prior
    assert with_prior.min() >= 0
    # 12 views of an object 24 pixels wide: total variation alone confuses what few views cannot tell apart
    assert rms(found - truth) < 0.5 * rms(alone - prior - truth)
    inside = truth > 0.99
    # total variation lowers a disc of radius R by a few per cent
    assert found[inside].mean() == pytest.approx(1.0, abs=0.06)


def test_joint_finds_the_change_in_few_views_of_both(truth):
    states = [
        StateViews(operator_in(FEW), views_of(BODY, FEW)),
        StateViews(operator_in(FEW, MOVED), views_of(BODY + CHANGE, FEW, MOVED, seed=1), heard(FEW)),
    ]
    penalty = TotalVariation(2e-4)
    iterates = joint_iterates(states, penalty=penalty, change_penalty=penalty, lower=0.0)
    common, change = np.split(last(iterates, Stopping(80)).volume, 2)
    apart = [
        last(
            fista_iterates(s.A, s.line_integrals, penalty=penalty, lower=0.0, weights=s.weights), Stopping(80)
        ).volume
        for s in states
    ]
    assert common.min() >= 0
    assert rms(change - truth) < 0.6 * rms(apart[1] - apart[0] - truth)
    assert change[truth > 0.99].mean() == pytest.approx(1.0, abs=0.06)


def test_objectives_never_rise(prior):
    A, few = operator_in(FEW, MOVED), views_of(BODY + CHANGE, FEW, MOVED)
    states = [StateViews(operator_in(FEW), views_of(BODY, FEW)), StateViews(A, few)]
    penalty = TotalVariation(2e-4)
    for iterates in (
        piccs_iterates(A, few, prior, penalty=penalty, prior_share=0.6, lower=0.0),
        joint_iterates(states, penalty=penalty, change_penalty=penalty),
    ):
        objectives = np.array([i.objective for i in islice(iterates, 15)])
        # float32 residuals: their squares are good to 1e-6
        assert np.all(np.diff(objectives) <= 2e-6 * objectives[:-1])
        assert objectives[-1] < objectives[0]


def test_piccs_without_its_prior_is_total_variation(prior):
    A, few = operator_in(FEW), views_of(BODY, FEW)
    penalty = TotalVariation(1e-3)
    plain = last(fista_iterates(A, few, penalty=penalty, start=prior, lower=0.0), Stopping(60))
    shared = last(piccs_iterates(A, few, prior, penalty=penalty, prior_share=0.0, lower=0.0), Stopping(60))
    assert shared.objective == pytest.approx(plain.objective, rel=1e-3)


def test_a_state_without_change_shows_none(prior):
    """The prior explains its own data, so that only noise is left: far less than in the data."""
    A = operator_in(FEW, MOVED)
    exact = A(prior)
    found = last(piccs_iterates(A, exact, prior, penalty=TotalVariation(2e-4)), Stopping(5)).volume
    np.testing.assert_array_equal(found, prior)


def test_change_stays_in_its_support():
    states = [
        StateViews(operator_in(FEW), views_of(BODY, FEW)),
        StateViews(operator_in(FEW), views_of(BODY + CHANGE, FEW, seed=1), np.ones((1, 1, 1), np.float32)),
    ]
    mask = np.zeros(SHAPE[1:], bool)
    mask[8:24, 8:24] = True
    iterates = joint_iterates(
        states, penalty=TotalVariation(2e-4), change_penalty=TotalVariation(2e-4), change_support=mask
    )
    common, change = np.split(last(iterates, Stopping(3)).volume, 2)
    assert np.all(change[:, ~mask] == 0)
    assert np.any(change[:, mask] != 0)
    assert np.any(common[:, ~mask] != 0)


def test_rays_beyond_the_slab_are_found():
    """Through a volume that is 1 everywhere, a ray is as long as through one with more slices."""
    seen_by = geometry(FEW, MOVED)
    one, taller = (
        operator_of(g, volume_shape=shape, voxel_size_mm=VOXEL)(np.ones(shape, np.float32))
        for g, shape in (
            (seen_by, SHAPE),
            (seen_by.of_moved_volume(RigidTransform(translation_mm=(-3 * VOXEL, 0, 0))), (14, *SHAPE[1:])),
        )
    )
    within = complete_rays(seen_by, volume_shape=SHAPE, voxel_size_mm=VOXEL)
    np.testing.assert_allclose(one[within], taller[within], rtol=1e-5)
    assert np.all(one[~within] < taller[~within])
    assert 0 < np.mean(~within) < 0.3
    assert complete_rays(geometry(FEW), volume_shape=SHAPE, voxel_size_mm=VOXEL).all()


@settings(max_examples=8, deadline=None)
@given(
    z=st.integers(1, 5), side=st.integers(3, 9), views=st.lists(st.integers(1, 6), min_size=2, max_size=4),
    moved=st.booleans(),
)  # fmt: skip
def test_joint_operator_has_its_exact_transpose(z, side, views, moved):
    shape = (z, side, side)
    operators = [
        operator_of(
            parallel_geometry(
                np.linspace(0, 3, n), detector_shape=(z, side), center=side / 2, pixel_size_mm=VOXEL,
                middle_mm=middle_of(shape, VOXEL),
            ).of_moved_volume(MOVED if moved and k else RigidTransform()),
            volume_shape=shape, voxel_size_mm=VOXEL,
        )
        for k, n in enumerate(views)
    ]  # fmt: skip
    A = joint_operator(*operators)
    assert A.domain_shape == (len(views) * z, side, side)
    assert dot_product_error(A, np.random.default_rng(0)) < 1e-6
    volumes = np.random.default_rng(1).random((len(views), *shape), np.float32)
    seen = A(np.concatenate(volumes))
    np.testing.assert_array_equal(seen[: views[0]], operators[0](volumes[0]))
    np.testing.assert_array_equal(seen[-views[-1] :], operators[-1](volumes[0] + volumes[-1]))
    picked = A.subset(np.cumsum([0, *views[:-1]]))
    np.testing.assert_array_equal(picked(np.concatenate(volumes)), seen[np.cumsum([0, *views[:-1]])])


def test_proximal_of_a_sum_is_the_minimum():
    """Against a general minimiser, on a volume of a few voxels."""
    rng = np.random.default_rng(0)
    volume, reference = rng.standard_normal((2, 1, 3, 4)).astype(np.float32)
    first = Difference(TotalVariation(0.3, threshold=0.2, inner_iterations=200), reference)
    both = Sum(first, TotalVariation(0.2, threshold=0.1, inner_iterations=200), sweeps=60)
    found = both.proximal(Bounds(lower=-0.5))(volume, 1.0)

    def objective(flat):
        x = flat.reshape(volume.shape)
        single = x.astype(np.float32)
        return 0.5 * np.sum((x - volume) ** 2) + both.value(single).sum()

    assert found.min() >= -0.5
    bounds = [(-0.5, None)] * volume.size
    best = min(
        minimize(objective, start.ravel(), bounds=bounds, method="Powell", options={"maxiter": 60}).fun
        for start in (found, np.maximum(reference, -0.5))
    )
    # values are worked out in float32
    assert objective(found) <= best + 1e-4


def test_closed_form_of_a_stack():
    volume = np.arange(8, dtype=np.float32).reshape(2, 2, 2)
    stack = Stacked((Tikhonov(1.0), Unpenalised()), (Bounds(), Bounds(upper=5.0)))
    np.testing.assert_array_equal(stack.proximal(Bounds())(volume, 1.0)[0], volume[0] / 2)
    np.testing.assert_array_equal(stack.proximal(Bounds())(volume, 1.0)[1], np.minimum(volume[1], 5))
    assert stack.value(volume).sum() == pytest.approx(0.5 * np.sum(volume[0] ** 2))


SMALL = operator_in(2)
DATA = np.zeros(SMALL.range_shape, np.float32)
FLAT = TotalVariation(1e-3)


@pytest.mark.parametrize(
    ("call", "named"),
    [
        (lambda: next(piccs_iterates(SMALL, DATA, np.zeros((1, 2, 3)), penalty=FLAT)), "prior"),
        (lambda: next(piccs_iterates(SMALL, DATA, DATA, penalty=FLAT, prior_share=1.2)), "prior_share"),
        (
            lambda: next(joint_iterates([StateViews(SMALL, DATA)], penalty=FLAT, change_penalty=FLAT)),
            "operators",
        ),
        (lambda: Difference(FLAT, DATA).proximal(Bounds(lower=0.0)), "bounds"),
        (lambda: Stacked((FLAT, FLAT), (Bounds(),)), "bounds"),
        (lambda: joint_operator(SMALL, operator_in(2).subset([0, 1, 0]), SMALL).subset([3, 0]), "rising"),
        (lambda: joint_operator(SMALL, SMALL).subset([0, 1]), "without any"),
    ],
)
def test_wrong_arguments_are_named(call, named):
    with pytest.raises(InputError, match=named):
        call()
