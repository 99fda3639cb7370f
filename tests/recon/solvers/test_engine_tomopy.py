"""tomopy behind our signatures: the same slice in the same place and unit as ours.

tomopy is not on PyPI. Where it cannot be imported, a stand-in takes its place: it insists on tomopy's arguments, and
has its conventions and its faults of gridrec as they were found on a build of tomopy 1.15.
"""

import importlib.util
import sys
from types import SimpleNamespace

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from deltamu.recon.errors import InputError
from deltamu.recon.simulate.ellipses import Ellipse, line_integrals
from deltamu.recon.solvers.engine_tomopy import fbp_by_tomopy, mlem_by_tomopy, sirt_by_tomopy
from deltamu.recon.solvers.fbp import fbp
from deltamu.recon.solvers.filters import filter_response
from deltamu.recon.solvers.iterative import mlem, sirt

COLUMNS, PIXEL_MM = 64, 0.05
OBJECTS = (
    [Ellipse(0.02, 22, 18, 2, -1, 25), Ellipse(0.02, 6, 4, 10, 5, -40)],
    [Ellipse(0.015, 20, 21, -3, 2, 10), Ellipse(0.01, 5, 3, 4, -9, 30)],
)
FUNCTIONS = (fbp_by_tomopy, sirt_by_tomopy, mlem_by_tomopy)
GRIDREC_AMPLITUDE = 1.12


def views_of(angles, center):
    rows = [line_integrals(parts, angles, columns=COLUMNS, center=center) for parts in OBJECTS]
    return np.stack(rows, axis=1).astype(np.float32)


def half_turn(views):
    return np.arange(views) * np.pi / views


def close(ours, theirs):
    """RMS of the difference at scales that both resolve, as a part of what is there."""
    place = np.arange(ours.shape[-1]) - (ours.shape[-1] - 1) / 2
    inside = np.hypot(place[None], place[:, None]) < 27
    left, right = (gaussian_filter(volume, (0, 1.5, 1.5))[:, inside] for volume in (ours, theirs))
    return np.sqrt(np.mean((left - right) ** 2)) / np.ptp(left)


def standin_recon(
    tomo, theta, center, *, sinogram_order, algorithm, num_gridx, num_gridy, ncore, init_recon=None, **options
):
    """`tomopy.recon` out of our own functions."""
    assert sinogram_order is False
    assert ncore >= 1
    assert num_gridx == num_gridy
    assert tomo.dtype == np.float32
    place = {"center": center, "pixel_size_mm": 10.0, "size": num_gridx}
    if algorithm == "gridrec":
        assert set(options) == {"filter_name", "filter_par"}
        return standin_gridrec(tomo, theta, options["filter_name"], options["filter_par"], **place)[:, ::-1]
    assert set(options) == {"num_iter"}
    assert init_recon.shape == (tomo.shape[1], num_gridx, num_gridx)
    assert np.all(init_recon == {"sirt": 0, "mlem": 1}[algorithm])
    place["center"] -= 0.5
    return {"sirt": sirt, "mlem": mlem}[algorithm](tomo, theta, iterations=options["num_iter"], **place)[
        :, ::-1
    ]


def standin_gridrec(views, theta, name, numbers, *, center, size, **place):
    """Half a voxel (a whole one in odd images) beside the middle, without the zero frequency, too strong."""
    wide = views.shape[2]
    assert wide & (wide - 1) == 0
    assert name == "custom"
    assert numbers.shape == (wide // 2,)
    beside = 0.5 if size % 2 == 0 else 1.0
    centers = center - beside * (np.cos(theta) + np.sin(theta))
    weights = np.full(theta.size, np.pi / theta.size)
    options = {"center": centers, "size": size, "weights": weights, **place}
    kind = next(
        (kind, cutoff)
        for kind, cutoff in (("ram-lak", 1.0), ("hann", 0.7))
        if np.allclose(numbers, 2 * filter_response(kind, wide, cutoff=cutoff)[:-1], atol=1e-6)
    )
    found = fbp(views, theta, filter=kind[0], cutoff=kind[1], **options)
    missing = views.sum(axis=2).mean(axis=0) * np.pi / wide * filter_response(*kind[:1], wide)[0]
    return GRIDREC_AMPLITUDE * (found - missing[:, None, None])


@pytest.fixture(autouse=True)
def tomopy(monkeypatch):
    if importlib.util.find_spec("tomopy") is None:
        monkeypatch.setitem(sys.modules, "tomopy", SimpleNamespace(recon=standin_recon))


@pytest.mark.parametrize("center", [31.5, 29.3])
@pytest.mark.parametrize("size", [None, 73])
@pytest.mark.parametrize(("filter", "cutoff"), [("ram-lak", 1.0), ("hann", 0.7)])
def test_fbp_is_ours(center, size, filter, cutoff):
    angles = half_turn(113)
    views = views_of(angles, center)
    options = {
        "center": center, "pixel_size_mm": PIXEL_MM, "size": size, "filter": filter, "cutoff": cutoff,
    }  # fmt: skip
    ours, theirs = fbp(views, angles, **options), fbp_by_tomopy(views, angles, **options)
    assert theirs.dtype == np.float32
    assert theirs.shape == ours.shape
    # 0.06 % was measured with tomopy itself; a tenth of a pixel beside the place would be 0.5 %
    assert close(ours, theirs) < 2e-3


def test_views_that_are_not_evenly_spaced_weigh_as_ours():
    angles = np.sort(np.concatenate([half_turn(113), half_turn(113)[:50] + np.pi / 240]))
    views = views_of(angles, 31.5)
    options = {"center": 31.5, "pixel_size_mm": PIXEL_MM}
    assert close(fbp(views, angles, **options), fbp_by_tomopy(views, angles, **options)) < 2e-3


@pytest.mark.parametrize("center", [31.5, 29.3])
@pytest.mark.parametrize(
    ("ours", "theirs", "iterations"), [(sirt, sirt_by_tomopy, 60), (mlem, mlem_by_tomopy, 30)]
)
def test_iterations_come_to_the_same_place(center, ours, theirs, iterations):
    angles = half_turn(60)
    views = views_of(angles, center)
    options = {"center": center, "pixel_size_mm": PIXEL_MM, "iterations": iterations, "size": 66}
    # tomopy takes the lengths of rays in voxels where we interpolate: 0.1 % apart where both resolve
    assert close(ours(views, angles, **options), theirs(views, angles, **options)) < 4e-3


@pytest.mark.parametrize("function", FUNCTIONS)
def test_inputs_are_left_alone_and_rows_counted(function):
    angles = half_turn(9)
    views = np.repeat(views_of(angles, 31.5), 6, axis=1)
    before, done = views.copy(), []
    function(
        views,
        angles,
        center=31.5,
        pixel_size_mm=PIXEL_MM,
        progress=lambda row, rows: done.append((row, rows)),
    )
    np.testing.assert_array_equal(views, before)
    assert done == [(8, 12), (12, 12)]


@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_values_that_are_not_finite_are_refused(function, bad):
    views = views_of(half_turn(6), 31.5)
    views[2, 1, 7] = bad
    with pytest.raises(InputError, match="not finite"):
        function(views, half_turn(6), center=31.5, pixel_size_mm=PIXEL_MM)


@pytest.mark.parametrize("function", FUNCTIONS)
def test_says_what_to_install(function, monkeypatch):
    monkeypatch.setitem(sys.modules, "tomopy", None)
    with pytest.raises(InputError, match="conda install -c conda-forge tomopy"):
        function(views_of(half_turn(6), 31.5), half_turn(6), center=31.5, pixel_size_mm=PIXEL_MM)
