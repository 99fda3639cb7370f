"""Numbers from the header of every frame."""

import numpy as np
import pytest
import tifffile

from deltamu.recon.errors import InputError
from deltamu.recon.scans.frame_headers import header_numbers
from deltamu.recon.scans.frames import ArrayFrames
from deltamu.recon.scans.read import read_scan

COUNTS = (1200.0, 1e3, 1100.5)
FRAME = np.full((4, 6), 500, np.uint16)


def write_tiff(path, number):
    tifffile.imwrite(
        path, FRAME, description=f"exposure: 60\nOLD_MONITOR: 7\nMONITOR: {number}\n", metadata=None
    )


def write_fits(path, number):
    fits = pytest.importorskip("astropy.io.fits")
    fits.PrimaryHDU(FRAME, fits.Header([("MONITOR", number)])).writeto(path)


@pytest.fixture(params=["tif", "fits"])
def folder(request, tmp_path):
    """Three views, two of the open beam, in one kind of file."""
    write = {"tif": write_tiff, "fits": write_fits}[request.param]
    for name, numbers in (("proj", COUNTS), ("ob", (2000.0, 2200.0))):
        (tmp_path / name).mkdir()
        for index, number in enumerate(numbers):
            write(tmp_path / name / f"{name}_{index}.{request.param}", number)
    return tmp_path


def test_one_number_per_frame(folder):
    scan = read_scan(folder, angles_deg=(0.0, 60.0, 120.0), pixel_size_mm=0.1)
    np.testing.assert_allclose(header_numbers(scan.projections, "MONITOR"), COUNTS)
    np.testing.assert_allclose(header_numbers(scan.flat_source, "MONITOR"), [2000, 2200])
    picked = read_scan(folder, angles_deg=(0.0, 60.0), projection_select="[1:]", pixel_size_mm=0.1)
    np.testing.assert_allclose(header_numbers(picked.projections, "MONITOR"), COUNTS[1:])


def test_what_is_missing_is_named(folder):
    scan = read_scan(folder, angles_deg=(0.0, 60.0, 120.0), pixel_size_mm=0.1)
    with pytest.raises(InputError, match=r"proj_0\.(tif|fits).*'CHARGE' is missing"):
        header_numbers(scan.projections, "CHARGE")
    with pytest.raises(InputError, match="share a file"):
        header_numbers(ArrayFrames("arrays", np.zeros((3, 4, 6))), "MONITOR")
