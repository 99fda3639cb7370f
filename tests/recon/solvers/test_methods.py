"""Methods by name: every one reconstructs, refuses what it would ignore, and knows noise in one unit."""

import numpy as np
import pytest

from deltamu.recon.errors import Cancelled, InputError
from deltamu.recon.simulate.ellipses import Ellipse, line_integrals
from deltamu.recon.solvers.engines import ENGINE_OPTIONS
from deltamu.recon.solvers.method import ITERATIONS, METHODS, Method
from deltamu.recon.solvers.methods import method_cost, projections_taken, reconstruct

COLUMNS, PIXEL_MM, MU, CENTER = 48, 0.1, 2.5, 24.2
ANGLES = np.arange(60) * np.pi / 60
PLACE = {"center": CENTER, "pixel_size_mm": PIXEL_MM}


def disc_views(rows=1, angles=ANGLES):
    disc = [Ellipse(MU * PIXEL_MM / 10, 17, 17, 2, -3)]
    one = line_integrals(disc, angles, columns=COLUMNS, center=CENTER)
    return np.repeat(one[:, None], rows, axis=1).astype(np.float32)


def inside():
    place = np.arange(COLUMNS) - (COLUMNS - 1) / 2
    return np.hypot(place[None] - 2, place[:, None] + 3) < 13


@pytest.mark.parametrize("name", METHODS)
def test_every_method_gives_attenuation(name):
    volume = reconstruct(disc_views(), ANGLES, Method(name), **PLACE, noise=1e-3)
    assert volume.shape == (1, COLUMNS, COLUMNS)
    # 10 passes of ordered subsets leave 0.5 %
    assert volume[0][inside()].mean() == pytest.approx(MU, rel=1e-2)


@pytest.mark.parametrize("name", [name for name in METHODS if name != "fbp"])
def test_a_ray_without_weight_says_nothing(name):
    views = disc_views()
    bad = np.random.default_rng(0).random(views.shape) < 0.03
    spoilt = np.where(bad, np.float32(9), views)
    weights = np.where(bad, 0, 1).astype(np.float32)
    clean, heard = (
        reconstruct(spoilt, ANGLES, Method(name), **PLACE, noise=1e-3, weights=w)[0][inside()]
        for w in (weights, None)
    )
    assert clean.mean() == pytest.approx(MU, rel=2e-2)
    assert np.std(clean) < 0.2 * np.std(heard)


def test_strength_means_the_same_at_any_dose_and_number_of_views():
    """Noise twice as high with four times the views leaves the same image, so the same strength suits it."""
    spreads = []
    for views, noise in ((60, 0.02), (240, 0.04)):
        angles = np.arange(views) * np.pi / views
        rng = np.random.default_rng(views)
        data = disc_views(8, angles)
        data += noise * rng.standard_normal(data.shape, np.float32)
        volume = reconstruct(data, angles, Method("fista-tv", strength=0.5), **PLACE, noise=noise)
        spreads.append(np.std(volume[:, inside()]))
        noisy = reconstruct(data, angles, Method("fbp"), **PLACE)
        assert spreads[-1] < 0.4 * np.std(noisy[:, inside()])
    assert spreads[0] == pytest.approx(spreads[1], rel=0.15)


def test_discrepancy_stops_where_noise_begins():
    noise, taken = 0.05, []
    data = disc_views()
    data += noise * np.random.default_rng(0).standard_normal(data.shape, np.float32)
    reconstruct(
        data, ANGLES, Method("sirt", iterations=200, discrepancy=1.0), **PLACE, noise=noise,
        progress=lambda done, most: taken.append(done),
    )  # fmt: skip
    assert 3 < taken[-1] < 100


def test_three_dimensions_see_their_neighbours():
    data = disc_views(3)
    data[:, 1] += 0.05 * np.random.default_rng(0).standard_normal(data[:, 1].shape, np.float32)
    planar, deep = (
        reconstruct(data, ANGLES, Method("fista-tv", strength=0.2, dimensions=d), **PLACE, noise=0.05)[1][
            inside()
        ]
        for d in (2, 3)
    )
    assert np.std(deep) < 0.7 * np.std(planar)
    assert Method("fista-tv", dimensions=3).halo > 0
    assert Method("fista-tv").halo == 0


@pytest.mark.parametrize("name", ENGINE_OPTIONS["astra"])
def test_another_program_reconstructs_the_same(name):
    pytest.importorskip("astra")
    options = {} if name == "fbp" else {"iterations": 15}
    rows = []
    ours, theirs = (
        reconstruct(
            disc_views(2), ANGLES, Method(name, engine=engine, **options), **PLACE,
            progress=lambda done, most: rows.append((done, most)),
        )
        for engine in ("deltamu", "astra")
    )  # fmt: skip
    assert theirs[:, inside()].mean() == pytest.approx(ours[:, inside()].mean(), rel=3e-3)
    assert rows[-1] == (2, 2)


def test_the_noise_is_known_of_our_own_filtered_back_projection_only():
    assert Method().noise_is_known
    assert not Method("sirt").noise_is_known
    assert not Method("fbp", engine="astra").noise_is_known
    assert Method("sirt", engine="astra").title == "sirt by astra"


@pytest.mark.parametrize("name", ["os-sart", "osem"])
def test_every_subset_holds_a_volume(name):
    few, many = (method_cost(Method(name, subsets=count), 100, 64).bytes_per_slice for count in (2, 7))
    assert many - few == 5 * 4 * 64 * 64


@pytest.mark.parametrize(("engine", "name"), [("astra", "sirt"), ("tomopy", "fbp")])
def test_other_programs_hold_the_same_for_any_number_of_rows(engine, name):
    method = Method(name, engine=engine)
    cost = method_cost(method, 100, 64)
    assert cost.total(1) == cost.total(100) > 0
    assert projections_taken(method) > projections_taken(Method(name))


def test_progress_may_cancel():
    def stop(done, most):
        assert most == ITERATIONS["sirt"]
        raise Cancelled("stopped")

    with pytest.raises(Cancelled):
        reconstruct(disc_views(), ANGLES, Method("sirt"), **PLACE, progress=stop)


@pytest.mark.parametrize("name", METHODS)
def test_costs_grow_with_the_rows(name):
    cost = method_cost(Method(name), 100, 64)
    assert cost.bytes_per_slice >= 4 * 64 * 64 * (name != "fbp")
    assert cost.total(20) >= cost.total(10) > 0


@pytest.mark.parametrize(
    ("make", "named"),
    [
        (lambda: Method("sirtt"), "fista-tv"),
        (lambda: Method("fbp", iterations=3), "iterations: the method fbp has none"),
        (lambda: Method("sirt", strength=1.0), "fista-tv, pdhg-tv"),
        (lambda: Method("cgls", lower=0.0), "lower"),
        (lambda: Method("fista-tv", dimensions=4), "dimensions"),
        (
            lambda: Method("fbp", engine="astro"),
            "engine: found 'astro', expected one of deltamu, astra, tomopy",
        ),
        (lambda: Method("fista-tv", engine="astra"), "engine: astra has no method fista-tv"),
        (lambda: Method("sirt", engine="astra", discrepancy=1.0), "discrepancy: the method sirt of astra"),
        (lambda: Method("sirt", engine="tomopy", lower=0.0), "lower"),
        (lambda: Method("fbp", engine="astra", padding="edge"), "padding"),
        (lambda: reconstruct(disc_views(), ANGLES, Method("fista-tv"), **PLACE), "noise"),
        (lambda: reconstruct(disc_views(), ANGLES, Method("sirt", discrepancy=1.0), **PLACE), "noise"),
        (lambda: reconstruct(disc_views(), ANGLES, Method("osem", subsets=99), **PLACE), "subsets"),
    ],
)
def test_wrong_options_are_named(make, named):
    with pytest.raises(InputError, match=named):
        make()
