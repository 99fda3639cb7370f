"""A folder of TIFF slices, read back by ours and by tifffile."""

import numpy as np
import pytest
import tifffile

from deltamu.recon.errors import InputError
from deltamu.recon.volumes.read import read_volume
from deltamu.recon.volumes.slice_folder import write_slices
from deltamu.recon.volumes.volume import Volume

VOXEL_MM = 0.0135


@pytest.fixture
def volume():
    values = np.random.default_rng(1).normal(size=(11, 7, 5)).astype(np.float32)
    return Volume(values, VOXEL_MM, "cm^-1", "attenuation")


def test_slices_are_read_back_with_their_scale(tmp_path, volume):
    folder = write_slices(volume, tmp_path / "new" / "slices")
    again = read_volume(folder, voxel_size_mm=VOXEL_MM, unit="cm^-1")
    np.testing.assert_array_equal(again.read(), volume.read())
    with tifffile.TiffFile(folder / "slice_00010.tif") as tif:
        pixels, length = tif.pages[0].tags["XResolution"].value
        assert length / pixels == pytest.approx(VOXEL_MM, rel=1e-6)
        assert tif.imagej_metadata["unit"] == "mm"
        assert "cm^-1" in tif.imagej_metadata["Info"]
    assert [entry.name for entry in folder.parent.iterdir()] == ["slices"]


def test_earlier_slices_are_replaced_all_of_them(tmp_path, volume):
    write_slices(volume, tmp_path / "slices")
    write_slices(Volume(volume.read()[:3] + 1, VOXEL_MM, "cm^-1"), tmp_path / "slices")
    again = read_volume(tmp_path / "slices", voxel_size_mm=VOXEL_MM, unit="cm^-1")
    np.testing.assert_array_equal(again.read(), volume.read()[:3] + 1)


def test_a_folder_of_other_things_is_left_alone(tmp_path, volume):
    (tmp_path / "thesis.tex").write_text("precious")
    with pytest.raises(InputError, match=r"thesis\.tex"):
        write_slices(volume, tmp_path)
    with pytest.raises(InputError, match="is a file"):
        write_slices(volume, tmp_path / "thesis.tex")
    assert (tmp_path / "thesis.tex").read_text() == "precious"
