"""Arrays and groups of a zarr 3 store on disk; zarr is imported when one is first touched."""

import json
import os
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deltamu.recon.atomic import fsync_folder, write_bytes
from deltamu.recon.errors import InputError

METADATA = "zarr.json"
# zarr's default of 10 keeps ten chunks and their encoded copies in memory: 1.1 GB for a slab of 0.5 GB
_CONCURRENCY = 2
_FRESH = "restore the file, or `deltamu run --fresh` starts over"

_users = 0
_guard = threading.Lock()
_setting: Any = None


@contextmanager
def bounded_concurrency() -> Iterator[None]:
    """Let zarr work on two chunks at a time, for as long as any thread is inside; the setting is global."""
    import zarr

    global _users, _setting
    with _guard:
        _users += 1
        if _users == 1:
            _setting = zarr.config.set({"async.concurrency": _CONCURRENCY})
            _setting.__enter__()
    try:
        yield
    finally:
        with _guard:
            _users -= 1
            if _users == 0:
                _setting.__exit__(None, None, None)


def create_array(
    path: Path,
    *,
    shape: tuple[int, ...],
    dtype: np.dtype[Any],
    chunks: tuple[int, ...],
    shards: tuple[int, ...] | None,
    dimension_names: tuple[str, ...],
    attributes: Mapping[str, Any],
) -> Any:
    """Make an empty array: uncompressed, a CRC-32C per chunk, every chunk written, NaN or 0 where missing."""
    import zarr
    from zarr.codecs import Crc32cCodec

    return zarr.create_array(
        zarr.storage.LocalStore(path),
        shape=shape,
        dtype=dtype,
        chunks=chunks,
        shards=shards,
        filters=None,
        compressors=[Crc32cCodec()],
        fill_value=np.nan if dtype.kind == "f" else 0,
        dimension_names=dimension_names,
        attributes=dict(attributes),
        config={"write_empty_chunks": True},
        overwrite=True,
    )


def open_array(path: Path, *, writable: bool = False) -> Any:
    """Open an array.

    Raises
    ------
    InputError
        If it is missing or its description is damaged.
    """
    import zarr

    read_metadata(path, node_type="array")
    try:
        store = zarr.storage.LocalStore(path, read_only=not writable)
        # open_array does not take the option that create_array takes
        with zarr.config.set({"array.write_empty_chunks": True}):
            return zarr.open_array(store, mode="r+" if writable else "r")
    except Exception as error:
        raise InputError(
            f"{path / METADATA}: is not a readable zarr array ({first_line(error)}); {_FRESH}"
        ) from error


def read_metadata(path: Path, *, node_type: str) -> dict[str, Any]:
    """Read the zarr.json of a group or an array.

    Raises
    ------
    InputError
        If it is missing, damaged or of the other kind.
    """
    file = path / METADATA
    try:
        metadata = json.loads(file.read_bytes())
    except FileNotFoundError:
        raise InputError(
            f"{path}: no such zarr {node_type} (there is no {METADATA}); check the path"
        ) from None
    except NotADirectoryError:
        raise InputError(f"{path}: is inside a file, expected a zarr {node_type}; check the path") from None
    except ValueError as error:
        raise InputError(f"{file}: is damaged, not JSON ({first_line(error)}); {_FRESH}") from None
    found = metadata.get("node_type") if isinstance(metadata, dict) else None
    if found != node_type:
        raise InputError(
            f"{file}: describes a {found or 'foreign object'}, expected a zarr {node_type}; {_FRESH}"
        )
    return dict(metadata)


def write_group(path: Path, attributes: Mapping[str, Any]) -> Path:
    """Make a group, or replace the attributes of one, atomically; return its zarr.json."""
    content = {"zarr_format": 3, "node_type": "group", "attributes": attributes}
    return write_bytes(path / METADATA, json.dumps(content, indent=2, allow_nan=False).encode())


def make_parent_groups(path: Path) -> None:
    """Make the groups above a node, from the folder named *.zarr down; elsewhere there are none to make.

    Raises
    ------
    InputError
        If the description of one that exists is damaged.
    """
    roots = [folder for folder in path.parents if folder.suffix == ".zarr"]
    if not roots:
        return
    root = roots[-1]
    for folder in sorted(
        (f for f in path.parents if f == root or root in f.parents), key=lambda f: len(f.parts)
    ):
        if (folder / METADATA).exists():
            read_metadata(folder, node_type="group")
        else:
            write_group(folder, {})
        fsync_folder(folder.parent)


def read_part(array: Any, key: Any, path: str | os.PathLike[str]) -> NDArray[Any]:
    """Read a part of an array.

    Raises
    ------
    InputError
        If a chunk does not match its checksum or cannot be read.
    IndexError
        If the key is outside.
    """
    with damage_told(path), bounded_concurrency():
        return np.asarray(array[key])


@contextmanager
def damage_told(path: str | os.PathLike[str]) -> Iterator[None]:
    """Say of an array that cannot be read what is wrong and what to do.

    Raises
    ------
    InputError
        If a chunk does not match its checksum or cannot be read.
    """
    try:
        yield
    except (IndexError, MemoryError, KeyboardInterrupt):
        raise
    except Exception as error:
        what = "a chunk does not match its checksum" if "checksum" in str(error) else first_line(error)
        raise InputError(f"{path}: is damaged ({what}); {_FRESH}") from error


def first_line(error: BaseException) -> str:
    """Return the first line of an error's message, or its type."""
    return (str(error).splitlines() or [type(error).__name__])[0]
