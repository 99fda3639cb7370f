"""Widget: judge centre, tilt and corrections of a scan on live slices, and write them into a study."""

import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.qt.threading import create_worker
from qtpy.QtCore import Qt
from qtpy.QtWidgets import (
    QCheckBox,
    QComboBox,
    QDoubleSpinBox,
    QFileDialog,
    QFormLayout,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QSlider,
    QVBoxLayout,
    QWidget,
)

from deltamu.recon.errors import DeltamuError
from deltamu.recon.preprocess.center import CenterResult
from deltamu.recon.scans.read import read_scan
from deltamu.recon.solvers.filters import FILTERS
from deltamu.viewers.coloring import colored
from deltamu.viewers.layer import GREY
from deltamu.viewers.napari_layers import OURS, our_layers
from deltamu.viewers.study_edit import edit_study, state_of_scan
from deltamu.viewers.trial_slices import TrialOptions, TrialSlices
from deltamu.viewers.widgets.section_panel import SectionPanel

if TYPE_CHECKING:
    from napari.viewer import Viewer

NO_SCAN = "No scan is open. `deltamu view SCAN`, or drag the folder or file of a scan into the window."
REACH_PX = 20.0


class Prepare(QWidget):
    """Live slices of the scan that is open.

    Attributes
    ----------
    load_button, write_button, hold_button : QPushButton
    row_slider : QSlider
    center_box, tilt_box : QDoubleSpinBox
    spots_box, stripes_box : QCheckBox
    filter_box : QComboBox
    before, after : SectionPanel
        What was held, and the slice as it is set now.
    message : QLabel
    trials : TrialSlices or None
    """

    def __init__(self, napari_viewer: "Viewer") -> None:
        super().__init__()
        self.viewer = napari_viewer
        self.trials: TrialSlices | None = None
        self.found: CenterResult | None = None
        self.worker: Any = None
        closed = threading.Event()
        self._closed = closed
        self.destroyed.connect(lambda: closed.set())
        self._build()

    def load(self) -> None:
        """Read and correct some rows of the scan in the background."""
        layer = next(our_layers(self.viewer, "projections"), None)
        if layer is None:
            self.message.setText(NO_SCAN)
            return
        path = Path(layer.metadata[OURS]["source"])
        self.message.setText(f"reading {path.name} …")
        self.load_button.setEnabled(False)
        self.worker = create_worker(self._read, path, self._closed)
        self.worker.returned.connect(self._loaded)
        self.worker.start()

    @property
    def options(self) -> TrialOptions:
        """What is set."""
        return TrialOptions(
            center=self.center_box.value(), tilt_deg=self.tilt_box.value(), spots=self.spots_box.isChecked(),
            stripes=self.stripes_box.isChecked(), filter=self.filter_box.currentText(),
        )  # fmt: skip

    def redraw(self) -> None:
        """Reconstruct the row as it is set and show it."""
        if self.trials is None:
            return
        try:
            values = self.trials.slice(self.row_slider.value(), self.options)
        except DeltamuError as error:
            self.message.setText(str(error))
            return
        low, high = (float(v) for v in np.percentile(values, (1, 99.5)))
        self.after.show_pixels(colored(values, GREY, (low, max(high, low + 1e-6))))
        self.row_label.setText(f"row {self.trials.rows[self.row_slider.value()]}")

    def hold(self) -> None:
        """Keep the picture as it is now, to compare with."""
        self.before.show_pixels(self.after.pixels)

    def write(self, study: Path) -> None:
        """Write centre, tilt, spots, stripes and filter into a study.toml; no tilt where it is zero."""
        layer = next(our_layers(self.viewer, "projections"), None)
        if layer is None:
            self.message.setText(NO_SCAN)
            return
        try:
            state = state_of_scan(study, Path(layer.metadata[OURS]["source"]))
            edit_study(study, {
                ("states", state, "center"): round(self.center_box.value(), 3),
                ("states", state, "tilt_deg"): round(self.tilt_box.value(), 3) or None,
                ("preprocess", "spots"): self.spots_box.isChecked(),
                ("preprocess", "stripes"): "on" if self.stripes_box.isChecked() else "auto",
                ("reconstruction", "filter"): self.filter_box.currentText(),
            })  # fmt: skip
        except DeltamuError as error:
            self.message.setText(str(error))
            return
        self.message.setText(f"written into {study}: centre and tilt of {state}, spots, stripes, filter")

    @staticmethod
    def _read(path: Path, closed: threading.Event) -> Any:
        """Work of the thread, which may outlive the widget: rows and automatic values, or the sentence why not."""
        try:
            trials = TrialSlices(read_scan(path), cancel=closed.is_set)
            return trials, trials.find_center()
        except DeltamuError as error:
            return str(error)

    def _loaded(self, found: Any) -> None:
        self.load_button.setEnabled(True)
        self.worker = None
        if isinstance(found, str):
            self.message.setText(found)
            return
        self.trials, self.found = found
        assert self.trials is not None and self.found is not None  # noqa: PT018
        for widget in (self.center_box, self.tilt_box, self.row_slider):
            widget.blockSignals(True)
        self.center_box.setRange(self.found.center - REACH_PX, self.found.center + REACH_PX)
        self.center_box.setValue(self.found.center)
        self.tilt_box.setValue(self.found.tilt_deg)
        self.row_slider.setRange(0, self.trials.rows.size - 1)
        self.row_slider.setValue(self.trials.rows.size // 2)
        for widget in (self.center_box, self.tilt_box, self.row_slider):
            widget.blockSignals(False)
        self.automatic.setText(
            f"automatic: centre {self.found.center:.2f} ± {self.found.spread:.2f} px, "
            f"tilt {self.found.tilt_deg:.3f} ± {self.found.tilt_error_deg:.3f}°"
        )
        self.message.setText(" ".join(self.found.warnings))
        self.redraw()
        self.hold()

    def _build(self) -> None:
        self.load_button, self.hold_button = QPushButton("read the scan"), QPushButton("hold as before")
        self.write_button = QPushButton("write into study.toml …")
        self.center_box, self.tilt_box = QDoubleSpinBox(), QDoubleSpinBox()
        self.center_box.setRange(0.0, 1e5)
        self.center_box.setDecimals(2)
        self.center_box.setSingleStep(0.1)
        self.tilt_box.setRange(-5.0, 5.0)
        self.tilt_box.setDecimals(3)
        self.tilt_box.setSingleStep(0.01)
        self.spots_box, self.stripes_box = QCheckBox("remove spots"), QCheckBox("remove stripes (rings)")
        self.spots_box.setChecked(True)
        self.filter_box = QComboBox()
        self.filter_box.addItems(list(FILTERS))
        self.filter_box.setCurrentText("hann")
        self.row_slider, self.row_label = QSlider(Qt.Orientation.Horizontal), QLabel("row")
        self.automatic, self.message = QLabel(), QLabel(NO_SCAN)
        self.message.setWordWrap(True)
        self.before, self.after = SectionPanel(), SectionPanel()
        self._lay_out()
        for signal in (
            self.center_box.valueChanged, self.tilt_box.valueChanged, self.row_slider.valueChanged,
            self.spots_box.toggled, self.stripes_box.toggled, self.filter_box.currentIndexChanged,
        ):  # fmt: skip
            signal.connect(lambda _: self.redraw())
        self.load_button.clicked.connect(lambda _: self.load())
        self.hold_button.clicked.connect(lambda _: self.hold())
        self.write_button.clicked.connect(lambda _: self._ask_and_write())

    def _lay_out(self) -> None:
        form = QFormLayout()
        form.addRow("centre (px)", self.center_box)
        form.addRow("tilt (°)", self.tilt_box)
        form.addRow("filter", self.filter_box)
        form.addRow(self.row_label, self.row_slider)
        pictures = QHBoxLayout()
        for title, panel in (("before", self.before), ("now", self.after)):
            column = QVBoxLayout()
            column.addWidget(QLabel(title))
            column.addWidget(panel)
            column.addStretch(1)
            pictures.addLayout(column)
        layout = QVBoxLayout(self)
        layout.addWidget(self.load_button)
        layout.addWidget(self.automatic)
        layout.addLayout(form)
        for widget in (self.spots_box, self.stripes_box, self.hold_button):
            layout.addWidget(widget)
        layout.addLayout(pictures, stretch=1)
        layout.addWidget(self.write_button)
        layout.addWidget(self.message)

    def _ask_and_write(self) -> None:
        name, _ = QFileDialog.getOpenFileName(self, "Study", "study.toml", "study (*.toml)")
        if name:
            self.write(Path(name))
