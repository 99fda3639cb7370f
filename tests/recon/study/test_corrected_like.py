"""`deltamu recon --like`: one scan corrected as a study corrects it."""

import json

import h5py
import numpy as np
import pytest

from deltamu.recon.cli import main
from deltamu.recon.errors import InputError
from deltamu.recon.study.corrected_like import read_example
from deltamu.recon.study.pipeline import run
from deltamu.recon.study.settings import read_study
from deltamu.recon.volumes.open import open_image

VIEWS, ROWS, COLUMNS, CENTER = 60, 20, 64, 31.8
STUDY = """
reference = "one"
[scan]
pixel_size_mm = 0.1
[states.one]
scan = "one.h5"
[preprocess]
spots = false
[preprocess.scatter]
method = "uniform"
fraction = 0.03
[preprocess.hardening]
method = "spectrum"
[layers]
order = ["a", "separator", "cathode", "b"]
thickness_mm = [0.5, 0.5, 0.5, 0.5]
radius_mm = 1.6
"""


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """A rod in a tube, with the noise of ten thousand counts; the first view comes again, when the rod is denser."""
    folder = tmp_path_factory.mktemp("like")
    distance = (np.arange(COLUMNS) - CENTER) * 0.1
    chords = [0.2 * np.sqrt(np.maximum(r**2 - distance**2, 0)) for r in (1.6, 2.0)]
    depth = 2.5 * chords[0] + 1.0 * (chords[1] - chords[0])
    rng, beam = np.random.default_rng(1), 10_000.0
    densities = np.append(np.ones(VIEWS), 1.03)[:, None, None] * np.ones((1, ROWS, 1))
    with h5py.File(folder / "one.h5", "w") as file:
        file["exchange/data"] = rng.poisson(beam * np.exp(-densities * depth)).astype(np.uint16)
        file["exchange/data_white"] = rng.poisson(beam, (8, ROWS, COLUMNS)).astype(np.uint16)
        file["exchange/data_dark"] = np.zeros((2, ROWS, COLUMNS), np.uint16)
        file["exchange/theta"] = np.append(np.arange(VIEWS) * 180.0 / VIEWS, 0.0)
        file["exchange/theta"].attrs["units"] = "deg"
    (folder / "study.toml").write_text(STUDY)
    return folder / "study.toml"


def test_the_volume_is_that_of_the_study(study, tmp_path):
    output = run(read_study(study))
    expected = np.asarray(open_image(output / "study.zarr/states/one/attenuation")[:])
    found = {}
    for name, like in (("plain", []), ("like", ["--like", f"{study}:one"])):
        options = ["--set", "pixel_size_mm=0.1"] if name == "plain" else []
        assert (
            main(
                ["recon", str(study.parent / "one.h5"), "-o", str(tmp_path / f"{name}.zarr"), *options, *like]
            )
            == 0
        )
        found[name] = np.asarray(open_image(tmp_path / f"{name}.zarr")[:])
    # the same line integrals and the same centre; blocks of rows are summed alike
    np.testing.assert_allclose(found["like"], expected, atol=1e-4)
    assert np.abs(found["plain"] - expected).max() > 0.05
    warnings = json.loads((output / "summary.json").read_text())["warnings"]
    assert any("view 60 repeats view 0" in warning for warning in warnings)


def test_a_state_that_is_not_there_is_named(study):
    with pytest.raises(InputError, match="state 'two', expected STUDY:STATE with one of one"):
        read_example(f"{study}:two")
    assert read_example(str(study)).state == "one"
    assert read_example(None) is None
