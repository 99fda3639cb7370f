"""Direct back-projection of parallel and cone-beam scans: device against CPU."""

import numpy as np
import pytest

from deltamu.recon.scan_geometry import cone_geometry, middle_of, parallel_geometry
from deltamu.recon.solvers.direct import fbp_direct
from deltamu.recon.solvers.fdk import fdk

SHAPE, DETECTOR = (4, 13, 13), (8, 16)
PIXEL = 0.1


def views(count):
    return np.random.default_rng(1).normal(size=(count, *DETECTOR)).astype(np.float32)


@pytest.mark.parametrize(("tilt", "offset"), [(0.0, False), (0.9, False), (0.0, True)])
@pytest.mark.parametrize("padding", ["zero", "edge"])
def test_parallel_views(device, agree, tilt, offset, padding):
    turn = 2 * np.pi if offset else np.pi
    angles = np.linspace(0.02, 0.02 + turn, 14, endpoint=False)
    geometry = parallel_geometry(
        angles, detector_shape=DETECTOR, center=5.3 if offset else 7.3, pixel_size_mm=PIXEL,
        middle_mm=middle_of(SHAPE, PIXEL), roll_deg=tilt, center_row=3.6,
    )  # fmt: skip
    options = {
        "volume_shape": SHAPE, "voxel_size_mm": PIXEL, "filter": "hann", "padding": padding, "offset_detector": offset,
    }  # fmt: skip
    found = fbp_direct(device.asarray(views(14)), geometry, **options)
    # two other Fourier transforms, and positions in 32 bits
    agree(found, fbp_direct(views(14), geometry, **options), 2e-5)


def test_cone_beam(device, agree):
    geometry = cone_geometry(
        np.linspace(0.03, 0.03 + 2 * np.pi, 16, endpoint=False), detector_shape=DETECTOR, center=7.4,
        pixel_size_mm=PIXEL, middle_mm=middle_of(SHAPE, PIXEL), source_axis_mm=8.0, source_detector_mm=9.0,
    )  # fmt: skip
    options = {"volume_shape": SHAPE, "voxel_size_mm": PIXEL, "filter": "hann"}
    agree(fdk(device.asarray(views(16)), geometry, **options), fdk(views(16), geometry, **options), 2e-5)
