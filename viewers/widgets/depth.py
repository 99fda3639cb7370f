"""Widget: the depth profile of a region, and the slice of the layer at a depth."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari.qt.threading import create_worker
from qtpy.QtCore import Qt
from qtpy.QtWidgets import (
    QComboBox,
    QFileDialog,
    QFormLayout,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QSlider,
    QVBoxLayout,
)

from deltamu.recon.errors import DeltamuError, InputError
from deltamu.recon.report.content import change_title
from deltamu.viewers.coloring import colored
from deltamu.viewers.depth_columns import RegionProfile
from deltamu.viewers.depth_export import write_profiles
from deltamu.viewers.depth_regions import CORE, RIM, WHOLE
from deltamu.viewers.depth_view import DepthView
from deltamu.viewers.layer import DIVERGING
from deltamu.viewers.widgets.drawn_regions import add_region_layer, region_layers, region_mask
from deltamu.viewers.widgets.profile_plot import ProfilePlot
from deltamu.viewers.widgets.section_panel import SectionPanel
from deltamu.viewers.widgets.study_widget import StudyWidget

if TYPE_CHECKING:
    from napari.viewer import Viewer

STEPS_PER_BIN = 4
RINGS = (CORE, WHOLE, RIM)
FILES = "table (*.csv);;picture (*.png);;drawing (*.svg)"


class Depth(StudyWidget):
    """Profiles with error bands, a cursor at d, and the flattened slice there.

    Attributes
    ----------
    change_box, region_box, slider : Qt widgets
    plot : ProfilePlot
    panel : SectionPanel
        The layer at depth d, seen along its normal.
    depth_mm : float
    profiles : mapping of change to RegionProfile
        What is drawn.
    """

    def __init__(self, napari_viewer: "Viewer") -> None:
        super().__init__(napari_viewer)
        self.view: DepthView | None = None
        self.depth_mm = 0.0
        self.profiles: dict[str, RegionProfile] = {}
        self._build()
        self.viewer.mouse_drag_callbacks.append(self._clicked)
        self.viewer.layers.events.inserted.connect(self._list_regions)
        self.viewer.layers.events.removed.connect(self._list_regions)
        self.destroyed.connect(lambda: self._forget(napari_viewer))
        self.follow()

    def open_study(self, output: Path) -> None:
        """Show the profiles of a study, the cursor in the middle of the layer."""
        self.view = DepthView(output)
        # what any other region needs; the core stands in the study's table
        create_worker(self.view.prepare).start()
        for box in (self.change_box, self.region_box):
            box.blockSignals(True)
        self.change_box.clear()
        for change in self.view.content.changes:
            self.change_box.addItem(change_title(change), change)
        self._list_regions()
        for box in (self.change_box, self.region_box):
            box.blockSignals(False)
        first, last = self.view.depths_mm
        step = self.view.bin_mm / STEPS_PER_BIN
        self.slider.blockSignals(True)
        self.slider.setRange(round(first / step), round(last / step))
        self.slider.blockSignals(False)
        self.depth_mm = 0.5 * self.view.layer.thickness_mm
        self.update_profiles()
        self.show_depth(self.depth_mm)

    @property
    def change(self) -> str:
        """The change whose slice is shown."""
        return str(self.change_box.currentData())

    @property
    def region(self) -> str:
        """The region that is averaged."""
        return str(self.region_box.currentText())

    def update_profiles(self) -> None:
        """Average every change over the region and draw the profiles."""
        if self.view is None or not self.change:
            return
        try:
            region: Any = self.region
            if region not in RINGS:
                region = region_mask(self.viewer, region, self.view.columns)
            self.profiles = {
                change: self.view.profile(change, region) for change in self.view.content.changes
            }
        except InputError as error:
            self.note.setText(str(error))
            return
        self.note.setText(f"bands: ± 2 standard errors, from {self.profiles[self.change].errors_from}")
        self.plot.show_profiles(
            self.profiles, self.change, thickness_mm=self.view.layer.thickness_mm, layer=self.view.layer.name,
            depth_mm=self.depth_mm,
        )  # fmt: skip

    def show_depth(self, depth_mm: float) -> None:
        """Move the cursor and show the slice at a depth."""
        if self.view is None:
            return
        step = self.view.bin_mm / STEPS_PER_BIN
        self.slider.blockSignals(True)
        self.slider.setValue(round(depth_mm / step))
        self.slider.blockSignals(False)
        self.depth_mm = self.slider.value() * step
        self.plot.move_cursor(self.depth_mm)
        values = self.view.slice(self.change, self.depth_mm)
        self.panel.show_pixels(colored(values, DIVERGING, self.view.limits))
        self.depth_label.setText(f"d = {self.depth_mm:.3f} mm")

    def save(self, path: Path) -> Path:
        """Write the profiles as CSV, or the plot as PNG, SVG or PDF, by the ending.

        Raises
        ------
        InputError
            If the ending is another one.
        """
        suffix = path.suffix.lower()
        if suffix == ".csv":
            return write_profiles(path, self.region, self.profiles)
        if suffix in (".png", ".svg", ".pdf"):
            return self.plot.save(path)
        raise InputError(f"{path}: found the ending '{suffix}', expected .csv, .png, .svg or .pdf")

    def draw_region(self) -> None:
        """Add a layer to draw a region in; its profile follows the drawing."""
        layer = add_region_layer(self.viewer)
        layer.events.data.connect(lambda event=None: self._redrawn(layer.name))
        self.region_box.setCurrentText(layer.name)

    def _build(self) -> None:
        self.change_box, self.region_box = QComboBox(), QComboBox()
        self.region_box.addItems(RINGS)
        self.slider = QSlider(Qt.Orientation.Horizontal)
        self.plot, self.panel = ProfilePlot(self.show_depth), SectionPanel()
        self.note, self.depth_label = QLabel(), QLabel()
        self.note.setWordWrap(True)
        draw, export = QPushButton("draw a region"), QPushButton("export …")
        buttons = QHBoxLayout()
        buttons.addWidget(draw)
        buttons.addWidget(export)
        form = QFormLayout()
        form.addRow("change", self.change_box)
        form.addRow("region", self.region_box)
        form.addRow(self.depth_label, self.slider)
        layout = QVBoxLayout(self.body)
        layout.addLayout(form)
        layout.addLayout(buttons)
        layout.addWidget(self.plot, stretch=3)
        layout.addWidget(self.note)
        layout.addWidget(self.panel, stretch=4)
        self.change_box.currentIndexChanged.connect(lambda _: self._changed())
        self.region_box.currentIndexChanged.connect(lambda _: self.update_profiles())
        self.slider.valueChanged.connect(lambda value: self._slid(value))
        self.panel.pointed.connect(self._pointed)
        draw.clicked.connect(lambda _: self.draw_region())
        export.clicked.connect(lambda _: self._ask_and_save())

    def _changed(self) -> None:
        self.update_profiles()
        self.show_depth(self.depth_mm)

    def _slid(self, value: int) -> None:
        if self.view is not None:
            self.show_depth(value * self.view.bin_mm / STEPS_PER_BIN)

    def _redrawn(self, name: str) -> None:
        if self.region == name:
            self.update_profiles()

    def _list_regions(self, event: Any = None) -> None:
        """Offer the rings and every layer that can be a region."""
        wanted = [*RINGS, *region_layers(self.viewer)]
        current = self.region
        if wanted == [self.region_box.itemText(i) for i in range(self.region_box.count())]:
            return
        self.region_box.blockSignals(True)
        self.region_box.clear()
        self.region_box.addItems(wanted)
        self.region_box.setCurrentText(current if current in wanted else CORE)
        self.region_box.blockSignals(False)
        if self.region != current:
            self.update_profiles()

    def _pointed(self, down: float, right: float) -> None:
        """Show in the viewer where a place of the slice lies."""
        if self.view is None:
            return
        y, x = self.view.columns.positions_mm
        height, width = (
            y[-1] - y[0] + self.view.columns.voxel_size_mm,
            x[-1] - x[0] + self.view.columns.voxel_size_mm,
        )
        half = 0.5 * self.view.columns.voxel_size_mm
        point = self.view.point_at(self.depth_mm, y[0] - half + down * height, x[0] - half + right * width)
        if self.viewer.dims.ndim == 3:
            self.viewer.dims.point = point

    def _clicked(self, viewer: "Viewer", event: Any) -> None:
        """Move the cursor to the depth of a point that is clicked in the volume."""
        if self.view is not None and len(viewer.cursor.position) == 3:
            z, y, x = viewer.cursor.position
            self.show_depth(self.view.depth_at((float(z), float(y), float(x))))

    def _ask_and_save(self) -> None:
        name, _ = QFileDialog.getSaveFileName(self, "Export the profile", f"profile-{self.region}.csv", FILES)
        if not name:
            return
        try:
            self.note.setText(f"written: {self.save(Path(name))}")
        except DeltamuError as error:
            self.note.setText(str(error))

    def _forget(self, viewer: "Viewer") -> None:
        viewer.mouse_drag_callbacks.remove(self._clicked)
        for event in (viewer.layers.events.inserted, viewer.layers.events.removed):
            event.disconnect(self._list_regions)
