"""A picture of a plane with a cross at the point that is looked at; a click moves the point."""

import numpy as np
from qtpy.QtCore import QPointF, QRectF, QSize, Qt, Signal
from qtpy.QtGui import QColor, QImage, QMouseEvent, QPainter, QPaintEvent, QPen
from qtpy.QtWidgets import QSizePolicy, QWidget

from deltamu.viewers.coloring import Pixels

CROSS = QColor(0, 158, 115)
LEAST_SIDE = 110


class SectionPanel(QWidget):
    """Shows RGBA pixels as large as fits, with square pixels.

    Signals
    -------
    pointed(float, float)
        Where the mouse was pressed or dragged, as fractions (down, right) of the picture.
    """

    pointed = Signal(float, float)

    def __init__(self, title: str = "") -> None:
        super().__init__()
        self.title = title
        self.pixels: Pixels = np.zeros((1, 1, 4), np.uint8)
        self.cross: tuple[float, float] | None = None
        policy = QSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Preferred)
        policy.setHeightForWidth(True)
        self.setSizePolicy(policy)
        self.setMinimumWidth(LEAST_SIDE)

    def show_pixels(self, pixels: Pixels, cross: tuple[float, float] | None = None) -> None:
        """Replace the picture; `cross` in fractions (down, right)."""
        if pixels.shape != self.pixels.shape:
            self.updateGeometry()
        self.pixels = np.ascontiguousarray(pixels)
        self.cross = cross
        self.update()

    def heightForWidth(self, width: int) -> int:
        """Height at which the picture fills the width."""
        rows, columns = self.pixels.shape[:2]
        result: int = round(width * rows / columns)
        return result

    def sizeHint(self) -> QSize:
        """Say how large the panel would like to be."""
        return QSize(LEAST_SIDE, self.heightForWidth(LEAST_SIDE))

    @property
    def frame(self) -> QRectF:
        """Where the picture lies in the widget."""
        height, width = self.pixels.shape[:2]
        scale = min(self.width() / width, self.height() / height)
        w, h = width * scale, height * scale
        return QRectF((self.width() - w) / 2, (self.height() - h) / 2, w, h)

    def paintEvent(self, event: QPaintEvent) -> None:
        """Draw the picture, the cross and the title."""
        painter = QPainter(self)
        height, width = self.pixels.shape[:2]
        image = QImage(self.pixels.data, width, height, 4 * width, QImage.Format.Format_RGBA8888)
        frame = self.frame
        # smaller than its pixels, a picture would lose its thin lines
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform, frame.width() < width)
        painter.drawImage(frame, image)
        if self.cross is not None:
            down, right = self.cross
            x, y = frame.left() + right * frame.width(), frame.top() + down * frame.height()
            painter.setPen(QPen(CROSS, 1))
            painter.drawLine(QPointF(frame.left(), y), QPointF(frame.right(), y))
            painter.drawLine(QPointF(x, frame.top()), QPointF(x, frame.bottom()))
        painter.end()

    def mousePressEvent(self, event: QMouseEvent) -> None:
        """Tell where the mouse was pressed."""
        self._tell(event)

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        """Tell where the mouse was dragged to."""
        if event.buttons() & Qt.MouseButton.LeftButton:
            self._tell(event)

    def _tell(self, event: QMouseEvent) -> None:
        frame, at = self.frame, event.position()
        down, right = (at.y() - frame.top()) / frame.height(), (at.x() - frame.left()) / frame.width()
        if 0 <= down < 1 and 0 <= right < 1:
            self.pointed.emit(down, right)
