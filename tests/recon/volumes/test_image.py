"""Images on disk: what other programs read in them, slabs, threads, damage."""

import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st

from deltamu.recon.errors import InputError
from deltamu.recon.volumes.blocks import create_stack, open_stack
from deltamu.recon.volumes.image import (
    create_image,
    delete_slab,
    finish_image,
    slab_files,
    slab_rows,
    write_slab,
)
from deltamu.recon.volumes.open import count_levels, image_attributes, open_image, open_map, write_map
from deltamu.recon.volumes.pyramid import halve

VOXEL_MM = 0.027


def make_image(folder, values, *, finish=True, **options):
    options = {"voxel_size_mm": VOXEL_MM, "unit": "cm^-1", "dtype": values.dtype, **options}
    image = create_image(
        folder / "study.zarr" / "states" / "pristine", "attenuation", shape=values.shape, **options
    )
    for index in range(image.slabs):
        write_slab(image, index, values[slab_rows(image, index)])
    if finish:
        finish_image(image)
    return image


def values_of(shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def contents(image):
    return {
        file.relative_to(image.path): file.read_bytes()
        for file in sorted(image.path.rglob("*"))
        if file.is_file()
    }


def test_ome_zarr_reads_names_scales_places_and_values(tmp_path):
    reader = pytest.importorskip("ome_zarr.reader")
    parser = pytest.importorskip("ome_zarr.io")
    values = values_of((48, 40, 36))
    image = make_image(tmp_path, values)
    node = next(iter(reader.Reader(parser.parse_url(str(image.path), mode="r"))()))
    assert [axis["name"] for axis in node.metadata["axes"]] == ["z", "y", "x"]
    assert {axis["unit"] for axis in node.metadata["axes"]} == {"millimeter"}
    assert node.metadata["name"] == "attenuation" or node.metadata["name"] == ["attenuation"]
    level = values
    for k, (data, steps) in enumerate(
        zip(node.data, node.metadata["coordinateTransformations"], strict=True)
    ):
        assert steps[0] == {"type": "scale", "scale": pytest.approx([VOXEL_MM * 2**k] * 3)}
        assert steps[1] == {
            "type": "translation",
            "translation": pytest.approx([VOXEL_MM * (2**k - 1) / 2] * 3),
        }
        np.testing.assert_array_equal(np.asarray(data), level)
        level = halve(level, "mean")
    assert len(node.data) == 2


def test_the_metadata_are_valid_ome_ngff_0_5(tmp_path):
    models = pytest.importorskip("ome_zarr_models.v05")
    image = make_image(tmp_path, values_of((9, 20, 20)))
    models.Image.from_zarr(zarr.open_group(image.path, mode="r"))


def test_the_description_of_an_array_follows_the_design(tmp_path):
    image = make_image(tmp_path, values_of((9, 20, 20)))
    array = json.loads((image.path / "0" / "zarr.json").read_text())
    sharding = array["codecs"][0]["configuration"]
    assert [codec["name"] for codec in sharding["codecs"]] == ["bytes", "crc32c"]
    assert array["fill_value"] == "NaN"
    assert array["dimension_names"] == ["z", "y", "x"]
    # the groups above let zarr open the whole store
    assert "states" in zarr.open_group(tmp_path / "study.zarr", mode="r")


@given(st.tuples(st.integers(1, 19), st.sampled_from([1, 7, 131, 140]), st.sampled_from([1, 31, 129])))
@settings(max_examples=12, deadline=None)
def test_slab_by_slab_equals_the_whole(tmp_path_factory, shape):
    values = values_of(shape)
    image = make_image(tmp_path_factory.mktemp("odd"), values)
    level = values
    for k in range(count_levels(image.path)):
        np.testing.assert_array_equal(open_image(image.path, level=k).read(), level)
        level = halve(level, "mean")


def test_zeros_and_nan_are_written_out(tmp_path):
    values = np.zeros((8, 20, 20), np.float32)
    values[:, :3] = np.nan
    image = make_image(tmp_path, values)
    assert all(file.is_file() for file in slab_files(image, 0))
    np.testing.assert_array_equal(open_image(image.path).read(), values)


def test_zeros_and_nan_are_written_out_when_an_image_is_continued(tmp_path):
    """zarr leaves out chunks of the fill value unless it is told each time an array is opened."""
    for kind, value in ((np.float32, np.nan), (np.uint8, 0)):
        options = {"shape": (16, 8, 8), "voxel_size_mm": 1, "unit": "1", "dtype": kind}
        create_image(tmp_path, kind.__name__, **options)
        image = create_image(tmp_path, kind.__name__, **options)
        for index in range(image.slabs):
            assert all(file.is_file() for file in write_slab(image, index, np.full((8, 8, 8), value, kind)))
        finish_image(image)


def test_four_threads_write_what_one_writes(tmp_path):
    values = values_of((64, 140, 70))
    serial = make_image(tmp_path / "serial", values, slab=16)
    image = make_image(tmp_path / "threads", np.zeros_like(values), slab=16, finish=False)
    for _ in range(3):
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(lambda i: write_slab(image, i, values[slab_rows(image, i)]), range(4)))
        finish_image(image)
        assert contents(image) == contents(serial)
    assert zarr.config.get("async.concurrency") == 10


def test_label_images_keep_labels(tmp_path):
    labels = np.zeros((8, 10, 10), np.uint8)
    labels[:, 4:] = 3
    image = make_image(tmp_path, labels, unit="1")
    assert image.reduction == "mode"
    assert set(np.unique(open_image(image.path, level=1).read())) == {0, 3}


def test_reading_is_lazy_and_returns_only_what_is_asked(tmp_path):
    values = values_of((48, 30, 20))
    image = make_image(tmp_path, values)
    volume = open_image(image.path)
    assert (volume.shape, volume.dtype, volume.unit, volume.name) == (
        (48, 30, 20),
        np.float32,
        "cm^-1",
        "attenuation",
    )
    # a damaged slab does not disturb the reading of another
    slab_files(image, 5)[0].write_bytes(b"nothing of the kind")
    np.testing.assert_array_equal(volume[10:12, 3, ::2], values[10:12, 3, ::2])
    with pytest.raises(InputError, match="damaged"):
        volume[45]


@pytest.mark.parametrize("where", [100, -8])
def test_a_flipped_bit_is_found(tmp_path, where):
    image = make_image(tmp_path, values_of((8, 20, 20)))
    file = slab_files(image, 0)[0]
    content = bytearray(file.read_bytes())
    content[where] ^= 1
    file.write_bytes(bytes(content))
    with pytest.raises(InputError, match=r"attenuation/0: is damaged .*--fresh"):
        open_image(image.path).read()


def test_incomplete_missing_and_foreign_images_are_refused(tmp_path):
    image = make_image(tmp_path, values_of((20, 20, 20)), finish=False)
    with pytest.raises(InputError, match="not complete"):
        open_image(image.path)
    assert open_image(image.path, require_complete=False).shape == (20, 20, 20)
    finish_image(image)
    delete_slab(image, 1)
    with pytest.raises(InputError, match="is missing"):
        open_image(image.path)
    with pytest.raises(InputError, match="is missing"):
        finish_image(image)
    with pytest.raises(InputError, match="no such zarr group"):
        open_image(tmp_path / "study.zarr" / "nothing")
    with pytest.raises(InputError, match="level 9, expected 0 to 1"):
        open_image(image.path, level=9, require_complete=False)
    with pytest.raises(InputError, match="no attributes of a deltamu image"):
        open_image(image.path.parent)


@pytest.mark.parametrize(
    ("file", "message"), [("zarr.json", "zarr.json: is damaged"), ("0/zarr.json", "0/zarr.json")]
)
def test_damaged_descriptions_are_named(tmp_path, file, message):
    image = make_image(tmp_path, values_of((8, 20, 20)))
    (image.path / file).write_text('{"zarr_format": 3, "node_ty')
    with pytest.raises(InputError, match=f"{message}.*--fresh"):
        open_image(image.path)
    with pytest.raises(InputError, match=message):
        make_image(tmp_path, values_of((8, 20, 20)))


def test_an_image_is_continued_or_made_anew(tmp_path):
    values = values_of((20, 20, 20))
    image = make_image(tmp_path, values)
    again = create_image(
        image.path.parent, image.path.name, shape=values.shape, voxel_size_mm=VOXEL_MM, unit="cm^-1"
    )
    assert not image_attributes(image.path)["complete"]
    np.testing.assert_array_equal(open_image(again.path, require_complete=False).read(), values)
    create_image(image.path.parent, image.path.name, shape=values.shape, voxel_size_mm=0.05, unit="cm^-1")
    assert np.isnan(open_image(image.path, require_complete=False).read()).all()


def test_a_foreign_folder_in_the_way_is_left_alone(tmp_path):
    mine = tmp_path / "photos" / "attenuation"
    mine.mkdir(parents=True)
    (mine / "cat.jpg").write_bytes(b"meow")
    with pytest.raises(InputError, match="photos/attenuation"):
        create_image(tmp_path / "photos", "attenuation", shape=(8, 8, 8), voxel_size_mm=1, unit="1")
    assert (mine / "cat.jpg").exists()


@pytest.mark.parametrize(
    ("index", "data", "message"),
    [
        (3, np.zeros((4, 20, 20), np.float32), "slab 3, expected 0 to 2"),
        (0, np.zeros((4, 20, 20), np.float32), r"expected \(8, 20, 20\)"),
        (0, np.zeros((8, 20, 20), complex), "expected float32"),
    ],
)
def test_slabs_that_do_not_fit_are_refused(tmp_path, index, data, message):
    image = create_image(tmp_path, "image", shape=(20, 20, 20), voxel_size_mm=1, unit="1")
    with pytest.raises(ValueError, match=message):
        write_slab(image, index, data)


def test_maps_keep_scale_unit_and_values(tmp_path):
    heights = np.where(np.eye(7, 9) > 0, np.nan, 0.4).astype(np.float32)
    files = write_map(
        tmp_path / "s.zarr/layers/cathode/near", heights, pixel_size_mm=0.1, unit="mm", attributes={"a": 1}
    )
    assert all(file.is_file() for file in files)
    found = open_map(tmp_path / "s.zarr/layers/cathode/near")
    np.testing.assert_array_equal(found.values, heights)
    assert (found.pixel_size_mm, found.unit, found.attributes) == (0.1, "mm", {"a": 1})
    write_map(tmp_path / "s.zarr/layers/cathode/near", heights[:3], pixel_size_mm=0.1, unit="mm")
    assert open_map(tmp_path / "s.zarr/layers/cathode/near").values.shape == (3, 9)


def test_stacks_are_written_by_frames_and_read_by_rows(tmp_path):
    stack = create_stack(tmp_path / "work.zarr" / "pristine", shape=(70, 40, 33), chunks=(32, 32, 33))
    frames = values_of((70, 40, 33))
    for index in range(stack.slabs):
        write_slab(stack, index, frames[slab_rows(stack, index)])
    np.testing.assert_array_equal(open_stack(stack.path)[:, 32:40], frames[:, 32:40])
    kept = create_stack(stack.path, shape=(70, 40, 33), chunks=(32, 32, 33))
    np.testing.assert_array_equal(kept[:], frames)


def test_importing_the_writer_does_not_import_zarr():
    modules = "deltamu.recon.volumes.image, deltamu.recon.study.storage"
    code = f"import sys, {modules}; assert 'zarr' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path.home())
