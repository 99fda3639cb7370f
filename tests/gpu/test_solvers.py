"""Iterative and regularised reconstruction: arrays stay on the device and the iterates are the CPU's."""

import numpy as np
import pytest

from deltamu.recon.solvers.iterative import cgls, fista, mlem, os_sart, pdhg, sirt
from deltamu.recon.solvers.operators import dot_product_error, operator
from deltamu.recon.solvers.penalties import Tikhonov, TotalVariation

ANGLES = np.linspace(0, np.pi, 11, endpoint=False)
OPTIONS = {"center": 6.7, "pixel_size_mm": 0.1, "iterations": 3}


def scan():
    rng = np.random.default_rng(1)
    A = operator(ANGLES, columns=14, rows=3, center=6.7, pixel_size_mm=0.1)
    volume = rng.random(A.domain_shape, np.float32)
    return A(volume), volume, rng.uniform(0.5, 2, (len(ANGLES), 3, 14)).astype(np.float32)


CASES = {
    "sirt": (sirt, {"lower": 0.0}),
    "os_sart": (os_sart, {"subsets": 3}),
    "cgls": (cgls, {"tikhonov": 1e-4}),
    "mlem": (mlem, {"subsets": 2}),
    "fista": (fista, {}),
    "fista, planar total variation": (fista, {"penalty": TotalVariation(1e-4, planar=True), "lower": 0.0}),
    "fista, total variation": (fista, {"penalty": TotalVariation(1e-4, threshold=0.01)}),
    "fista, Tikhonov": (fista, {"penalty": Tikhonov(1e-3)}),
    "pdhg": (pdhg, {"penalty": TotalVariation(1e-4)}),
}


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("name", CASES)
def test_same_iterate_as_on_the_cpu(device, agree, name, weighted):
    solve, options = CASES[name]
    views, _, weights = scan()
    given = {"weights": weights} if weighted else {}
    expected = solve(views, ANGLES, **options, **given, **OPTIONS)
    on_device = {key: device.asarray(value) for key, value in given.items()}
    found = solve(device.asarray(views), ANGLES, **options, **on_device, **OPTIONS)
    # three iterations of float32 sums in another order
    agree(found, expected, 1e-5)


def test_support_start_and_reference_live_there_too(device, agree):
    views, volume, _ = scan()
    inside = np.hypot(*np.indices((14, 14)) - 6.5) < 6
    options = {"support": inside, "start": volume, "tikhonov": 1e-3, "reference": volume}
    on_device = {key: v if key == "tikhonov" else device.asarray(v) for key, v in options.items()}
    expected = cgls(views * 1.1, ANGLES, **options, **OPTIONS)
    agree(cgls(device.asarray(views * np.float32(1.1)), ANGLES, **on_device, **OPTIONS), expected, 1e-5)


def test_stopping_looks_at_what_is_on_the_device(device, agree):
    views, _, _ = scan()
    stop = {"relative_change": 0.05, "discrepancy": 1e-3}
    options = OPTIONS | {"iterations": 60}
    expected, done = cgls(views, ANGLES, **stop, **options), []
    found = cgls(device.asarray(views), ANGLES, **stop, **options, progress=lambda *p: done.append(p))
    agree(found, expected, 1e-4)
    assert len(done) < 60


def test_the_operator_itself_needs_no_device(device):
    A = operator(ANGLES, columns=14, rows=3, center=6.7, pixel_size_mm=0.1)
    assert dot_product_error(A, np.random.default_rng(0)) < 1e-6
    assert type(A(device.zeros(A.domain_shape, np.float32))) is device.ndarray
