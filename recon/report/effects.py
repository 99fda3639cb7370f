"""What every correction did to the states, as half a sentence beside how it was done."""

from collections.abc import Callable, Mapping

from deltamu.recon.report.content import Table, state_title
from deltamu.recon.report.numbers import finite, number, percent

LEAST_RATIO_PERCENT = 0.05


def effect_of(step: str, states: Mapping[str, Table]) -> str:
    """Return what a step did, state by state, for those states that say; empty where none does."""
    say = _EFFECTS.get(step)
    if say is None:
        return ""
    said = {name: say(found) for name, found in states.items()}
    told = {name: text for name, text in said.items() if text}
    if len(set(told.values())) == 1 and len(told) == len(states):
        return next(iter(told.values()))
    return "; ".join(f"{state_title(name)}: {text}" for name, text in told.items())


def _dose(found: Table) -> str:
    rms = finite(found.get("dose_rms"))
    return "" if rms is None else f"varies by {percent(rms)} (rms)"


def _spots(found: Table) -> str:
    spots, bad = finite(found.get("spots_fraction")), finite(found.get("bad_pixels_fraction"))
    parts = [] if spots is None else [f"{percent(spots)} of all pixels were spots"]
    return ", ".join(parts if bad is None else [*parts, f"{percent(bad)} bad pixels interpolated"])


def _stripes(found: Table) -> str:
    stripes: Table = found.get("stripes") or {}
    if not stripes:
        return ""
    ratio, removed = finite(stripes.get("variance_ratio")), finite(stripes.get("removed_rms"))
    parts = (
        [] if ratio is None else [f"rings {number(ratio, digits=2)} times the variance that noise explains"]
    )
    if not stripes.get("removed"):
        return ", ".join([*parts, "none removed"])
    if removed is not None:
        parts.append(f"{number(removed, digits=2)} (rms of −ln T) removed")
        parts.append(f"{percent(stripes.get('object_share'))} of what was removed follows the object")
    return ", ".join(parts)


def _scatter(found: Table) -> str:
    behind, open_ = (finite(found.get(key)) for key in ("background_percent", "background_open_beam_percent"))
    if behind is None or open_ is None:
        return ""
    return f"{number(behind, digits=2)} % of the open beam behind the sample, {number(open_, digits=2)} % without it"


def _hardening(found: Table) -> str:
    without = finite(found.get("hardening_uncorrected_percent"))
    if without is None:
        return ""
    text = (
        f"without it line integrals through the sample are off by {number(without, digits=2, signed=True)} %"
    )
    others = {ratio: finite(found.get(f"hardening_ratio_{ratio}_percent")) for ratio in ("0.131", "0.33")}
    told = [
        f"{number(value, digits=2, signed=True)} % with a ratio of {ratio} Å"
        for ratio, value in others.items()
        if value is not None and abs(value) > LEAST_RATIO_PERCENT
    ]
    return ", ".join([text, *told])


_EFFECTS: Mapping[str, Callable[[Table], str]] = {
    "dose": _dose,
    "spots": _spots,
    "stripes": _stripes,
    "scatter": _scatter,
    "hardening": _hardening,
}
