"""How numbers are written."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deltamu.recon.report.numbers import (
    MISSING,
    duration,
    fixed,
    number,
    percent,
    size,
    uncertain,
)


@pytest.mark.parametrize(
    ("value", "error", "text"),
    [
        (0.945413, 0.003112, "0.9454 ± 0.0031"),
        (-0.599, 0.0999, "−0.60 ± 0.10"),  # the error rounds up to the next power of ten
        (171.85, 0.64, "171.85 ± 0.64"),
        (12346.0, 678.0, "12350 ± 680"),
        (4.6058, 0.0, "4.61"),
        (4.6058, None, "4.61"),
        (1.7185e-9, 2.0e-11, "1.72 × 10⁻⁹ ± 2.0 × 10⁻¹¹"),
        (None, 0.1, MISSING),
        (math.nan, 0.1, MISSING),
        (-0.00004, 0.01, "0.000 ± 0.010"),
    ],
)
def test_value_and_error_end_at_the_same_place(value: object, error: object, text: str) -> None:
    assert uncertain(value, error) == text


@given(st.floats(-1e5, 1e5), st.floats(1e-4, 1e3))
@settings(max_examples=60)
def test_rounding_stays_within_a_tenth_of_the_error(value: float, error: float) -> None:
    shown, spread = uncertain(value, error).replace("−", "-").split(" ± ")
    # two significant digits: the last place is at most a tenth of the error, rounding at most half of that
    assert abs(float(shown) - value) <= 0.051 * error * 1.06
    assert float(spread) == pytest.approx(error, rel=0.051)


def test_sign_and_minus() -> None:
    assert uncertain(0.5, 0.01, signed=True) == "+0.500 ± 0.010"
    assert number(-3.2) == "−3.20"
    assert number(0.0, signed=True) == "0"


def test_nothing_is_called_nan() -> None:
    for write in (number, percent, duration, size, lambda v: fixed(v, 2)):
        for value in (math.nan, None, math.inf, "text", True):
            assert write(value) == MISSING


def test_words_for_sizes() -> None:
    assert duration(12.34) == "12 s"
    assert duration(3725) == "1 h 2 min"
    assert duration(95) == "1 min 35 s"
    assert size(3 * 2**30) == "3.00 GiB"
    assert size(5 * 2**20) == "5 MiB"
