"""What the error of an imaged charge is made of, line by line."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from deltamu.recon.errors import InputError


@dataclass(frozen=True)
class BudgetLine:
    """One source of error.

    Attributes
    ----------
    name : str
    error_mAh : float or None
        Standard error it adds; None where nothing is known of it.
    note : str
        How it was found, or why it was not.
    """

    name: str
    error_mAh: float | None
    note: str

    def __post_init__(self) -> None:
        if self.error_mAh is not None and not (np.isfinite(self.error_mAh) and self.error_mAh >= 0):
            raise InputError(
                f"budget: {self.name}: found {self.error_mAh} mAh, expected an error of at least 0"
            )


@dataclass(frozen=True)
class ChargeBudget:
    """All sources of error of one charge.

    Attributes
    ----------
    lines : tuple of BudgetLine
    total_mAh : float
        Known lines added in quadrature, as independent.
    unknown : tuple of str
        Names of the lines without a number: the total does not hold them.
    """

    lines: tuple[BudgetLine, ...]
    total_mAh: float
    unknown: tuple[str, ...]


def charge_budget(lines: Sequence[BudgetLine]) -> ChargeBudget:
    """Add the known lines in quadrature and name the unknown ones.

    Raises
    ------
    InputError
        If there are no lines or one stands twice.
    """
    names = [line.name for line in lines]
    if not names or len(set(names)) != len(names):
        raise InputError(f"budget: found the lines {', '.join(names) or 'none'}; expected each source once")
    known = [line.error_mAh for line in lines if line.error_mAh is not None]
    return ChargeBudget(
        tuple(lines),
        float(np.sqrt(np.sum(np.square(known)))),
        tuple(line.name for line in lines if line.error_mAh is None),
    )
