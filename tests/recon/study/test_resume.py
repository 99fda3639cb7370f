"""Runs that are killed, interrupted or continued with other settings end like undisturbed ones, bit for bit.

Every write point is hit once, and kill -9 strikes at uniformly drawn fractions of the measured work: a few in
every run of the tests, all 20 of the acceptance with DELTAMU_KILLS=20.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import psutil
import pytest

from deltamu.recon.cli import main
from deltamu.recon.study import pipeline

PROGRAM = Path(__file__).with_name("run_to_kill.py")
KILLS = int(os.environ.get("DELTAMU_KILLS", "4"))
# the pass of 92 pieces, each in another stage: line integrals, reconstruction, resampling, labels, change
POINTS = {
    "before-write": 11,
    "between-levels": 40,
    "after-write": 52,
    "torn-line": 62,
    "after-journal": 75,
    "summary": 1,
}
pytestmark = pytest.mark.slow


@dataclass(frozen=True)
class Undisturbed:
    """A finished run, and the processor seconds that its stages took."""

    study: Path
    output: Path
    work_s: float


def own_output(study: Path, name: str) -> tuple[Path, Path]:
    """Write the study with an output of its own."""
    text = study.read_text()
    assert 'output = "result"' in text
    copy = study.with_name(f"{name}.toml")
    copy.write_text(text.replace('output = "result"', f'output = "{name}"'))
    return copy, study.parent / name


def start(study: Path, *options: str) -> subprocess.Popen[str]:
    # processor seconds of one thread are seconds of the run
    environment = {"OMP_NUM_THREADS": "1", **os.environ}
    command = [sys.executable, str(PROGRAM), str(study), *options]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)


def finish(study: Path, *options: str) -> float:
    """Run to the end and return the processor seconds of the stages."""
    process = start(study, *options)
    said, _ = process.communicate(timeout=200)
    assert process.returncode == 0
    seconds = {word: float(value) for word, value in (line.split() for line in said.splitlines()[:2])}
    return seconds["ended"] - seconds["begun"]


def kill_after(study: Path, seconds: float) -> tuple[bool, float]:
    """Kill a run when its stages have taken these processor seconds.

    Returns whether it was still running, and the seconds that the stages had taken.
    """
    process = start(study)
    assert process.stdout is not None
    begun = float(process.stdout.readline().split()[1])
    watched = psutil.Process(process.pid)
    taken = 0.0
    while process.poll() is None:
        times = watched.cpu_times()
        taken = times.user + times.system - begun
        if taken >= seconds:
            process.send_signal(signal.SIGKILL)
            break
        time.sleep(0.002)
    process.stdout.close()
    return process.wait(timeout=60) == -signal.SIGKILL, taken


def kill_at_fraction(study: Path, output: Path, fraction: float, work_s: float) -> None:
    """Kill a run at a fraction of its work; one that was quicker than measured is measured and run again."""
    for _ in range(3):
        struck, seconds = kill_after(study, fraction * work_s)
        if struck:
            return
        work_s = seconds
        shutil.rmtree(output)
    pytest.fail(f"three runs ended before {fraction:.3f} of their work was done")


def events(output: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in (output / "log.jsonl").read_text().splitlines()]


def pieces_of_starts(output: Path) -> list[list[tuple[object, ...]]]:
    """The pieces that were computed after each start of the run, in order."""
    starts: list[list[tuple[object, ...]]] = []
    for event in events(output):
        if event["event"] == "start":
            starts.append([])
        if event["event"] == "piece":
            starts[-1].append((event["stage"], event["state"], event["slab"]))
    return starts


def assert_same_results(output: Path, expected: Path) -> None:
    """Every file of the store and every profile are equal; the summary up to seconds and memory."""
    for folder in ("study.zarr", "profiles"):
        names = [
            sorted(file.relative_to(root) for file in (root / folder).rglob("*") if file.is_file())
            for root in (output, expected)
        ]
        assert names[0] == names[1]
        for name in names[0]:
            assert (output / name).read_bytes() == (expected / name).read_bytes(), name
    for name in ("summary.json", "diagnostics.json"):
        found, wanted = (json.loads((root / name).read_text()) for root in (output, expected))
        for measured in ("timing_s", "peak_memory_bytes"):
            found.pop(measured, None), wanted.pop(measured, None)
        assert found == wanted


def assert_continued(output: Path, undisturbed: Undisturbed) -> None:
    """Nothing was computed twice but the piece that the kill hit."""
    (whole,) = pieces_of_starts(undisturbed.output)
    before, after = pieces_of_starts(output)
    assert before == whole[: len(before)]
    assert after in (whole[len(before) :], whole[len(before) + 1 :])


@pytest.fixture(scope="module")
def undisturbed(tiny_study: Path) -> Undisturbed:
    study, output = own_output(tiny_study, "undisturbed")
    return Undisturbed(study, output, finish(study))


@pytest.mark.parametrize("point", POINTS)
def test_a_run_killed_at_a_write_point(undisturbed, point):
    study, output = own_output(undisturbed.study.with_name("study.toml"), f"at_{point}")
    process = start(study, "--at", point, "--pass", str(POINTS[point]))
    assert process.wait(timeout=200) == -signal.SIGKILL
    assert events(output)[-1]["event"] != "done"
    finish(study, "--without-report")
    assert_continued(output, undisturbed)
    assert_same_results(output, undisturbed.output)
    shutil.rmtree(output)


@pytest.mark.parametrize("number", range(KILLS))
def test_a_run_killed_at_any_time(undisturbed, number):
    fraction = np.random.default_rng(26).uniform(size=20)[number]
    study, output = own_output(undisturbed.study.with_name("study.toml"), f"kill_{number}")
    kill_at_fraction(study, output, fraction, undisturbed.work_s)
    assert events(output)[-1]["event"] != "done"
    finish(study, "--without-report")
    assert_continued(output, undisturbed)
    assert_same_results(output, undisturbed.output)
    resumed = next(iter(pieces_of_starts(output)[-1]), "the results and the report")
    print(f"killed at {fraction:.3f} of the work; went on with {resumed}")
    shutil.rmtree(output)


def wait_for_pieces(output: Path, count: int, process: subprocess.Popen[str]) -> None:
    log = output / "log.jsonl"
    while not log.exists() or len(log.read_text().splitlines()) <= count:
        assert process.poll() is None
        time.sleep(0.02)


def test_ctrl_c_keeps_what_is_finished_and_a_second_run_is_refused(undisturbed, capsys):
    study, output = own_output(undisturbed.study.with_name("study.toml"), "interrupted")
    command = [sys.executable, "-m", "deltamu.recon.cli", "run", str(study)]
    environment = {"OMP_NUM_THREADS": "1", **os.environ}
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment)
    wait_for_pieces(output, 20, process)
    process.send_signal(signal.SIGSTOP)
    before = sorted(output.rglob("*"))
    assert main(["run", str(study)]) == 2
    assert f"another run is using this output (process {process.pid})" in capsys.readouterr().err
    assert sorted(output.rglob("*")) == before
    process.send_signal(signal.SIGCONT)
    process.send_signal(signal.SIGINT)
    _, told = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "deltamu: stopped as asked; everything finished so far is kept" in told
    assert "Traceback" not in told
    finish(study, "--without-report")
    assert_continued(output, undisturbed)
    assert_same_results(output, undisturbed.output)
    shutil.rmtree(output)


CHANGED = {
    # what is edited, and the stages that have to be done again: the line integrals were removed after success
    "nothing": ("", "", set()),
    "wavelength": ("wavelength_angstrom = 2.6", "wavelength_angstrom = 3.0", set()),
    "averaged region": ("core_fraction = 0.8", "core_fraction = 0.7", {"preprocess", "subsets", "errors", "interpolation"}),
    "resolution": (
        "# blur_fwhm_um = 45.0 ",
        "blur_fwhm_um = 100.0 ",
        {"layers", "labels", "change", "flattened", "preprocess", "subsets", "errors", "interpolation"},
    ),
    "centre of one state": (
        'scan = "raw/charged.h5"',
        'scan = "raw/charged.h5"\ncenter = 79.0',
        {
            "preprocess charged", "reconstruct charged", "register charged", "resample charged", "layers",
            "labels", "change charged-pristine", "change charged-discharged", "subsets", "errors", "preprocess", "interpolation",
            "flattened", "thickness", "residual charged", "resolution", "scale",
        },
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CHANGED)
def test_changed_settings_cost_only_what_depends_on_them(undisturbed, case, monkeypatch):
    old, new, expected = CHANGED[case]
    name = f"changed_{case.replace(' ', '_')}"
    study, output = own_output(undisturbed.study.with_name("study.toml"), name)
    shutil.copytree(undisturbed.output, output)
    text = study.read_text()
    assert old in text
    monkeypatch.setattr(pipeline, "write_report", lambda output: None)
    study.write_text(text.replace(old, new))
    assert main(["run", str(study)]) == 0
    done = pieces_of_starts(output)[-1]
    for stage, state, _ in done:
        assert stage in expected or f"{stage} {state}" in expected, (stage, state)
    for stage in expected:
        assert any(f"{done_stage} {state}".startswith(stage) for done_stage, state, _ in done), stage
    study.write_text(text)
    assert main(["run", str(study)]) == 0
    assert_same_results(output, undisturbed.output)
    shutil.rmtree(output)
