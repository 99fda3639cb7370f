"""What is wrong with a settings file, and what was probably meant."""

import difflib
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from deltamu.recon.errors import InputError


def toml_content(path: Path) -> dict[str, Any]:
    """Read TOML, with the mark that some editors put in front of UTF-8."""
    try:
        return tomllib.loads(path.read_bytes().decode("utf-8-sig").replace("\r\n", "\n"))
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; `deltamu new DIR` writes one") from None
    except IsADirectoryError:
        raise InputError(f"{path}: is a folder, expected a TOML file; `deltamu new DIR` writes one") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from None
    except UnicodeDecodeError as error:
        raise InputError(
            f"{path}: is not UTF-8 text (byte {error.object[error.start]:#x} at {error.start}); save it as UTF-8"
        ) from None
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"{path}: {_toml_problem(str(error))}") from None


def refuse_unknown(source: str, where: str, table: Mapping[str, Any], known: Iterable[str]) -> None:
    """Refuse keys that nobody would read, with the nearest one that is known."""
    for key in table:
        if key not in known:
            name = f"{where}.{key}" if where else key
            raise InputError(f"{source}: {name}: unknown key; {_nearest(key, list(known))}")


# what other programs call a setting, where the nearest spelling would be another one
OTHER_NAMES = {
    "angles": ("angle_file",),
    "angle": ("angle_file",),
    "theta": ("angle_file",),
    "pixel_size": ("pixel_size_mm",),
    "pixelsize": ("pixel_size_mm",),
    "ob": ("flats",),
    "open_beam": ("flats",),
    "white": ("flats",),
    "dc": ("darks",),
    "df": ("darks",),
    "dark_current": ("darks",),
    "cor": ("center",),
    "rotation_center": ("center",),
}


def _nearest(key: str, known: list[str]) -> str:
    meant = [name for name in OTHER_NAMES.get(key.lower(), ()) if name in known]
    close = meant or difflib.get_close_matches(key, known, n=1, cutoff=0.5)
    return f"did you mean '{close[0]}'?" if close else f"known are {', '.join(sorted(known))}"


def known_or_near(name: str, states: Mapping[str, Any]) -> str:
    """Return the state that was probably meant, or all that there are."""
    return _nearest(name, list(states))


def _toml_problem(message: str) -> str:
    if "twice" in message or "overwrite" in message:
        return f"a table or key stands twice ({message}); every state may be listed once"
    return f"not valid TOML ({message})"


def first_problem(error: ValidationError, model: type[BaseModel], *, also: tuple[str, ...] = ()) -> str:
    """Say what is wrong with the tables of a model, and for an unknown key the nearest one.

    `also` names tables that the file may have although the model has no such field.
    """
    # an unknown key explains a missing one, not the other way round
    problem = min(error.errors(), key=lambda found: found["type"] != "extra_forbidden")
    where = ".".join(str(part) for part in problem["loc"] if part != "function-after")
    if problem["type"] == "extra_forbidden":
        return f"{where}: unknown key; {_nearest(str(problem['loc'][-1]), _fields_beside(problem['loc'], model, also))}"
    if problem["type"] == "missing":
        return f"{where}: missing"
    message = problem["msg"].removeprefix("Value error, ")
    found = "" if problem["type"] == "value_error" else f" (found {problem['input']!r})"
    return f"{where}: {message}{found}" if where else f"{message}{found}"


def _fields_beside(location: tuple[Any, ...], whole: type[BaseModel], also: tuple[str, ...]) -> list[str]:
    """Return the keys that are known where an unknown one stood."""
    model: Any = whole
    for part in location[:-1]:
        field = model.model_fields.get(part)
        annotation = getattr(field, "annotation", None)
        candidates = [annotation, *getattr(annotation, "__args__", ())]
        found = [c for c in candidates if isinstance(c, type) and issubclass(c, BaseModel)]
        model = found[0] if found else model
    return [*(name for name in model.model_fields if name != "folder"), *(also if model is whole else ())]
