"""Pieces of work: interrupted at every point, on a full disk, in a folder of someone else."""

import errno
import os
import resource
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from deltamu.recon import atomic
from deltamu.recon.errors import InputError, ResourceError
from deltamu.recon.study.journal import Journal, PieceKey, settings_hash
from deltamu.recon.study.storage import (
    Done,
    prepare_output,
    start_afresh,
    write_files_piece,
    write_piece,
    write_slabs_piece,
)
from deltamu.recon.volumes.image import create_image, finish_image, slab_rows
from deltamu.recon.volumes.open import open_image

SHAPE = (24, 20, 18)
SETTINGS = settings_hash("test")


def slab_values(index):
    return np.random.default_rng([7, index]).normal(size=(8, *SHAPE[1:])).astype(np.float32)


def small_run(output):
    """Write two images slab by slab and a summary, skipping what is finished; return the pieces done."""
    prepare_output(output)
    journal = Journal.open(output / "journal.jsonl")
    names = ("delta_mu", "sigma")
    group = output / "study.zarr" / "changes" / "b-a"
    images = [create_image(group, name, shape=SHAPE, voxel_size_mm=1, unit="cm^-1") for name in names]
    done = []
    for index in range(images[0].slabs):
        key = PieceKey("change", "b-a", index)
        if not journal.piece_is_current(key, SETTINGS):
            slabs = [(image, slab_values(index) + i) for i, image in enumerate(images)]
            write_slabs_piece(journal, key, SETTINGS, slabs)
            done.append(key)
    for image in images:
        finish_image(image)
    key = PieceKey("summary")
    if not journal.piece_is_current(key, SETTINGS):
        write_files_piece(journal, key, SETTINGS, {output / "summary.json": b"{}"})
        done.append(key)
    return done


KILLED = """
import os, signal, sys
sys.path.insert(0, sys.argv[1])
from pathlib import Path
from deltamu.recon.study import checkpoint
from test_storage import small_run
point, count = sys.argv[3], int(sys.argv[4])
def hook(here, key):
    global count
    count -= here == point
    if count == 0 and here == point:
        os.kill(os.getpid(), signal.SIGKILL)
checkpoint.hook = hook
small_run(Path(sys.argv[2]))
"""


def arrays(output):
    files = sorted(f for f in (output / "study.zarr").rglob("*") if f.is_file())
    return {file.relative_to(output): file.read_bytes() for file in files}


@pytest.mark.parametrize(
    ("point", "count", "redone"),
    [
        ("before-write", 2, 3),
        ("between-levels", 3, 3),
        ("after-write", 2, 3),
        ("torn-line", 2, 3),
        ("after-journal", 2, 2),
        ("torn-line", 4, 1),
    ],
)
def test_a_run_killed_at_any_point_ends_bit_identical(tmp_path, point, count, redone):
    small_run(tmp_path / "undisturbed")
    output = tmp_path / "killed"
    command = [sys.executable, "-c", KILLED, str(Path(__file__).parent), str(output), point, str(count)]
    assert subprocess.run(command, check=False).returncode == -signal.SIGKILL
    assert len(small_run(output)) == redone
    assert arrays(output) == arrays(tmp_path / "undisturbed")
    assert small_run(output) == []


def test_a_damaged_slab_is_done_again(tmp_path):
    small_run(tmp_path)
    before = arrays(tmp_path)
    file = next(
        f
        for f in (tmp_path / "study.zarr").rglob("*")
        if f.parent.name == "0" and f.parent.parent.name == "1"
    )
    content = bytearray(file.read_bytes())
    content[5] ^= 4
    file.write_bytes(bytes(content))
    assert small_run(tmp_path) == [PieceKey("change", "b-a", 1)]
    assert arrays(tmp_path) == before


def test_a_piece_that_fails_leaves_no_line_and_no_files(tmp_path):
    journal = Journal.open(tmp_path / "journal.jsonl")
    target = tmp_path / "half"

    def work():
        target.write_bytes(b"half")
        raise RuntimeError("programming error")

    with pytest.raises(RuntimeError, match="programming error"):
        write_piece(journal, PieceKey("a"), "hash", work, remove=[target])
    assert not target.exists()
    assert not journal.pieces
    write_piece(journal, PieceKey("a"), "hash", lambda: Done((), {"center": 3}))
    assert journal.payload(PieceKey("a")) == {"center": 3}


def fill_with_slabs(output):
    """Write 1 MB slabs, as a run would, until the disk is full; return how many were finished."""
    journal = Journal.open(output / "journal.jsonl")
    image = create_image(
        output / "study.zarr", "image", shape=(80, 128, 256), voxel_size_mm=1, unit="1", slab=8
    )
    data = np.ones((8, 128, 256), np.float32)
    for index in range(image.slabs):
        write_slabs_piece(journal, PieceKey("image", "", index), "hash", [(image, data)])


def test_a_full_disk_is_said_and_the_store_stays_intact(small_disk):
    with pytest.raises(ResourceError, match=r"No space left on device \(.* free, 1\.0 MB needed\)"):
        fill_with_slabs(small_disk)
    journal = Journal.open(small_disk / "journal.jsonl")
    assert len(journal.pieces) == 1
    assert all(journal.piece_is_current(key, "hash") for key in journal.pieces)
    assert not list(small_disk.rglob("*.partial"))
    image = open_image(small_disk / "study.zarr" / "image", require_complete=False)
    assert np.all(image[:8] == 1)
    # the space of the slab that did not fit was given back
    assert atomic.free_bytes(small_disk) > 500_000


def test_a_limit_on_file_sizes_is_said_like_a_full_disk(tmp_path):
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (500_000, hard))
    try:
        with pytest.raises(ResourceError, match="File too large"):
            fill_with_slabs(tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, before)
    assert not Journal.open(tmp_path / "journal.jsonl").pieces
    assert not [f for f in (tmp_path / "study.zarr").rglob("*") if f.stat().st_size > 400_000]


def test_a_full_disk_does_not_tear_the_journal(tmp_path, monkeypatch):
    journal = Journal.open(tmp_path / "journal.jsonl")
    journal.commit_piece(PieceKey("a"), "hash")
    sound = journal.path.read_bytes()
    real, calls = os.write, []

    def full_at_the_second_half(descriptor, content):
        calls.append(content)
        if len(calls) == 2:
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(descriptor, content)

    monkeypatch.setattr(os, "write", full_at_the_second_half)
    with pytest.raises(ResourceError, match="what was finished is kept"):
        journal.commit_piece(PieceKey("b"), "hash")
    monkeypatch.undo()
    assert journal.path.read_bytes() == sound
    journal.commit_piece(PieceKey("b"), "hash")
    assert set(Journal.open(journal.path).pieces) == {PieceKey("a"), PieceKey("b")}


def test_wrapped_errors_of_the_disk_are_recognised(tmp_path):
    def fail_deep_inside_a_library():
        with atomic.disk_errors(tmp_path, needed=12_000_000_000):
            full = OSError(errno.ENOSPC, "full")
            raise ExceptionGroup("tasks", [ValueError("one"), RuntimeError("two"), full])

    with pytest.raises(ResourceError, match=r"12\.0 GB needed"):
        fail_deep_inside_a_library()


def test_what_cannot_fit_is_refused_with_both_numbers(tmp_path):
    with pytest.raises(ResourceError, match=r"free on this disk, 1000\.0 TB needed"):
        atomic.ensure_free(tmp_path / "not" / "yet", 10**15)


def test_atomic_files_are_old_or_new(tmp_path):
    path = atomic.write_json(tmp_path / "summary.json", {"a": 1})
    with pytest.raises(ValueError):
        atomic.write_json(path, {"a": float("nan")})

    def half_written():
        with atomic.replacing(path) as temporary:
            temporary.write_text("ha")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        half_written()
    assert path.read_text() == '{\n  "a": 1\n}\n'
    assert list(tmp_path.iterdir()) == [path]


def test_an_output_of_someone_else_is_refused_and_left_alone(tmp_path):
    (tmp_path / "holiday.jpg").write_bytes(b"sun")
    with pytest.raises(InputError, match=r"holds 'holiday\.jpg'"):
        prepare_output(tmp_path)
    (tmp_path / "holiday.jpg").unlink()
    (tmp_path / "study.toml").write_text("name = 'mine'")
    with pytest.raises(InputError, match=r"holds 'study\.toml'"):
        prepare_output(tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="is a file"):
        prepare_output(tmp_path / "file")


def test_an_unwritable_output_is_refused(tmp_path, monkeypatch):
    def refuse(*_, **__):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(Path, "mkdir", refuse)
    with pytest.raises(InputError, match=r"cannot be written \(Permission denied\)"):
        prepare_output(tmp_path / "new")


def test_starting_afresh_removes_what_a_run_wrote_and_nothing_else(tmp_path):
    small_run(tmp_path)
    (tmp_path / "notes.txt").write_text("keep me")
    start_afresh(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_slab_rows_of_the_last_slab(tmp_path):
    image = create_image(tmp_path, "image", shape=(20, 5, 5), voxel_size_mm=1, unit="1")
    assert slab_rows(image, 2) == slice(16, 20)
