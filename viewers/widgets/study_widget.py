"""What the widgets share: they follow the study that is open in the viewer, and speak in sentences."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QLabel, QVBoxLayout, QWidget

from deltamu.recon.errors import DeltamuError
from deltamu.viewers.napari_layers import study_of

if TYPE_CHECKING:
    from napari.viewer import Viewer

NO_STUDY = "No study is open. Drag the output folder of a study into the window, or `deltamu view DIR`."


class StudyWidget(QWidget):
    """A widget about the study that is open; `message` says why it shows nothing.

    Attributes
    ----------
    nothing_open : str
        The sentence where there is no study.
    """

    nothing_open = NO_STUDY

    def __init__(self, napari_viewer: "Viewer") -> None:
        super().__init__()
        self.viewer = napari_viewer
        self.output: str | None = None
        self.message = QLabel(self.nothing_open)
        self.message.setWordWrap(True)
        self.message.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.body = QWidget()
        layout = QVBoxLayout(self)
        layout.addWidget(self.message)
        layout.addWidget(self.body, stretch=1)
        self.body.setVisible(False)
        self.viewer.layers.events.inserted.connect(self.follow)
        self.viewer.layers.events.removed.connect(self.follow)
        self.destroyed.connect(lambda: self._stop_listening(napari_viewer))

    def follow(self, event: Any = None) -> None:
        """Open the study that the viewer shows, if it is another one than before."""
        output = self.find_output()
        if output == self.output:
            return
        self.output = output
        try:
            if output is not None:
                self.open_study(Path(output))
            self.say("" if output is not None else self.nothing_open)
        except DeltamuError as error:
            self.say(str(error))

    def find_output(self) -> str | None:
        """Output folder of the study that is open; None where there is none."""
        return study_of(self.viewer)

    def open_study(self, output: Path) -> None:
        """Show a study; a subclass says how."""
        raise NotImplementedError

    def say(self, text: str) -> None:
        """Show a sentence instead of the body; the body where there is none."""
        self.message.setText(text)
        self.message.setVisible(bool(text))
        self.body.setVisible(not text)

    def _stop_listening(self, viewer: "Viewer") -> None:
        for event in (viewer.layers.events.inserted, viewer.layers.events.removed):
            event.disconnect(self.follow)
