"""Units of stored values and of lengths, as files and people write them."""

from deltamu.recon.errors import InputError

# what people write -> (the unit used here, factor to get there)
_VALUE_UNITS: dict[str, tuple[str, float]] = {
    "cm^-1": ("cm^-1", 1.0),
    "mm^-1": ("cm^-1", 10.0),
    "m^-1": ("cm^-1", 0.01),
    "um^-1": ("cm^-1", 1e4),
    "mm": ("mm", 1.0),
    "um": ("mm", 1e-3),
    "cm": ("mm", 10.0),
    "m": ("mm", 1e3),
    "1": ("1", 1.0),
    "mol/cm^3": ("mol/cm^3", 1.0),
    "mmol/cm^3": ("mol/cm^3", 1e-3),
}
_LENGTH_MM: dict[str, float] = {
    "nm": 1e-6,
    "nanometer": 1e-6,
    "um": 1e-3,
    "micron": 1e-3,
    "microns": 1e-3,
    "micrometer": 1e-3,
    "micrometre": 1e-3,
    "mm": 1.0,
    "millimeter": 1.0,
    "millimetre": 1.0,
    "cm": 10.0,
    "centimeter": 10.0,
    "inch": 25.4,
    "m": 1e3,
    "meter": 1e3,
    "metre": 1e3,
}
_VOXEL_WORDS = ("voxel", "pixel", "px", "vox")


def value_unit(text: str, voxel_size_mm: float) -> tuple[str, float]:
    """Find the unit used here for a unit as written, and the factor that converts values to it.

    Parameters
    ----------
    text : str
        "cm^-1", "1/mm", "m⁻¹", "1/pixel", "µm", "1", …
    voxel_size_mm : float
        Needed for "1/pixel" and "1/voxel".

    Raises
    ------
    InputError
        If the unit is not known.
    """
    plain = _plain(text)
    if plain in _VALUE_UNITS:
        return _VALUE_UNITS[plain]
    if any(plain == f"{word}^-1" for word in _VOXEL_WORDS):
        return "cm^-1", 10.0 / voxel_size_mm
    raise InputError(
        f"unit: found {text!r}, expected one of {', '.join(_VALUE_UNITS)}, pixel^-1 "
        "(1/cm, cm-1 and cm⁻¹ are understood as cm^-1)"
    )


def length_in_mm(text: str) -> float | None:
    """Return the length of a unit such as "micrometer" or "µm" in mm; None when it is not a known length."""
    return _LENGTH_MM.get(_plain(text))


def _plain(text: str) -> str:
    """Write 1/cm, cm-1, cm**-1, cm⁻¹ and 1 / cm alike: cm^-1."""
    plain = text.strip().lower().replace(" ", "").replace("⁻¹", "^-1").replace("**", "^")
    plain = plain.replace("µ", "u").replace("μ", "u").replace("³", "^3")
    if plain.startswith("1/"):
        plain = plain[2:] + "^-1"
    if plain.endswith("-1") and not plain.endswith("^-1"):
        plain = plain[:-2] + "^-1"
    return {"dimensionless": "1", "none": "1"}.get(plain, plain)
