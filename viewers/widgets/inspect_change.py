"""Widget: a change in three linked planes beside the states, with a read-out at the point."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from qtpy.QtWidgets import (
    QCheckBox,
    QComboBox,
    QDoubleSpinBox,
    QFormLayout,
    QGridLayout,
    QLabel,
    QVBoxLayout,
)

from deltamu.viewers.inspection import Inspection, Point
from deltamu.viewers.planes import PLANES
from deltamu.viewers.widgets.section_panel import SectionPanel
from deltamu.viewers.widgets.study_widget import StudyWidget

if TYPE_CHECKING:
    from napari.viewer import Viewer


class InspectChange(StudyWidget):
    """States and a change side by side at the same place.

    Attributes
    ----------
    change_box, threshold_box, outline_box : Qt widgets
    panels : mapping of (plane, column) to SectionPanel
    readout : QLabel
    point : (z, y, x) mm
    """

    def __init__(self, napari_viewer: "Viewer") -> None:
        super().__init__(napari_viewer)
        self.inspection: Inspection | None = None
        self.point: Point = (0.0, 0.0, 0.0)
        self.panels: dict[tuple[str, str], SectionPanel] = {}
        self._build()
        self.viewer.dims.events.point.connect(self._follow_sliders)
        self.viewer.mouse_move_callbacks.append(self._hover)
        self.destroyed.connect(lambda: self.viewer.mouse_move_callbacks.remove(self._hover))
        self.follow()

    def open_study(self, output: Path) -> None:
        """Show the first change of a study, at the middle of its profile layer."""
        self.inspection = Inspection(output)
        self.change_box.blockSignals(True)
        self.change_box.clear()
        for change in self.inspection.changes:
            self.change_box.addItem(self.inspection.title(change), change)
        self.change_box.blockSignals(False)
        self._make_panels()
        z, y, x = self.inspection.focus_mm
        self.move_to((z, y, x))

    @property
    def change(self) -> str:
        """The change that is shown, `to-from`."""
        return str(self.change_box.currentData())

    def move_to(self, point: Point) -> None:
        """Look at a point (z, y, x) in mm, here and in the viewer."""
        self.point = point
        if self.viewer.dims.ndim == len(point):
            self.viewer.dims.point = point
        self.redraw()

    def redraw(self) -> None:
        """Draw every plane through the point and read the values there."""
        if self.inspection is None or not self.change:
            return
        for (plane, column), panel in self.panels.items():
            pixels = self.inspection.picture(
                self.change, column, plane, self.point, threshold=self.threshold_box.value(),
                outlines=self.outline_box.isChecked(),
            )  # fmt: skip
            panel.show_pixels(pixels, self.inspection.window.place(plane, self.point))
        self.show_values(self.point)

    def show_values(self, point: Point) -> None:
        """Read every image at a point."""
        if self.inspection is not None and self.change:
            self.readout.setText(self.inspection.read(self.change, point).text)

    def _build(self) -> None:
        self.change_box = QComboBox()
        self.threshold_box = QDoubleSpinBox()
        self.threshold_box.setRange(0.0, 20.0)
        self.threshold_box.setSingleStep(0.5)
        self.threshold_box.setToolTip("changes whose |z| is smaller are hidden")
        self.outline_box = QCheckBox("layer outlines")
        self.outline_box.setChecked(True)
        self.readout = QLabel()
        self.readout.setStyleSheet("font-family: monospace")
        self.grid = QGridLayout()
        form = QFormLayout()
        form.addRow("change", self.change_box)
        form.addRow("hide |z| below", self.threshold_box)
        form.addRow(self.outline_box)
        layout = QVBoxLayout(self.body)
        layout.addLayout(form)
        layout.addLayout(self.grid, stretch=1)
        layout.addWidget(self.readout)
        self.change_box.currentIndexChanged.connect(lambda _: self.redraw())
        self.threshold_box.valueChanged.connect(lambda _: self.redraw())
        self.outline_box.toggled.connect(lambda _: self.redraw())

    def _make_panels(self) -> None:
        """A row for each plane, a column for each state and the change."""
        assert self.inspection is not None
        while (item := self.grid.takeAt(0)) is not None:
            item.widget().deleteLater()
        self.panels.clear()
        for column, (name, title) in enumerate(self.inspection.columns.items()):
            self.grid.addWidget(QLabel(title), 0, column)
            for row, plane in enumerate(PLANES, 1):
                panel = SectionPanel(plane)
                panel.pointed.connect(lambda down, right, plane=plane: self._pointed(plane, down, right))
                self.panels[plane, name] = panel
                self.grid.addWidget(panel, row, column)
        self.grid.setRowStretch(len(PLANES) + 1, 1)

    def _pointed(self, plane: str, down: float, right: float) -> None:
        assert self.inspection is not None
        z, y, x = self.inspection.window.point(plane, down, right, self.point)
        self.move_to((z, y, x))

    def _follow_sliders(self, event: Any) -> None:
        """Follow the slider of the viewer along the axis that is not displayed."""
        if self.inspection is None or self.viewer.dims.ndim != 3:
            return
        point = list(self.point)
        for axis in self.viewer.dims.not_displayed:
            point[axis] = float(self.viewer.dims.point[axis])
        if max(abs(a - b) for a, b in zip(point, self.point, strict=True)) > 1e-9:
            self.point = (point[0], point[1], point[2])
            self.redraw()

    def _hover(self, viewer: "Viewer", event: Any) -> None:
        """Read the values under the mouse."""
        if len(viewer.cursor.position) == 3:
            z, y, x = viewer.cursor.position
            self.show_values((float(z), float(y), float(x)))
