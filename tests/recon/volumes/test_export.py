"""Exported files, read back by other programs' readers and by ours."""

import h5py
import numpy as np
import pytest
import tifffile

from deltamu.recon import atomic
from deltamu.recon.errors import InputError, ResourceError
from deltamu.recon.volumes import export
from deltamu.recon.volumes.export import export_volume, write_tiff
from deltamu.recon.volumes.read import read_volume
from deltamu.recon.volumes.volume import Volume

VOXEL_MM = 0.0135


@pytest.fixture
def volume():
    values = np.random.default_rng(1).normal(size=(37, 20, 31)).astype(np.float32)
    return Volume(values, VOXEL_MM, "cm^-1", "attenuation")


@pytest.mark.parametrize(("format", "name"), [("tiff", "a.tif"), ("nrrd", "a.nrrd"), ("hdf5", "a.h5")])
def test_what_is_exported_is_read_back_with_scale_and_unit(tmp_path, volume, format, name):
    path = export_volume(volume, tmp_path / "new folder" / name, format=format)
    again = read_volume(path)
    np.testing.assert_array_equal(again.read(), volume.read())
    # TIFF keeps the resolution as a fraction of 32-bit integers
    assert again.voxel_size_mm == pytest.approx(VOXEL_MM, rel=1e-6)
    assert again.unit == "cm^-1"
    assert [file.name for file in path.parent.iterdir()] == [name]


def test_imagej_finds_stack_spacing_and_unit(tmp_path, volume):
    with tifffile.TiffFile(export_volume(volume, tmp_path / "a.tif")) as tif:
        assert tif.is_imagej
        assert tif.series[0].axes == "ZYX"
        assert tif.imagej_metadata["spacing"] == pytest.approx(VOXEL_MM)
        assert tif.imagej_metadata["unit"] == "mm"
        pixels, length = tif.pages[0].tags["XResolution"].value
        assert length / pixels == pytest.approx(VOXEL_MM, rel=1e-6)
        np.testing.assert_array_equal(tif.asarray(), volume.read())


def test_volumes_beyond_4_gb_become_ome_bigtiff(tmp_path, volume):
    write_tiff(volume, tmp_path / "big.tif", largest=1000)
    with tifffile.TiffFile(tmp_path / "big.tif") as tif:
        assert tif.is_bigtiff
        assert tif.is_ome
    again = read_volume(tmp_path / "big.tif")
    np.testing.assert_array_equal(again.read(), volume.read())
    assert (again.voxel_size_mm, again.unit) == (pytest.approx(VOXEL_MM), "cm^-1")


def test_itk_reads_the_nrrd_file(tmp_path, volume):
    sitk = pytest.importorskip("SimpleITK")
    image = sitk.ReadImage(str(export_volume(volume, tmp_path / "a.nrrd", format="nrrd")))
    assert image.GetSpacing() == pytest.approx((VOXEL_MM,) * 3)
    assert image.GetSize() == (31, 20, 37)
    np.testing.assert_allclose(image.GetDirection(), np.eye(3).ravel())
    np.testing.assert_array_equal(sitk.GetArrayFromImage(image), volume.read())


def test_hdf5_carries_the_element_size_of_fiji(tmp_path, volume):
    with h5py.File(export_volume(volume, tmp_path / "a.h5", format="hdf5")) as file:
        np.testing.assert_allclose(file["volume"].attrs["element_size_um"], [13.5] * 3)
        assert file["volume"].attrs["unit"] == "cm^-1"


@pytest.mark.parametrize("format", ["tiff", "nrrd", "hdf5"])
def test_labels_stay_integers(tmp_path, format):
    labels = Volume(np.arange(60, dtype=np.uint8).reshape(3, 4, 5), 1.0, "1", "labels")
    path = export_volume(
        labels, tmp_path / f"a.{ {'tiff': 'tif', 'nrrd': 'nrrd', 'hdf5': 'h5'}[format] }", format=format
    )
    np.testing.assert_array_equal(read_volume(path).read(), labels.read())


def test_unknown_formats_and_folders_are_refused(tmp_path, volume):
    with pytest.raises(InputError, match="expected one of tiff, nrrd, hdf5"):
        export_volume(volume, tmp_path / "a.stl", format="stl")
    with pytest.raises(InputError, match="is a folder"):
        export_volume(volume, tmp_path)


@pytest.mark.parametrize("format", ["tiff", "nrrd", "hdf5"])
def test_a_disk_that_gets_full_on_the_way_leaves_the_old_file(small_disk, monkeypatch, format):
    target = small_disk / "export"
    target.write_bytes(b"old")
    monkeypatch.setattr(export, "ensure_free", lambda *_: None)
    large = Volume(np.ones((64, 128, 128), np.float32), VOXEL_MM, "cm^-1")
    with pytest.raises(ResourceError, match="No space left on device"):
        export_volume(large, target, format=format)
    assert target.read_bytes() == b"old"
    assert [file.name for file in small_disk.iterdir()] == ["export"]


def test_what_cannot_fit_is_not_begun(tmp_path, volume, monkeypatch):
    monkeypatch.setattr(atomic, "free_bytes", lambda _: 1000)
    with pytest.raises(ResourceError, match=r"1\.0 kB free on this disk, 92\.7 kB needed"):
        export_volume(volume, tmp_path / "a.nrrd", format="nrrd")
    assert not list(tmp_path.iterdir())
