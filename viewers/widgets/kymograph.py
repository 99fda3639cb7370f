"""Widget: the kymograph of a series, its cursors linked with the time slider and the frame."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari.qt.threading import create_worker
from qtpy.QtWidgets import QComboBox, QFileDialog, QFormLayout, QLabel, QPushButton, QVBoxLayout

from deltamu.recon.atomic import write_bytes
from deltamu.recon.errors import DeltamuError
from deltamu.recon.report.operando.film import draw_film
from deltamu.viewers.kymograph_view import KymographView
from deltamu.viewers.napari_layers import our_layers, series_of, show_line
from deltamu.viewers.widgets.kymograph_plot import KymographPlot
from deltamu.viewers.widgets.study_widget import StudyWidget

if TYPE_CHECKING:
    from napari.viewer import Viewer

CURSOR_NAME = "position"


class Kymograph(StudyWidget):
    """Voltage and kymograph of a region; a click sets time and position, here and in the viewer.

    Attributes
    ----------
    region_box : QComboBox
    plot : KymographPlot
    readout : QLabel
    film_button : QPushButton
    hours, position_mm : float
        Where the cursors are; the position on the axis of the cell, from the upper end of the frame.
    """

    nothing_open = "No finished series is open. `deltamu operando series.toml` computes one, `deltamu view` of its folder opens it."

    def __init__(self, napari_viewer: "Viewer") -> None:
        super().__init__(napari_viewer)
        self.view: KymographView | None = None
        self.hours, self.position_mm = 0.0, 0.0
        self.worker: Any = None
        self._build()
        self.viewer.dims.events.point.connect(self._follow_slider)
        self.viewer.mouse_drag_callbacks.append(self._clicked)
        self.destroyed.connect(lambda: self._forget(napari_viewer))
        self.follow()

    def find_output(self) -> str | None:
        """Output folder of the series that is open."""
        return series_of(self.viewer)

    def open_study(self, output: Path) -> None:
        """Show the first region of a series, at the time of the slider and the middle of the stack."""
        self.view = KymographView(output)
        content = self.view.content
        self.region_box.blockSignals(True)
        self.region_box.clear()
        for region in content.regions:
            self.region_box.addItem(content.label(region), region)
        self.region_box.blockSignals(False)
        self.position_mm = 0.5 * sum(content.shown_mm)
        self.show_region()
        self._follow_slider()

    @property
    def region(self) -> str:
        """The region whose kymograph is shown."""
        return str(self.region_box.currentData())

    def show_region(self) -> None:
        """Draw the kymograph of the chosen region."""
        if self.view is not None:
            self.plot.show_region(self.view.content, self.region)
            self._show_cursors()

    def move_to(self, hours: float, position_mm: float | None = None) -> None:
        """Look at the frame nearest to a time, and at a position along the stack where it is given."""
        if self.view is None:
            return
        if position_mm is not None:
            self.position_mm = position_mm
            show_line(self.viewer, CURSOR_NAME, self.view.line_at(position_mm))
        frame = self.view.frame_at(hours)
        self.hours = float(self.view.hours[frame])
        for layer in our_layers(self.viewer, "series"):
            self.viewer.dims.set_point(0, layer.data_to_world((frame, 0, 0))[0])
        self._show_cursors()

    def export_film(self, path: Path) -> None:
        """Write a film of the series as GIF, in the background."""
        if self.view is None or self.worker is not None:
            return
        self.film_button.setEnabled(False)
        self.note.setText("drawing the film …")
        self.worker = create_worker(self._film, self.view, path)
        self.worker.returned.connect(self._film_written)
        self.worker.start()

    @staticmethod
    def _film(view: KymographView, path: Path) -> str:
        try:
            return f"written: {write_bytes(path, draw_film(view.content))}"
        except DeltamuError as error:
            return str(error)
        except OSError as error:
            return f"{path}: {error.strerror or error}"

    def _film_written(self, text: str) -> None:
        self.worker = None
        self.film_button.setEnabled(True)
        self.note.setText(text)

    def _build(self) -> None:
        self.region_box, self.readout, self.note = QComboBox(), QLabel(), QLabel()
        self.plot = KymographPlot(self.move_to)
        self.film_button = QPushButton("export a film …")
        self.note.setWordWrap(True)
        form = QFormLayout()
        form.addRow("region", self.region_box)
        layout = QVBoxLayout(self.body)
        layout.addLayout(form)
        layout.addWidget(self.plot, stretch=1)
        for widget in (self.readout, self.film_button, self.note):
            layout.addWidget(widget)
        self.region_box.currentIndexChanged.connect(lambda _: self.show_region())
        self.film_button.clicked.connect(lambda _: self._ask_and_export())

    def _show_cursors(self) -> None:
        if self.view is not None:
            self.plot.move_cursors(self.hours, self.position_mm)
            self.readout.setText(self.view.read(self.region, self.hours, self.position_mm).text)

    def _follow_slider(self, event: Any = None) -> None:
        """Move the cursor to the time of the frame that is shown."""
        layer = next(our_layers(self.viewer, "series"), None)
        if self.view is None or layer is None or self.viewer.dims.ndim != 3:
            return
        frame = round(float(layer.world_to_data(self.viewer.dims.point)[0]))
        if 0 <= frame < self.view.hours.size:
            self.hours = float(self.view.hours[frame])
            self._show_cursors()

    def _clicked(self, viewer: "Viewer", event: Any) -> None:
        """Move the position to a place that is clicked in the frame."""
        if self.view is not None and len(viewer.cursor.position) == 3:
            _, row, column = (float(part) for part in viewer.cursor.position)
            self.move_to(self.hours, self.view.position_at(row, column))

    def _ask_and_export(self) -> None:
        name, _ = QFileDialog.getSaveFileName(self, "Export a film", "series.gif", "film (*.gif)")
        if name:
            self.export_film(Path(name))

    def _forget(self, viewer: "Viewer") -> None:
        viewer.dims.events.point.disconnect(self._follow_slider)
        viewer.mouse_drag_callbacks.remove(self._clicked)
