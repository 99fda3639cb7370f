"""`deltamu center` and `deltamu recon` on scans that instruments wrote, against numbers that others found."""

import re

import astra
import numpy as np
import pytest
import tifffile
from scipy.ndimage import gaussian_filter

from deltamu.recon.cli import main
from deltamu.recon.preprocess.transmission import line_integrals
from deltamu.recon.scans.read import read_scan
from deltamu.recon.volumes.open import open_image

TOOTH = "tooth_xray_dxchange/tooth.h5"
FRAGMENT = "fragment_xray_tiff"
FRAGMENT_VIEWS = "angle_select=[10:101]"


@pytest.mark.parametrize(
    ("path", "settings", "center", "methods"),
    # the tube around the fragment leaves the field of view: its centre of mass says nothing
    [(TOOTH, [], 296.0, 4), (FRAGMENT, ["--set", FRAGMENT_VIEWS], 85.9, 3)],
)
def test_center_of_real_scans(deltamu_data, capsys, tmp_path, path, settings, center, methods):
    picture = tmp_path / "center.png"
    assert main(["center", str(deltamu_data / path), "-o", str(picture), *settings]) == 0
    text = capsys.readouterr().out
    assert float(re.search(r"centre ([\d.]+)", text)[1]) == pytest.approx(center, abs=0.5)
    listed = [float(value) for value in re.findall(r"median +([\d.]+) px", text)]
    assert len(listed) >= methods
    np.testing.assert_allclose(listed, center, atol=0.5)
    assert "warning" not in text
    # the tooth stays inside the field, the tube around the fragment does not
    assert ("tilt from the moments of the views: unknown" in text) == (path == FRAGMENT)
    assert picture.stat().st_size > 5000


@pytest.mark.parametrize("command", ["center", "recon"])
def test_too_many_angles_end_with_status_2(deltamu_data, capsys, tmp_path, command):
    out = tmp_path / "out.zarr"
    assert main([command, str(deltamu_data / FRAGMENT), "-o", str(out), "--set", "pixel_size_mm=0.1"]) == 2
    error = capsys.readouterr().err
    assert re.search(r"111 angles .* 91 projections .* angle_select = '\[10:101\]'", error)
    assert not out.exists()


@pytest.mark.parametrize(
    ("path", "options", "center", "row"),
    [(TOOTH, {}, 296.0, 0), (FRAGMENT, {"angle_select": "[10:101]"}, 86.0, 100)],
)
def test_recon_agrees_with_astra(deltamu_data, capsys, tmp_path, path, options, center, row):
    """2 % of the object's contrast is asked for; 0.16 % (tooth) and 0.47 % (fragment) were measured.

    The centre is a multiple of half a pixel, so that ASTRA's FBP, whose axis is the middle of the detector,
    gets it by zeros at one side of the sinogram instead of by interpolation.
    """
    scan = read_scan(deltamu_data / path, **options)
    reference = astra_fbp(line_integrals(scan, stripes="off")[:, row], scan.angles, center)
    ours = _recon(deltamu_data / path, tmp_path / "out.zarr", options, center, row)
    assert rms_of_contrast(ours, reference, center) < 0.01


def _recon(path, out, options, center, row):
    settings = [f"--set={key}={value}" for key, value in {"pixel_size_mm": 0.1, **options}.items()]
    choices = ["--filter=ram-lak", "--stripes=off", f"--rows={row}:{row + 1}", f"--center={center}"]
    assert main(["recon", str(path), "-o", str(out), *choices, *settings]) == 0
    # 0.1 mm per pixel: 100 pixels to the centimetre
    return np.asarray(open_image(out)[0]) / 100


def astra_fbp(sinogram, angles, center):
    """Slice (y, x) per pixel by ASTRA's CPU FBP, Ram-Lak; its y axis points the other way."""
    columns = sinogram.shape[1]
    extra = round(2 * center) - (columns - 1)
    padded = np.pad(sinogram, ((0, 0), (max(-extra, 0), max(extra, 0))))
    views = astra.create_proj_geom("parallel", 1.0, padded.shape[1], angles)
    pixels = astra.create_vol_geom(columns, columns)
    settings = astra.astra_dict("FBP")
    settings["ProjectorId"] = astra.create_projector("linear", views, pixels)
    settings["ProjectionDataId"] = astra.data2d.create("-sino", views, padded)
    settings["ReconstructionDataId"] = result = astra.data2d.create("-vol", pixels)
    astra.algorithm.run(astra.algorithm.create(settings))
    image = astra.data2d.get(result)[::-1]
    astra.clear()
    return image


def rms_of_contrast(ours, reference, center):
    """Differences inside the field that all views see, both smoothed; contrast: 1st to 99th percentile."""
    columns = len(ours)
    y, x = np.mgrid[:columns, :columns] - (columns - 1) / 2
    # four pixels from the edge of the field, so that smoothing brings nothing in from outside
    inside = np.hypot(x, y) < min(center, columns - 1 - center) - 4
    ours, reference = (gaussian_filter(image, 1.5)[inside] for image in (ours, reference))
    contrast = np.subtract(*np.percentile(reference, [99, 1]))
    return float(np.sqrt(np.mean((ours - reference) ** 2)) / contrast)


def test_recon_writes_a_folder_of_slices(deltamu_data, capsys, tmp_path):
    folder = tmp_path / "slices"
    status = main([
        "recon", str(deltamu_data / TOOTH), "-o", str(folder), "--set", "pixel_size_mm=0.1", "--center", "296",
    ])  # fmt: skip
    assert status == 0, capsys.readouterr().err
    assert sorted(file.name for file in folder.iterdir()) == ["slice_00000.tif", "slice_00001.tif"]
    assert tifffile.imread(folder / "slice_00001.tif").shape == (640, 640)


def test_recon_writes_a_stack(deltamu_data, capsys, tmp_path):
    stack = tmp_path / "stack.tif"
    status = main([
        "recon", str(deltamu_data / FRAGMENT), "-o", str(stack), "--center", "86", "--rows", "40:43",
        "--set", "pixel_size_mm=0.1", "--set", FRAGMENT_VIEWS,
    ])  # fmt: skip
    assert status == 0, capsys.readouterr().err
    assert tifffile.imread(stack).shape == (3, 160, 160)
