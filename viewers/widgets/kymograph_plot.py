"""Voltage and kymograph on one axis of time, as in the report, with a cursor in time and one in position."""

from collections.abc import Callable
from typing import Any

import numpy as np
from matplotlib.backends.backend_qtagg import FigureCanvasQTAgg
from matplotlib.figure import Figure

from deltamu.recon.report.canvas import figure_style
from deltamu.recon.report.operando.content import SeriesContent
from deltamu.recon.report.operando.figure_kymograph import fill_with_kymographs

SIZE_IN = (5.2, 4.2)
CURSOR: dict[str, Any] = {"color": "#111111", "linewidth": 1.2, "animated": True}


class KymographPlot(FigureCanvasQTAgg):
    """The kymograph of one region.

    Parameters
    ----------
    pick : callable(hours, position_mm or None)
        Called where the mouse is pressed or dragged; over the voltage there is no position.
    """

    def __init__(self, pick: Callable[[float, float | None], None]) -> None:
        with figure_style():
            super().__init__(Figure(figsize=SIZE_IN, dpi=100, layout="constrained"))  # type: ignore[no-untyped-call]
        self.axes: tuple[Any, ...] = ()
        self.times: tuple[Any, ...] = ()
        self.position: Any = None
        self.background: Any = None
        self.setMinimumHeight(300)
        for name in ("button_press_event", "motion_notify_event"):
            self.mpl_connect(name, lambda event: self._picked(event, pick))
        self.mpl_connect("draw_event", lambda event: self._drawn())

    def show_region(self, content: SeriesContent, region: str) -> None:
        """Draw the kymograph of a region under the voltage."""
        self.figure.clear()
        with figure_style():
            self.axes = fill_with_kymographs(self.figure, content, (region,))
        # inside the limits, so that they stay as they are
        self.times = tuple(axes.axvline(float(np.mean(axes.get_xlim())), **CURSOR) for axes in self.axes)
        self.position = self.axes[-1].axhline(float(np.mean(self.axes[-1].get_ylim())), **CURSOR)
        self.draw_idle()  # type: ignore[no-untyped-call]

    def move_cursors(self, hours: float, position_mm: float) -> None:
        """Move both cursors; what lies beneath is not drawn again."""
        for line in self.times:
            line.set_xdata([hours, hours])
        if self.position is not None:
            self.position.set_ydata([position_mm, position_mm])
        if self.background is not None:
            self.restore_region(self.background)  # type: ignore[no-untyped-call]
            self._draw_cursors()
            self.blit(self.figure.bbox)  # type: ignore[no-untyped-call]

    def _drawn(self) -> None:
        self.background = self.copy_from_bbox(self.figure.bbox)  # type: ignore[no-untyped-call]
        self._draw_cursors()

    def _draw_cursors(self) -> None:
        for line in (*self.times, *([] if self.position is None else [self.position])):
            line.axes.draw_artist(line)

    def _picked(self, event: Any, pick: Callable[[float, float | None], None]) -> None:
        # button 1 is the left one, and held while the mouse is dragged
        if event.inaxes in self.axes and event.button == 1:
            over_kymograph = event.inaxes is self.axes[-1]
            pick(float(event.xdata), float(event.ydata) if over_kymograph else None)
