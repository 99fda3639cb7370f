"""What the columns of a cycler's file mean, in the words and units of many programs and languages."""

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches

from deltamu.recon.errors import InputError

QUANTITIES = ("time", "clock", "voltage", "current", "capacity", "charge_capacity", "discharge_capacity")

# the first pattern that fits decides; what must not be mistaken for a quantity stands in front
_WORDS: tuple[tuple[str, str], ...] = (
    ("", r"step ?time|steptime|schritt ?zeit|temps (de l )?etape|tiempo de paso|tempo di passo|步时间|工步时间|ステップ時間"),
    ("", r"\bd(v|q)\b|d[vq]/d|control|power|energy|energie|能量|功率|resistance|temperatur|温度|cycle|zyklus|循环|step|index|"
         r"specific|spez|比容量|counter|half|range|error|\bns\b|mode|ox/red|\bx\b"),
    ("clock", r"date ?time|real ?time|absolute ?time|system ?time|dpt time|time ?stamp|zeitstempel|datum|date|fecha|"
              r"绝对时间|系统时间|日期|日時"),
    ("time", r"test ?time|total ?time|elapsed|\btime\b|testzeit|gesamtzeit|\bzeit\b|temps|tiempo|\btempo\b|测试时间|总时间|时间|"
             r"経過時間|時間|время|\bt\b"),
    ("discharge_capacity", r"discharge ?capacity|\bdchg ?cap|q ?discharge|entlade ?kapazitat|capacite (de )?decharge|"
                           r"capacidad de descarga|capacita di scarica|放电容量|放電容量"),
    ("charge_capacity", r"charge ?capacity|\bchg ?cap|q ?charge|lade ?kapazitat|capacite (de )?charge|"
                        r"capacidad de carga|capacita di carica|充电容量|充電容量"),
    ("voltage", r"voltage|\bewe\b|\becell\b|potential|spannung|\btension\b|voltaje|tensione|tensao|电压|電圧|напряжение|"
                r"\bvolt\b|\bu\b|\be\b"),
    ("current", r"current|\bi\b|strom|courant|corriente|corrente|电流|電流|ток"),
    ("capacity", r"capacity|q qo|\bq\b|kapazitat|capacite|capacidad|capacita|容量|емкость|ladung"),
)  # fmt: skip

# factors to s, V, mA, mAh
_UNITS: Mapping[str, Mapping[str, float]] = {
    "time": {"s": 1, "sec": 1, "seconds": 1, "ms": 1e-3, "min": 60, "h": 3600, "hr": 3600, "hours": 3600, "d": 86400,
             "秒": 1, "分": 60, "小时": 3600},
    "voltage": {"v": 1, "mv": 1e-3, "volt": 1, "伏": 1},
    "current": {"a": 1e3, "ma": 1, "µa": 1e-3, "ua": 1e-3, "安": 1e3, "毫安": 1},
    "capacity": {"ah": 1e3, "mah": 1, "µah": 1e-3, "uah": 1e-3, "a.h": 1e3, "ma.h": 1, "c": 1 / 3.6,
                 "安时": 1e3, "毫安时": 1},
}  # fmt: skip
_DEFAULT_UNIT = {"time": "s", "voltage": "V", "current": "mA", "capacity": "mAh"}
_UNIT = re.compile(r"[\(\[（/_]\s*([^\(\)\[\]（）/_]+?)\s*[\)\]）]?\s*$")


@dataclass(frozen=True)
class ColumnMeaning:
    """One recognised column.

    Attributes
    ----------
    quantity : str
        One of QUANTITIES.
    index : int
    title : str
    factor : float or None
        To s, V, mA or mAh; None for a time that is written as h:min:s or a date.
    unit_stated : bool
        Whether the title names a unit that is known.
    """

    quantity: str
    index: int
    title: str
    factor: float | None
    unit_stated: bool


def recognise_columns(
    titles: Sequence[str], *, stated: Mapping[str, str] | None = None, source: str = "cycler"
) -> dict[str, ColumnMeaning]:
    """Find the columns of time, voltage, current and capacity.

    Parameters
    ----------
    titles : sequence of str
    stated : mapping of quantity to title, optional
        What the user says wins.
    source : str
        What messages call the file.

    Raises
    ------
    InputError
        If a stated column is not there, or voltage or every kind of time is missing.
    """
    found: dict[str, ColumnMeaning] = {}
    for quantity, title in (stated or {}).items():
        if quantity not in QUANTITIES:
            raise InputError(f"columns.{quantity}: unknown quantity; known are {', '.join(QUANTITIES)}")
        found[quantity] = _meaning(quantity, _index_of(title, titles, source, quantity), title)
    for index, title in enumerate(titles):
        quantity = _quantity(title)
        if quantity and quantity not in found:
            found[quantity] = _meaning(quantity, index, title)
    for needed, alternatives in (("voltage", ("voltage",)), ("time", ("time", "clock"))):
        if not any(name in found for name in alternatives):
            raise InputError(
                f"{source}: found no column of {needed} among {', '.join(repr(t) for t in titles if t)}; "
                f'state it as columns = {{ {needed} = "TITLE" }}'
            )
    return found


def _index_of(title: str, titles: Sequence[str], source: str, quantity: str) -> int:
    if title in titles:
        return list(titles).index(title)
    close = get_close_matches(title, titles, n=1)
    hint = f"did you mean {close[0]!r}?" if close else f"known are {', '.join(repr(t) for t in titles if t)}"
    raise InputError(f"{source}: columns.{quantity}: found no column {title!r}; {hint}")


def _quantity(title: str) -> str:
    plain = _plain(title)
    for quantity, pattern in _WORDS:
        if re.search(pattern, plain):
            return quantity
    return ""


def _plain(title: str) -> str:
    """Lower case without accents, unit and punctuation."""
    without_unit = (
        re.sub(r"[\(\[（][^\)\]）]*[\)\]）]\s*$", "", title) if not title.startswith("(") else title
    )
    without_unit = re.sub(
        r"/(s|h|min|v|mv|ma|a|ua|µa|mah|ah|ma\.h|a\.h|c)\s*$", "", without_unit, flags=re.IGNORECASE
    )
    letters = unicodedata.normalize("NFKD", without_unit.lower())
    return re.sub(r"[^\w/]+|_", " ", "".join(c for c in letters if not unicodedata.combining(c))).strip()


def _meaning(quantity: str, index: int, title: str) -> ColumnMeaning:
    kind = "capacity" if quantity.endswith("capacity") else quantity
    if kind == "clock":
        return ColumnMeaning(quantity, index, title, None, True)
    unit = _UNIT.search(title)
    # "V vs. Li/Li+" is V; the Greek letter mu is the micro sign
    words = unit.group(1).lower().replace("\u03bc", "\u00b5").split() if unit else []
    written = words[0] if words else ""
    if kind == "time" and re.fullmatch(r"h+:m.*", written):
        return ColumnMeaning(quantity, index, title, None, True)
    factors = _UNITS[kind]
    if written in factors:
        return ColumnMeaning(quantity, index, title, factors[written], True)
    return ColumnMeaning(quantity, index, title, factors[_DEFAULT_UNIT[kind].lower()], False)
