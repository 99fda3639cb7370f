"""What happened to the profile layer, in one sentence and two numbers per change."""

from dataclasses import dataclass

from deltamu.recon.report.content import ReportContent, Table, change_title, state_title
from deltamu.recon.report.numbers import MISSING, THIN_SPACE, finite, fixed, uncertain


@dataclass(frozen=True)
class Headline:
    """One change in plain words."""

    title: str
    charge: str
    mean: str
    sentence: str


def headlines(content: ReportContent) -> tuple[Headline, ...]:
    """Say for every change what happened to the profile layer, how much, and how sure that is."""
    return tuple(_headline(content, change) for change in content.changes)


def _headline(content: ReportContent, change: str) -> Headline:
    found = content.change(change)
    mean, error = finite(found.get("mean_delta_mu")), finite(found.get("standard_error"))
    later, earlier = (state_title(state) for state in change.split("-"))
    measured = f"mean Δµ = {uncertain(mean, error, signed=True)} cm⁻¹"
    layer = content.profile_layer or "layer"
    charge = uncertain(found.get("charge_mAh"), found.get("charge_standard_error_mAh"), signed=True)
    if mean is None:
        sentence = f"No value could be determined for the {layer} between {earlier} and {later}."
    elif error is not None and abs(mean) <= 2 * error:
        sentence = f"Between {earlier} and {later} the {layer} shows no change beyond two standard errors."
    else:
        direction = "gained" if mean > 0 else "lost"
        sentence = (
            f"From {earlier} to {later} the {layer} {direction} {_lithium_amount(found)}{_closure(found)}."
        )
    return Headline(
        change_title(change), MISSING if charge == MISSING else f"{charge} mAh", measured, sentence
    )


def _lithium_amount(found: Table) -> str:
    amount, error = finite(found.get("lithium_mol")), finite(found.get("lithium_standard_error_mol"))
    if amount is None:
        return "attenuation"
    return f"{uncertain(1e6 * abs(amount), None if error is None else 1e6 * error)} µmol of lithium"


def _closure(found: Table) -> str:
    closure = finite(found.get("charge_closure"))
    return (
        "" if closure is None else f", {fixed(100 * closure, 1)}{THIN_SPACE}% of the charge that was cycled"
    )
