"""What every step of the preprocessing did, in summary.json and in the report, and the mask of bad pixels in the store."""

import json

import h5py
import numpy as np
import pytest

from deltamu.recon.study.pipeline import run
from deltamu.recon.study.settings import study_from_table
from deltamu.recon.volumes.open import open_map

VIEWS, ROWS, COLUMNS = 60, 24, 96
BEAM, DARK, COUNTS = 20_000.0, 100.0, 4_000.0
DEAD, FAILING = (5, 60), (12, 20)


def write_scan(path):
    """A disc whose upper rows are opaque, rings of 1 %, a pixel that is dead and one that fails after the flats."""
    rng = np.random.default_rng(3)
    angles = np.arange(VIEWS) * np.pi / VIEWS
    place = (np.arange(COLUMNS) - 46.3 - 3 * np.cos(angles)[:, None]) / 25
    depth = np.sqrt(np.maximum(1 - place**2, 0))[:, None] * np.repeat([9.0, 1.0], [6, 18])[:, None]
    gain = 1 + 0.01 * rng.standard_normal((ROWS, COLUMNS))

    def frames(transmission, gain):
        light = rng.poisson(COUNTS * transmission) / COUNTS
        seen = DARK + BEAM * gain * light + 2 * rng.standard_normal(light.shape)
        seen[:, DEAD[0], DEAD[1]] = DARK
        return np.rint(np.clip(seen, 0, 65_535)).astype(np.uint16)

    views = frames(np.exp(-depth), gain)
    views[:, FAILING[0], FAILING[1]] = 60_000
    with h5py.File(path, "w") as file:
        file["exchange/data"] = views
        file["exchange/data_white"] = frames(np.ones((12, ROWS, COLUMNS)), 1.0)
        file["exchange/data_dark"] = np.rint(DARK + 2 * rng.standard_normal((8, ROWS, COLUMNS))).astype(
            np.uint16
        )
        file["exchange/theta"] = np.degrees(angles)
        file["exchange/theta"].attrs["units"] = "deg"


@pytest.fixture(scope="module")
def output(tmp_path_factory):
    folder = tmp_path_factory.mktemp("facts")
    write_scan(folder / "one.h5")
    table = {
        "reference": "one", "scan": {"pixel_size_mm": 0.1}, "states": {"one": {"scan": "one.h5"}},
        "preprocess": {"scatter": {"method": "uniform", "fraction": 0.02}},
    }  # fmt: skip
    return run(study_from_table(table, folder=folder))


def test_every_step_says_what_it_did(output):
    state = json.loads((output / "summary.json").read_text())["states"]["one"]
    assert state["bad_pixels_fraction"] == pytest.approx(2 / (ROWS * COLUMNS))
    assert state["spots_fraction"] < 1e-3
    assert state["starved_fraction"] > 0.05
    assert state["background_percent"] == pytest.approx(100 * 0.02 / 1.02)
    stripes = state["stripes"]
    assert stripes["removed"]
    assert stripes["variance_ratio"] > 3
    # gains of 1 % and the noise of 12 flats of 4000 counts; behind the opaque rows that of a few counts
    assert 0.01 < stripes["removed_rms"] < 0.05
    # at the faces of the opaque layer some of what is removed goes on over the rows
    assert 0 <= stripes["object_share"] < 0.2


def test_the_mask_of_bad_pixels_is_kept(output):
    kept = open_map(output / "study.zarr/states/one/bad_pixels")
    assert np.argwhere(kept.values).tolist() == [list(DEAD), list(FAILING)]
    assert kept.pixel_size_mm == pytest.approx(0.1)


def test_the_warning_names_starved_rows_and_their_share(output):
    summary = json.loads((output / "summary.json").read_text())
    (warning,) = (text for text in summary["warnings"] if "starved" in text)
    assert "(0 to 5)" in warning
    assert f"{100 * summary['states']['one']['starved_fraction']:.2g} % of all pixels" in warning


def test_the_report_says_it_too(output):
    page = (output / "report.html").read_text()
    for text in ("bad pixels", "of the open beam", "of what was removed follows the object"):
        assert text in page, text
