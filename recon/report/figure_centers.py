"""Figure: what each estimator says about the centre of rotation, and the dose of every frame."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from deltamu.recon.report.canvas import change_color, change_marker, new_figure, sheet_width
from deltamu.recon.report.content import Float, ReportContent, state_title
from deltamu.recon.report.numbers import finite

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

LEAST_RANGE_PX = 0.25
LEAST_COLUMN_IN = 1.7
LEGEND_ENTRY_IN = 1.3


def scanned_states(content: ReportContent) -> tuple[str, ...]:
    """States that were reconstructed here, so that a centre and a dose exist."""
    known = content.diagnostics.get("states") or {}
    return tuple(state for state in content.states if (known.get(state) or {}).get("center"))


def draw_centers(content: ReportContent) -> "Figure":
    """Draw the candidates per method and row with the consensus (top) and the dose factors (bottom)."""
    states = scanned_states(content)
    columns = min(4, len(states), max(1, int(sheet_width() / LEAST_COLUMN_IN)))
    blocks = -(-len(states) // columns)
    figure = new_figure(min(sheet_width(), 0.5 + 2.9 * columns), 3.7 * blocks + 0.3)
    axes = figure.subplots(2 * blocks, columns, squeeze=False, height_ratios=[1.4, 1.0] * blocks)
    _draw_states(axes, content, states, columns)
    for spare in axes[-2:, len(states) - (blocks - 1) * columns :].flat:
        spare.set_axis_off()
    handles = {label: handle for panel in axes[::2].flat
               for handle, label in zip(*panel.get_legend_handles_labels(), strict=True)}  # fmt: skip
    beside = max(1, min(5, len(handles), int(sheet_width() / LEGEND_ENTRY_IN)))
    figure.legend(handles.values(), handles.keys(), loc="outside upper center", ncols=beside)
    return figure


def _draw_states(axes: Any, content: ReportContent, states: Sequence[str], columns: int) -> None:
    """Fill the panels of the states; all show the same range of pixels and of doses."""
    known = content.diagnostics["states"]
    colors = _method_colors(content, states)
    half = max(_half_range(known[state]["center"], _spread(content, state)) for state in states)
    doses = [_finite_doses(known[state].get("dose") or ()) for state in states]
    for index, state in enumerate(states):
        block, column = divmod(index, columns)
        upper, lower = axes[2 * block, column], axes[2 * block + 1, column]
        upper.set_title(state_title(state))
        draw_candidates(
            upper,
            known[state]["center"],
            spread_px=_spread(content, state),
            colors=colors,
            half_range_px=half,
        )
        _draw_dose(lower, doses[index], _common_range(doses))
        if column == 0:
            upper.set_ylabel("centre (px)")
            lower.set_ylabel("dose / open beam")


def describe_centers(content: ReportContent) -> str:
    """Caption of the figure."""
    return (
        "Top: centre of rotation by every estimator at every row it was asked for; line: the consensus "
        "that was used, band: its spread. An open triangle at the edge of a panel is an estimate beyond it. "
        "Bottom: dose of every frame relative to the open beam, which the correction divides out. All states "
        "show the same range."
    )


def draw_candidates(
    axes: "Axes",
    center: Mapping[str, Any],
    *,
    spread_px: float | None = None,
    colors: Mapping[str, int] | None = None,
    half_range_px: float | None = None,
) -> None:
    """Draw the candidates of one scan: `candidates` [{method, row, center}], `consensus_px`, `search_px`.

    `half_range_px` on either side of the consensus is shown; chosen by the agreement when not given.
    """
    candidates: Sequence[Mapping[str, Any]] = [
        c for c in center.get("candidates") or () if finite(c.get("center")) is not None
    ]
    methods = list(dict.fromkeys(str(c.get("method")) for c in candidates))
    order = colors or {method: index for index, method in enumerate(methods)}
    consensus = finite(center.get("consensus_px"))
    middle, half = _middle(center), half_range_px or _half_range(center, spread_px)
    low, high = middle - half, middle + half
    if consensus is not None:
        axes.axhline(consensus, color="#111111", linewidth=0.9, label="consensus", zorder=1)
        if spread_px:
            axes.axhspan(consensus - spread_px, consensus + spread_px, color="#e6e6e6", linewidth=0, zorder=0)
    for method in methods:
        rows, values = _rows_and_values(candidates, method)
        style = order.get(method, 0)
        shown = np.clip(values, low, high)
        beyond = values != shown
        color = change_color(style)
        axes.plot(
            rows[~beyond],
            shown[~beyond],
            change_marker(style),
            color=color,
            alpha=0.85,
            label=method.replace("_", " "),
            clip_on=False,
        )
        axes.scatter(
            rows[beyond],
            shown[beyond],
            s=22,
            marker="^" if np.all(values[beyond] > high) else "v",
            facecolor="white",
            edgecolor=color,
            zorder=3,
            clip_on=False,
        )
    margin = 0.04 * (high - low)
    axes.set_ylim(low - margin, high + margin)
    axes.set_xlabel("detector row")
    axes.ticklabel_format(axis="y", useOffset=False)


def write_center_picture(
    path: "str | Any", center: Mapping[str, Any], *, title: str, spread_px: float | None = None
) -> None:
    """Write the picture by which `deltamu center` lets a user judge the estimators of one scan.

    Parameters
    ----------
    path : path of the PNG
    center : mapping
        `candidates` [{method, row, center}], `consensus_px`, as in diagnostics.json.
    title : str
        Name of the scan.
    spread_px : float, optional
        Spread of the estimators.
    """
    from pathlib import Path

    from deltamu.recon.atomic import write_bytes
    from deltamu.recon.report.canvas import figure_style, image_bytes

    with figure_style():
        figure = new_figure(0.8 * sheet_width(), 3.2)
        axes = figure.subplots()
        draw_candidates(axes, center, spread_px=spread_px)
        axes.set_title(title)
        axes.set_ylabel("centre (px)")
        figure.legend(loc="outside right center")
        write_bytes(Path(path), image_bytes(figure))


def _rows_and_values(candidates: Sequence[Mapping[str, Any]], method: str) -> tuple[Any, Any]:
    """Rows and centres of one method; an estimate from all rows together stands at their middle."""
    known = [float(c["row"]) for c in candidates if finite(c.get("row")) is not None]
    middle = 0.5 * (min(known) + max(known)) if known else 0.0
    own = [c for c in candidates if str(c.get("method")) == method]
    rows = [middle if finite(c.get("row")) is None else float(c["row"]) for c in own]
    return np.array(rows), np.array([float(c["center"]) for c in own])


def _middle(center: Mapping[str, Any]) -> float:
    """Consensus, or what stands in for it."""
    consensus = finite(center.get("consensus_px"))
    values = _known_centers(center)
    if consensus is not None:
        return consensus
    return float(np.median(values)) if values else 0.0


def _half_range(center: Mapping[str, Any], spread_px: float | None) -> float:
    """Half a range that shows the agreement; single far-off estimates are marked at its edge."""
    values = np.array(_known_centers(center))
    typical = float(np.percentile(np.abs(values - _middle(center)), 80)) if values.size else 0.0
    return max(2.0 * typical, 3.0 * (spread_px or 0.0), LEAST_RANGE_PX)


def _known_centers(center: Mapping[str, Any]) -> list[float]:
    found = [finite(candidate.get("center")) for candidate in center.get("candidates") or ()]
    return [value for value in found if value is not None]


def _spread(content: ReportContent, state: str) -> float | None:
    return finite(content.summary["states"][state].get("center_spread_px"))


def _method_colors(content: ReportContent, states: Sequence[str]) -> dict[str, int]:
    names = [
        str(candidate.get("method"))
        for state in states
        for candidate in content.diagnostics["states"][state]["center"].get("candidates") or ()
    ]
    return {name: index for index, name in enumerate(dict.fromkeys(names))}


def _finite_doses(dose: Sequence[float]) -> Float:
    return np.array([np.nan if finite(value) is None else float(value) for value in dose])


def _common_range(doses: Sequence[Float]) -> tuple[float, float] | None:
    """Range of all doses with a little air; None where there are none."""
    known = np.concatenate([dose[np.isfinite(dose)] for dose in doses])
    if known.size == 0:
        return None
    air = 0.05 * max(float(np.ptp(known)), 0.01)
    return float(known.min()) - air, float(known.max()) + air


def _draw_dose(axes: "Axes", dose: Float, limits: tuple[float, float] | None) -> None:
    axes.axhline(1.0, color="#999999", linewidth=0.6)
    axes.plot(dose, color="#0072B2", linewidth=0.7)
    axes.set_xlabel("frame")
    axes.ticklabel_format(axis="y", useOffset=False)
    if limits is not None:
        axes.set_ylim(*limits)
