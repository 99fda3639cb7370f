"""ASTRA behind our signatures: the same slice in the same place and unit as ours, wherever the axis is."""

import sys

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from deltamu.recon.errors import InputError, ResourceError
from deltamu.recon.simulate.ellipses import Ellipse, line_integrals
from deltamu.recon.solvers.engine_astra import cgls_by_astra, fbp_by_astra, sirt_by_astra
from deltamu.recon.solvers.fbp import fbp
from deltamu.recon.solvers.iterative import cgls, sirt

COLUMNS, PIXEL_MM = 72, 0.05
# the second row holds another object, so that rows which are swapped show
OBJECTS = (
    [Ellipse(0.02, 24, 19, 2, -1, 25), Ellipse(0.02, 6, 4, 10, 5, -40)],
    [Ellipse(0.015, 20, 22, -3, 2, 10), Ellipse(-0.01, 5, 3, 4, -9, 30)],
)


def views_of(angles, center):
    rows = [line_integrals(parts, angles, columns=COLUMNS, center=center) for parts in OBJECTS]
    return np.stack(rows, axis=1).astype(np.float32)


def half_turn(views):
    return np.arange(views) * np.pi / views


def inside(side=COLUMNS, radius=30):
    place = np.arange(side) - (side - 1) / 2
    return np.hypot(place[None], place[:, None]) < radius


@pytest.mark.parametrize("center", [35.5, 33.3, 38.9])
@pytest.mark.parametrize("size", [None, 81])
def test_sirt_is_ours(center, size):
    pytest.importorskip("astra")
    angles = half_turn(45)
    options = {
        "center": center, "pixel_size_mm": PIXEL_MM, "iterations": 10, "size": size, "relaxation": 0.8,
        "lower": 0.0, "upper": 5.0,
    }  # fmt: skip
    views = views_of(angles, center)
    ours, theirs = sirt(views, angles, **options), sirt_by_astra(views, angles, **options)
    # the same algorithm with the same rays: what is left is rounding
    assert np.abs(ours - theirs).max() < 1e-4 * np.abs(ours).max()
    assert theirs.shape == ours.shape
    assert theirs.dtype == np.float32
    # the upper bound, in cm⁻¹, holds something back
    assert theirs.max() == pytest.approx(5.0, rel=1e-5)


def test_cgls_is_ours():
    pytest.importorskip("astra")
    angles = half_turn(45)
    views = views_of(angles, 33.3)
    options = {"center": 33.3, "pixel_size_mm": PIXEL_MM, "iterations": 4, "size": 75}
    ours, theirs = cgls(views, angles, **options), cgls_by_astra(views, angles, **options)
    # the same directions in exact arithmetic; with float32 they part after some six steps
    assert np.abs(ours - theirs).max() < 1e-4 * np.abs(ours).max()


@pytest.mark.parametrize(
    ("function", "name"), [(fbp_by_astra, "BP"), (sirt_by_astra, "SIRT"), (cgls_by_astra, "CGLS")]
)
@pytest.mark.parametrize(
    ("device", "has_cuda", "taken"),
    [("auto", True, "_CUDA"), ("gpu", True, "_CUDA"), ("cpu", True, ""), ("auto", False, "")],
)
def test_cuda_is_taken_where_it_is(monkeypatch, function, name, device, has_cuda, taken):
    astra = pytest.importorskip("astra")
    asked = []

    def on_the_cpu(kind, *options):
        asked.append(kind.removeprefix("linear"))
        return create(*("linear" if kind == "cuda" else kind, *options))

    create, settings = astra.create_projector, astra.astra_dict
    monkeypatch.setattr(astra, "use_cuda", lambda: has_cuda)
    monkeypatch.setattr(astra, "create_projector", on_the_cpu)
    monkeypatch.setattr(
        astra, "astra_dict", lambda kind: asked.append(kind) or settings(kind.removesuffix("_CUDA"))
    )
    angles = half_turn(6)
    function(views_of(angles, 35.5), angles, center=35.5, pixel_size_mm=PIXEL_MM, device=device)
    assert asked == ["cuda" if taken else "", name + taken, name + taken]


def test_a_gpu_that_is_not_there_is_named(monkeypatch):
    astra = pytest.importorskip("astra")
    monkeypatch.setattr(astra, "use_cuda", lambda: False)
    views = views_of(half_turn(6), 35.5)
    with pytest.raises(ResourceError, match="CUDA"):
        sirt_by_astra(views, half_turn(6), center=35.5, pixel_size_mm=PIXEL_MM, device="gpu")
    with pytest.raises(InputError, match="device"):
        sirt_by_astra(views, half_turn(6), center=35.5, pixel_size_mm=PIXEL_MM, device="tpu")


@pytest.mark.parametrize("center", [35.5, 33.3])
@pytest.mark.parametrize(("filter", "cutoff"), [("ram-lak", 1.0), ("hann", 0.7)])
@pytest.mark.parametrize("turn", [1, 2])
def test_fbp_is_ours_at_scales_that_both_resolve(center, filter, cutoff, turn):
    pytest.importorskip("astra")
    angles = half_turn(113) if turn == 1 else 2 * half_turn(225)
    views = views_of(angles, center)
    options = {"center": center, "pixel_size_mm": PIXEL_MM, "filter": filter, "cutoff": cutoff}
    ours, theirs = fbp(views, angles, **options), fbp_by_astra(views, angles, **options)
    # the two interpolate differently at the finest scale: compared after the same smoothing
    left, right = (gaussian_filter(volume, (0, 1.5, 1.5))[:, inside()] for volume in (ours, theirs))
    assert np.sqrt(np.mean((left - right) ** 2)) < 0.005 * np.ptp(left)
    assert right.mean() == pytest.approx(left.mean(), rel=2e-3)


def test_views_that_are_not_evenly_spaced_weigh_as_ours():
    pytest.importorskip("astra")
    angles = np.sort(np.concatenate([half_turn(113), half_turn(113)[:50] + np.pi / 240]))
    views = views_of(angles, 35.5)
    options = {"center": 35.5, "pixel_size_mm": PIXEL_MM, "filter": "hann"}
    ours, theirs = fbp(views, angles, **options), fbp_by_astra(views, angles, **options)
    left, right = (gaussian_filter(volume, (0, 1.5, 1.5))[:, inside()] for volume in (ours, theirs))
    assert np.sqrt(np.mean((left - right) ** 2)) < 0.005 * np.ptp(left)


@pytest.mark.parametrize("function", [fbp_by_astra, sirt_by_astra])
def test_inputs_are_left_alone_and_rows_counted(function):
    pytest.importorskip("astra")
    angles = half_turn(20)
    views = views_of(angles, 35.5)
    before, done = views.copy(), []
    function(
        views,
        angles,
        center=35.5,
        pixel_size_mm=PIXEL_MM,
        progress=lambda row, rows: done.append((row, rows)),
    )
    np.testing.assert_array_equal(views, before)
    assert done == [(1, 2), (2, 2)]


@pytest.mark.parametrize("function", [fbp_by_astra, sirt_by_astra])
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_values_that_are_not_finite_are_refused(function, bad):
    views = views_of(half_turn(6), 35.5)
    views[2, 1, 7] = bad
    with pytest.raises(InputError, match="not finite"):
        function(views, half_turn(6), center=35.5, pixel_size_mm=PIXEL_MM)


@pytest.mark.parametrize(
    ("option", "value"), [("iterations", 0), ("relaxation", 2.0), ("size", 0), ("lower", np.nan)]
)
def test_wrong_options_are_named(option, value):
    with pytest.raises(InputError, match=option):
        sirt_by_astra(
            views_of(half_turn(6), 35.5), half_turn(6), center=35.5, pixel_size_mm=PIXEL_MM, **{option: value}
        )


@pytest.mark.parametrize("function", [fbp_by_astra, sirt_by_astra])
def test_says_what_to_install(function, monkeypatch):
    monkeypatch.setitem(sys.modules, "astra", None)
    with pytest.raises(InputError, match=r"deltamu\[astra\]"):
        function(views_of(half_turn(6), 35.5), half_turn(6), center=35.5, pixel_size_mm=PIXEL_MM)
