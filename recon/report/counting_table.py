"""The noise of means and of the charge: exact, and as subsets of the views scatter."""

from collections.abc import Callable
from typing import Any

from deltamu.recon.report.content import ReportContent, Table, change_title, state_title
from deltamu.recon.report.numbers import MISSING, finite, number
from deltamu.recon.report.tables import TableView


def counting_table(content: ReportContent) -> TableView | None:
    """One column per change; none where nothing is exact."""
    found = [content.change(change).get("counting") or {} for change in content.changes]
    if not any(entry.get("method") == "adjoint" for entry in found):
        return None
    lines: tuple[tuple[str, Callable[[Table], str]], ...] = (
        ("mean Δµ, counting, exact (cm⁻¹)", lambda c: _part(c, "mean_delta_mu", "counting")),
        ("mean Δµ, counting, subsets of views (cm⁻¹)", lambda c: _part(c, "mean_delta_mu", "jackknife")),
        ("mean Δµ, open beam (cm⁻¹)", lambda c: _part(c, "mean_delta_mu", "open_beam")),
        ("charge, counting, exact (mAh)", lambda c: _part(c, "charge_mAh", "counting")),
        ("charge, counting, subsets of views (mAh)", lambda c: _part(c, "charge_mAh", "jackknife")),
        ("charge, open beam (mAh)", lambda c: _part(c, "charge_mAh", "open_beam")),
        ("bins of depth, subsets / exact (rms)", lambda c: number(c.get("jackknife_over_exact"), digits=3)),
        ("exact and subsets agree", _agree),
        ("open beam in common (correlation)", lambda c: number(c.get("shared_open_beam"), digits=2)),
    )
    return TableView(
        "Noise of means, twice",
        ("one standard error", *(change_title(change) for change in content.changes)),
        tuple((name, *(write(entry) for entry in found)) for name, write in lines),
        "Exact: by the transpose of interpolation, back-projection and filter. Subsets: scatter between interleaved subsets "
        "of the views, which a dozen of them know to 15 or 20 %; they agree where their ratio lies inside what that allows "
        "(0.2 % of sound ones do not). Subsets cannot see the open beam, which is alike in every view.",
    )


def _part(entry: Table, readout: str, key: str) -> str:
    return number((entry.get(readout) or {}).get(key), digits=2)


def _agree(entry: Table) -> str:
    if finite(entry.get("jackknife_over_exact")) is None:
        return MISSING
    return "yes" if entry.get("agree") else "no"


def counting_sentence(content: ReportContent, kinds: set[Any]) -> str:
    """Where the counting noise of means comes from."""
    found = [content.change(change).get("counting") or {} for change in content.changes]
    if all(entry.get("method") == "adjoint" for entry in found):
        return (
            "Counting noise is exact: the weights of every mean are taken back through interpolation, back-projection and "
            "filter to the line integrals and squared against their variance, so that correlations between voxels are in it; "
            "the open beam, alike in every view, is added coherently. For rings it comes from the scatter of subsets of the "
            f"views, which is the independent estimate everywhere else{_agreement(found)}. What filters of spots and stripes, "
            "the dose of single views and the averaging of starved pixels do to the noise is not in the exact one."
        )
    source = (
        "the scatter of subsets of the views, with the open beam that they share added"
        if "views" in kinds
        else "the scatter of sectors of the pellet, because the views are not at hand"
    )
    return f"Counting noise from {source}."


def _agreement(found: list[Table]) -> str:
    """Say whether the scatter of subsets agrees with the exact errors."""
    if all(entry.get("agree") for entry in found):
        return " (both agree within what so few subsets can tell)"
    return (
        " (both do not agree everywhere, see the table: errors of the dose, a sample that moved and streaks of few views "
        "make subsets scatter more, and only the first two concern the mean)"
    )


def open_beams(content: ReportContent) -> str:
    """Whether states have open-beam frames in common."""
    shared = [
        f"{state_title(to)} and {state_title(origin)}"
        for change in content.changes
        for to, origin in [change.split("-")]
        if finite((content.change(change).get("counting") or {}).get("shared_open_beam"))
    ]
    if not shared:
        return "each with its own open beam"
    return (
        f"with open-beam frames in common to {', '.join(shared)}: their noise is the same in both and is counted so in the "
        "errors of means and of the charge, not in σ of single voxels"
    )
