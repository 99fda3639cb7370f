"""A volume laid flat along a tilted and bowed layer."""

import numpy as np
import pytest

from deltamu.recon.change.depth import depth_of, normal_maps, thickness_map
from deltamu.recon.change.flattening import flatten, flattened_rows
from deltamu.recon.change.layer_stack import Layer, Surface
from deltamu.recon.errors import InputError

VOXEL, AXIS, SHAPE = 0.027, (0.8, 0.75), (48, 60, 56)


def layer(side: int) -> Layer:
    """0.4 mm thick, tilted by 0.4 degrees and bowed by 15 µm; depth along +z or −z."""
    near = Surface((0.65, 0.005, -0.004, 0.02), AXIS)
    return Layer("cathode", 1, near, near.raised(0.4 * side, np.zeros((4, 4))), 0.7, VOXEL)


@pytest.mark.parametrize("side", [1, -1])
def test_depth_itself_becomes_flat(side) -> None:
    """The depth image, flattened, is the depth asked for: linear between rows, so to rounding."""
    found = layer(side)
    depths = np.array([0.0, 0.1, 0.21, 0.4])
    first, stop = flattened_rows(found, depths, SHAPE[0])
    z, y, x = (np.arange(n) for n in SHAPE)
    depth = depth_of(found, z[first:stop, None, None], y[:, None], x)
    flat = flatten(depth.astype(np.float32), found, depths, first_row=first)
    inside = np.hypot(y[:, None] * VOXEL - AXIS[0], x * VOXEL - AXIS[1]) < 0.7
    assert np.array_equal(np.isfinite(flat[1]), inside)
    for wanted, plane in zip(depths, flat, strict=True):
        np.testing.assert_allclose(plane[inside], wanted, atol=1e-6)


def test_rows_that_are_not_there_have_no_value() -> None:
    slab = np.ones((4, *SHAPE[1:]), np.float32)
    assert np.isnan(flatten(slab, layer(1), np.array([0.3]), first_row=0)).all()
    with pytest.raises(InputError, match="dimensions"):
        flatten(slab[0], layer(1), np.array([0.3]))


@pytest.mark.parametrize("side", [1, -1])
def test_thickness_and_normal(side) -> None:
    found = layer(side)
    thickness = thickness_map(found, SHAPE[1:])
    y, x = (np.arange(n) * VOXEL for n in SHAPE[1:])
    cosine = found.near.normal_cosine(y[:, None], x)
    np.testing.assert_allclose(thickness, 0.4 * cosine, rtol=1e-6)
    normal_z, normal_y, normal_x = normal_maps(found, SHAPE[1:])
    np.testing.assert_allclose(normal_z**2 + normal_y**2 + normal_x**2, 1.0, rtol=1e-6)
    np.testing.assert_allclose(normal_z, side * cosine, rtol=1e-6)
    # perpendicular to the surface: a step along y rises by its slope
    slope = np.gradient(found.near.height_mm(y[:, None], x), VOXEL, axis=0)[1:-1]
    np.testing.assert_allclose(
        (normal_y + normal_z * np.pad(slope, ((1, 1), (0, 0)), "edge"))[1:-1], 0, atol=1e-6
    )
