"""TIFF frames: one per file, or many pages in one file."""

import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tifffile

from deltamu.recon.errors import InputError
from deltamu.recon.scans.frames import Frames, FrameSource, Indices, check_stack
from deltamu.recon.scans.image_folder import ImageFormat, image_folder


def tiff_source(label: str, files: tuple[Path, ...]) -> FrameSource:
    """Return one file with pages, or a folder of single frames."""
    if len(files) == 1:
        return _tiff_pages(label, files[0])
    return image_folder(label, files, ImageFormat(shape=_image_shape, read=_read_image))


def _image_shape(path: Path) -> tuple[int, int]:
    with _opened(path) as tif:
        return _checked_page(path, tif)


def _read_image(path: Path) -> Frames:
    with _opened(path) as tif:
        _checked_page(path, tif)
        return np.asarray(tif.pages[0].asarray(maxworkers=1), np.float32)


def _checked_page(path: Path, tif: Any) -> tuple[int, int]:
    """Return the size of the only page."""
    if len(tif.pages) > 1:
        raise InputError(
            f"{path}: found {len(tif.pages)} pages, expected one frame per file in a folder of TIFFs; "
            "give a multi-page file by its own path"
        )
    page = tif.pages[0]
    _check_grey(path, page)
    _check_complete(path, page)
    return (int(page.shape[0]), int(page.shape[1]))


def _check_grey(path: Path, page: Any) -> None:
    if page.samplesperpixel != 1 or len(page.shape) != 2:
        raise InputError(
            f"{path}: found {page.samplesperpixel} samples per pixel (a colour image), "
            "expected grey detector frames"
        )
    check_stack(page.shape, page.dtype or np.dtype(object), str(path))


def _check_complete(path: Path, page: Any) -> None:
    size = path.stat().st_size
    needed = max((o + n for o, n in zip(page.dataoffsets, page.databytecounts, strict=False)), default=0)
    if needed > size:
        raise InputError(f"{path}: truncated: found {size} bytes, expected {needed}; copy the file again")


def _check_chain(path: Path, tif: Any) -> None:
    """Refuse a chain of pages that leads behind the end of the file: tifffile would stop without an error."""
    place = tif.pages.next_page_offset
    if place is None:
        return
    with path.open("rb") as file:
        file.seek(place)
        link = file.read(tif.tiff.offsetsize)
    (following,) = struct.unpack(tif.tiff.offsetformat, link) if len(link) == tif.tiff.offsetsize else (1,)
    if following != 0:
        raise InputError(
            f"{path}: truncated: only {len(tif.pages)} pages are left of it; copy the file again"
        )


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    """Open a TIFF; whatever is wrong with it becomes one line that names it."""
    try:
        with tifffile.TiffFile(path) as tif:
            if len(tif.pages) == 0:
                raise InputError(f"{path}: found no image in the TIFF; copy the file again")
            yield tif
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except InputError:
        raise
    except PermissionError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from None
    # a broken TIFF surfaces as almost any error of the decoders; memory errors are not theirs
    except (tifffile.TiffFileError, ValueError, RuntimeError, OSError, IndexError, KeyError, TypeError,
            AttributeError, struct.error, zlib.error) as error:  # fmt: skip
        raise InputError(
            f"{path}: not a readable TIFF ({_one_line(error)}); truncated or corrupt? copy the file again"
        ) from None


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:120] or type(error).__name__


@dataclass(frozen=True)
class TiffPages:
    """Frames that are the pages of one file.

    Attributes
    ----------
    data_offset : int or None
        Where the frames start when they lie uncompressed one after the other; None to decode page by page.
    """

    label: str
    path: Path
    count: int
    shape: tuple[int, int]
    dtype: np.dtype[np.generic]
    data_offset: int | None

    @property
    def files(self) -> tuple[Path, ...]:
        """The one file."""
        return (self.path,)

    @property
    def names(self) -> tuple[str, ...] | None:
        """Pages have no names; a single frame has that of its file."""
        return (self.path.name,) if self.count == 1 else None

    def read(self, indices: Indices) -> Frames:
        """Read pages; the file is opened anew, so threads do not share a position."""
        frames = np.empty((indices.size, *self.shape), np.float32)
        if self.data_offset is not None:
            self._read_contiguous(indices, frames, self.data_offset)
            return frames
        with _opened(self.path) as tif:
            for position, index in enumerate(indices):
                frames[position] = tif.pages[int(index)].asarray(maxworkers=1)
        return frames

    def _read_contiguous(self, indices: Indices, frames: Frames, data_offset: int) -> None:
        pixels = self.shape[0] * self.shape[1]
        with self.path.open("rb") as file:
            for position, index in enumerate(indices):
                file.seek(data_offset + int(index) * pixels * self.dtype.itemsize)
                values = np.fromfile(file, self.dtype, pixels)
                if values.size != pixels:
                    raise InputError(f"{self.path}: truncated in frame {index}; copy the file again")
                frames[position] = values.reshape(self.shape)

    def check(self) -> None:
        """Compare the length of the file with what its pages need."""
        _tiff_pages(self.label, self.path)


def _tiff_pages(label: str, path: Path) -> TiffPages:
    with _opened(path) as tif:
        pages = list(tif.pages)
        _check_chain(path, tif)
        _check_grey(path, pages[0])
        series = tif.series[0]
        if len(tif.series) == 1 and series.dataoffset is not None:
            return _contiguous(label, path, tif)
        kinds = {(page.shape, page.dtype) for page in pages}
        if len(kinds) > 1:
            shapes = ", ".join(sorted({str(shape) for shape, _ in kinds}))
            raise InputError(
                f"{path}: found pages of different sizes or types ({shapes}), expected frames of one size"
            )
        for page in pages:
            _check_complete(path, page)
        return TiffPages(label, path, len(pages), _size(pages[0].shape), np.dtype(pages[0].dtype), None)


def _contiguous(label: str, path: Path, tif: Any) -> TiffPages:
    """Frames that lie uncompressed one after the other, also those of a stack with a single page header."""
    series = tif.series[0]
    check_stack(tuple(series.shape), series.dtype, str(path))
    size, needed = path.stat().st_size, series.dataoffset + series.nbytes
    if needed > size:
        raise InputError(f"{path}: truncated: found {size} bytes, expected {needed}; copy the file again")
    count = 1 if len(series.shape) == 2 else int(series.shape[0])
    dtype = np.dtype(series.dtype).newbyteorder(tif.byteorder)
    return TiffPages(label, path, count, _size(series.shape), dtype, series.dataoffset)


def _size(shape: tuple[int, ...]) -> tuple[int, int]:
    return (int(shape[-2]), int(shape[-1]))
