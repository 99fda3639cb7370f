"""Units that files state, as factors."""

from deltamu.recon.errors import InputError

_DEGREES = {"deg", "degs", "degree", "degrees", "°", "º"}
_RADIANS = {"rad", "rads", "radian", "radians"}
_MM = {
    "m": 1e3, "meter": 1e3, "metre": 1e3, "meters": 1e3, "metres": 1e3, "cm": 10.0, "mm": 1.0,
    "millimeter": 1.0, "millimetre": 1.0, "millimeters": 1.0, "um": 1e-3, "µm": 1e-3, "μm": 1e-3,
    "micron": 1e-3, "microns": 1e-3, "micrometer": 1e-3, "micrometre": 1e-3, "nm": 1e-6,
}  # fmt: skip


def angle_unit(text: str | None) -> str | None:
    """Return "deg" or "rad" for the unit of an angle, None where it says neither."""
    word = (text or "").strip().lower()
    if word in _DEGREES:
        return "deg"
    return "rad" if word in _RADIANS else None


def length_factor(text: str | None, where: str) -> float:
    """Return the factor that turns a length into mm.

    Raises
    ------
    InputError
        If the unit is not known.
    """
    word = (text or "").strip().lower()
    if word not in _MM:
        raise InputError(
            f"{where}: found the unit '{text}', expected m, mm, um or nm; state pixel_size_mm instead"
        )
    return _MM[word]
