"""Tables that say how far the measurement itself can be trusted, from what stands in summary.json."""

from collections.abc import Callable
from typing import Any

from deltamu.recon.report.content import ReportContent, Table, state_title
from deltamu.recon.report.numbers import MISSING, finite, number, uncertain
from deltamu.recon.report.tables import TableView


def evidence_tables(content: ReportContent) -> tuple[TableView, ...]:
    """All of them that this study has numbers for."""
    views = (resolution_table(content),)
    return tuple(view for view in views if view is not None and view.rows)


def filled(rows: Any) -> tuple[tuple[str, ...], ...]:
    """Rows that say something."""
    return tuple(row for row in rows if any(cell != MISSING for cell in row[1:]))


def resolution_table(content: ReportContent) -> TableView | None:
    """One column per state: widths of edges and shell correlation, beside bin and voxel."""
    states = [state for state in content.states if content.summary["states"][state].get("resolution")]
    if not states:
        return None
    found: list[Table] = [content.summary["states"][state]["resolution"] for state in states]
    lines: tuple[tuple[str, Callable[[Table], str]], ...] = (
        ("edge, within slices (µm FWHM)", lambda r: _micrometres(r, "edge_in_slice")),
        ("edge, along the axis (µm FWHM)", lambda r: _micrometres(r, "edge_along_axis")),
        ("shell correlation, within slices (µm)", lambda r: _period(r, "shell_correlation_in_slice_mm")),
        ("shell correlation, along the axis (µm)", lambda r: _period(r, "shell_correlation_along_axis_mm")),
        ("shell correlation, all directions (µm)", lambda r: _period(r, "shell_correlation_mm")),
    )
    voxel = number(1000 * float(content.summary["voxel_size_mm"]))
    bins = [1000 * profile.bin_mm for profile in content.profiles.values()]
    width = f"; bins of the depth profile {number(bins[0])} µm" if bins else ""
    return TableView(
        "Resolution",
        ("quantity", *(state_title(state) for state in states)),
        filled((name, *(write(entry) for entry in found)) for name, write in lines),
        f"Voxel {voxel} µm{width}. Edges: rim of the pellet, and the sharpest step along the axis that does not "
        "change. Shell correlation: period at which two halves of the views no longer agree to half a bit per "
        "voxel (van Heel and Schatz 2005); it is set by the noise of single voxels, which means over many do "
        "not have, and takes what both halves share (rings) for signal.",
    )


def _micrometres(entry: Table, key: str) -> str:
    value, error = finite(entry.get(f"{key}_mm")), finite(entry.get(f"{key}_standard_error_mm"))
    return MISSING if value is None else uncertain(1e3 * value, None if error is None else 1e3 * error)


def _period(entry: Table, key: str) -> str:
    value = finite(entry.get(key))
    return MISSING if value is None else number(1e3 * value)
