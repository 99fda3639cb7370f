"""Numbers as they stand in a paper: as many digits as the uncertainty allows, a true minus, never "nan"."""

import math
from collections.abc import Mapping
from typing import Any

MISSING = "–"
THIN_SPACE = "\u2009"


def finite(value: Any) -> float | None:
    """Return a finite number as float, anything else (None, NaN, text, bool) as None."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return float(value)


def number(value: Any, *, digits: int = 3, signed: bool = False) -> str:
    """Write a number with significant digits; a dash where there is none."""
    found = finite(value)
    if found is None:
        return MISSING
    if found == 0:
        return "0"
    if not 1e-4 <= abs(found) < 1e6:
        return _with_exponent(found, digits=digits, signed=signed)
    decimals = max(0, digits - 1 - _exponent(found, digits))
    return _fixed(found, decimals, signed=signed)


def fixed(value: Any, decimals: int, *, signed: bool = False) -> str:
    """Write a number with a fixed count of decimals; a dash where there is none."""
    found = finite(value)
    return MISSING if found is None else _fixed(found, decimals, signed=signed)


def uncertain(value: Any, error: Any, *, signed: bool = False) -> str:
    """Write a value and its standard error to the same decimal place.

    The error keeps two significant digits, so that a reader can go on calculating with both.
    """
    found, spread = finite(value), finite(error)
    if found is None:
        return MISSING
    if spread is None or spread <= 0:
        return number(found, signed=signed)
    decimals = 1 - _exponent(spread, 2)
    if decimals < 0:
        scale = 10.0**-decimals
        found, spread, decimals = round(found / scale) * scale, round(spread / scale) * scale, 0
    if decimals > 6:
        return f"{_with_exponent(found, digits=3, signed=signed)} ± {_with_exponent(spread, digits=2)}"
    return f"{_fixed(found, decimals, signed=signed)} ± {_fixed(spread, decimals)}"


def percent(fraction: Any, *, digits: int = 2) -> str:
    """Write a fraction in percent."""
    found = finite(fraction)
    if found is None:
        return MISSING
    return f"{number(100 * found, digits=digits)}{THIN_SPACE}%"


def duration(seconds: Any) -> str:
    """Write seconds as a person would say them."""
    found = finite(seconds)
    if found is None:
        return MISSING
    if found < 60:
        return f"{number(found, digits=2)} s"
    minutes, rest = divmod(round(found), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"


def size(byte_count: Any) -> str:
    """Write a number of bytes in GiB or MiB."""
    found = finite(byte_count)
    if found is None:
        return MISSING
    return f"{found / 2**30:.2f} GiB" if found >= 2**30 else f"{found / 2**20:.0f} MiB"


def _exponent(value: float, digits: int) -> int:
    """Decimal exponent after rounding to `digits` significant digits."""
    return int(f"{abs(value):.{digits - 1}e}".split("e")[1])


def _fixed(value: float, decimals: int, *, signed: bool = False) -> str:
    rounded = round(value, decimals) + 0.0
    text = f"{rounded:+.{decimals}f}" if signed and rounded != 0 else f"{rounded:.{decimals}f}"
    return text.replace("-", "−")


def _with_exponent(value: float, *, digits: int, signed: bool = False) -> str:
    mantissa, exponent = f"{value:+.{digits - 1}e}".split("e")
    power = str(int(exponent)).replace("-", "⁻").translate(str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹"))
    return f"{mantissa if signed else mantissa.lstrip('+')} × 10{power}".replace("-", "−")


def scaled(table: Mapping[str, Any], key: str, error_key: str, factor: float, *, signed: bool = False) -> str:
    """Write a value of a table with its standard error, both in another unit."""
    return uncertain(times(factor, table.get(key)), times(factor, table.get(error_key)), signed=signed)


def times(factor: float, value: Any) -> float | None:
    """Write a value in another unit; None where there is none."""
    found = finite(value)
    return None if found is None else factor * found


def word(value: Any) -> str:
    """Write a count, a word or yes and no."""
    if value is None:
        return MISSING
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:,}".replace(",", "\u2009") if isinstance(value, int) else str(value)
