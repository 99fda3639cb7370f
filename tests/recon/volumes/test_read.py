"""Volumes of other programs: scale, unit, order, and what is wrong with them."""

import h5py
import numpy as np
import pytest
import tifffile
import zarr

from deltamu.recon.errors import InputError
from deltamu.recon.volumes.read import read_volume
from deltamu.recon.volumes.volume import Volume

VALUES = np.random.default_rng(2).normal(size=(12, 9, 14)).astype(np.float32)
GIVEN = {"voxel_size_mm": 0.05, "unit": "cm^-1"}


def tiff_folder(folder, values=VALUES):
    folder.mkdir()
    for z, plane in enumerate(values):
        tifffile.imwrite(folder / f"slice_{z + 1}.tif", plane)
    return folder


def hdf5_file(path, values=VALUES, **attributes):
    with h5py.File(path, "w") as file:
        file.create_dataset("entry/volume", data=values).attrs.update(attributes)
        file["entry/angles"] = np.arange(3.0)
    return path


def test_a_folder_of_slices_is_read_in_natural_order(tmp_path):
    volume = read_volume(tiff_folder(tmp_path / "slices"), **GIVEN)
    np.testing.assert_array_equal(volume.read(), VALUES)
    assert (volume.voxel_size_mm, volume.unit, volume.name) == (0.05, "cm^-1", "slices")


@pytest.mark.parametrize("compression", [None, "lzw"])
def test_a_multi_page_tiff(tmp_path, compression):
    tifffile.imwrite(tmp_path / "a.tif", VALUES, compression=compression)
    volume = read_volume(tmp_path / "a.tif", **GIVEN)
    np.testing.assert_array_equal(volume[3:7, 2, ::3], VALUES[3:7, 2, ::3])


def test_numpy_zarr_and_hdf5(tmp_path):
    np.save(tmp_path / "a.npy", VALUES)
    zarr.save_array(str(tmp_path / "a.zarr"), VALUES)
    hdf5_file(tmp_path / "a.h5")
    for name in ("a.npy", "a.zarr", "a.h5"):
        volume = read_volume(tmp_path / name, **GIVEN)
        np.testing.assert_array_equal(volume.read(), VALUES)
        np.testing.assert_array_equal(volume[-1], VALUES[-1])
        np.testing.assert_array_equal(volume[..., 4], VALUES[..., 4])
        assert volume[5:5].shape == (0, 9, 14)


@pytest.mark.parametrize(("version", "axes"), [("0.4", "tczyx"), ("0.5", "zyx")])
def test_ome_zarr_of_other_programs(tmp_path, version, axes):
    kinds = {"t": "time", "c": "channel"}
    described = [
        {"name": a, "type": kinds.get(a, "space"), **({} if a in kinds else {"unit": "micrometer"})}
        for a in axes
    ]
    steps = [{"type": "scale", "scale": [1.0] * (len(axes) - 3) + [13.5] * 3}]
    content = {
        "multiscales": [
            {
                "version": version,
                "axes": described,
                "datasets": [{"path": "s0", "coordinateTransformations": steps}],
            }
        ]
    }
    store = zarr.create_group(str(tmp_path / "b.zarr"), zarr_format=2 if version == "0.4" else 3)
    store.attrs.update(content if version == "0.4" else {"ome": {"version": "0.5", **content}})
    array = store.create_array(
        "s0",
        shape=(1,) * (len(axes) - 3) + VALUES.shape,
        dtype="float32",
        chunks=(1,) * (len(axes) - 3) + (5, 5, 5),
    )
    array[...] = VALUES.reshape(array.shape)
    volume = read_volume(tmp_path / "b.zarr", unit="cm^-1")
    np.testing.assert_array_equal(volume.read(), VALUES)
    assert volume.voxel_size_mm == pytest.approx(0.0135)
    assert "as stated in the file" in volume.notes[0]


@pytest.mark.parametrize(
    ("unit", "factor"),
    [
        ("1/mm", 10),
        ("mm^-1", 10),
        ("m⁻¹", 0.01),
        ("1/cm", 1),
        ("cm-1", 1),
        ("1/pixel", 200),
        ("1/µm", 1e4),
    ],
)
def test_inverse_lengths_become_inverse_centimetres_and_it_is_said(tmp_path, unit, factor):
    np.save(tmp_path / "a.npy", VALUES)
    volume = read_volume(tmp_path / "a.npy", voxel_size_mm=0.05, unit=unit)
    assert volume.unit == "cm^-1"
    # one product in float32
    np.testing.assert_allclose(volume.read(), VALUES * factor, rtol=1e-6)
    assert bool(volume.notes) == (factor != 1)
    assert all("multiplied by" in note for note in volume.notes)


def test_integers_are_scaled(tmp_path):
    np.save(tmp_path / "a.npy", np.arange(60, dtype=np.uint16).reshape(3, 4, 5))
    volume = read_volume(tmp_path / "a.npy", scale=0.5, offset=-1, **GIVEN)
    np.testing.assert_allclose(volume[2, 3, 4], 28.5)


def test_what_a_file_states_need_not_be_given(tmp_path):
    volume = read_volume(hdf5_file(tmp_path / "a.h5", unit="1/mm", element_size_um=[20.0, 20.0, 20.0]))
    assert (volume.voxel_size_mm, volume.unit) == (pytest.approx(0.02), "cm^-1")
    other = read_volume(tmp_path / "a.h5", voxel_size_mm=0.03)
    assert other.voxel_size_mm == 0.03
    assert "the file states 0.02 mm" in other.notes[0]


def test_imagej_microns(tmp_path):
    metadata = {"spacing": 27.0, "unit": "um", "axes": "ZYX"}
    tifffile.imwrite(tmp_path / "a.tif", VALUES, imagej=True, resolution=(1 / 27, 1 / 27), metadata=metadata)
    assert read_volume(tmp_path / "a.tif", unit="cm^-1").voxel_size_mm == pytest.approx(0.027, rel=1e-6)


def test_a_real_reconstruction(deltamu_data):
    path = deltamu_data / "battery_cell_xray" / "cell_vol_041_072.tif"
    volume = read_volume(path, voxel_size_mm=0.03, unit="1")
    assert volume.shape == (32, 728, 728)
    assert volume[16].std() > 0


WRONG = {
    "missing file": (lambda d: d / "no.tif", {}, "no such file"),
    "empty folder": (lambda d: (d / "empty").mkdir() or d / "empty", {}, "found no TIFF files"),
    "no unit": (lambda d: hdf5_file(d / "a.h5"), {"unit": None}, "unit is missing"),
    "unknown unit": (lambda d: hdf5_file(d / "a.h5"), {"unit": "HU"}, "found 'HU', expected one of cm"),
    "no voxel size": (lambda d: hdf5_file(d / "a.h5"), {"voxel_size_mm": None}, "voxel_size_mm is missing"),
    "zero voxel size": (lambda d: hdf5_file(d / "a.h5"), {"voxel_size_mm": 0}, "voxel_size_mm is 0"),
    "voxel size in metres": (
        lambda d: hdf5_file(d / "a.h5"),
        {"voxel_size_mm": 5e-6},
        "expected millimetres",
    ),
    "voxel size in micrometres": (
        lambda d: hdf5_file(d / "a.h5"),
        {"voxel_size_mm": 27.0},
        "expected millimetres",
    ),
    "wrong dataset": (lambda d: hdf5_file(d / "a.h5"), {"dataset": "entry/volum"}, "entry/volume"),
    "flat voxels": (lambda d: hdf5_file(d / "a.h5", element_size_um=[50.0, 10, 10]), {}, "expected cubes"),
    "other type": (lambda d: (d / "a.mp4").write_bytes(b"") or d / "a.mp4", {}, "found a file of type .mp4"),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_input_is_named(tmp_path, case):
    make, options, message = WRONG[case]
    with pytest.raises(InputError, match=message):
        read_volume(make(tmp_path), **{**GIVEN, **options})


def test_mixed_sizes_and_colours_are_refused(tmp_path):
    folder = tiff_folder(tmp_path / "slices")
    tifffile.imwrite(folder / "slice_5.tif", VALUES[0, :5])
    with pytest.raises(InputError, match=r"slice_5\.tif"):
        read_volume(folder, **GIVEN)
    tifffile.imwrite(tmp_path / "rgb.tif", np.zeros((6, 8, 9, 3), np.uint8), photometric="rgb")
    with pytest.raises(InputError, match="colour"):
        read_volume(tmp_path / "rgb.tif", **GIVEN)


@pytest.mark.parametrize("name", ["a.tif", "a.npy", "a.h5", "a.nrrd"])
def test_truncated_files_are_refused(tmp_path, name):
    from deltamu.recon.volumes.export import export_volume

    path = tmp_path / name
    if name == "a.npy":
        np.save(path, VALUES)
    else:
        format = {"a.tif": "tiff", "a.h5": "hdf5", "a.nrrd": "nrrd"}[name]
        export_volume(Volume(VALUES, 0.05, "cm^-1"), path, format=format)
    path.write_bytes(path.read_bytes()[:-2000])
    with pytest.raises(InputError, match=r"truncated|not a readable"):
        read_volume(path, **GIVEN).read()


def test_values_that_are_not_finite_are_refused_when_they_are_read(tmp_path):
    values = VALUES.copy()
    values[7, 2, 3] = np.nan
    np.save(tmp_path / "a.npy", values)
    volume = read_volume(tmp_path / "a.npy", **GIVEN)
    assert volume[:7].shape == (7, 9, 14)
    with pytest.raises(InputError, match="found 1 values that are not finite, most in slice 7"):
        volume.read()
    np.testing.assert_array_equal(read_volume(tmp_path / "a.npy", allow_nan=True, **GIVEN).read(), values)


@pytest.mark.parametrize("shape", [(3, 4), (0, 3, 4), (2, 2, 2, 2)])
def test_volumes_have_three_axes(shape):
    with pytest.raises(InputError, match="expected"):
        Volume(np.zeros(shape, np.float32), 1.0, "1")
