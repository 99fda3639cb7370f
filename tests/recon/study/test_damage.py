"""Results that were damaged, or belong to another study: refused, or computed again and said; never used."""

import json

import numpy as np
import pytest

from deltamu.recon.cli import main
from deltamu.recon.study import checkpoint, pipeline
from deltamu.recon.volumes.open import open_image


@pytest.fixture
def result(study, monkeypatch):
    """The output of a finished run; its report is left out."""
    monkeypatch.setattr(pipeline, "write_report", lambda output: None)
    assert main(["run", str(study)]) == 0
    return study.parent / "result"


def files_of(result, name="attenuation"):
    return sorted(f for f in (result / "study.zarr/states/only" / name / "0/c").rglob("*") if f.is_file())


def flip_a_bit(path, at=0.5):
    content = bytearray(path.read_bytes())
    content[int(at * len(content))] ^= 1
    path.write_bytes(bytes(content))


def shorten(path):
    path.write_bytes(path.read_bytes()[:100])


@pytest.mark.parametrize("damage", [flip_a_bit, shorten])
def test_a_damaged_slab_is_not_read_and_is_computed_again(said, study, result, damage, caplog, capsys):
    file = files_of(result)[0]
    sound = file.read_bytes()
    capsys.readouterr()
    damage(file)
    for command in ("export", "report"):
        message = said(command, result, status=2)
        assert "states/only/attenuation" in message
        assert "damaged" in message
    assert main(["run", str(study)]) == 0
    assert f"{file}: is not what was written; it is computed again" in caplog.text
    assert file.read_bytes() == sound
    events = [json.loads(line) for line in (result / "log.jsonl").read_text().splitlines()]
    told = [event["file"] for event in events if event["event"] == "damaged"]
    assert told == [str(file.relative_to(result))]


def test_a_missing_slab_is_not_read_and_is_computed_again(said, study, result, capsys):
    file = files_of(result)[0]
    sound = file.read_bytes()
    capsys.readouterr()
    file.unlink()
    assert f"{file}: is missing" in said("export", result, status=2)
    assert main(["run", str(study)]) == 0
    assert file.read_bytes() == sound


DESCRIPTIONS = ("study.zarr", "study.zarr/states/only/attenuation", "study.zarr/states/only/attenuation/0")


@pytest.mark.parametrize("node", DESCRIPTIONS)
def test_a_damaged_description_is_named(said, study, result, node, capsys):
    kept = {file: file.read_bytes() for file in files_of(result)}
    capsys.readouterr()
    (result / node / "zarr.json").write_text('{"zarr_format": 3, ')
    message = said("run", study, status=2)
    assert f"{node}/zarr.json: is damaged" in message
    assert "--fresh" in message
    assert all(file.read_bytes() == content for file, content in kept.items())
    assert main(["run", str(study), "--fresh"]) == 0
    assert all(file.read_bytes() == content for file, content in kept.items())


@pytest.mark.parametrize(
    ("name", "content"),
    [("plan.json", "{"), ("plan.json", "{}"), ("plan.json", "[]"), ("journal.jsonl", "1 {}\n2 {}\n")],
)
def test_a_damaged_plan_or_journal_is_named(said, study, result, name, content, capsys):
    capsys.readouterr()
    (result / name).write_text(content)
    for command in ("check", "run"):
        message = said(command, study, status=2)
        assert name in message
        assert "--fresh" in message
    assert main(["run", str(study), "--fresh"]) == 0


@pytest.mark.parametrize("name", ["summary.json", "diagnostics.json"])
def test_a_damaged_summary_is_named_and_written_again(said, study, result, name, capsys):
    sound = json.loads((result / name).read_text())
    capsys.readouterr()
    (result / name).write_text("{")
    assert f"{name}: not valid JSON" in said("report", result, status=2)
    assert main(["run", str(study)]) == 0
    assert json.loads((result / name).read_text())["states"] == sound["states"]


def test_a_lost_journal_costs_the_work_and_nothing_else(study, result):
    sound = {file: file.read_bytes() for file in files_of(result)}
    (result / "journal.jsonl").unlink()
    assert main(["run", str(study)]) == 0
    assert {file: file.read_bytes() for file in files_of(result)} == sound


def test_a_study_of_another_name(said, study, result, edit, capsys):
    capsys.readouterr()
    edit(study, "reference =", 'name = "cell 2"\nreference =')
    for command in ("check", "run"):
        message = said(command, study, status=2)
        assert "holds the study 'study', this one is 'cell 2'" in message
        assert "another output" in message


def test_a_study_of_other_scans(said, study, scan, result, edit, capsys):
    capsys.readouterr()
    kept = {file: file.read_bytes() for file in files_of(result)}
    for file in sorted((scan / "projections").iterdir()):
        file.rename(file.with_name(file.name.replace("projections", "cell_2")))
    for command in ("check", "run"):
        assert "of the same name but of other scans" in said(command, study, status=2)
    assert {file: file.read_bytes() for file in files_of(result)} == kept


def test_states_that_left_the_study_are_no_results_of_it(study, scan, result, edit, capsys):
    """They are set aside, not removed: when they come back nothing is computed."""
    edit(study, "[states.only]", '[states.other]\nscan = "scan"\n[states.only]')
    assert main(["run", str(study)]) == 0
    edit(study, '[states.other]\nscan = "scan"\n', "")
    assert main(["run", str(study)]) == 0
    capsys.readouterr()
    assert main(["export", str(result)]) == 0
    assert "other" not in capsys.readouterr().out
    edit(study, "[states.only]", '[states.other]\nscan = "scan"\n[states.only]')
    before = (result / "log.jsonl").read_text()
    assert main(["run", str(study)]) == 0
    assert '"piece"' not in (result / "log.jsonl").read_text()[len(before) :]
    assert open_image(result / "study.zarr/states/other/attenuation").shape == (8, 24, 24)


def test_a_disk_that_fills_up_on_the_way(said, study, edit, small_disk, monkeypatch, capsys):
    """Exit 3 with everything sound; the same command continues when there is space again."""
    monkeypatch.setattr(pipeline, "write_report", lambda output: None)
    edit(study, "reference =", f'output = "{small_disk / "result"}"\nreference =')
    ballast = small_disk / "ballast"
    filled = []

    def fill(point, key):
        if point == "before-write" and key.stage == "reconstruct" and not filled:
            filled.append(key)
            with ballast.open("wb", buffering=0) as stream:
                try:
                    while stream.write(bytes(4096)):
                        pass
                except OSError:
                    pass

    monkeypatch.setattr(checkpoint, "hook", fill)
    message = said("run", study, status=3)
    assert "No space left on device" in message
    assert "what was finished is kept" in message
    assert filled
    ballast.unlink()
    before = (small_disk / "result/log.jsonl").read_text()
    assert main(["run", str(study)]) == 0
    pieces = [
        json.loads(line) for line in (small_disk / "result/log.jsonl").read_text()[len(before) :].splitlines()
    ]
    assert [piece["stage"] for piece in pieces if piece["event"] == "piece"] == ["reconstruct"]
    volume = open_image(small_disk / "result/study.zarr/states/only/attenuation")
    assert np.all(np.isfinite(volume[:, :, :]))


def test_a_disk_that_is_too_small_is_refused_before(said, study, edit, small_disk):
    edit(study, "reference =", f'output = "{small_disk / "result"}"\nreference =')
    (small_disk / "ballast").write_bytes(bytes(2 * 1024 * 1024 - 60_000))
    for command in ("check", "run"):
        message = said(command, study, status=3)
        assert "MiB of disk" in message
    assert not (small_disk / "result" / "study.zarr").exists()
