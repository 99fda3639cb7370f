"""Charge of zones thinner than the blur, in profiles made by the model and drawn with counting noise."""

import numpy as np
import pytest

from deltamu.recon.operando.stack_geometry import StackGeometry
from deltamu.recon.operando.stack_model import FINE, StackModel
from deltamu.recon.operando.strips import Strips
from deltamu.recon.operando.zone_charge import zone_charges
from deltamu.recon.operando.zones import Zone, inert_rows

PIXEL = 0.0135
DEPTHS = np.array([1.5, 3.0, 2.6, 4.5, 1.4])


def geometry(strips: int = 6) -> StackGeometry:
    model = StackModel(np.array([20.2, 25.4, 60.7, 68.1]), 0.15, 1.0, 96)
    edges = np.linspace(-3, 3, strips + 1)
    return StackGeometry(
        ("steel", "cathode", "separator", "lithium", "pin"), model, Strips(edges, 200.0, PIXEL), np.zeros(strips),
        np.tile(DEPTHS, (strips, 1)), np.full(4, 0.01), 0.0, 0.0, 0.0, PIXEL,
    )  # fmt: skip


ZONES = (
    Zone("cathode", "cathode", "cathode"),
    Zone("plated", "plated", "separator", "lithium", 0.2),
    Zone("contact", "contact", "lithium"),
)


def changed(stack: StackGeometry, share: float) -> tuple[np.ndarray, dict[str, float]]:
    """Profile of a stack whose cathode lost and whose front of the anode gained lithium, and the true ∫ a dz in mm."""
    model, fine = stack.model, stack.model.fine_rows
    cathode = -0.8 * share * model.coverage[:, 1]
    plated = 0.5 * share * model.coverage[:, 2] * np.exp(-(60.7 - fine) / 4.0) * (fine > 60.7 - 0.2 / PIXEL)
    step = PIXEL / FINE
    profile = model.seen(model.sharp(DEPTHS) * np.exp(-cathode - plated))
    return profile, {"cathode": cathode.sum() * step, "plated": plated.sum() * step, "contact": 0.0}


def measured(stack: StackGeometry, profiles: np.ndarray, reference: np.ndarray, variance: float):
    many = np.repeat(profiles[:, None], stack.strips.count, axis=1) if profiles.ndim == 2 else profiles
    return zone_charges(
        many, variance * np.maximum(many, 1e-6), np.tile(reference, (stack.strips.count, 1)),
        np.full((stack.strips.count, reference.size), 1e-12), np.arange(float(len(many))), geometry=stack, zones=ZONES,
        charge_per_attenuation=430.0, groups={"anode": ("plated", "contact")},
    )  # fmt: skip


@pytest.mark.parametrize("share", [0.1, 0.5, 1.0])
def test_charge_comes_back_through_the_blur(share):
    stack = geometry()
    profile, true = changed(stack, share)
    reference = stack.model.transmission(DEPTHS)
    found = measured(stack, profile[None], reference, 1e-8)
    # ∫ a dz over 6 mm of width, at 430 mAh/cm³ per cm⁻¹
    for name, value in true.items():
        expected = 0.01 * 6.0 * 430.0 * value
        # hats of a pixel follow an exponential of four to half a percent of the larger charge
        assert found.mah[name][0] == pytest.approx(
            expected, abs=0.008 * 0.01 * 6 * 430 * abs(true["cathode"])
        )
    assert found.mah["anode"][0] == pytest.approx(found.mah["plated"][0] + found.mah["contact"][0], rel=1e-12)
    assert found.strips_mah["cathode"][0].sum() == pytest.approx(found.mah["cathode"][0], rel=1e-12)


def test_sigma_is_the_scatter_of_draws():
    stack, rng = geometry(), np.random.default_rng(5)
    profile, _ = changed(stack, 0.5)
    reference = stack.model.transmission(DEPTHS)
    counts = 4e5
    draws = rng.poisson(np.tile(profile, (200, stack.strips.count, 1)) * counts) / counts
    found = measured(stack, draws, reference, 1 / counts)
    for name in ("cathode", "plated", "anode"):
        # 200 draws give a standard deviation to 5 %
        assert np.std(found.mah[name]) == pytest.approx(found.sigma_mah[name].mean(), rel=0.2)


def test_zones_and_inert_rows():
    stack = geometry()
    first, last = ZONES[1].rows(stack)
    assert (first, last) == (pytest.approx(60.7 - 0.2 / PIXEL), pytest.approx(60.7))
    assert Zone("a", "a", "pin", "lithium", 0.1).rows(stack)[0] == pytest.approx(68.1)
    inert = inert_rows(stack, ZONES, margin_px=3.0)
    assert inert[:17].all()
    assert not inert[20:26].any()
    assert inert[72:].all()
