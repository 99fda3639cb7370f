"""journal.jsonl: one line per finished piece of a run, and what makes a finished piece still valid."""

import dataclasses
import hashlib
import json
import os
import threading
import zlib
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from deltamu.recon.atomic import disk_errors, fsync_folder
from deltamu.recon.errors import InputError
from deltamu.recon.study.checkpoint import PieceKey, checkpoint

__all__ = ["FileRecord", "Journal", "PieceKey", "PieceRecord", "finished_pieces", "settings_hash"]

_FORMAT = {"format": "deltamu journal", "version": 1}
_READ_BYTES = 1 << 22
_THREADS = 4
_FRESH = "`deltamu run --fresh` starts over"


@dataclass(frozen=True)
class FileRecord:
    """Name (relative to the folder of the journal), size and CRC-32 of a file."""

    name: str
    size: int
    crc32: int


@dataclass(frozen=True)
class PieceRecord:
    """A line of the journal.

    Attributes
    ----------
    key : PieceKey
    settings : str
        Hash of the settings and inputs that the piece depends on.
    files : tuple of FileRecord
    payload : mapping or None
        Small results of the piece (a centre, a registration), as JSON.
    """

    key: PieceKey
    settings: str
    files: tuple[FileRecord, ...] = ()
    payload: Mapping[str, Any] | None = None


def finished_pieces(path: Path) -> int:
    """Count the finished pieces of a run without touching its journal; 0 when there is none.

    Raises
    ------
    InputError
        If the file is not a journal or is damaged.
    """
    pieces: dict[PieceKey, PieceRecord] = {}
    _read_lines(path, pieces)
    return len(pieces)


class Journal:
    """The finished pieces of a run. One process has it open at a time (see RunLock); its threads share it.

    Attributes
    ----------
    path : Path
    pieces : dict of PieceKey to PieceRecord
        The last line of each piece.
    """

    def __init__(self, path: Path, pieces: dict[PieceKey, PieceRecord], length: int) -> None:
        self.path = path
        self.pieces = pieces
        self._length = length  # bytes of sound lines; anything behind them is torn and is written over
        self._lock = threading.Lock()

    @classmethod
    def open(cls, path: str | os.PathLike[str]) -> "Journal":
        """Read the journal, or begin one; a last line that was torn by an interruption is cut off.

        Parameters
        ----------
        path : path-like
            The journal file; the files of the pieces are named relative to its folder.

        Raises
        ------
        InputError
            If the file is not a journal, or a line before the last is damaged.
        ResourceError
            If the disk is full.
        """
        file = Path(path)
        pieces: dict[PieceKey, PieceRecord] = {}
        length = _read_lines(file, pieces)
        with disk_errors(file):
            if length == 0:
                file.parent.mkdir(parents=True, exist_ok=True)
                length = _append(file, _encode(_FORMAT), at=0)
                fsync_folder(file.parent)
            else:
                _cut(file, length)
        return cls(file, pieces, length)

    @property
    def root(self) -> Path:
        """Folder that the names of files are relative to."""
        return self.path.parent

    def piece_is_current(self, key: PieceKey, settings: str) -> bool:
        """Say whether a piece was finished with these settings and its files still are what was written."""
        piece = self.pieces.get(key)
        return piece is not None and piece.settings == settings and self._files_are_sound(piece.files)

    def damaged_files(self, key: PieceKey, settings: str) -> list[str]:
        """Names of the files that exist and are no longer what a piece with these settings wrote."""
        piece = self.pieces.get(key)
        if piece is None or piece.settings != settings:
            return []
        there = (file for file in piece.files if (self.root / file.name).is_file())
        return [file.name for file in there if not self._files_are_sound((file,))]

    def payload(self, key: PieceKey) -> Mapping[str, Any]:
        """Return the small results that a finished piece left in its line.

        Raises
        ------
        KeyError
            If the piece is not finished or left none.
        """
        found = self.pieces[key].payload
        if found is None:
            raise KeyError(f"{key}: the piece has no payload")
        return found

    def commit_piece(
        self,
        key: PieceKey,
        settings: str,
        files: Iterable[Path] = (),
        *,
        payload: Mapping[str, Any] | None = None,
    ) -> PieceRecord:
        """Write down that a piece is finished; its files must have reached the disk (fsync) before.

        Parameters
        ----------
        key : PieceKey
        settings : str
            From `settings_hash`; the caller includes the hashes of the pieces it depends on.
        files : iterable of Path
            Below the folder of the journal.
        payload : mapping, optional
            JSON; NaN and infinity are refused.

        Raises
        ------
        ResourceError
            If the disk is full; the journal is what it was before.
        """
        names = sorted(Path(file) for file in files)
        piece = PieceRecord(PieceKey(*key), settings, self._describe(names), payload)
        line = _encode(_to_json(piece))
        with self._lock, disk_errors(self.path, needed=len(line)):
            middle = partial(checkpoint, "torn-line", piece.key)
            self._length = _append(self.path, line, at=self._length, in_the_middle=middle)
            self.pieces[piece.key] = piece
        return piece

    def _describe(self, files: list[Path]) -> tuple[FileRecord, ...]:
        """Size and CRC-32 of files; what was just written is read from memory, at about 2 GB/s per thread."""
        with ThreadPoolExecutor(_THREADS) as pool:
            sums = list(pool.map(_crc32, files))
        return tuple(
            FileRecord(file.relative_to(self.root).as_posix(), file.stat().st_size, crc)
            for file, crc in zip(files, sums, strict=True)
        )

    def _files_are_sound(self, files: tuple[FileRecord, ...]) -> bool:
        paths = [self.root / file.name for file in files]
        for path, file in zip(paths, files, strict=True):
            if not path.is_file() or path.stat().st_size != file.size:
                return False
        with ThreadPoolExecutor(_THREADS) as pool:
            return all(crc == file.crc32 for crc, file in zip(pool.map(_crc32, paths), files, strict=True))


def settings_hash(*parts: Any) -> str:
    """Hash what a piece depends on; equal values give equal hashes on every machine and in every version.

    Parameters
    ----------
    *parts
        Anything made of numbers, text, lists, mappings, dataclasses, pydantic models, paths and small arrays.

    Returns
    -------
    str
        SHA-256 of the canonical JSON, 64 hexadecimal digits.

    Raises
    ------
    TypeError
        If a part has no stable text form.
    ValueError
        If a number is not finite.
    """
    text = json.dumps(
        parts, default=_plain, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False
    )
    return hashlib.sha256(text.encode()).hexdigest()


def _plain(value: Any) -> Any:
    """Write what JSON does not know as what it does."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {item.name: getattr(value, item.name) for item in dataclasses.fields(value)}
    if hasattr(value, "model_dump"):
        return value.model_dump(mode="json")
    if isinstance(value, (np.ndarray, np.generic)):
        return value.tolist()
    if isinstance(value, Path):
        return value.as_posix()
    raise TypeError(f"settings_hash: {type(value).__name__} has no stable text form")


def _crc32(path: Path) -> int:
    crc = 0
    with path.open("rb", buffering=0) as stream:
        while block := stream.read(_READ_BYTES):
            crc = zlib.crc32(block, crc)
    return crc


def _to_json(piece: PieceRecord) -> dict[str, Any]:
    return {
        "key": list(piece.key),
        "settings": piece.settings,
        "files": [[file.name, file.size, f"{file.crc32:08x}"] for file in piece.files],
        "payload": piece.payload,
    }


def _from_json(line: Mapping[str, Any]) -> PieceRecord:
    stage, state, slab = line["key"]
    files = tuple(FileRecord(name, size, int(crc, 16)) for name, size, crc in line["files"])
    return PieceRecord(PieceKey(stage, state, slab), line["settings"], files, line["payload"])


def _encode(content: Mapping[str, Any]) -> bytes:
    """A line that carries its own CRC-32, so that damage is told from content."""
    text = json.dumps(content, separators=(",", ":"), allow_nan=False)
    return f"{zlib.crc32(text.encode()):08x} {text}\n".encode()


def _decode(line: bytes) -> dict[str, Any] | None:
    """Return the content of a line, or None when it is torn or damaged."""
    crc, _, text = line.rstrip(b"\n").partition(b" ")
    if not line.endswith(b"\n") or crc != f"{zlib.crc32(text):08x}".encode():
        return None
    content: dict[str, Any] = json.loads(text)
    return content


def _read_lines(path: Path, pieces: dict[PieceKey, PieceRecord]) -> int:
    """Collect the finished pieces and return the length of the sound part in bytes."""
    if not path.exists():
        return 0
    lines = path.read_bytes().splitlines(keepends=True)
    sound = 0
    for number, line in enumerate(lines, start=1):
        content = _decode(line)
        if content is None and number == len(lines):
            return _torn(path, number, line, sound)
        if content is None:
            raise InputError(f"{path}: line {number} of {len(lines)} is damaged; {_FRESH}")
        if number == 1:
            _check_format(path, content)
        else:
            piece = _from_json(content)
            pieces[piece.key] = piece
        sound += len(line)
    return sound


def _torn(path: Path, number: int, line: bytes, sound: int) -> int:
    """Accept an unfinished last line; a first line must at least begin as ours does."""
    if number == 1 and not _encode(_FORMAT).startswith(line):
        raise InputError(
            f"{path}: is not a journal of deltamu; choose another output folder, or remove the file"
        )
    return sound


def _check_format(path: Path, content: Mapping[str, Any]) -> None:
    if content != _FORMAT:
        raise InputError(f"{path}: written by another version of deltamu ({content}); {_FRESH}")


def _append(path: Path, line: bytes, *, at: int, in_the_middle: Callable[[], None] | None = None) -> int:
    """Write a line at a position, and return the new length of the file when the line has reached the disk.

    When the disk is full the file is as long as before. Any other interruption may leave half a line, which
    the next writer or reader cuts off.
    """
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT, 0o666)
    try:
        os.ftruncate(descriptor, at)
        os.lseek(descriptor, at, os.SEEK_SET)
        half = len(line) // 2
        _write_all(descriptor, line[:half])
        if in_the_middle is not None:
            in_the_middle()
        _write_all(descriptor, line[half:])
        os.fsync(descriptor)
    except OSError:
        os.ftruncate(descriptor, at)
        raise
    finally:
        os.close(descriptor)
    return at + len(line)


def _write_all(descriptor: int, content: bytes) -> None:
    while content:
        content = content[os.write(descriptor, content) :]


def _cut(path: Path, length: int) -> None:
    """Cut a torn line off, and make sure it stays off."""
    if path.stat().st_size == length:
        return
    with path.open("r+b") as stream:
        stream.truncate(length)
        os.fsync(stream.fileno())
