"""Which device a run uses, where it says so, and that a GPU's volumes are the CPU's."""

import json
from types import SimpleNamespace

import numpy as np
import pytest

from deltamu.kernels import gpu_checks
from deltamu.recon.cli import main
from deltamu.recon.volumes.open import open_image

LACK = "no NVIDIA driver is found: install it"


@pytest.fixture
def no_gpu(monkeypatch):
    monkeypatch.setattr(gpu_checks, "gpu_problem", lambda: LACK)


@pytest.fixture
def emulated_gpu(fake_cupy, monkeypatch):
    fake_cupy.cuda.runtime.runtimeGetVersion = lambda: 12090
    fake_cupy.cuda.nvrtc = SimpleNamespace(getVersion=lambda: (12, 9))
    monkeypatch.setattr(gpu_checks, "driver_version", lambda: 12090)
    monkeypatch.setattr(gpu_checks, "gpu_problem", gpu_checks.find_gpu_problem)


def test_a_gpu_that_cannot_be_used_ends_with_the_line_that_mends_it(said, study, no_gpu):
    text = said("run", study, "--device", "gpu", status=3)
    assert f"device: 'gpu' was asked for, but {LACK}" in text


def test_auto_goes_to_the_cpu_and_says_so(study, no_gpu, capsys, caplog):
    assert main(["check", str(study)]) == 0
    assert f"cpu (no GPU is used: {LACK})" in capsys.readouterr().out
    assert main(["run", str(study)]) == 0
    told = [record.getMessage() for record in caplog.records if LACK in record.getMessage()]
    assert told == [f"deltamu: computing on the cpu (no GPU is used: {LACK})"]
    output = study.parent / "result"
    summary = json.loads((output / "summary.json").read_text())
    assert (summary["device"], summary["device_reason"]) == ("cpu", f"no GPU is used: {LACK}")
    assert f"cpu (no GPU is used: {LACK})" in (output / "report.html").read_text()


def test_an_asked_for_cpu_needs_no_reason(study, no_gpu, caplog):
    assert main(["run", str(study), "--device", "cpu"]) == 0
    assert not caplog.records
    assert json.loads((study.parent / "result" / "summary.json").read_text())["device_reason"] == ""


def test_a_study_on_a_gpu_has_the_volumes_of_the_cpu(study, emulated_gpu, cuda_host):
    output = study.parent / "result"
    found = {}
    for device in ("cpu", "gpu"):
        assert main(["run", str(study), "--device", device, "--fresh"]) == 0
        assert json.loads((output / "summary.json").read_text())["device"] == device
        images = sorted((output / "study.zarr" / "states").glob("*/attenuation"))
        found[device] = [np.asarray(open_image(image)[:]) for image in images]
    assert len(found["cpu"]) == 1
    launched = {name for name, *_ in cuda_host.Settings.launches}
    assert any("spread" in name for name in launched)
    assert "spots::find_again" in launched
    for on_cpu, on_gpu in zip(found["cpu"], found["gpu"], strict=True):
        # required 1e-4; float32 sums in another order
        assert abs(on_gpu - on_cpu).max() <= 5e-6 * abs(on_cpu).max()


def test_a_run_is_not_continued_on_another_device(study, emulated_gpu, capsys):
    assert main(["run", str(study), "--device", "cpu"]) == 0
    assert main(["run", str(study), "--device", "gpu"]) == 2
    assert "begun with device cpu, now gpu" in capsys.readouterr().err


def test_info_names_what_is_lacking(no_gpu, monkeypatch, capsys):
    monkeypatch.setattr("deltamu.recon.study.info.gpu_problem", lambda: LACK)
    assert main(["info"]) == 0
    assert f"GPU: none can be used: {LACK}" in capsys.readouterr().out
