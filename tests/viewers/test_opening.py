"""What a path becomes, and what is said of one that is broken."""

import json
import shutil

import numpy as np
import pytest
import tifffile
import zarr

from deltamu.recon.errors import InputError
from deltamu.recon.volumes.image import set_aside
from deltamu.viewers.layer import Layer
from deltamu.viewers.opening import looks_like_ours, open_path

CHANGE, SHAPE, VOXEL_MM = "discharged-pristine", (16, 24, 20), 0.1


def by_name(opened):
    return {layer.name: layer for layer in opened.layers}


def test_a_study_becomes_named_layers_in_millimetres(small_study):
    opened = open_path(small_study)
    layers = by_name(opened)
    assert list(layers) == [
        "μ pristine", "μ discharged", "μ discharged (registered)", "significance discharged − pristine",
        "Δμ discharged − pristine", "layers",
    ]  # fmt: skip
    assert opened.notes == ()
    for layer in layers.values():
        assert layer.levels[0].shape == SHAPE
        assert layer.scale == (VOXEL_MM,) * 3
        assert layer.units == ("mm",) * 3
    change = layers["Δμ discharged − pristine"]
    assert change.limits[0] == -change.limits[1]
    assert change.value_unit == "cm^-1"
    assert layers["layers"].label_names == {1: "separator", 2: "cathode"}
    assert {layer.name for layer in opened.layers if layer.visible} == {
        "μ pristine", "Δμ discharged − pristine", "layers",
    }  # fmt: skip


def test_the_residual_of_a_registration_is_a_hidden_layer(small_study, volumes):
    store = small_study / "study.zarr"
    shutil.copytree(store / "changes" / CHANGE / "delta_mu", store / "registered" / "discharged" / "residual")
    layer = by_name(open_path(small_study))["residual discharged"]
    assert not layer.visible
    assert layer.role == "residual"
    assert layer.limits[0] == -layer.limits[1]
    residual = volumes["discharged"] - volumes["pristine"]
    np.testing.assert_array_equal(np.asarray(layer.levels[0]), residual)


def test_values_are_those_of_the_store(small_study, volumes):
    layers = by_name(open_path(small_study))
    np.testing.assert_array_equal(np.asarray(layers["μ discharged"].levels[0]), volumes["discharged"])
    np.testing.assert_array_equal(layers["layers"].levels[0][7], volumes["labels"][7])


def test_all_states_share_one_grey_scale(small_study):
    limits = {
        layer.limits for layer in open_path(small_study).layers if layer.role in ("state", "registered")
    }
    assert len(limits) == 1


def test_it_looks_first_at_the_middle_of_the_cathode(small_study):
    # rows 6 to 9 of 0.1 mm, but levels halve the grid: known to half a voxel of the coarsest
    assert open_path(small_study).focus_mm[0] == pytest.approx(0.75, abs=0.1)


@pytest.mark.parametrize("inside", ["", "study.zarr"])
def test_folder_and_store_are_the_same_study(small_study, inside):
    assert open_path(small_study / inside).output == str(small_study)


def test_the_folder_of_the_settings_leads_to_the_result(small_study, tmp_path):
    settings = tmp_path / "study.toml"
    settings.write_text('reference = "only"\noutput = "result"\n[states.only]\nscan = "scan"\n')
    assert open_path(tmp_path).output == str(small_study)
    assert open_path(settings).output == str(small_study)


def test_a_study_that_was_not_run_says_how(tmp_path):
    (tmp_path / "study.toml").write_text('reference = "only"\n[states.only]\nscan = "scan"\n')
    with pytest.raises(InputError, match=r"has not been run yet.*deltamu run"):
        open_path(tmp_path)


def test_a_half_written_study_shows_what_is_there(small_study):
    (small_study / "summary.json").unlink()
    shutil.rmtree(small_study / "study.zarr" / "layers")
    set_aside(small_study / "study.zarr" / "changes" / CHANGE / "delta_mu")
    opened = open_path(small_study)
    said = " ".join(opened.notes)
    assert "not finished" in said
    assert "no layers yet" in said
    assert "discharged-pristine/delta_mu is not finished" in said
    assert "Δμ discharged − pristine" in by_name(opened)


def test_a_missing_file_is_told_and_reads_as_no_value(small_study):
    image = small_study / "study.zarr" / "states" / "pristine" / "attenuation"
    next(file for file in (image / "0" / "c" / "0").rglob("*") if file.is_file()).unlink()
    opened = open_path(small_study)
    assert any("pristine/attenuation lacks 1 files" in note for note in opened.notes)
    assert np.isnan(by_name(opened)["μ pristine"].levels[0][0]).all()


def test_a_damaged_image_is_left_out_with_a_sentence(small_study):
    (small_study / "study.zarr" / "states" / "discharged" / "attenuation" / "zarr.json").write_text("{")
    opened = open_path(small_study)
    assert "μ discharged" not in by_name(opened)
    assert any("damaged" in note for note in opened.notes)


def test_a_flipped_bit_is_found_when_it_is_shown(small_study):
    image = small_study / "study.zarr" / "states" / "pristine" / "attenuation" / "0" / "c"
    file = next(file for file in image.rglob("*") if file.is_file())
    content = bytearray(file.read_bytes())
    content[10] ^= 1
    file.write_bytes(content)
    with pytest.raises(InputError, match="checksum"):
        np.asarray(by_name(open_path(small_study))["μ pristine"].levels[0])


def test_a_summary_of_another_schema_is_not_trusted(small_study):
    summary = json.loads((small_study / "summary.json").read_text())
    (small_study / "summary.json").write_text(json.dumps({**summary, "schema": 99}))
    opened = open_path(small_study)
    assert any("schema 99" in note for note in opened.notes)
    assert "Δμ discharged − pristine" in by_name(opened)


def test_an_older_store_is_named_as_such(tmp_path):
    (tmp_path / "study.zarr").mkdir()
    (tmp_path / "study.zarr" / ".zgroup").write_text('{"zarr_format": 2}')
    with pytest.raises(InputError, match="zarr 2 store"):
        open_path(tmp_path)


def test_a_folder_that_is_no_study_says_so(tmp_path):
    with pytest.raises(InputError, match="neither a study"):
        open_path(tmp_path)
    with pytest.raises(InputError, match="no such file"):
        open_path(tmp_path / "absent")


def test_an_empty_store_says_so(tmp_path):
    (tmp_path / "study.zarr").mkdir()
    (tmp_path / "study.zarr" / "zarr.json").write_text('{"zarr_format": 3, "node_type": "group"}')
    with pytest.raises(InputError, match="no image"):
        open_path(tmp_path)


def test_one_image_opens_alone(small_study):
    (layer,) = open_path(small_study / "study.zarr" / "changes" / CHANGE / "z_score").layers
    assert layer.limits[0] == -layer.limits[1]
    (labels,) = open_path(small_study / "study.zarr" / "layers" / "labels").layers
    assert labels.kind == "labels"


def test_a_scan_has_an_angle_axis_in_degrees(tmp_path):
    frames = np.random.default_rng(0).integers(100, 1000, (12, 6, 8)).astype(np.uint16)
    for name, images in {
        "projections": frames,
        "flats": frames[:3] + 1000,
        "darks": frames[3:5] // 100,
    }.items():
        (tmp_path / "scan" / name).mkdir(parents=True)
        for index, image in enumerate(images):
            tifffile.imwrite(tmp_path / "scan" / name / f"{index:03d}.tif", image)
    np.savetxt(tmp_path / "scan" / "angles.txt", 30.0 + 15.0 * np.arange(12))
    layers = {layer.role: layer for layer in open_path(tmp_path / "scan").layers}
    shown = layers["projections"]
    assert (shown.axes[0], shown.units[0]) == ("angle", "degree")
    assert (shown.scale[0], shown.translate[0]) == pytest.approx((15.0, 30.0))
    np.testing.assert_array_equal(shown.levels[0][7], frames[7])
    assert {layer.name for layer in open_path(tmp_path / "scan").layers if layer.role == "open beam"} == {
        "open beam (mean of 3)", "dark frames (mean of 2)",
    }  # fmt: skip


def test_a_stack_of_tiff_slices_opens_without_voxel_size(tmp_path):
    values = np.random.default_rng(0).random((5, 6, 7)).astype(np.float32)
    (tmp_path / "slices").mkdir()
    for index, plane in enumerate(values):
        tifffile.imwrite(tmp_path / "slices" / f"slice_{index}.tif", plane)
    opened = open_path(tmp_path / "slices")
    (layer,) = opened.layers
    assert layer.units == ("pixel",) * 3
    assert any("voxels" in note for note in opened.notes)
    np.testing.assert_array_equal(np.asarray(layer.levels[0]), values)


def test_an_ome_zarr_image_of_others_opens_with_its_scale(tmp_path):
    values = np.random.default_rng(0).random((5, 6, 7)).astype(np.float32)
    axes = [{"name": name, "type": "space", "unit": "micrometer"} for name in "zyx"]
    scale = [{"type": "scale", "scale": [500.0] * 3}]
    ome = {"multiscales": [{"axes": axes, "datasets": [{"path": "0", "coordinateTransformations": scale}]}]}
    group = zarr.open_group(
        str(tmp_path / "other.zarr"), mode="w", attributes={"ome": {"version": "0.5", **ome}}
    )
    group.create_array("0", data=values)
    (layer,) = open_path(tmp_path / "other.zarr").layers
    assert layer.scale == (0.5,) * 3
    np.testing.assert_array_equal(np.asarray(layer.levels[0]), values)


def test_only_what_looks_like_ours_is_claimed(small_study, tmp_path):
    assert looks_like_ours(small_study)
    assert looks_like_ours(small_study / "study.zarr")
    (tmp_path / "photos").mkdir()
    assert not looks_like_ours(tmp_path / "photos")
    assert not looks_like_ours(tmp_path / "cat.png")


def test_a_layer_is_checked():
    plane = np.zeros((2, 2))
    given = {"name": "a", "kind": "image", "levels": (plane,), "translate": (0.0, 0.0), "units": ("mm", "mm"),
             "axes": ("y", "x"), "role": "volume"}  # fmt: skip
    with pytest.raises(InputError, match="scale has 3 entries for 2 axes"):
        Layer(scale=(1.0, 1.0, 1.0), **given)
    with pytest.raises(InputError, match="lower one first"):
        Layer(scale=(1.0, 1.0), limits=(1.0, 0.0), **given)


def test_a_series_has_a_time_axis_in_minutes(tmp_path):
    frames = np.random.default_rng(0).integers(800, 1000, (6, 4, 8)).astype(np.uint16)
    (tmp_path / "frames").mkdir()
    for index, image in enumerate(frames):
        tifffile.imwrite(tmp_path / "frames" / f"{index:03d}.tif", image)
    for name, level in (("flats", 1000), ("darks", 10)):
        (tmp_path / name).mkdir()
        for index in range(2):
            tifffile.imwrite(tmp_path / name / f"{index}.tif", np.full((4, 8), level, np.uint16))
    frames_table = (
        "path = 'frames'\nflats = '../flats'\ndarks = '../darks'\npixel_size_mm = 0.05\ninterval_s = 90\n"
    )
    stack = "order = ['anode', 'separator', 'cathode']\nthickness_mm = [0.1, 0.1, 0.1]\nradius_mm = 0.1\n"
    (tmp_path / "series.toml").write_text(f"[series]\n{frames_table}[layers]\n{stack}")
    opened = open_path(tmp_path)
    layer = next(layer for layer in opened.layers if layer.role == "series")
    assert (layer.axes[0], layer.units[0]) == ("time", "minute")
    assert layer.scale[0] == pytest.approx(1.5)
    np.testing.assert_array_equal(layer.levels[0][3], frames[3])
