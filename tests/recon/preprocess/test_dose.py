"""Dose of each frame: by air, by a monitor, by an inert part; and what the zeroth moment says of it."""

from pathlib import Path

import h5py
import numpy as np
import pytest
import tifffile

from deltamu.recon.errors import InputError
from deltamu.recon.preprocess.consistency import moment_consistency
from deltamu.recon.preprocess.correction import correct_frames
from deltamu.recon.preprocess.prepare import prepare_correction
from deltamu.recon.scans.read import read_scan
from deltamu.recon.study.correcting import state_correction
from deltamu.recon.study.dose_file import read_dose_file, read_header_dose
from deltamu.recon.study.settings import settings_text, study_from_table


@pytest.fixture(scope="module")
def scan(make_scan):
    return make_scan(views=30, rows=24, columns=192, dose_rms=0.03, counts=20_000.0, seed=5)


def means(scan, **options):
    return correct_frames(scan.frames, prepare_correction(scan, **options)).line_integrals.mean(axis=(1, 2))


def test_every_way_to_know_the_dose_gives_the_same_line_integrals(scan):
    """A view of 3 % more beam is 0.03 less in −ln T; 500 air pixels of 20 000 counts know it to 3e-4."""
    truth = scan.truth["line_integrals"].mean(axis=(1, 2))
    free = means(scan, dose="none") - truth
    assert free.std() > 0.02
    by_air = means(scan, dose="air") - truth
    counted = means(scan, dose="counted", dose_counts=scan.truth["dose"]) - truth
    # the left edge is air: it looks the same in every view
    by_region = means(scan, dose="region", dose_region=(0, 24, 0, 12)) - truth
    for errors in (by_air, counted, by_region):
        assert errors.std() < 1.5e-3
    assert abs(by_air.mean()) < 2e-3
    # the doses of the forty flats are not known here: their mean is off by 3 % over the root of 40; that of the views,
    # which an inert part takes for the flats' own, by 3 % over the root of 30 on top
    assert abs(counted.mean()) < 0.015
    assert abs(by_region.mean()) < 0.02


def test_the_zeroth_moment_shows_the_dose(scan):
    """Without a dose the mean line integral of the views varies as its logarithm does; with it ten times less."""
    free, known = (moment_consistency(means(scan, dose=dose)) for dose in ("none", "air"))
    assert known.spread_percent < free.spread_percent / 5
    expected = -np.log(scan.truth["dose"])
    assert np.corrcoef(free.excess, expected)[0, 1] > 0.99


def test_levelled_views_are_those_of_a_known_dose(scan):
    free = means(scan, dose="none")
    levelled = free - moment_consistency(free).excess
    np.testing.assert_allclose(levelled, np.median(free), atol=1e-6)


@pytest.mark.parametrize(
    "text", ["dose\n1.0\n2.0\n3.0\n", "# monitor\n1,1.0\n2,2.0\n3,3.0", "1 ; 1\n2 ; 2\n3 ; 3\n"]
)
def test_a_dose_file(tmp_path, text):
    path = tmp_path / "dose.csv"
    path.write_text(text)
    np.testing.assert_allclose(read_dose_file(path, 3, reference=None), [0.5, 1.0, 1.5])
    np.testing.assert_allclose(read_dose_file(path, 3, reference=4.0), [0.25, 0.5, 0.75])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"dose": "counted"}, "dose_counts"),
        ({"dose": "air", "dose_counts": np.ones(30)}, "dose"),
        ({"dose": "counted", "dose_counts": np.ones(7)}, "7 values"),
        ({"dose": "counted", "dose_counts": -np.ones(30)}, "positive"),
        ({"dose": "region", "dose_region": (0, 30, 0, 12)}, "dose_region"),
        ({"dose": "proton"}, "dose"),
    ],
)
def test_wrong_input_is_named(scan, options, message):
    with pytest.raises(InputError, match=message):
        prepare_correction(scan, **options)


def test_a_dataset_of_the_scan(tmp_path):
    """One number per frame, of which the file says what it shows: open beam, dark, three views, open beam."""
    path = tmp_path / "scan.nxs"
    with h5py.File(path, "w") as file:
        file["entry/control/data"] = [3.0, 9.0, 2.0, 4.0, 6.0, 5.0]
        file["entry/instrument/detector/image_key"] = [1, 2, 0, 0, 0, 1]
        file["views"] = [2.0, 4.0, 6.0]
    frames, views = (Path(f"{path}::{name}") for name in ("entry/control/data", "views"))
    np.testing.assert_allclose(read_dose_file(frames, 3, reference=None), [0.5, 1.0, 1.5])
    np.testing.assert_allclose(read_dose_file(views, 3, reference=2.0), [1.0, 2.0, 3.0])
    with pytest.raises(InputError, match="found 3 values, expected 4 with"):
        read_dose_file(views, 4, reference=None)
    with pytest.raises(InputError, match="'nothing' cannot be read"):
        read_dose_file(Path(f"{path}::nothing"), 3, reference=None)


def test_the_headers_of_the_frames(tmp_path):
    """Two frames per view, flats of half the exposure; a study takes the keyword instead of a file."""
    for kind, numbers in (("proj", [90.0, 110.0, 150.0, 50.0, 120.0, 180.0]), ("ob", [50.0, 50.0])):
        (tmp_path / kind).mkdir()
        for index, number in enumerate(numbers):
            frame = np.full((4, 40), 500 if kind == "proj" else 1000, np.uint16)
            tifffile.imwrite(
                tmp_path / kind / f"{kind}_{index}.tif", frame, description=f"Charge: {number}", metadata=None
            )
    table = {
        "reference": "one", "preprocess": {"dose": "file"},
        "scan": {"angles_deg": (0.0, 60.0, 120.0), "frames_per_angle": 2, "exposure_s": 2.0, "flat_exposure_s": 1.0,
                 "pixel_size_mm": 0.1},
        "states": {"one": {"scan": ".", "dose_file": "header:Charge"}},
    }  # fmt: skip
    study = study_from_table(table, folder=tmp_path)
    assert 'dose_file = "header:Charge"' in settings_text(study)
    scan = read_scan(tmp_path, **vars(study.scan_options("one")))
    assert any("flats 1 s: flats are scaled" in note for note in scan.notes)
    np.testing.assert_allclose(state_correction(study, "one", scan, None).doses, [1.0, 1.0, 1.5])
    np.testing.assert_allclose(read_header_dose(scan, "Charge", reference=200.0), [0.5, 0.5, 0.75])


def test_wrong_files_are_named(tmp_path):
    path = tmp_path / "dose.csv"
    path.write_text("1.0\n2.0\n")
    with pytest.raises(InputError, match=r"dose\.csv.*2 lines, expected 3"):
        read_dose_file(path, 3, reference=None)
    with pytest.raises(InputError, match="cannot be read"):
        read_dose_file(tmp_path / "none.csv", 3, reference=None)
    with pytest.raises(InputError, match="view_means"):
        moment_consistency(np.array([1.0, np.nan, 2.0]))
