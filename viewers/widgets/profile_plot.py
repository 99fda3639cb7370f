"""The depth profiles with error bands and a cursor at a depth, in the manner of the report's figure."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.backends.backend_qtagg import FigureCanvasQTAgg
from matplotlib.figure import Figure

from deltamu.recon.atomic import write_bytes
from deltamu.recon.report.canvas import change_color, figure_style, image_bytes
from deltamu.recon.report.content import change_title
from deltamu.viewers.depth_columns import RegionProfile

SIZE_IN = (4.2, 3.0)


class ProfilePlot(FigureCanvasQTAgg):
    """Profiles of one region; `pick` is called with the depth (mm) of a click."""

    def __init__(self, pick: Any) -> None:
        with figure_style():
            super().__init__(Figure(figsize=SIZE_IN, dpi=100, layout="constrained"))  # type: ignore[no-untyped-call]
            self.axes = self.figure.add_subplot()
        self.cursor: Any = None
        self.setMinimumHeight(220)
        self.mpl_connect("button_press_event", lambda event: self._picked(event, pick))

    def show_profiles(
        self,
        profiles: Mapping[str, RegionProfile],
        chosen: str,
        *,
        thickness_mm: float,
        layer: str,
        depth_mm: float,
    ) -> None:
        """Draw the profiles, the chosen change heavier, with bands of two standard errors."""
        with figure_style():
            self.axes.clear()
            self.axes.axhline(0, color="#444444", linewidth=0.6)
            for index, (change, profile) in enumerate(profiles.items()):
                self._draw(profile, change, index, heavy=change == chosen)
            for edge in (0.0, thickness_mm):
                self.axes.axvline(edge, color="#888888", linewidth=0.6, linestyle=":")
            self.cursor = self.axes.axvline(depth_mm, color="#111111", linewidth=1.2)
            self.axes.set_xlabel(f"depth d in the {layer} (mm)")
            self.axes.set_ylabel("mean Δμ (cm⁻¹)")
            self.axes.legend(
                loc="lower left", bbox_to_anchor=(0.0, 1.0), ncols=2, fontsize=7, borderaxespad=0.2
            )
        self.draw_idle()  # type: ignore[no-untyped-call]

    def move_cursor(self, depth_mm: float) -> None:
        """Move the line at the depth that is shown."""
        if self.cursor is not None:
            self.cursor.set_xdata([depth_mm, depth_mm])
            self.draw_idle()  # type: ignore[no-untyped-call]

    def save(self, path: Path) -> Path:
        """Write what is shown as PNG, SVG or PDF, by the ending."""
        with figure_style():
            return write_bytes(path, image_bytes(self.figure, path.suffix.lower().lstrip(".")))

    def _draw(self, profile: RegionProfile, change: str, index: int, *, heavy: bool) -> None:
        known = np.isfinite(profile.mean)
        depth, mean = profile.depth_mm[known], profile.mean[known]
        band = 2 * np.nan_to_num(profile.standard_error[known])
        color = change_color(index)
        self.axes.fill_between(depth, mean - band, mean + band, color=color, alpha=0.3, linewidth=0)
        self.axes.plot(depth, mean, color=color, linewidth=1.8 if heavy else 0.9, label=change_title(change))

    def _picked(self, event: Any, pick: Any) -> None:
        if event.inaxes is self.axes and event.xdata is not None:
            pick(float(event.xdata))
