"""The command line as a user meets it: exit status and one clear line, never a traceback."""

import re

import numpy as np
import pytest
import tifffile

from deltamu.recon.cli import main


def said(capsys, *arguments, status):
    """Run a command in this process and return its one line of error."""
    assert main([str(argument) for argument in arguments]) == status
    captured = capsys.readouterr()
    error = captured.err.strip()
    assert "Traceback" not in error
    assert len([line for line in error.splitlines() if line.startswith("deltamu:")]) == 1, error
    return error


def frames(rng, count, shape=(8, 24), level=1000.0):
    return rng.poisson(level, (count, *shape)).astype(np.uint16)


@pytest.fixture
def scan(tmp_path):
    """A small scan of a rod as a folder of TIFF images."""
    rng = np.random.default_rng(1)
    folder = tmp_path / "scan"
    columns = np.arange(24) - 11.5
    absorbed = np.exp(-0.2 * np.sqrt(np.maximum(36 - columns**2, 0)))
    sets = {
        "projections": frames(rng, 30) * absorbed,
        "flats": frames(rng, 6),
        "darks": frames(rng, 4, level=10.0),
    }
    for name, images in sets.items():
        (folder / name).mkdir(parents=True)
        for index, image in enumerate(images):
            tifffile.imwrite(
                folder / name / f"{name}_{index:03d}.tif", (image + 10 * (name != "darks")).astype(np.uint16)
            )
    np.savetxt(folder / "angles.txt", np.arange(30) * 6.0)
    return folder


@pytest.fixture
def study(tmp_path, scan):
    """A study of that scan."""
    path = tmp_path / "study.toml"
    path.write_text('reference = "only"\n[scan]\npixel_size_mm = 0.1\n[states.only]\nscan = "scan"\n')
    return path


def edit(path, old, new):
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


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


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('scan = "scan"', 'scan = "scam"', "scam"),
        ("pixel_size_mm = 0.1", "pixel_size_mm = 0", "pixel_size_mm"),
        ("pixel_size_mm = 0.1", "pixel_size_mm = -0.1", "pixel_size_mm"),
        ("pixel_size_mm = 0.1", "pixel_size_mm = 2.7e-5", "pixel_size_mm"),
        ("pixel_size_mm = 0.1", "pixel_size_mm = 0.1\nangle_selekt = '[0:3]'", "angle_select"),
        ('reference = "only"', 'reference = "only"\noutputs = "x"', "output"),
        ('reference = "only"', 'reference = "only"\nchanges = ["charged-only"]', "charged"),
        ("[states.only]", "[states.on-ly]", "on_ly"),
    ],
)
def test_wrong_settings_end_with_status_2(capsys, study, old, new, words):
    edit(study, old, new)
    assert words in said(capsys, "run", study, status=2)


def test_a_state_listed_twice(capsys, study):
    study.write_text(study.read_text() + '[states.only]\nscan = "other"\n')
    assert "twice" in said(capsys, "run", study, status=2)


def test_memory_too_small_names_the_number(capsys, study):
    assert re.search(r"needs [\d.]+ [GM]iB", said(capsys, "run", study, "--memory", "20M", status=3))


def test_memory_that_is_no_size(capsys, study):
    assert "4G" in said(capsys, "run", study, "--memory", "plenty", status=2)


def test_output_that_is_another_folder(capsys, study):
    output = study.parent / "result"
    output.mkdir()
    (output / "thesis.tex").write_text("precious")
    assert "thesis.tex" in said(capsys, "run", study, status=2)
    assert (output / "thesis.tex").read_text() == "precious"


def test_a_gpu_that_is_not_there(capsys, study):
    assert "deltamu" in said(capsys, "run", study, "--device", "gpu", status=3)
