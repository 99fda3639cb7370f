"""Volumes that another program reconstructed, in three formats and two units, give the study of the scans."""

import csv
import json

import h5py
import numpy as np
import pytest
import tifffile
import zarr

from deltamu.recon.cli import main
from deltamu.recon.study import pipeline
from deltamu.recon.volumes.open import open_image
from deltamu.recon.volumes.read import read_volume

VOXEL_MM = 0.09
pytestmark = pytest.mark.slow

VOLUMES = {
    # slices as other programs save them: a folder of TIFFs in 1/mm, HDF5 that states its scale, bare Zarr
    'scan = "raw/pristine"': 'volume = "pristine"\nunit = "1/mm"\nvoxel_size_mm = 0.09',
    'scan = "raw/discharged.nxs"': 'volume = "discharged.h5"\ndataset = "reconstruction/data"',
    'scan = "raw/charged.h5"': 'volume = "charged.zarr"\nunit = "cm^-1"\nvoxel_size_mm = 0.09',
    "[scan] ": "# ",
    "pixel_size_mm = 0.09": "",
    # labels of one's own, and depth along the field lines between them
    "core_fraction = 0.8 ": 'labels = "labels.npy"\ndepth = "laplace"\ncore_fraction = 0.8 ',
}


@pytest.fixture(scope="module")
def of_scans(tiny_study):
    """The output of the study of the scans."""
    study = tiny_study.with_name("of_scans.toml")
    study.write_text(tiny_study.read_text().replace('output = "result"', 'output = "of_scans"'))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pipeline, "write_report", lambda output: None)
        assert main(["run", str(study)]) == 0
    return study.parent / "of_scans"


def write_volumes(of_scans, folder):
    volumes = {
        state: open_image(of_scans / "study.zarr/states" / state / "attenuation").read()
        for state in ("pristine", "discharged", "charged")
    }
    labels = open_image(of_scans / "study.zarr/layers/labels").read()
    # edited: the pellet is bored through
    labels[:, 60:64, 60:64] = 0
    np.save(folder / "labels.npy", labels)
    (folder / "pristine").mkdir()
    for index, image in enumerate(volumes["pristine"]):
        tifffile.imwrite(folder / "pristine" / f"slice_{index}.tif", image / 10)
    with h5py.File(folder / "discharged.h5", "w") as file:
        data = file.create_dataset("reconstruction/data", data=volumes["discharged"])
        data.attrs["element_size_um"] = (90.0, 90.0, 90.0)
        data.attrs["unit"] = "1/cm"
    array = zarr.create_array(
        folder / "charged.zarr", shape=volumes["charged"].shape, dtype="f4", chunks=(16, 64, 64)
    )
    array[:] = volumes["charged"]


@pytest.fixture(scope="module")
def of_volumes(of_scans, tmp_path_factory):
    """A study of the volumes, not yet run."""
    folder = tmp_path_factory.mktemp("volumes")
    write_volumes(of_scans, folder)
    text = (of_scans.with_name("of_scans.toml")).read_text()
    for old, new in {**VOLUMES, 'output = "of_scans"': 'output = "of_volumes"'}.items():
        assert old in text
        text = text.replace(old, new)
    (folder / "study.toml").write_text(text)
    return folder / "study.toml"


def profile(output, change):
    lines = (output / "profiles" / f"{change}.csv").read_text().splitlines()
    rows = csv.DictReader(line for line in lines if not line.startswith("#"))
    # a column without a value is empty: exact errors need the views
    return [{key: float(value or "nan") for key, value in row.items()} for row in rows]


def test_changes_and_profiles_agree(of_scans, of_volumes, capsys):
    assert main(["check", str(of_volumes)]) == 0
    told = capsys.readouterr().out
    assert "pristine: values in 1/mm were multiplied by 10" in told
    assert "import" in told
    assert "preprocess" not in told
    assert main(["run", str(of_volumes)]) == 0
    output = of_volumes.parent / "of_volumes"
    found, expected = (json.loads((o / "summary.json").read_text()) for o in (output, of_scans))
    for change, wanted in expected["changes"].items():
        # dividing by ten and multiplying again costs the last digit of float32, after which the registration may
        # stop elsewhere within its 0.002 voxel: 0.2 um, 0.2 % of a charge, and 0.04 per cm for two states at the anode's edge (10 per cm)
        images = [
            open_image(o / "study.zarr/changes" / change / "delta_mu").read() for o in (output, of_scans)
        ]
        known = [np.isfinite(image) for image in images]
        assert np.count_nonzero(known[0] != known[1]) < 1e-3 * known[0].size
        both = known[0] & known[1]
        np.testing.assert_allclose(images[0][both], images[1][both], atol=0.04)
        got = found["changes"][change]
        assert got["mean_delta_mu"] == pytest.approx(wanted["mean_delta_mu"], rel=2e-3)
        assert got["charge_mAh"] == pytest.approx(wanted["charge_mAh"], rel=2e-3)
        for row, other in zip(profile(output, change), profile(of_scans, change), strict=True):
            assert row["mean"] == pytest.approx(other["mean"], abs=0.005)
            assert row["depth_mm"] == pytest.approx(other["depth_mm"], abs=2e-4)
    for state, told in found["registration"].items():
        residual = open_image(output / "study.zarr/registered" / state / "residual").read()
        own, reference = (
            open_image(output / "study.zarr" / group / "attenuation").read()
            for group in (f"registered/{state}", "states/pristine")
        )
        held = np.isfinite(residual)
        assert 0.02 < held.mean() < 0.9
        np.testing.assert_allclose(residual[held], (own - reference)[held], atol=1e-6)
        assert told["self_check"]["agree"]
        # at voxels of 90 um the rim and the blind holes, blurred before the logarithm, leave more than noise
        assert 0.9 < told["residual_rms_sigma"] < 4
        residue = told["edge_residue"]
        # step x shift, with 430.76 mAh/cm³ per cm⁻¹ for natural lithium at 2.6 angstrom
        expected_charge = abs(residue["near"]["step_per_cm"]) * residue["shift_um"] * 1e-4 * 430.76
        assert residue["near"]["areal_mAh_cm2"] == pytest.approx(expected_charge, rel=1e-4)
        # both faces move together: their signed sum
        steps = sum(residue[face]["step_per_cm"] for face in ("near", "far"))
        assert residue["layer_areal_mAh_cm2"] == pytest.approx(
            abs(steps) * residue["shift_um"] * 1e-4 * 430.76, rel=1e-4
        )
    assert "two halves, largest difference" in (output / "report.html").read_text()
    assert (output / "report.html").stat().st_size > 100_000
    assert found["states"]["pristine"]["source"] == "pristine"


def test_labels_of_ones_own_and_depth_between_them(of_scans, of_volumes):
    """After the run above: the edited labels are those of the store, and the profile is of their voxels alone."""
    output, change = of_volumes.parent / "of_volumes", "discharged-pristine"
    summary = json.loads((output / "summary.json").read_text())
    layers = output / "study.zarr/layers"
    labels = open_image(layers / "labels").read()
    np.testing.assert_array_equal(labels, np.load(of_volumes.parent / "labels.npy"))
    cathode = labels == summary["layers"]["cathode"]["label"]
    depth, thickness = (open_image(layers / "cathode" / name).read() for name in ("depth", "local_thickness"))
    assert np.array_equal(np.isfinite(depth), cathode)
    # labels are whole voxels: half of one at either side
    assert np.median(thickness[cathode]) == pytest.approx(
        summary["layers"]["cathode"]["thickness_mm"], abs=VOXEL_MM
    )
    table = profile(output, f"{change}.laplace")
    axis, radius = summary["layers"]["cathode"]["axis_mm"], 0.8 * summary["layers"]["cathode"]["radius_mm"]
    y, x = (np.arange(n) * VOXEL_MM - a for n, a in zip(labels.shape[1:], axis, strict=True))
    core = cathode & (np.hypot(y[:, None], x) < radius)
    mean = float(
        open_image(output / "study.zarr/changes" / change / "delta_mu").read()[core].mean(dtype=float)
    )
    counts = np.array([row["count"] for row in table])
    assert counts.sum() == np.count_nonzero(core)
    assert np.dot([row["mean"] for row in table], counts) / counts.sum() == pytest.approx(mean, rel=1e-5)


def test_a_volume_that_changed_is_imported_again(of_volumes, monkeypatch):
    monkeypatch.setattr(pipeline, "write_report", lambda output: None)
    output = of_volumes.parent / "of_volumes"
    if not output.exists():
        assert main(["run", str(of_volumes)]) == 0
    before = len((output / "log.jsonl").read_text().splitlines())
    slice_ = of_volumes.parent / "pristine" / "slice_9.tif"
    tifffile.imwrite(slice_, tifffile.imread(slice_) + np.float32(0.001))
    assert main(["run", str(of_volumes)]) == 0
    events = [json.loads(line) for line in (output / "log.jsonl").read_text().splitlines()[before:]]
    imported = {event["state"] for event in events if event.get("stage") == "import"}
    assert imported == {"pristine"}


@pytest.mark.parametrize(("format", "suffix"), [("tiff", ".tif"), ("nrrd", ".nrrd"), ("hdf5", ".h5")])
def test_an_export_reads_back_with_its_scale(of_scans, tmp_path, format, suffix, capsys):
    name = "changes/charged-pristine/delta_mu"
    command = ["export", str(of_scans), "--format", format, "-o", str(tmp_path), "--only", name]
    assert main(command) == 0
    file = tmp_path / f"changes_charged-pristine_delta_mu{suffix}"
    assert capsys.readouterr().out.strip() == str(file)
    volume = read_volume(file, allow_nan=True)
    assert volume.voxel_size_mm == pytest.approx(VOXEL_MM, rel=1e-6)
    assert volume.unit == "cm^-1"
    np.testing.assert_array_equal(volume.read(), open_image(of_scans / "study.zarr" / name).read())


def test_exports_do_not_stop_a_later_run(of_scans, monkeypatch):
    monkeypatch.setattr(pipeline, "write_report", lambda output: None)
    assert main(["export", str(of_scans), "--only", "layers/labels"]) == 0
    study = of_scans.with_name("of_scans.toml")
    assert main(["run", str(study)]) == 0
    assert (of_scans / "export" / "layers_labels.tif").exists()
