"""Widget: a registration judged by eye, moved by hand, and taken as the start of the next one."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari.qt.threading import create_worker
from qtpy.QtCore import QTimer
from qtpy.QtWidgets import (
    QCheckBox,
    QComboBox,
    QDoubleSpinBox,
    QFileDialog,
    QFormLayout,
    QLabel,
    QPushButton,
    QVBoxLayout,
)

from deltamu.recon.errors import DeltamuError
from deltamu.recon.geometry import NO_STRAIN, AffineTransform, RigidTransform
from deltamu.recon.report.content import state_title
from deltamu.viewers.overlay import MODES, Overlay
from deltamu.viewers.planes import PLANES
from deltamu.viewers.study_edit import edit_study
from deltamu.viewers.widgets.section_panel import SectionPanel
from deltamu.viewers.widgets.study_widget import StudyWidget

if TYPE_CHECKING:
    from napari.viewer import Viewer

PARAMETERS = (
    "shift z (mm)", "shift y (mm)", "shift x (mm)", "turn about z (°)", "turn about y (°)", "turn about x (°)",
)  # fmt: skip
BLINK_MS = 500


class RegistrationCheck(StudyWidget):
    """Overlays of the reference and a state, with the six parameters of the rigid motion.

    A state that was registered with its stretch is shown with it; the boxes, and what is registered from them or
    accepted, are the rigid part.

    Attributes
    ----------
    state_box, mode_box : QComboBox
    blink_box : QCheckBox
    boxes : list of QDoubleSpinBox
        Shift z, y, x (mm), turn about z, y, x (degrees), about the middle of the reference.
    panels : mapping of plane to SectionPanel
    restart_button, accept_button : QPushButton
    """

    def __init__(self, napari_viewer: "Viewer") -> None:
        super().__init__(napari_viewer)
        self.overlay: Overlay | None = None
        self.worker: Any = None
        self.shows_moving = False
        self._build()
        self.follow()

    def open_study(self, output: Path) -> None:
        """Show the first registered state."""
        self.overlay = Overlay(output)
        z, y, x = self.overlay.focus_mm
        self.point = (z, y, x)
        self.state_box.blockSignals(True)
        self.state_box.clear()
        for state in self.overlay.states:
            self.state_box.addItem(state_title(state), state)
        self.state_box.blockSignals(False)
        self.show_found()

    @property
    def state(self) -> str:
        """The state that is laid over the reference."""
        return str(self.state_box.currentData())

    @property
    def transform(self) -> AffineTransform:
        """The motion that the six boxes hold, after the stretch that the study found."""
        assert self.overlay is not None
        tz, ty, tx, rz, ry, rx = (box.value() for box in self.boxes)
        found = self.overlay.transform(self.state)
        return replace(found, rotation_deg=(rz, ry, rx), translation_mm=(tz, ty, tx))

    def show_found(self) -> None:
        """Go back to the registration of the study."""
        if self.overlay is not None:
            found = self.overlay.transform(self.state)
            self.set_transform(found)
            stretched = found.strain != NO_STRAIN
            self.note.setText(
                "shown with the stretch of the study; the boxes are the rigid part" if stretched else ""
            )

    def set_transform(self, transform: AffineTransform) -> None:
        """Fill the six boxes and draw."""
        for box, value in zip(self.boxes, (*transform.translation_mm, *transform.rotation_deg), strict=True):
            box.blockSignals(True)
            box.setValue(value)
            box.blockSignals(False)
        self.redraw()

    def redraw(self) -> None:
        """Draw the three planes as they are set."""
        if self.overlay is None:
            return
        mode = self.mode_box.currentText()
        if self.blink_box.isChecked():
            mode = "moving" if self.shows_moving else "reference"
        for plane, panel in self.panels.items():
            pixels = self.overlay.picture(self.state, plane, self.point, self.transform, mode)
            panel.show_pixels(pixels, self.overlay.window.place(plane, self.point))

    def restart(self) -> None:
        """Register again from the values in the boxes, in the background."""
        if self.overlay is None or self.worker is not None:
            return
        self.note.setText("registering …")
        self.worker = create_worker(self._register, self.overlay, self.state, self.transform.rigid())
        self.worker.returned.connect(self._registered)
        self.worker.start()

    def accept(self, study: Path) -> None:
        """Write the values into a study.toml, where the next run starts its search."""
        values = [round(box.value(), 6) for box in self.boxes]
        try:
            edit_study(study, {("registration", "start", self.state): values})
        except DeltamuError as error:
            self.note.setText(str(error))
            return
        self.note.setText(
            f"written into {study}: registration.start.{self.state}; `deltamu run` starts from there"
        )

    @staticmethod
    def _register(overlay: Overlay, state: str, start: RigidTransform) -> Any:
        try:
            found = overlay.register_again(state, start)
        except DeltamuError as error:
            return str(error)
        return overlay.in_full(found.transform), found

    def _registered(self, found: Any) -> None:
        self.worker = None
        if isinstance(found, str):
            self.note.setText(found)
            return
        transform, registration = found
        self.set_transform(transform)
        converged = "converged" if registration.converged else "did not converge"
        self.note.setText(
            f"{converged} after {registration.iterations} iterations, correlation {registration.correlation:.4f}"
        )

    def _build(self) -> None:
        self.point = (0.0, 0.0, 0.0)
        self.state_box, self.mode_box, self.blink_box = QComboBox(), QComboBox(), QCheckBox("blink")
        self.mode_box.addItems(MODES)
        self.boxes = [self._box(step=0.005 if "mm" in name else 0.02) for name in PARAMETERS]
        self.panels = {plane: SectionPanel(plane) for plane in PLANES}
        self.restart_button, self.accept_button = (
            QPushButton("register from here"),
            QPushButton("accept into study.toml …"),
        )
        back, self.note = QPushButton("back to the study's"), QLabel()
        self.note.setWordWrap(True)
        self.timer = QTimer(self)
        self.timer.setInterval(BLINK_MS)
        form = QFormLayout()
        form.addRow("state", self.state_box)
        form.addRow("overlay", self.mode_box)
        form.addRow(self.blink_box)
        for name, box in zip(PARAMETERS, self.boxes, strict=True):
            form.addRow(name, box)
        layout = QVBoxLayout(self.body)
        layout.addLayout(form)
        for widget in (*self.panels.values(), back, self.restart_button, self.accept_button, self.note):
            layout.addWidget(widget)
        layout.addStretch(1)
        self.state_box.currentIndexChanged.connect(lambda _: self.show_found())
        self.mode_box.currentIndexChanged.connect(lambda _: self.redraw())
        self.blink_box.toggled.connect(self._blink)
        self.timer.timeout.connect(self._turn)
        back.clicked.connect(lambda _: self.show_found())
        self.restart_button.clicked.connect(lambda _: self.restart())
        self.accept_button.clicked.connect(lambda _: self._ask_and_accept())
        for plane, panel in self.panels.items():
            panel.pointed.connect(lambda down, right, plane=plane: self._pointed(plane, down, right))

    def _box(self, *, step: float) -> QDoubleSpinBox:
        box = QDoubleSpinBox()
        box.setRange(-180.0, 180.0)
        box.setDecimals(6)
        box.setSingleStep(step)
        box.valueChanged.connect(lambda _: self.redraw())
        return box

    def _blink(self, on: bool) -> None:
        (self.timer.start if on else self.timer.stop)()
        self.redraw()

    def _turn(self) -> None:
        self.shows_moving = not self.shows_moving
        self.redraw()

    def _pointed(self, plane: str, down: float, right: float) -> None:
        if self.overlay is not None:
            z, y, x = self.overlay.window.point(plane, down, right, self.point)
            self.point = (z, y, x)
            self.redraw()

    def _ask_and_accept(self) -> None:
        name, _ = QFileDialog.getOpenFileName(self, "Study", "study.toml", "study (*.toml)")
        if name:
            self.accept(Path(name))
