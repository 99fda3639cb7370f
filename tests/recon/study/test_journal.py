"""The journal: what is finished, what was torn, what no longer holds."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from deltamu.recon.errors import InputError
from deltamu.recon.study import checkpoint
from deltamu.recon.study.journal import Journal, PieceKey, settings_hash

KEY = PieceKey("attenuation", "pristine", 3)


@pytest.fixture
def journal(tmp_path):
    return Journal.open(tmp_path / "journal.jsonl")


def write(folder, name, content=b"content"):
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def test_a_finished_piece_is_known_after_reopening(tmp_path, journal):
    files = [write(tmp_path, "a/0"), write(tmp_path, "a/1", b"")]
    journal.commit_piece(KEY, "hash", files, payload={"center": 85.9})
    again = Journal.open(journal.path)
    assert again.piece_is_current(KEY, "hash")
    assert again.payload(KEY) == {"center": 85.9}
    assert [file.name for file in again.pieces[KEY].files] == ["a/0", "a/1"]
    assert not again.piece_is_current(KEY, "other settings")
    assert not again.piece_is_current(PieceKey("attenuation", "pristine", 4), "hash")


@pytest.mark.parametrize("damage", [b"contenu", b"conten", None])
def test_a_changed_shortened_or_missing_file_makes_a_piece_stale(tmp_path, journal, damage):
    file = write(tmp_path, "a")
    journal.commit_piece(KEY, "hash", [file])
    file.unlink() if damage is None else file.write_bytes(damage)
    assert not journal.piece_is_current(KEY, "hash")


def test_the_last_line_of_a_piece_counts(tmp_path, journal):
    journal.commit_piece(KEY, "old", [write(tmp_path, "a", b"old")])
    journal.commit_piece(KEY, "new", [write(tmp_path, "a", b"new")])
    again = Journal.open(journal.path)
    assert again.piece_is_current(KEY, "new")
    assert not again.piece_is_current(KEY, "old")


def test_a_torn_line_is_cut_at_every_length(tmp_path, journal):
    journal.commit_piece(KEY, "hash", payload={"a": 1})
    sound = journal.path.read_bytes()
    other = PieceKey("register")
    journal.commit_piece(other, "hash", payload={"b": 2})
    whole = journal.path.read_bytes()
    for length in range(len(sound), len(whole)):
        journal.path.write_bytes(whole[:length])
        again = Journal.open(journal.path)
        assert again.piece_is_current(KEY, "hash")
        assert not again.piece_is_current(other, "hash")
        assert journal.path.read_bytes() == sound
    again.commit_piece(other, "hash", payload={"b": 2})
    assert journal.path.read_bytes() == whole


def test_a_torn_first_line_begins_the_journal_anew(journal):
    whole = journal.path.read_bytes()
    for length in range(len(whole)):
        journal.path.write_bytes(whole[:length])
        Journal.open(journal.path)
        assert journal.path.read_bytes() == whole


def test_an_interruption_inside_a_line_leaves_the_journal_usable(journal, monkeypatch):
    def interrupt(point, key):
        if point == "torn-line":
            raise KeyboardInterrupt

    sound = journal.path.read_bytes()
    monkeypatch.setattr(checkpoint, "hook", interrupt)
    with pytest.raises(KeyboardInterrupt):
        journal.commit_piece(KEY, "hash")
    assert len(journal.path.read_bytes()) > len(sound)
    assert KEY not in Journal.open(journal.path).pieces
    monkeypatch.undo()
    journal.commit_piece(KEY, "hash")
    assert Journal.open(journal.path).piece_is_current(KEY, "hash")


@pytest.mark.parametrize("position", [30, -30])
def test_damage_before_the_last_line_is_named(journal, position):
    journal.commit_piece(KEY, "hash")
    middle = len(journal.path.read_bytes())
    journal.commit_piece(KEY, "hash")
    content = bytearray(journal.path.read_bytes())
    content[position % middle] ^= 1
    journal.path.write_bytes(bytes(content))
    with pytest.raises(InputError, match=r"journal\.jsonl: line [12] of 3 is damaged; .*--fresh"):
        Journal.open(journal.path)


@pytest.mark.parametrize("content", [b"shopping list\n", b"eggs", b'{"a": 1}\n{"b": 2}\n'])
def test_a_foreign_file_is_refused_and_kept(tmp_path, content):
    path = write(tmp_path, "journal.jsonl", content)
    with pytest.raises(InputError, match=r"journal\.jsonl"):
        Journal.open(path)
    assert path.read_bytes() == content


def test_payloads_without_a_number_are_refused(journal):
    with pytest.raises(ValueError):
        journal.commit_piece(KEY, "hash", payload={"center": float("nan")})
    assert KEY not in Journal.open(journal.path).pieces


def test_files_outside_the_output_are_refused(tmp_path, journal):
    with pytest.raises(ValueError):
        journal.commit_piece(KEY, "hash", [write(tmp_path.parent, "elsewhere")])


@dataclass(frozen=True)
class Options:
    cutoff: float = 1.0
    window: str = "hann"


def test_the_hash_depends_on_content_not_on_its_form():
    assert settings_hash({"a": 1, "b": [1.5, None]}) == settings_hash({"b": (1.5, None), "a": 1})
    assert settings_hash(Options()) == settings_hash({"cutoff": 1.0, "window": "hann"})
    assert settings_hash(np.float64(0.1), Path("a/b")) == settings_hash(0.1, "a/b")
    assert settings_hash(np.arange(3)) == settings_hash([0, 1, 2])
    different = [settings_hash(x) for x in (Options(), Options(0.9), [Options()], "1", 1, None, {}, [])]
    assert len(set(different)) == len(different)


def test_the_hash_is_the_same_in_every_version():
    # SHA-256 of [{"a":1,"b":[0.1,"x"]}], computed with sha256sum
    text = json.dumps([{"a": 1, "b": [0.1, "x"]}], separators=(",", ":"))
    import hashlib

    assert text == '[{"a":1,"b":[0.1,"x"]}]'
    assert settings_hash({"b": [0.1, "x"], "a": 1}) == hashlib.sha256(text.encode()).hexdigest()


@pytest.mark.parametrize(
    ("value", "error"), [(float("nan"), ValueError), (object(), TypeError), ({1, 2}, TypeError)]
)
def test_what_has_no_stable_text_is_refused(value, error):
    with pytest.raises(error):
        settings_hash(value)
