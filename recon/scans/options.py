"""What a user may state about a scan, as plain values."""

import math
import re
from dataclasses import dataclass
from typing import Literal, get_args

from deltamu.recon.errors import InputError

Format = Literal["auto", "tiff", "fits", "nxtomo", "dxchange", "hdf5", "zarr", "npy"]
Flip = Literal["none", "rows", "columns", "both"]
Direction = Literal["as stated", "reversed"]
Combine = Literal["clipped", "median", "mean"]
AngleUnit = Literal["auto", "deg", "rad"]

_CHOICES = {
    "format": get_args(Format),
    "flip": get_args(Flip),
    "direction": get_args(Direction),
    "combine": get_args(Combine),
    "angle_unit": get_args(AngleUnit),
    "angle_golden": (None, 180, 360),
}
_TEXTS = (
    "name", "projections", "flats", "flats_after", "darks", "data_path", "flats_path", "flats_after_path",
    "darks_path", "angles_path", "times_path", "angle_file", "angle_pattern", "angle_select", "projection_select",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class ScanOptions:
    """Everything that can be stated about a scan; what is not stated is found in the files.

    Attributes
    ----------
    name : str or None
        Name of the scan in messages; by default the name of the file or folder.
    format : str
        "auto", "tiff", "fits", "nxtomo", "dxchange", "hdf5", "zarr" or "npy".
    projections, flats, flats_after, darks : str or None
        Folder, file or pattern (`raw/ob_*.fits`), relative to the scan. `flats_after` were taken
        after the scan.
    data_path, flats_path, flats_after_path, darks_path, angles_path, times_path : str or None
        Datasets inside an HDF5 file or Zarr group.
    angles_deg : tuple of float or None
        The angles themselves.
    angle_file : str or None
        Text, CSV or log file, relative to the scan.
    angle_column : int, str or None
        Column of that file, counted from 0 or by its title.
    angle_start_deg, angle_stop_deg : float or None
        Evenly spaced views; `angle_endpoint` says whether one of them is at the stop.
    angle_endpoint : bool or None
    angle_golden : 180, 360 or None
        Golden-ratio sequence over that range, from `angle_start_deg` (0 by default).
    angle_pattern : str or None
        Regular expression with one group (12.5, 12_5, 12p5) or two (whole degrees, decimals), searched in
        file names.
    angle_unit : str
        Unit of the numbers in a file or dataset: "auto" takes what the file states, otherwise degrees.
    angle_select, projection_select : str or None
        Which entries of the angle list, or which frames, belong to the scan: "[10:101]", "[::2]".
    direction : str
        "reversed" where the stage turns against the stated angles.
    pixel_size_mm : float or None
        Of the detector as stored, before binning, seen at the sample.
    frames_per_angle : int or None
        Consecutive frames that show the same view.
    combine : str
        How they become one: "clipped" (mean without gamma spots), "median" or "mean".
    transpose : bool
        The rotation axis lies along the columns of the stored frames.
    flip : str
        "rows", "columns" or "both", after the transposition.
    crop_rows, crop_columns : (start, stop) or None
        After transposition and flip, before binning.
    bin : int
        Blocks of bin × bin pixels are averaged.
    exposure_s, flat_exposure_s, dark_exposure_s : float or None
        Exposure times, where they differ.

    Raises
    ------
    InputError
        Naming the option, what was found and what was expected.
    """

    name: str | None = None
    format: Format = "auto"
    projections: str | None = None
    flats: str | None = None
    flats_after: str | None = None
    darks: str | None = None
    data_path: str | None = None
    flats_path: str | None = None
    flats_after_path: str | None = None
    darks_path: str | None = None
    angles_path: str | None = None
    times_path: str | None = None
    angles_deg: tuple[float, ...] | None = None
    angle_file: str | None = None
    angle_column: int | str | None = None
    angle_start_deg: float | None = None
    angle_stop_deg: float | None = None
    angle_endpoint: bool | None = None
    angle_golden: Literal[180, 360] | None = None
    angle_pattern: str | None = None
    angle_unit: AngleUnit = "auto"
    angle_select: str | None = None
    projection_select: str | None = None
    direction: Direction = "as stated"
    pixel_size_mm: float | None = None
    frames_per_angle: int | None = None
    combine: Combine = "clipped"
    transpose: bool = False
    flip: Flip = "none"
    crop_rows: tuple[int, int] | None = None
    crop_columns: tuple[int, int] | None = None
    bin: int = 1
    exposure_s: float | None = None
    flat_exposure_s: float | None = None
    dark_exposure_s: float | None = None

    def __post_init__(self) -> None:
        for name, choices in _CHOICES.items():
            if getattr(self, name) not in choices:
                expected = ", ".join(str(choice) for choice in choices)
                raise InputError(f"{name}: found {getattr(self, name)!r}, expected one of {expected}")
        self._check_texts()
        self._check_numbers()
        self._check_crops()
        self._check_angle_source()
        parse_select(self.angle_select, "angle_select")
        parse_select(self.projection_select, "projection_select")
        if self.pixel_size_mm is not None:
            check_pixel_size(self.pixel_size_mm, "pixel_size_mm")

    def _check_texts(self) -> None:
        for name in _TEXTS:
            value = getattr(self, name)
            if value is not None and not isinstance(value, str):
                raise InputError(f'{name}: found {value!r}, expected text, for example {name} = "…"')
        if not isinstance(self.transpose, bool):
            raise InputError(f"transpose: found {self.transpose!r}, expected true or false")

    def _check_numbers(self) -> None:
        for name in ("bin", "frames_per_angle"):
            value = getattr(self, name)
            if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < 1):
                raise InputError(f"{name}: found {value!r}, expected a whole number of at least 1")
        for name in ("exposure_s", "flat_exposure_s", "dark_exposure_s"):
            value = getattr(self, name)
            if value is not None and not (_is_number(value) and value > 0):
                raise InputError(f"{name}: found {value!r}, expected seconds above 0")
        for name in ("angle_start_deg", "angle_stop_deg"):
            value = getattr(self, name)
            if value is not None and not _is_number(value):
                raise InputError(f"{name}: found {value!r}, expected a finite number of degrees")

    def _check_crops(self) -> None:
        for name in ("crop_rows", "crop_columns"):
            crop = getattr(self, name)
            if crop is None:
                continue
            pair = isinstance(crop, tuple | list) and len(crop) == 2
            whole = pair and all(isinstance(v, int) and not isinstance(v, bool) for v in crop)
            if not whole or not 0 <= crop[0] < crop[1]:
                raise InputError(f"{name}: found {crop!r}, expected [start, stop] with 0 <= start < stop")
            object.__setattr__(self, name, (crop[0], crop[1]))

    def _check_angle_source(self) -> None:
        stated = [name for name in self.angle_sources() if name != "angles_path"]
        if len(stated) > 1:
            raise InputError(
                f"{' and '.join(stated)}: the angles can be stated in one way only; drop all but one"
            )
        if "angle_start_deg" in stated:
            if self.angle_stop_deg is None or self.angle_start_deg is None:
                raise InputError("angle_start_deg, angle_stop_deg: expected both")
            if self.angle_endpoint is None:
                raise InputError(
                    "angle_endpoint: missing; state whether a projection was taken at angle_stop_deg (true) "
                    "or the last one is a step before it (false)"
                )
        if self.angle_pattern is not None:
            _check_pattern(self.angle_pattern)
        if self.angles_deg is not None:
            self._check_angles()

    def _check_angles(self) -> None:
        angles = self.angles_deg
        if isinstance(angles, str):
            raise InputError(
                f"angles_deg: found {angles!r}, expected the angles themselves, for example [0, 0.5, 1]; "
                "a file of angles is stated as angle_file"
            )
        if not isinstance(angles, tuple | list) or not all(map(_is_number, angles)):
            raise InputError(f"angles_deg: found {angles!r}, expected a list of finite numbers, in degrees")
        object.__setattr__(self, "angles_deg", tuple(float(angle) for angle in angles))

    def angle_sources(self) -> tuple[str, ...]:
        """Names of the ways in which the angles are stated."""
        equation = self.angle_stop_deg is not None or (
            self.angle_start_deg is not None and self.angle_golden is None
        )
        stated = {
            "angles_deg": self.angles_deg is not None,
            "angle_file": self.angle_file is not None,
            "angle_start_deg": equation,
            "angle_golden": self.angle_golden is not None,
            "angle_pattern": self.angle_pattern is not None,
            "angles_path": self.angles_path is not None,
        }
        return tuple(name for name, is_stated in stated.items() if is_stated)


def _check_pattern(pattern: object) -> None:
    try:
        groups = re.compile(str(pattern)).groups
    except re.error as error:
        raise InputError(
            f"angle_pattern: found {pattern!r}, which is not a regular expression ({error}); "
            "expected for example '_([0-9]+)_([0-9]+)_'"
        ) from None
    if groups not in (1, 2):
        raise InputError(
            f"angle_pattern: found {pattern!r} with {groups} groups (…), expected one (degrees) or two "
            "(whole degrees, decimals)"
        )


def parse_select(text: str | None, name: str) -> slice:
    """Read "[10:101]", "10:101" or "[::2]" as a slice; None selects everything."""
    if text is None:
        return slice(None)
    match = re.fullmatch(r"\s*\[?\s*(-?\d+)?\s*:\s*(-?\d+)?\s*(?::\s*(-?\d+)?\s*)?\]?\s*", str(text))
    if match is None:
        raise InputError(
            f"{name}: found {text!r}, expected '[start:stop]' or '[start:stop:step]', for example '[10:101]'"
        )
    start, stop, step = (None if part is None else int(part) for part in match.groups())
    if step is not None and step < 1:
        raise InputError(
            f"{name}: found step {step}, expected at least 1; see `direction` for a reversed rotation"
        )
    return slice(start, stop, step)


# a pixel below 0.1 µm is a size in metres, one above 5 mm a size in micrometres
SMALLEST_PIXEL_MM, LARGEST_PIXEL_MM = 1e-4, 5.0


def check_pixel_size(pixel_size_mm: float, where: str) -> float:
    """Return the pixel size if it can be one, in mm.

    Raises
    ------
    InputError
        If it is not a positive number, or looks like metres or micrometres.
    """
    if not _is_number(pixel_size_mm) or pixel_size_mm <= 0:
        raise InputError(f"{where}: found {pixel_size_mm!r}, expected a pixel size above 0, in mm")
    if pixel_size_mm < SMALLEST_PIXEL_MM:
        raise InputError(
            f"{where}: found {pixel_size_mm:g} mm, which looks like metres; expected mm, "
            f"try {pixel_size_mm * 1e3:g}"
        )
    if pixel_size_mm > LARGEST_PIXEL_MM:
        raise InputError(
            f"{where}: found {pixel_size_mm:g} mm, which looks like µm; expected mm, "
            f"try {pixel_size_mm * 1e-3:g}"
        )
    return float(pixel_size_mm)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
