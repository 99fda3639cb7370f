"""Swelling leaves the areal integral alone; lithium does not."""

import pytest

from deltamu.recon.study.swelling import swelling_facts

SWOLLEN = {"pristine": (0.400, 0.001), "discharged": (0.440, 0.002)}


def test_pure_swelling_is_dilution() -> None:
    """T10: thickness times 1.1 and attenuation over 1.1: nothing per area has changed."""
    found = swelling_facts("discharged-pristine", SWOLLEN, areal_change=0.0, areal_attenuation=1.4 * 0.04)
    assert found["amount_ratio"] == pytest.approx(1.0)
    assert found["concentration_ratio"] == pytest.approx(1 / 1.1)
    assert found["thickness_change_um"] == pytest.approx(40.0)
    assert found["thickness_change_standard_error_um"] == pytest.approx(5**0.5)


def test_lithium_without_swelling_is_concentration() -> None:
    still = {"pristine": (0.4, 0.001), "discharged": (0.4, 0.001)}
    found = swelling_facts("discharged-pristine", still, areal_change=0.028, areal_attenuation=0.056)
    assert found["amount_ratio"] == found["concentration_ratio"] == pytest.approx(1.5)


def test_an_unknown_thickness_leaves_the_amount() -> None:
    found = swelling_facts(
        "discharged-pristine", {"pristine": None, "discharged": (0.4, 0.001)}, areal_change=0.028, areal_attenuation=0.056
    )  # fmt: skip
    assert found["amount_ratio"] == pytest.approx(1.5)
    assert found["concentration_ratio"] is None
    assert found["thickness_change_um"] is None
