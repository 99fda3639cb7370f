"""NRRD with an attached header and raw data: http://teem.sourceforge.net/nrrd/format.html."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from deltamu.recon.errors import InputError

_TYPES = {
    "float": "f4", "double": "f8", "uchar": "u1", "unsigned char": "u1", "uint8": "u1", "uint8_t": "u1",
    "signed char": "i1", "int8": "i1", "int8_t": "i1", "short": "i2", "int16": "i2", "int16_t": "i2",
    "signed short": "i2", "short int": "i2", "ushort": "u2", "unsigned short": "u2", "uint16": "u2",
    "uint16_t": "u2", "int": "i4", "int32": "i4", "int32_t": "i4", "signed int": "i4", "uint": "u4",
    "unsigned int": "u4", "uint32": "u4", "uint32_t": "u4",
}  # fmt: skip
_WRITTEN_TYPES = {
    "f4": "float",
    "f8": "double",
    "u1": "uint8",
    "u2": "uint16",
    "i2": "int16",
    "i4": "int32",
    "u4": "uint32",
}
_LARGEST_HEADER = 1 << 20


@dataclass(frozen=True)
class NrrdHeader:
    """What a NRRD file says about its data.

    Attributes
    ----------
    shape : (z, y, x)
        The file counts the fastest axis first; this is the numpy order.
    dtype : numpy.dtype
    data_offset : int
        Bytes before the data.
    spacing : tuple of 3 floats or None
        Length of a step along (z, y, x), in `length_unit`.
    length_unit, value_unit : str or None
    """

    shape: tuple[int, int, int]
    dtype: np.dtype[Any]
    data_offset: int
    spacing: tuple[float, float, float] | None
    length_unit: str | None
    value_unit: str | None


def nrrd_header(
    shape: tuple[int, int, int], dtype: np.dtype[Any], *, voxel_size_mm: float, unit: str, content: str
) -> bytes:
    """Write the header of a raw little-endian volume; x is the fastest axis and the first in the header.

    ParaView, 3D Slicer and ITK take the axes as left-posterior-superior, so (x, y, z) stays (x, y, z).
    """
    z, y, x = shape
    v = repr(float(voxel_size_mm))
    lines = [
        "NRRD0005",
        f"content: {content}",
        f"type: {_WRITTEN_TYPES[dtype.str[1:]]}",
        "dimension: 3",
        "space: left-posterior-superior",
        f"sizes: {x} {y} {z}",
        f"space directions: ({v},0,0) (0,{v},0) (0,0,{v})",
        "kinds: domain domain domain",
        "endian: little",
        "encoding: raw",
        'space units: "mm" "mm" "mm"',
        "space origin: (0,0,0)",
        f"sample units: {unit}",
        f"unit:={unit}",
    ]
    return ("\n".join(lines) + "\n\n").encode()


def read_nrrd_header(path: Path) -> NrrdHeader:
    """Read and check the header of a NRRD file.

    Raises
    ------
    InputError
        If it is not a NRRD file, is not three-dimensional raw data in the same file, or is truncated.
    """
    fields, offset = _fields(path)
    encoding = fields.get("encoding", "raw").lower()
    if encoding != "raw" or "data file" in fields or "datafile" in fields:
        found = encoding if encoding != "raw" else "its data in another file"
        raise InputError(
            f"{path}: found a NRRD file with {found}, expected raw data in the same file; save it that way"
        )
    if fields.get("dimension") != "3":
        raise InputError(f"{path}: found {fields.get('dimension')} dimensions, expected 3 (z, y, x)")
    dtype = _dtype(path, fields)
    x, y, z = (int(n) for n in fields["sizes"].split())
    needed = offset + x * y * z * dtype.itemsize
    if path.stat().st_size < needed:
        raise InputError(
            f"{path}: truncated: found {path.stat().st_size} bytes, expected {needed}; copy the file again"
        )
    units = re.findall(r'"([^"]*)"', fields.get("space units", "")) or fields.get("units", "").split()
    return NrrdHeader(
        shape=(z, y, x),
        dtype=dtype,
        data_offset=offset,
        spacing=_spacing(path, fields),
        length_unit=units[0].strip('"') if units else None,
        value_unit=fields.get("unit") or fields.get("sample units"),
    )


def _fields(path: Path) -> tuple[dict[str, str], int]:
    """Fields of the header by lower-case name, and where the data begin (after the first empty line)."""
    with path.open("rb") as stream:
        if not stream.readline().startswith(b"NRRD"):
            raise InputError(f"{path}: is not a NRRD file")
        fields: dict[str, str] = {}
        while line := stream.readline():
            text = line.decode("utf-8", "replace").strip()
            if not text:
                return fields, stream.tell()
            name, _, value = text.partition(":=" if ":=" in text else ":")
            if not text.startswith("#"):
                fields[name.strip().lower()] = value.strip()
            if stream.tell() > _LARGEST_HEADER:
                break
    raise InputError(f"{path}: the header of this NRRD file has no end; copy the file again")


def _dtype(path: Path, fields: dict[str, str]) -> np.dtype[Any]:
    kind = _TYPES.get(fields.get("type", "").lower())
    if kind is None:
        raise InputError(
            f"{path}: found values of type {fields.get('type')!r}, expected whole or real numbers"
        )
    return np.dtype((">" if fields.get("endian", "little").lower() == "big" else "<") + kind)


def _spacing(path: Path, fields: dict[str, str]) -> tuple[float, float, float] | None:
    """Length of a step along (z, y, x)."""
    if "space directions" in fields:
        vectors = re.findall(r"\(([^)]*)\)", fields["space directions"])
        steps = [float(np.linalg.norm([float(n) for n in vector.split(",")])) for vector in vectors]
    else:
        steps = [float(n) for n in fields.get("spacings", "").split()]
    if not steps:
        return None
    if len(steps) != 3:
        raise InputError(f"{path}: found {len(steps)} axes with a scale, expected 3")
    return steps[2], steps[1], steps[0]
