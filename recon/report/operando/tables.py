"""Headlines and tables of the report of a series."""

from dataclasses import dataclass

from deltamu.recon.report.operando.content import SeriesContent
from deltamu.recon.report.statements import CORRECTIONS, UNCORRECTED


@dataclass(frozen=True)
class Table:
    """A table of texts; the first cell of a row names it."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    note: str = ""


@dataclass(frozen=True)
class Headline:
    """One result in a few words."""

    title: str
    amount: str
    sentence: str


def headlines(content: SeriesContent) -> list[Headline]:
    """Events, front and closure, the most telling first."""
    lines = [_event_line(event) for event in content.summary["events"]]
    front = content.summary["front"]
    if front is not None and front["velocity_um_per_h"] is not None:
        low, high = front["interval_um_per_h"]
        lines.append(
            Headline(
                "reaction front", f"{front['velocity_um_per_h']:.2f} µm/h",
                f"95 % between {low:.2f} and {high:.2f} µm/h, through the {front['layer']} from the {front['near']}",
            )
        )  # fmt: skip
    if not content.summary["events"] and content.has_cycler:
        lines.append(Headline("events", "none", "neither the voltage nor the lithium changes its course"))
    return lines + _closures(content)


def _event_line(event: dict[str, object]) -> Headline:
    seconds, sigma = float(event["time_s"]), float(event["sigma_s"])  # type: ignore[arg-type]
    signals = ", ".join(str(signal) for signal in event["signals"])  # type: ignore[attr-defined]
    return Headline(str(event["kind"]), f"{seconds / 60:.1f} ± {sigma / 60:.1f} min", f"told by {signals}")


def _closures(content: SeriesContent) -> list[Headline]:
    lithium = content.summary["lithium"]
    if lithium is None or lithium["cycler_mAh"] is None:
        return []
    lines = []
    for name in dict.fromkeys([content.zones[0], "balance"]):
        zone = lithium["zones"].get(name)
        if zone is not None and zone["closure"] is not None:
            until = lithium["closure_until_s"] / 3600
            lines.append(
                Headline(
                    content.label(name),
                    f"{100 * zone['closure']:.1f} %",
                    f"of the cycler's charge seen in the images, up to {until:.2f} h",
                )
            )
    return lines


def events_table(content: SeriesContent) -> Table | None:
    """What speaks for each event."""
    rows = []
    for event in content.summary["events"]:
        for number, item in enumerate(event["evidence"]):
            name = item["signal"] if item["signal"] == "voltage" else content.label(item["signal"])
            rows.append(
                (
                    f"{event['kind']}, {event['time_s'] / 60:.1f} ± {event['sigma_s'] / 60:.1f} min" if not number else "",
                    name, item["text"], "yes" if item["supports"] else "no",
                    f"{item['time_s'] / 60:.1f} ± {item['sigma_s'] / 60:.1f} min",
                )
            )  # fmt: skip
    if not rows:
        return None
    note = (
        "A short or a stage needs the voltage and the lithium of at least one zone; what a single signal tells is called a "
        "change of that signal. The last column is where two straight lines that meet fit the signal best."
    )
    return Table(
        "Events and the evidence for them",
        ("event", "signal", "what it does", "supports", "knee of the signal"),
        tuple(rows),
        note,
    )


def zones_table(content: SeriesContent) -> Table | None:
    """Charge of the zones at the end, and against the cycler."""
    lithium = content.summary["lithium"]
    if lithium is None:
        return None
    rows = tuple(
        (
            content.label(name), f"{zone['last_mAh']:+.3f} ± {zone['sigma_mAh']:.3f}",
            "" if zone["closure"] is None else f"{100 * zone['closure']:.1f} %",
        )
        for name, zone in lithium["zones"].items()
        if name != "balance" or len(lithium["balance"]) > 1
    )  # fmt: skip
    note = (
        "± one σ of counting noise. The blur of the detector, the interfaces along the beam and the cross section of lithium add "
        "what is the same for all times: about 3 % for zones beside a layer that hardly transmits, less elsewhere; about "
        "5 µm of lithium on either side of an interface cannot be told apart within the blur."
    )
    return Table(
        "Lithium in the zones",
        ("zone", "mAh in the last window", "share of the cycler's charge before a short"),
        rows,
        note,
    )


def truth_table(content: SeriesContent) -> Table | None:
    """Comparison with the simulator."""
    truth = content.summary.get("truth")
    if not truth:
        return None
    rows = [
        (f"charge of {content.label(name)}", f"{error:+.1f} %") for name, error in truth["charge"].items()
    ]
    for event in truth["events"]:
        late = event["found_late_min"]
        found = (
            "not in the truth"
            if event["time_s"] is None
            else "not found"
            if late is None
            else f"{late:+.1f} min"
        )
        rows.append((event["event"], found))
    if "front" in truth:
        front = truth["front"]
        rows.append(("front, position", f"{front['position_rms_um']:.1f} µm rms"))
        if front["velocity_error_percent"] is not None:
            rows.append(("front, velocity", f"{front['velocity_error_percent']:+.1f} %"))
    rows.append(
        (
            "drift along rows and columns",
            " and ".join(f"{value:.3f} px" for value in truth["drift_rms_px"]) + " rms",
        )
    )
    return Table(
        "Comparison with the truth (simulated series only)", ("quantity", "off the truth by"), tuple(rows)
    )


def quality_table(content: SeriesContent) -> Table:
    """How good the frames are."""
    frames, stack = content.summary["frames"], content.summary["stack"]
    drift = frames["drift_px"]
    rows = (
        ("frames", f"{frames['count']} of {frames['rows']} × {frames['columns']} pixels of {1e3 * frames['pixel_size_mm']:g} µm, every {frames['step_s']:g} s"),
        ("reference", f"frames {frames['reference'][0]} to {frames['reference'][1] - 1}"),
        ("resolution in time", f"{frames['step_s'] * frames['averaged']:g} s ({frames['averaged']} frames averaged)"),
        ("fluctuation of the beam", f"{100 * frames['dose_rms']:.2f} % rms, corrected by the air beside the cell"),
        ("pixels replaced as spots", f"{100 * frames['spots_fraction']:.3f} %"),
        ("drift along rows", f"{drift['rows'][0]:+.2f} to {drift['rows'][1]:+.2f} px, known to {frames['drift_sigma_px']['rows']:.3f} px"),
        ("drift along columns", f"{drift['columns'][0]:+.2f} to {drift['columns'][1]:+.2f} px, known to {frames['drift_sigma_px']['columns']:.3f} px"),
        ("misfit of the stack", f"{100 * stack['misfit']:.1f} % of the transmission in one row of ten or fewer"),
    )  # fmt: skip
    return Table("How good is the measurement?", ("quantity", "value"), rows)


def corrections_table(content: SeriesContent) -> Table | None:
    """How the frames were corrected, and what was not."""
    stated = content.summary.get("corrections")
    if not stated:
        return None
    facts = content.summary["correction_facts"]
    rows = []
    for step, how in stated.items():
        text = how or UNCORRECTED.get(step, "Not corrected.")
        if step == "scatter" and "background_percent" in facts:
            text += f"; on average {facts['background_percent']:.2f} % of the open beam"
        if step == "hardening" and "hardening_uncorrected_percent" in facts:
            text += f"; without it line integrals through the pellet are off by {facts['hardening_uncorrected_percent']:+.1f} %"
        rows.append((CORRECTIONS.get(step, step.capitalize()), text))
    return Table("What was corrected?", ("step", "how"), tuple(rows))
