"""PICCS and joint reconstruction of whole scans: registered, weighted, straight onto the grid of the reference."""

import numpy as np
import pytest

from deltamu.recon.errors import Cancelled, InputError
from deltamu.recon.geometry import RigidTransform
from deltamu.recon.scan_geometry import middle_of, parallel_geometry
from deltamu.recon.simulate.body_rays import Cylinder, ray_integrals, voxel_means
from deltamu.recon.solvers.iterative import fista
from deltamu.recon.solvers.onto import fbp_onto
from deltamu.recon.solvers.penalties import TotalVariation, pull_of_noise
from deltamu.recon.solvers.prior_scans import RegisteredViews, joint, piccs

SHAPE, VOXEL, CENTER, NOISE = (8, 32, 32), 0.1, 15.2, 0.004
MIDDLE = middle_of(SHAPE, VOXEL)
MOVED = RigidTransform((-2.3, -0.4, 0.3), (0.03, -0.06, 0.04), MIDDLE)
BODY = [
    Cylinder(2.0, 1.2, -1.0, 2.0, x=MIDDLE[2], y=MIDDLE[1]),
    Cylinder(-1.0, 0.2, -1.0, 2.0, x=MIDDLE[2] + 0.5, y=MIDDLE[1]),
]
CHANGE = [Cylinder(1.0, 0.5, 0.15, 0.55, x=MIDDLE[2] - 0.2, y=MIDDLE[1] + 0.3)]
REGION = (slice(6, 28), slice(4, 26))


def scan(bodies, views, pose=None, seed=0):
    """Exact line integrals over the area of every pixel, with noise, as the detector sees the moved bodies."""
    transform = RigidTransform() if pose is None else pose
    angles = (np.arange(views) + 0.25) * np.pi / views
    own = parallel_geometry(
        angles, detector_shape=SHAPE[:2], center=CENTER, pixel_size_mm=VOXEL, middle_mm=MIDDLE
    )
    exact = ray_integrals(bodies, own.of_moved_volume(transform), samples=4)
    noisy = exact + NOISE * np.random.default_rng(seed).standard_normal(exact.shape, np.float32)
    return RegisteredViews(noisy, angles, CENTER, NOISE, transform)


PRISTINE, DISCHARGED = scan(BODY, 12), scan(BODY + CHANGE, 12, MOVED, seed=1)


@pytest.fixture(scope="module")
def truth():
    return voxel_means(CHANGE, SHAPE, voxel_size_mm=VOXEL)


@pytest.fixture(scope="module")
def prior():
    full = scan(BODY, 96)
    pull = pull_of_noise(NOISE, voxel_size_mm=VOXEL, views=96)
    return fista(
        full.line_integrals,
        full.angles,
        center=CENTER,
        pixel_size_mm=VOXEL,
        penalty=TotalVariation(0.5 * pull),
        lower=0.0,
    )


@pytest.fixture(scope="module")
def difference():
    """What filtered back-projection of 12 views shows of the change."""
    place = {"center": CENTER, "pixel_size_mm": VOXEL, "filter": "hann"}
    return np.subtract(*(
        fbp_onto(s.line_integrals, s.angles, s.transform, reference_shape=SHAPE, **place)
        for s in (DISCHARGED, PRISTINE)
    ))  # fmt: skip


def error(change, truth):
    """In the region, and in the slices whose rays do not leave the others; corners are seen by few rays."""
    return float(np.sqrt(np.mean((change - truth)[(slice(1, -1), *REGION)] ** 2)))


@pytest.mark.parametrize("region", [(slice(None), slice(None)), REGION])
def test_piccs_finds_the_change(region, truth, prior, difference):
    found = piccs(DISCHARGED, prior, pixel_size_mm=VOXEL, region=region, lower=0.0) - prior
    assert error(found, truth) < 0.5 * error(difference, truth)
    assert found[truth > 0.99].mean() == pytest.approx(1.0, abs=0.05)
    outside = np.ones(SHAPE[1:], bool)
    outside[region] = False
    assert np.all(found[:, outside] == 0)


def test_joint_finds_the_change(truth, difference):
    reference, change = joint([PRISTINE, DISCHARGED], pixel_size_mm=VOXEL, region=REGION, lower=0.0)
    assert error(change, truth) < 0.5 * error(difference, truth)
    assert change[truth > 0.99].mean() == pytest.approx(1.0, abs=0.05)
    assert error(reference, voxel_means(BODY, SHAPE, voxel_size_mm=VOXEL)) < 0.15


def test_some_rows_are_as_all_of_them(truth, prior):
    """Rows keep their place; what a slab misses at its ends is left out, not put into it."""
    rows = slice(2, 7)
    part = RegisteredViews(DISCHARGED.line_integrals[:, rows], DISCHARGED.angles, CENTER, NOISE, MOVED)
    found = piccs(part, prior[rows], pixel_size_mm=VOXEL, first_row=2, region=REGION) - prior[rows]
    whole = piccs(DISCHARGED, prior, pixel_size_mm=VOXEL, region=REGION)[rows] - prior[rows]
    # the change is 1; slices of the slab that all rows of it see agree within their noise
    assert np.sqrt(np.mean((found - whole)[1:-1] ** 2)) < 0.05


def test_progress_may_cancel(prior):
    def stop(done, most):
        assert (done, most) == (1, 9)
        raise Cancelled("stopped")

    with pytest.raises(Cancelled):
        piccs(DISCHARGED, prior, pixel_size_mm=VOXEL, iterations=9, progress=stop)


@pytest.mark.parametrize(
    ("call", "named"),
    [
        (lambda: piccs(PRISTINE, np.zeros((1, 2, 3)), pixel_size_mm=VOXEL), "prior"),
        (lambda: piccs(PRISTINE, np.full(SHAPE, np.nan), pixel_size_mm=VOXEL), "prior"),
        (lambda: piccs(PRISTINE, np.zeros(SHAPE), pixel_size_mm=VOXEL, region=(slice(4, 2),) * 2), "region"),
        (lambda: piccs(PRISTINE, np.zeros(SHAPE), pixel_size_mm=VOXEL, iterations=0), "iterations"),
        (lambda: joint([PRISTINE], pixel_size_mm=VOXEL), "states"),
        (lambda: RegisteredViews(PRISTINE.line_integrals, PRISTINE.angles, CENTER, 0.0), "noise"),
    ],
)  # fmt: skip
def test_wrong_arguments_are_named(call, named):
    with pytest.raises(InputError, match=named):
        call()
