"""The command line as a user meets it: exit status and one clear line, never a traceback."""

import re

import pytest

from deltamu.recon.cli import main


def test_help_lists_only_what_works(capsys):
    with pytest.raises(SystemExit) as caught:
        main(["--help"])
    assert caught.value.code == 0
    assert "demo" in capsys.readouterr().out


def test_check_prints_the_plan_and_touches_nothing(capsys, study):
    before = sorted(study.parent.rglob("*"))
    assert main(["check", str(study)]) == 0
    text = capsys.readouterr().out
    assert re.search(r"30 projections of 8 rows × 24 columns", text)
    assert "memory" in text
    assert "disk" in text
    assert sorted(study.parent.rglob("*")) == before


def test_recon_writes_a_volume_in_inverse_centimetres(capsys, scan, tmp_path):
    from deltamu.recon.volumes.open import open_image

    out = tmp_path / "rod.zarr"
    status = main(["recon", str(scan), "-o", str(out), "--set", "pixel_size_mm=0.1", "--center", "11.5"])
    assert status == 0, capsys.readouterr().err
    volume = open_image(out)
    assert volume.shape == (8, 24, 24)
    # a chord is twice the root: 0.1 per pixel of 0.1 mm is 10 per cm; the blur of the rim takes a little
    assert float(volume[:, 9:15, 9:15].mean()) == pytest.approx(10, rel=0.03)


def test_center_lists_every_estimator(capsys, scan, tmp_path):
    assert main(["center", str(scan), "-o", str(tmp_path / "c.png"), "--set", "pixel_size_mm=0.1"]) == 0
    text = capsys.readouterr().out
    # the columns are binned to whole pixels: a few hundredths of noise
    assert float(re.search(r"centre ([\d.]+)", text)[1]) == pytest.approx(11.5, abs=0.3)
    assert text.count("median") >= 3
    assert (tmp_path / "c.png").stat().st_size > 5000


def test_info_says_what_is_there(capsys):
    assert main(["info"]) == 0
    assert "GPU" in capsys.readouterr().out


def test_a_gpu_that_is_not_there(said, study):
    assert "device" in said("run", study, "--device", "gpu", status=3)
