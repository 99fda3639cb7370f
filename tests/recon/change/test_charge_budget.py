"""Lines of an error budget."""

import pytest

from deltamu.recon.change.charge_budget import BudgetLine, charge_budget
from deltamu.recon.errors import InputError


def test_known_lines_add_in_quadrature_and_unknown_ones_are_named() -> None:
    found = charge_budget(
        [BudgetLine("counting", 3.0, ""), BudgetLine("mask", 4.0, ""), BudgetLine("scatter", None, "")]
    )
    assert found.total_mAh == pytest.approx(5.0)
    assert found.unknown == ("scatter",)


def test_refusals() -> None:
    with pytest.raises(InputError, match="each source once"):
        charge_budget([BudgetLine("mask", 1.0, ""), BudgetLine("mask", 2.0, "")])
    with pytest.raises(InputError, match="expected each source once"):
        charge_budget([])
    with pytest.raises(InputError, match="counting: found -1"):
        BudgetLine("counting", -1.0, "")
    with pytest.raises(InputError, match="found nan"):
        BudgetLine("counting", float("nan"), "")
