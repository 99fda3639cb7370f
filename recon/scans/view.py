"""How stored frames are turned into the frames of a scan: transpose, flip, crop, bin."""

from dataclasses import dataclass

import numpy as np

from deltamu.recon.errors import InputError
from deltamu.recon.scans.frames import Frames
from deltamu.recon.scans.options import ScanOptions


@dataclass(frozen=True)
class DetectorView:
    """Transposition, flip, crop and binning, in this order.

    Attributes
    ----------
    stored : (row, column)
        Size of the stored frames.
    transpose : bool
        The rotation axis lies along the columns.
    flip_rows, flip_columns : bool
    rows, columns : (start, stop)
        Crop, after transposition and flip.
    bin : int
        Blocks of bin × bin pixels are averaged; pixels beyond the last whole block are left out.
    """

    stored: tuple[int, int]
    transpose: bool
    flip_rows: bool
    flip_columns: bool
    rows: tuple[int, int]
    columns: tuple[int, int]
    bin: int

    @property
    def shape(self) -> tuple[int, int]:
        """(row, column) of the result."""
        return ((self.rows[1] - self.rows[0]) // self.bin, (self.columns[1] - self.columns[0]) // self.bin)

    def apply(self, frames: Frames) -> Frames:
        """Turn stored frames (n, row, column) into frames of the scan, contiguous float32."""
        if frames.shape[1:] != self.stored:
            raise InputError(f"frames: found {frames.shape[1:]} (row, column), expected {self.stored}")
        turned = frames.swapaxes(1, 2) if self.transpose else frames
        turned = turned[:, :: -1 if self.flip_rows else 1, :: -1 if self.flip_columns else 1]
        rows, columns = self.shape
        height, width = rows * self.bin, columns * self.bin
        cut = turned[:, self.rows[0] : self.rows[0] + height, self.columns[0] : self.columns[0] + width]
        if self.bin == 1:
            return np.ascontiguousarray(cut, np.float32)
        blocks = cut.reshape(-1, rows, self.bin, columns, self.bin)
        return np.asarray(blocks.mean(axis=(2, 4), dtype=np.float64), np.float32)


def detector_view(stored: tuple[int, int], options: ScanOptions, label: str) -> DetectorView:
    """Check crop and binning against the size of the stored frames."""
    height, width = stored[::-1] if options.transpose else stored
    rows = _crop(options.crop_rows, height, "crop_rows", label)
    columns = _crop(options.crop_columns, width, "crop_columns", label)
    if min(rows[1] - rows[0], columns[1] - columns[0]) < options.bin:
        raise InputError(f"bin: found {options.bin}, but the cropped frames of {label} are smaller")
    return DetectorView(
        stored=stored,
        transpose=options.transpose,
        flip_rows=options.flip in ("rows", "both"),
        flip_columns=options.flip in ("columns", "both"),
        rows=rows,
        columns=columns,
        bin=options.bin,
    )


def _crop(crop: tuple[int, int] | None, size: int, name: str, label: str) -> tuple[int, int]:
    if crop is None:
        return (0, size)
    if crop[1] > size:
        raise InputError(f"{name}: found {list(crop)}, but the frames of {label} have {size}")
    return crop
