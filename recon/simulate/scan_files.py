"""Raw scans as instruments write them: a TIFF folder with an angle file, NXtomo, Data Exchange.

Every writer takes frames in the order of acquisition: darks, flats before, projections, flats after.
"""

from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from deltamu.recon.errors import InputError

Raw = NDArray[np.uint16]
Kind = Literal["darks", "flats_before", "projections", "flats_after"]
KINDS: tuple[Kind, ...] = ("darks", "flats_before", "projections", "flats_after")
IMAGE_KEY: Mapping[Kind, int] = {"darks": 2, "flats_before": 1, "projections": 0, "flats_after": 1}


class ScanWriter(Protocol):
    """Somewhere to put the frames of a scan."""

    def put(self, kind: Kind, start: int, frames: Raw) -> None:
        """Write consecutive frames (n, row, column) of a kind, the first of which is number `start`."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class ScanPlan:
    """What a writer has to know before the first frame.

    Parameters
    ----------
    counts : mapping of kind to number of frames
    shape : (row, column)
    angles_deg : (projection,) array
    pixel_size_mm, frame_s : float
    """

    def __init__(
        self,
        counts: Mapping[Kind, int],
        shape: tuple[int, int],
        angles_deg: NDArray[np.float64],
        *,
        pixel_size_mm: float,
        frame_s: float,
    ) -> None:
        if counts["projections"] != angles_deg.size:
            raise InputError(f"angles: found {angles_deg.size} for {counts['projections']} projections")
        self.counts = dict(counts)
        self.shape = shape
        self.angles_deg = angles_deg
        self.pixel_size_mm = pixel_size_mm
        self.frame_s = frame_s

    def first(self, kind: Kind) -> int:
        """Number of frames that are taken before the first one of a kind."""
        return sum(self.counts[earlier] for earlier in KINDS[: KINDS.index(kind)])

    @property
    def frames(self) -> int:
        """Number of all frames."""
        return sum(self.counts.values())


class TiffFolderWriter:
    """One TIFF per frame in sub-folders, the angles in degrees in angles.txt."""

    def __init__(self, path: Path, plan: ScanPlan) -> None:
        self._path = path
        for kind in KINDS:
            (path / kind).mkdir(parents=True)
        lines = "\n".join(f"{angle:.6f}" for angle in plan.angles_deg)
        (path / "angles.txt").write_text(f"# degrees\n{lines}\n", encoding="utf-8")

    def put(self, kind: Kind, start: int, frames: Raw) -> None:
        """Write each frame to its own file."""
        import tifffile

        for number, frame in enumerate(frames, start):
            tifffile.imwrite(self._path / kind / f"{kind}_{number:05d}.tif", frame, metadata=None)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass


class _Hdf5Writer:
    """An HDF5 file that is filled frame by frame."""

    def __init__(self, path: Path, plan: ScanPlan) -> None:
        import h5py

        path.parent.mkdir(parents=True, exist_ok=True)
        self._plan = plan
        self._file: Any = h5py.File(path, "w")

    def _stack(self, name: str, frames: int) -> Any:
        shape = (frames, *self._plan.shape)
        return self._file.create_dataset(name, shape, np.uint16, chunks=(1, *self._plan.shape))

    def _number(self, name: str, value: object, **attributes: str) -> Any:
        dataset = self._file.create_dataset(name, data=value)
        dataset.attrs.update(attributes)
        return dataset

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()


class NxTomoWriter(_Hdf5Writer):
    """NeXus application definition NXtomo: one stack with an image_key."""

    def __init__(self, path: Path, plan: ScanPlan) -> None:
        super().__init__(path, plan)
        self._group("entry", "NXentry")
        self._group("entry/instrument", "NXinstrument")
        self._group("entry/instrument/detector", "NXdetector")
        self._group("entry/sample", "NXsample")
        self._file["entry"].create_dataset("definition", data="NXtomo")
        detector = "entry/instrument/detector/"
        self._data = self._stack(detector + "data", plan.frames)
        keys = np.concatenate([np.full(plan.counts[kind], IMAGE_KEY[kind], np.int8) for kind in KINDS])
        self._number(detector + "image_key", keys)
        self._number(detector + "x_pixel_size", plan.pixel_size_mm, units="mm")
        self._number(detector + "y_pixel_size", plan.pixel_size_mm, units="mm")
        self._number(detector + "count_time", plan.frame_s, units="s")
        self._number("entry/sample/rotation_angle", self._angles(), units="degree")
        self._link()

    def _group(self, name: str, kind: str) -> None:
        self._file.create_group(name).attrs["NX_class"] = kind

    def _angles(self) -> NDArray[np.float64]:
        """Angle of the stage at every frame: it waits at the ends of the scan."""
        plan, angles = self._plan, self._plan.angles_deg
        before = plan.first("projections")
        after = plan.frames - before - angles.size
        return np.concatenate([np.full(before, angles[0]), angles, np.full(after, angles[-1])])

    def _link(self) -> None:
        import h5py

        self._group("entry/data", "NXdata")
        for name, target in (
            ("data", "/entry/instrument/detector/data"),
            ("image_key", "/entry/instrument/detector/image_key"),
            ("rotation_angle", "/entry/sample/rotation_angle"),
        ):
            self._file["entry/data"][name] = h5py.SoftLink(target)
        self._file["entry/data"].attrs["signal"] = "data"

    def put(self, kind: Kind, start: int, frames: Raw) -> None:
        """Write frames where the order of acquisition puts them."""
        first = self._plan.first(kind) + start
        self._data[first : first + len(frames)] = frames


class DataExchangeWriter(_Hdf5Writer):
    """Data Exchange: exchange/data, data_white (before), data_white_post (after), data_dark, theta."""

    _NAMES: Mapping[Kind, str] = {
        "darks": "data_dark",
        "flats_before": "data_white",
        "projections": "data",
        "flats_after": "data_white_post",
    }

    def __init__(self, path: Path, plan: ScanPlan) -> None:
        super().__init__(path, plan)
        self._stacks = {}
        for kind, name in self._NAMES.items():
            self._stacks[kind] = self._stack(f"exchange/{name}", plan.counts[kind])
            self._stacks[kind].attrs["units"] = "counts"
        self._stacks["projections"].attrs["axes"] = "theta:y:x"
        self._number("exchange/theta", plan.angles_deg, units="degrees")
        self._file.create_dataset("implements", data="exchange:measurement")
        size_um = plan.pixel_size_mm * 1e3
        self._number("measurement/instrument/detector/actual_pixel_size_x", size_um, units="micron")
        self._number("measurement/instrument/detector/actual_pixel_size_y", size_um, units="micron")
        self._number("measurement/instrument/detector/exposure_time", plan.frame_s, units="s")

    def put(self, kind: Kind, start: int, frames: Raw) -> None:
        """Write frames to the stack of their kind."""
        self._stacks[kind][start : start + len(frames)] = frames


def black_body_path(path: str | Path) -> Path:
    """Where the acquisition behind a black-body grid lies, beside the scan it belongs to."""
    scan = Path(path)
    return scan.with_name(f"{scan.stem}_black_body{scan.suffix}")


WRITERS: Mapping[str, tuple[str, type[TiffFolderWriter] | type[NxTomoWriter] | type[DataExchangeWriter]]] = {
    "pristine": ("raw/pristine", TiffFolderWriter),
    "discharged": ("raw/discharged.nxs", NxTomoWriter),
    "charged": ("raw/charged.h5", DataExchangeWriter),
}
