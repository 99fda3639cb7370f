"""Every format gives the same scan."""

import os
import threading
from pathlib import Path

import h5py
import numpy as np
import pytest
import tifffile
import zarr

from deltamu.recon.errors import InputError
from deltamu.recon.scans.read import read_scan, scan_from_arrays
from deltamu.recon.scans.scan import Scan


def same_scan(scan, frames, flats, darks, angles) -> None:
    assert isinstance(scan, Scan)
    assert scan.shape == frames.shape
    assert scan.read().dtype == np.float32
    np.testing.assert_array_equal(scan.read(), frames)
    np.testing.assert_array_equal(scan.read(3, 7), frames[3:7])
    np.testing.assert_array_equal(scan.flats, flats)
    np.testing.assert_array_equal(scan.darks, darks)
    # degrees go through text with six decimals or through radians: 1e-6 degrees
    np.testing.assert_allclose(np.degrees(scan.angles), angles, atol=1e-6)


def test_tiff_folder(tiff_folder, frames, flats, darks, angles):
    scan = read_scan(tiff_folder)
    same_scan(scan, frames, flats, darks, angles)
    assert scan.flats_after == 2
    assert scan.name == "pristine"
    assert scan.pixel_size_mm is None


def test_nxtomo(nxtomo, frames, flats, darks, angles):
    scan = read_scan(nxtomo)
    same_scan(scan, frames, flats, darks, angles)
    assert scan.flats_after == 2
    assert scan.pixel_size_mm == pytest.approx(0.027)
    assert any("invalid" in note for note in scan.notes)


def test_data_exchange(exchange, frames, flats, darks, angles):
    scan = read_scan(exchange, pixel_size_mm=0.027)
    same_scan(scan, frames, flats, darks, angles)
    assert scan.flats_after == 3
    assert scan.pixel_size_mm == 0.027


def test_plain_hdf5_with_flats_in_another_file(tmp_path, frames, flats, darks, angles):
    with h5py.File(tmp_path / "scan.h5", "w") as file:
        file["raw/images"] = frames
        file["raw/dark"] = darks
        file["raw/angle"] = np.radians(angles)
        file["raw/angle"].attrs["units"] = "rad"
        file["raw/time"] = np.arange(12) * 30.0
    with h5py.File(tmp_path / "flats.h5", "w") as file:
        file["ob"] = flats
    scan = read_scan(
        tmp_path / "scan.h5", data_path="raw/images", flats="flats.h5", flats_path="ob",
        darks_path="raw/dark", angles_path="raw/angle", times_path="raw/time",
    )  # fmt: skip
    same_scan(scan, frames, flats, darks, angles)
    np.testing.assert_array_equal(scan.times_s, np.arange(12) * 30.0)


def test_external_and_soft_links(tmp_path, nxtomo, frames, flats, darks, angles):
    """Links that point to a sub-folder find the file beside, as when a data set was moved."""
    detector = "entry/tomo_entry/instrument/detector"
    with h5py.File(tmp_path / "linked.nxs", "w") as file:
        with h5py.File(nxtomo) as source:
            source.copy(f"{detector}/image_key", file, name="entry/det/image_key")
            source.copy("entry/tomo_entry/sample/rotation_angle", file, name="entry/sample/rotation_angle")
        file["entry/real"] = h5py.ExternalLink(f"elsewhere/{nxtomo.name}", f"/{detector}/data")
        file["entry/det/data"] = h5py.SoftLink("/entry/real")
    same_scan(read_scan(tmp_path / "linked.nxs"), frames, flats, darks, angles)


def test_zarr_group_and_array(tmp_path, frames, flats, darks, angles):
    group = zarr.open_group(str(tmp_path / "scan.zarr"), mode="w")
    for name, array in (("projections", frames), ("flats", flats), ("darks", darks), ("angles", angles)):
        group[name] = array
    same_scan(read_scan(tmp_path / "scan.zarr"), frames, flats, darks, angles)
    zarr.save_array(str(tmp_path / "only.zarr"), frames)
    scan = read_scan(tmp_path / "only.zarr", angle_start_deg=0, angle_stop_deg=180, angle_endpoint=False)
    np.testing.assert_array_equal(scan.read(), frames)
    np.testing.assert_allclose(np.degrees(scan.angles), angles, atol=1e-9)


def test_npy_with_flats_and_angles_beside(tmp_path, frames, flats, darks, angles):
    np.save(tmp_path / "scan.npy", frames)
    np.save(tmp_path / "flats.npy", flats.astype(">f4"))
    np.save(tmp_path / "darks.npy", darks)
    np.savetxt(tmp_path / "theta.txt", angles)
    scan = read_scan(tmp_path / "scan.npy", flats="flats.npy", darks="darks.npy", angle_file="theta.txt")
    same_scan(scan, frames, flats, darks, angles)


@pytest.mark.parametrize("compression", [None, "zlib", "lzw"])
def test_multi_page_tiff(tmp_path, frames, flats, darks, angles, compression):
    tifffile.imwrite(
        tmp_path / "scan.tif", frames, compression=compression, byteorder=">", photometric="minisblack"
    )
    tifffile.imwrite(tmp_path / "ob.tif", flats, photometric="minisblack")
    tifffile.imwrite(tmp_path / "dc.tif", darks, photometric="minisblack")
    scan = read_scan(tmp_path / "scan.tif", flats="ob.tif", darks="dc.tif", angles=angles)
    same_scan(scan, frames, flats, darks, angles)


@pytest.mark.parametrize("compression", [None, "zlib"])
def test_pages_that_were_appended_one_by_one(tmp_path, frames, angles, compression):
    with tifffile.TiffWriter(tmp_path / "scan.tif") as tif:
        for frame in frames:
            tif.write(frame, contiguous=False, compression=compression)
    scan = read_scan(tmp_path / "scan.tif", angles=angles)
    np.testing.assert_array_equal(scan.read(2, 9), frames[2:9])


def test_fits_folder_and_cube(tmp_path, frames, flats, darks, angles):
    fits = pytest.importorskip("astropy.io.fits")
    for i, frame in enumerate(frames):
        (tmp_path / "sample").mkdir(exist_ok=True)
        fits.writeto(tmp_path / "sample" / f"im_{i}.fits", frame)
    fits.writeto(tmp_path / "ob.fits", flats)
    fits.writeto(tmp_path / "dc.fits", darks)
    np.savetxt(tmp_path / "angles.csv", angles)
    same_scan(read_scan(tmp_path), frames, flats, darks, angles)


def test_arrays(frames, flats, darks, angles):
    scan = scan_from_arrays(frames, angles, flats=flats, darks=darks, pixel_size_mm=0.027)
    same_scan(scan, frames, flats, darks, angles)


def test_flats_and_darks_beside_the_projections(tmp_path, frames, flats, darks, angles):
    for stem, stack in (
        ("IMAT01_cell", frames),
        ("IMAT01_Flat_Before", flats[:2]),
        ("IMAT01_Flat_After", flats[2:]),
    ):
        for i, frame in enumerate(stack):
            tifffile.imwrite(tmp_path / f"{stem}_{i}.tiff", frame)
    for i, frame in enumerate(darks):
        tifffile.imwrite(tmp_path / f"df_{i}.tiff", frame)
    scan = read_scan(tmp_path, angles=angles)
    same_scan(scan, frames, flats, darks, angles)
    assert scan.flats_after == 2


def test_stated_patterns_win(tiff_folder, frames, darks, angles):
    scan = read_scan(
        tiff_folder, flats="flats_before/flat_1.tif", flats_after="flats_after/*.tif", darks="darks"
    )
    assert scan.flats[:, 0, 0].tolist() == [3001, 3002, 3003]
    assert scan.flats_after == 1


def test_stated_flats_replace_all_that_were_found(nxtomo, tiff_folder, exchange, tmp_path):
    for path in (nxtomo, tiff_folder, exchange):
        folder = path if path.is_dir() else tmp_path
        np.save(folder / "ob.npy", np.full((2, 5, 7), 4000.0))
        scan = read_scan(path, flats="ob.npy")
        assert (scan.flats.shape[0], scan.flats.mean(), scan.flats_after) == (2, 4000, None)
        assert scan.darks.shape[0] == 3
    scan = read_scan(nxtomo, flats=exchange.name, flats_path="exchange/data_white")
    assert scan.flats.shape[0] == 3


def test_settings_of_the_detector(frames, flats, darks, angles):
    options = {"transpose": True, "flip": "columns", "crop_rows": (1, 7), "crop_columns": (0, 4), "bin": 2}
    scan = scan_from_arrays(frames, angles, flats=flats, darks=darks, pixel_size_mm=0.01, **options)
    turned = frames.swapaxes(1, 2)[:, :, ::-1][:, 1:7, 0:4].astype(float)
    expected = turned.reshape(12, 3, 2, 2, 2).mean(axis=(2, 4))
    assert scan.shape == (12, 3, 2)
    np.testing.assert_allclose(scan.read(), expected, rtol=1e-7)
    assert scan.flats.shape == (4, 3, 2)
    assert (scan.pixel_size_mm, scan.bin) == (0.02, 2)


def test_direction_and_selection(frames, angles):
    scan = scan_from_arrays(frames, angles, direction="reversed", projection_select="[2:10:2]")
    np.testing.assert_array_equal(scan.read(), frames[2:10:2])
    np.testing.assert_allclose(np.degrees(scan.angles), -angles[2:10:2])


def test_exposures_give_the_scale_of_the_flats(frames, flats, angles):
    scan = scan_from_arrays(frames, angles, flats=flats, exposure_s=30.0, flat_exposure_s=10.0)
    assert scan.flat_scale == 3.0
    assert scan.exposure_s == {"projections": 30.0, "flats": 10.0}
    assert any("exposure" in note for note in scan.notes)
    with pytest.raises(InputError, match="state exposure_s"):
        scan_from_arrays(frames, angles, flats=flats, flat_exposure_s=10.0)


def test_fingerprint_follows_files_and_options(tiff_folder):
    first = read_scan(tiff_folder).fingerprint
    assert read_scan(tiff_folder).fingerprint == first
    assert read_scan(tiff_folder, bin=2).fingerprint != first
    file = tiff_folder / "projections" / "proj_3.tif"
    os.utime(file, ns=(0, 0))
    assert read_scan(tiff_folder).fingerprint != first


@pytest.mark.parametrize("source", ["tiff_folder", "nxtomo", "exchange"])
def test_threads_read_the_same(source, request, frames):
    scan = read_scan(request.getfixturevalue(source))
    wrong: list[int] = []

    def read(start: int) -> None:
        for _ in range(5):
            if not np.array_equal(scan.read(start, start + 3), frames[start : start + 3]):
                wrong.append(start)

    threads = [threading.Thread(target=read, args=(start,)) for start in range(0, 9, 2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_nothing_but_headers_is_read_on_opening(nxtomo, monkeypatch):
    from deltamu.recon.scans import hdf5

    def refuse(self, indices):
        raise AssertionError("frames were read")

    monkeypatch.setattr(hdf5.Hdf5Frames, "read", refuse)
    scan = read_scan(nxtomo)
    assert (scan.shape, scan.angles.size, len(scan.notes)) == ((12, 5, 7), 12, 2)


def test_files_are_read_only(tiff_folder: Path):
    scan = read_scan(tiff_folder)
    with pytest.raises(ValueError, match="read-only"):
        scan.flats[0] = 0
    with pytest.raises(ValueError, match="read-only"):
        scan.angles[0] = 0
