"""What a user can get wrong about a scan: one InputError each, one clear line."""

import h5py
import numpy as np
import pytest
import tifffile
import zarr

from deltamu.recon.errors import InputError
from deltamu.recon.scans import hdf5
from deltamu.recon.scans.flat_checks import check_flats
from deltamu.recon.scans.options import ScanOptions
from deltamu.recon.scans.read import open_scan, read_scan, scan_from_arrays


def refused(*parts: str):
    """Expect one line that holds these words in this order."""
    return pytest.raises(InputError, match="(?s)^[^\n]*" + "[^\n]*".join(parts) + "[^\n]*$")


def test_missing_file(tmp_path):
    with refused("nothing.h5", "no such file"):
        read_scan(tmp_path / "nothing.h5")


def test_empty_folder(tmp_path):
    with refused("found no images", "nothing", "expected files ending in", ".tif"):
        read_scan(tmp_path)


def test_flats_only(tiff_folder):
    for file in (tiff_folder / "projections").iterdir():
        file.unlink()
    with refused("flats or darks but no projections"):
        read_scan(tiff_folder)


def test_several_candidates(tiff_folder):
    (tiff_folder / "tomo").mkdir()
    tifffile.imwrite(tiff_folder / "tomo" / "a.tif", np.zeros((5, 7), np.uint16))
    with refused("projections, tomo", "state `projections`"):
        read_scan(tiff_folder)


def test_unknown_kind_of_file(tmp_path):
    (tmp_path / "scan.mat").write_bytes(b"x")
    with refused("scan.mat", "expected TIFF, FITS"):
        read_scan(tmp_path / "scan.mat")


def test_mixed_image_sizes(tiff_folder):
    tifffile.imwrite(tiff_folder / "projections" / "proj_7.tif", np.zeros((6, 7), np.uint16))
    scan = read_scan(tiff_folder)
    for call in (scan.read, scan.check):
        with refused("proj_7.tif", "6 × 7", "expected 5 × 7", "proj_0.tif"):
            call()


def test_mixed_sizes_of_pages(tmp_path):
    with tifffile.TiffWriter(tmp_path / "scan.tif") as tif:
        for rows in (8, 8, 9):
            tif.write(np.zeros((rows, 20), np.uint16), contiguous=False)
    with refused("scan.tif", "different sizes"):
        read_scan(tmp_path / "scan.tif", angles=np.arange(3) * 60)


def test_flats_of_another_size(tiff_folder):
    tifffile.imwrite(tiff_folder / "other.tif", np.zeros((4, 7), np.uint16))
    with refused("other.tif", "flats", "4, 7", "expected", "5, 7"):
        read_scan(tiff_folder, flats="other.tif", flats_after="other.tif")


@pytest.mark.parametrize("compression", [None, "zlib"])
@pytest.mark.parametrize("kept", [0.0, 0.05, 0.5, 0.99])
def test_truncated_tiff(tmp_path, compression, kept):
    random = np.random.default_rng(0)
    for i in range(3):
        tifffile.imwrite(
            tmp_path / f"p_{i}.tif", random.integers(0, 999, (40, 50), np.uint16), compression=compression
        )
    content = (tmp_path / "p_1.tif").read_bytes()
    (tmp_path / "p_1.tif").write_bytes(content[: int(kept * len(content))])
    scan = read_scan(tmp_path, angles=[0, 60, 120])
    with refused("p_1.tif", "truncated"):
        scan.read()


def test_damaged_tiff(tmp_path):
    for i in range(3):
        tifffile.imwrite(tmp_path / f"p_{i}.tif", np.ones((40, 50), np.uint16), compression="zlib")
    with tifffile.TiffFile(tmp_path / "p_2.tif") as tif:
        place = tif.pages[0].dataoffsets[0]
    content = bytearray((tmp_path / "p_2.tif").read_bytes())
    content[place : place + 20] = b"\xff" * 20
    (tmp_path / "p_2.tif").write_bytes(content)
    with refused("p_2.tif", "corrupt"):
        read_scan(tmp_path, angles=[0, 60, 120]).read()


@pytest.mark.parametrize("kept", [0.3, 0.7, 0.98])
@pytest.mark.parametrize("compression", [None, "zlib"])
def test_truncated_pages(tmp_path, kept, compression):
    frames = np.random.default_rng(0).integers(0, 999, (12, 20, 30)).astype(np.uint16)
    path = tmp_path / "scan.tif"
    with tifffile.TiffWriter(path) as tif:
        for frame in frames:
            tif.write(frame, contiguous=False, compression=compression)
    path.write_bytes(path.read_bytes()[: int(kept * path.stat().st_size)])
    with refused("scan.tif", "truncated"):
        read_scan(path, angles=np.arange(12) * 15.0).read()


def test_truncated_hdf5(exchange):
    content = exchange.read_bytes()
    exchange.write_bytes(content[: int(0.7 * len(content))])
    with refused("discharged.h5", "truncated", "copy the file again"):
        read_scan(exchange)


def test_not_hdf5(tmp_path):
    (tmp_path / "scan.h5").write_bytes(b"nothing of the kind")
    with refused("scan.h5", "not a readable HDF5 file"):
        read_scan(tmp_path / "scan.h5")


def test_truncated_npy(tmp_path, frames):
    np.save(tmp_path / "scan.npy", frames)
    content = (tmp_path / "scan.npy").read_bytes()
    (tmp_path / "scan.npy").write_bytes(content[:-10])
    with refused("scan.npy", "truncated"):
        read_scan(tmp_path / "scan.npy")


@pytest.mark.filterwarnings("ignore:File may have been truncated")
def test_truncated_fits(tmp_path, frames):
    fits = pytest.importorskip("astropy.io.fits")
    for i in range(3):
        fits.writeto(tmp_path / f"p_{i}.fits", np.tile(frames[i], (20, 20)))
    content = (tmp_path / "p_1.fits").read_bytes()
    (tmp_path / "p_1.fits").write_bytes(content[: len(content) // 2])
    with refused("p_1.fits", "truncated"):
        read_scan(tmp_path, angles=[0, 60, 120]).read()


def test_wrong_dataset_path(exchange):
    with refused("no dataset 'exchange/dat'", "nearest: exchange/data"):
        read_scan(exchange, data_path="exchange/dat")
    with refused("found a group", "data"):
        read_scan(exchange, data_path="exchange", format="hdf5")
    with refused("no dataset 'exchange/angle'"):
        read_scan(exchange, angles_path="exchange/angle")


def test_hdf5_of_no_known_kind(tmp_path, frames):
    with h5py.File(tmp_path / "scan.h5", "w") as file:
        file["here/images"] = frames
    with refused("neither NXtomo", "state data_path", "/here/images"):
        read_scan(tmp_path / "scan.h5")


def test_wrong_zarr_path(tmp_path, frames):
    group = zarr.open_group(str(tmp_path / "scan.zarr"), mode="w")
    group["raw"] = frames
    with refused("state data_path", "raw"):
        read_scan(tmp_path / "scan.zarr")
    with refused("no array 'raws'", "nearest: raw"):
        read_scan(tmp_path / "scan.zarr", data_path="raws")


def test_missing_target_of_a_link(tmp_path, nxtomo):
    with h5py.File(nxtomo, "a") as file:
        detector = file["entry/tomo_entry/instrument/detector"]
        del detector["data"]
        detector["data"] = h5py.ExternalLink("gone/images.h5", "/data")
    with refused("gone/images.h5", "not there"):
        read_scan(nxtomo)


def test_missing_source_of_a_virtual_dataset(tmp_path, frames):
    """HDF5 itself would give zeros."""
    layout = h5py.VirtualLayout(shape=frames.shape, dtype=frames.dtype)
    layout[...] = h5py.VirtualSource("gone.h5", "data", shape=frames.shape)
    with h5py.File(tmp_path / "scan.h5", "w") as file:
        file.create_virtual_dataset("data", layout)
    with refused("gone.h5", "not there"):
        read_scan(tmp_path / "scan.h5", data_path="data")


def test_compression_that_is_not_installed(tmp_path, frames, monkeypatch):
    plugin = pytest.importorskip("hdf5plugin")
    with h5py.File(tmp_path / "scan.h5", "w") as file:
        file.create_dataset("data", data=frames, **plugin.Bitshuffle())
    assert read_scan(tmp_path / "scan.h5", data_path="data", angles=np.arange(12) * 15).shape[0] == 12
    monkeypatch.setattr(h5py.h5z, "filter_avail", lambda code: False)
    monkeypatch.setattr(hdf5, "_plugin_provides", lambda code: False)
    with refused("HDF5 filter 32008", "pip install 'deltamu\\[hdf5\\]'"):
        read_scan(tmp_path / "scan.h5", data_path="data")


def test_rgb_images(tmp_path):
    for i in range(3):
        tifffile.imwrite(tmp_path / f"p_{i}.tif", np.zeros((8, 9, 3), np.uint8), photometric="rgb")
    with refused("p_0.tif", "colour image", "grey"):
        read_scan(tmp_path)
    np.save(tmp_path / "c.npy", np.zeros((5, 8, 9, 3), np.uint8))
    with refused("c.npy", "colour"):
        read_scan(tmp_path / "c.npy")


def test_complex_values(tmp_path):
    np.save(tmp_path / "c.npy", np.zeros((5, 8, 9), complex))
    with refused("c.npy", "complex128"):
        read_scan(tmp_path / "c.npy")


def test_values_that_are_not_finite(frames, angles):
    broken = frames.astype(np.float32)
    broken[4, 2, 2] = np.nan
    with refused("frame 4", "not finite"):
        scan_from_arrays(broken, angles).read()


def test_all_zero_flats(frames, flats, angles):
    with refused("flats", "zero"):
        _ = scan_from_arrays(frames, angles, flats=0 * flats).flats


def test_flats_darker_than_darks(frames, flats, darks, angles):
    with refused("flats are darker than darks", "50", "101"):
        _ = scan_from_arrays(frames, angles, flats=flats * 0 + 50, darks=darks).flats


def test_flats_and_darks_swapped(frames, flats, darks, angles):
    with refused("swapped", "exchange `flats` and `darks`"):
        scan_from_arrays(frames, angles, flats=darks, darks=flats).check()


def test_flats_and_darks_the_same(frames, flats, angles):
    with refused("no light in the flats"):
        check_flats(flats, flats, frames[:1].astype(np.float32))


@pytest.mark.parametrize("turn", [np.pi, 2 * np.pi])
def test_radians_given_as_degrees(frames, turn):
    with refused("span", "radians", "angle_unit = 'rad'"):
        scan_from_arrays(frames, np.linspace(0, turn, 12))


def test_degrees_given_as_radians(frames):
    with refused("rad; degrees", "angle_unit = 'deg'"):
        scan_from_arrays(frames, np.linspace(0, 360, 12), angle_unit="rad")


def test_no_rotation(frames):
    with refused("all 12 angles are 5°"):
        scan_from_arrays(frames, np.full(12, 5.0))


@pytest.mark.parametrize("count", [11, 13])
def test_angle_count_off_by_one(frames, count):
    with refused(f"{count} angles stand for the 12 projections", "select"):
        scan_from_arrays(frames, np.arange(count) * 15.0)


def test_selection_that_leaves_nothing(frames, angles):
    with refused("angle_select", "leaves none of the 12"):
        scan_from_arrays(frames, angles, angle_select="[20:30]")
    with refused("projection_select", "leaves 1 of the 12"):
        scan_from_arrays(frames, angles, projection_select="[11:]")


def test_nan_angles(tiff_folder):
    text = (tiff_folder / "angles.txt").read_text().replace("45.000000", "nan")
    (tiff_folder / "angles.txt").write_text(text)
    with refused("angles.txt", "entry 3 is nan", "finite"):
        read_scan(tiff_folder)


def test_one_projection(frames):
    with refused("found 1 projection", "at least two"):
        scan_from_arrays(frames[:1], [0.0])


def test_no_angles(exchange):
    with h5py.File(exchange, "a") as file:
        del file["exchange/theta"]
    with refused("found no angles", "angle_file", "angle_golden"):
        read_scan(exchange)


def test_two_ways_to_state_the_angles():
    with refused("angle_file and angle_golden", "one way"):
        ScanOptions(angle_file="a.txt", angle_golden=180)


@pytest.mark.parametrize(
    ("size", "message"),
    [
        (0, "above 0"),
        (-0.027, "above 0"),
        (float("nan"), "above 0"),
        (2.7e-5, "metres.*try 0.027"),
        (27.0, "µm.*try 0.027"),
    ],
)
def test_pixel_size(size, message):
    with refused("pixel_size_mm", message):
        ScanOptions(pixel_size_mm=size)


def test_pixel_size_of_a_file(nxtomo):
    with h5py.File(nxtomo, "a") as file:
        file["entry/tomo_entry/instrument/detector/x_pixel_size"].attrs["units"] = "mm"
    with refused("pixel_size_mm", "metres"):
        read_scan(nxtomo)
    assert read_scan(nxtomo, pixel_size_mm=0.027).pixel_size_mm == 0.027


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"format": "dicom"}, "format: found 'dicom', expected one of auto, tiff"),
        ({"flip": "up"}, "flip: found 'up'"),
        ({"direction": "left"}, "direction"),
        ({"bin": 0}, "bin: found 0"),
        ({"crop_rows": (4, 2)}, "crop_rows"),
        ({"crop_rows": (1,)}, "crop_rows"),
        ({"exposure_s": -1.0}, "exposure_s"),
        ({"angle_golden": 90}, "angle_golden"),
        ({"angle_start_deg": 0.0}, "angle_stop_deg: expected both"),
    ],
)
def test_options(options, message):
    with refused(message):
        ScanOptions(**options)


def test_options_that_do_not_fit_the_frames(exchange):
    with refused("crop_columns", "9", "have 7"):
        open_scan(exchange, ScanOptions(crop_columns=(0, 9)))
    with refused("bin: found 6"):
        open_scan(exchange, ScanOptions(bin=6))
    with refused("pixel_size: unknown option", "pixel_size_mm"):
        read_scan(exchange, pixel_size=0.027)
    with refused("no file names"):
        read_scan(exchange, angle_pattern=r"(\d+)")


def test_views_outside_the_scan(exchange):
    with refused("views 10 to 13", "within 0 to 12"):
        read_scan(exchange).read(10, 13)


def test_image_key_of_another_length(nxtomo):
    with h5py.File(nxtomo, "a") as file:
        key = file["entry/tomo_entry/instrument/detector"]
        del key["image_key"]
        key["image_key"] = np.zeros(4, int)
    with refused("image_key has 4 entries for the 20 frames"):
        read_scan(nxtomo)


def test_sinogram_order(exchange):
    with h5py.File(exchange, "a") as file:
        file["exchange/data"].attrs["axes"] = "y:theta:x"
    with refused("y:theta:x", "expected theta:y:x"):
        read_scan(exchange)
