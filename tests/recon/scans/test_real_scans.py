"""Scans as instruments wrote them."""

import time
from pathlib import Path

import numpy as np
import pytest

from deltamu.recon.errors import InputError
from deltamu.recon.scans.read import read_scan


def test_fragment(deltamu_data):
    scan = read_scan(deltamu_data / "fragment_xray_tiff", angle_select="[10:101]")
    assert scan.shape == (91, 135, 160)
    np.testing.assert_allclose(np.degrees(scan.angles[[0, 1, -1]]), [-88.2, -86.2, 91.7999], atol=1e-9)
    assert scan.flats.shape == scan.darks.shape == (1, 135, 160)
    assert any("half a turn apart" in note for note in scan.notes)
    scan.check()


def test_fragment_with_too_many_angles(deltamu_data):
    with pytest.raises(InputError, match=r"111 angles .* 91 projections .* angle_select = '\[10:101\]'"):
        read_scan(deltamu_data / "fragment_xray_tiff")


def test_fragment_loads_fast(deltamu_data):
    """The bound is what the design asks for; 0.05 to 0.1 s were measured."""
    fastest = min(_seconds_to_load(deltamu_data) for _ in range(3))
    assert fastest < 0.5


def _seconds_to_load(data: Path) -> float:
    start = time.perf_counter()
    frames = read_scan(data / "fragment_xray_tiff", angle_select="[10:101]").read()
    seconds = time.perf_counter() - start
    assert 20000 < np.median(frames) < 30000
    return seconds


def test_tooth(deltamu_data):
    scan = read_scan(deltamu_data / "tooth_xray_dxchange" / "tooth.h5")
    assert (scan.shape, scan.flats.shape, scan.darks.shape) == ((181, 2, 640), (10, 2, 640), (10, 2, 640))
    assert np.degrees(scan.angles[-1]) == pytest.approx(179.0055, abs=1e-4)
    assert scan.flats_after is None
    assert scan.flats.mean() > scan.read().mean() > scan.darks.mean()


def test_nxtomo_without_loading_all_frames(deltamu_data):
    """3201 frames are 3.7 MB; opening and reading flats and darks takes 0.23 MB of them and the structure."""
    before = _bytes_read()
    scan = read_scan(deltamu_data / "diad_nxtomo" / "k11-18014.nxs")
    assert (scan.shape, scan.flats.shape, scan.darks.shape) == ((3001, 22, 26), (100, 22, 26), (100, 22, 26))
    assert _bytes_read() - before < 1.5e6
    assert scan.flats_after == 50
    np.testing.assert_allclose(np.degrees(scan.angles[[0, 1, -1]]), [90, 90.06, 270])
    assert scan.read(10, 12).shape == (2, 22, 26)


def _bytes_read() -> int:
    counters = Path("/proc/self/io")
    if not counters.is_file():
        pytest.skip("the system does not count the bytes that a process reads")
    return int(counters.read_text().split("rchar:")[1].split()[0])


def test_step_wedge_frames(deltamu_data):
    """Deflated neutron frames in strips, as flats and darks."""
    folder = deltamu_data / "stepwedge_neutron"
    files = "exp20s_*.tif"
    scan = read_scan(
        folder, projections=files, flats="exp20s_ob.tif", darks="exp20s_dc.tif",
        angle_start_deg=0.0, angle_stop_deg=180.0, angle_endpoint=False, crop_rows=(0, 780), bin=2,
    )  # fmt: skip
    assert scan.shape == (7, 390, 750)
    assert np.median(scan.darks) == pytest.approx(299, abs=5)
    assert 4000 < np.median(scan.flats) < 5000
