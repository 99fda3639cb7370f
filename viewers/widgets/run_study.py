"""Widget: start a run, watch it, stop it, continue it."""

from pathlib import Path
from typing import TYPE_CHECKING

from qtpy.QtCore import QObject, Qt, Signal
from qtpy.QtWidgets import (
    QFileDialog,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QProgressBar,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from deltamu.recon.errors import DeltamuError
from deltamu.viewers.napari_layers import add_opened, study_of
from deltamu.viewers.opening import open_path
from deltamu.viewers.run_session import CANCELLED, DONE, RunSession

if TYPE_CHECKING:
    from napari.viewer import Viewer


class RunSignals(QObject):
    """What the thread of a run says to the window; outlives the widgets that listen.

    Signals
    -------
    told(str, str, int, int)
        Stage, state, pieces done and in all.
    ended(str, str)
        How, and a text, as of `RunSession`.
    """

    told = Signal(str, str, int, int)
    ended = Signal(str, str)


class RunStudy(QWidget):
    """Runs a study.toml in the background; the window stays usable.

    Attributes
    ----------
    path : QLineEdit
        The study.toml.
    start_button, cancel_button, open_button : QPushButton
    bar : QProgressBar
        Pieces of the stage that is at work.
    message : QLabel
    how : str
        How the last run ended: "", "done", "cancelled" or "failed".
    signals : RunSignals
    """

    def __init__(self, napari_viewer: "Viewer") -> None:
        super().__init__()
        self.viewer = napari_viewer
        self.session: RunSession | None = None
        self.how = ""
        self.output: Path | None = None
        self._build()
        self.signals = RunSignals()
        self.signals.told.connect(self._show_progress)
        self.signals.ended.connect(self._show_end)
        # the window that holds this widget does not tell it that it closes, it only destroys it
        self.destroyed.connect(lambda: self.stop_and_wait())
        output = study_of(napari_viewer)
        if output is not None and (Path(output) / "study.toml").is_file():
            self.path.setText(str(Path(output) / "study.toml"))

    @property
    def running(self) -> bool:
        """Whether a run is at work."""
        return self.session is not None

    def start(self) -> None:
        """Start the study, or continue it where it stopped."""
        if self.running:
            return
        self.how = ""
        told, ended = self.signals.told, self.signals.ended
        self.session = RunSession(Path(self.path.text()), progress=told.emit, ended=ended.emit)
        self._enable(running=True)
        self.message.setText("started")
        self.session.start()

    def cancel(self) -> None:
        """Stop after the current piece; what is finished is kept."""
        if self.session is not None:
            self.session.cancel()
            self.message.setText("stopping after the current piece …")

    def open_result(self) -> None:
        """Show the study that was computed."""
        if self.output is not None:
            try:
                add_opened(self.viewer, open_path(self.output))
            except DeltamuError as error:
                self.message.setText(str(error))

    def stop_and_wait(self) -> None:
        """Stop the run, and wait for its thread so that the piece at work is kept; for closing the window."""
        if self.session is not None:
            self.session.cancel()
            self.session.wait()
            self.session = None

    def _build(self) -> None:
        self.path = QLineEdit()
        self.path.setPlaceholderText("study.toml")
        browse = QPushButton("…")
        self.start_button, self.cancel_button = QPushButton("start or continue"), QPushButton("stop")
        self.open_button = QPushButton("show the result")
        self.bar, self.stage, self.message = QProgressBar(), QLabel(), QLabel()
        self.message.setWordWrap(True)
        self.message.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        line, buttons = QHBoxLayout(), QHBoxLayout()
        for widget in (self.path, browse):
            line.addWidget(widget)
        for widget in (self.start_button, self.cancel_button, self.open_button):
            buttons.addWidget(widget)
        layout = QVBoxLayout(self)
        layout.addLayout(line)
        layout.addLayout(buttons)
        for widget in (self.stage, self.bar, self.message):
            layout.addWidget(widget)
        layout.addStretch(1)
        self._enable(running=False)
        browse.clicked.connect(lambda _: self._browse())
        self.start_button.clicked.connect(lambda _: self.start())
        self.cancel_button.clicked.connect(lambda _: self.cancel())
        self.open_button.clicked.connect(lambda _: self.open_result())

    def _enable(self, *, running: bool) -> None:
        self.start_button.setEnabled(not running)
        self.path.setEnabled(not running)
        self.cancel_button.setEnabled(running)
        self.open_button.setEnabled(not running and self.output is not None)

    def _show_progress(self, stage: str, state: str, done: int, total: int) -> None:
        self.stage.setText(f"{stage} {state}".strip())
        self.bar.setRange(0, total)
        self.bar.setValue(done)

    def _show_end(self, how: str, text: str) -> None:
        if self.session is not None:
            self.session.wait()
        self.session, self.how = None, how
        if how == DONE:
            self.output = Path(text)
        self.message.setText({DONE: f"done: {text}/report.html", CANCELLED: text}.get(how, text))
        self._enable(running=False)

    def _browse(self) -> None:
        name, _ = QFileDialog.getOpenFileName(self, "Study", self.path.text(), "study (*.toml)")
        if name:
            self.path.setText(name)
