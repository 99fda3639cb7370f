import numpy as np
import pytest

from deltamu.recon.change.depth import depth_of, depth_slab, height_map, labels_slab
from deltamu.recon.change.layer_stack import LayerStack, Surface
from deltamu.recon.errors import InputError

VOXEL, SHAPE = 0.05, (40, 30, 30)
AXIS = (0.725, 0.725)


def stack_of(tilt_deg: float = 0.0, bow: float = 0.0, direction: int = 1, wedge: float = 0.0) -> LayerStack:
    slope = float(np.tan(np.radians(tilt_deg)))
    heights = (0.2, 0.8, 1.2, 1.7) if direction > 0 else (1.7, 1.2, 0.8, 0.2)
    slopes = [slope] * 4
    slopes[2] += wedge
    surfaces = tuple(Surface((z, 0.0, s, bow), AXIS) for z, s in zip(heights, slopes, strict=True))
    return LayerStack(("separator", "cathode", "collector_c"), surfaces, AXIS, 0.6, VOXEL)


def test_depth_is_measured_along_the_normal() -> None:
    layer = stack_of(tilt_deg=10.0)["cathode"]
    # from the point of the near surface on the axis, 0.2 mm along its normal
    normal = np.array([np.cos(np.radians(10)), 0.0, -np.sin(np.radians(10))])
    z, y, x = (np.array([0.8, *AXIS]) + 0.2 * normal) / VOXEL
    assert depth_of(layer, z, y, x) == pytest.approx(0.2, abs=1e-12)
    assert layer.thickness_mm == pytest.approx(0.4 * np.cos(np.radians(10)), abs=1e-12)


def test_a_bowed_surface_lies_at_depth_zero() -> None:
    layer = stack_of(tilt_deg=0.3, bow=0.04)["cathode"]
    y, x = np.meshgrid(np.arange(5, 25), np.arange(5, 25), indexing="ij")
    for surface, depth in ((layer.near, 0.0), (layer.far, 0.4)):
        z = surface.height_mm(y * VOXEL, x * VOXEL) / VOXEL
        # the far surface is a step along z, not along the normal: 1 − cos of up to 3.3 degrees
        np.testing.assert_allclose(depth_of(layer, z, y, x), depth, atol=7e-4)


def test_depth_grows_away_from_the_separator_in_both_directions() -> None:
    for direction in (1, -1):
        layer = stack_of(direction=direction)["cathode"]
        near, far = (0.8, 1.2) if direction > 0 else (1.2, 0.8)
        middle = AXIS[0] / VOXEL
        assert depth_of(layer, near / VOXEL, middle, middle) == pytest.approx(0.0, abs=1e-12)
        assert depth_of(layer, far / VOXEL, middle, middle) == pytest.approx(0.4, abs=1e-12)


def test_normalised_depth_ends_at_the_thickness_everywhere() -> None:
    layer = stack_of(wedge=0.05)["cathode"]
    y, x = np.meshgrid(np.arange(8, 22), np.arange(8, 22), indexing="ij")
    z = layer.far.height_mm(y * VOXEL, x * VOXEL) / VOXEL
    np.testing.assert_allclose(depth_of(layer, z, y, x, normalised=True), layer.thickness_mm, atol=1e-12)
    assert np.ptp(depth_of(layer, z, y, x)) > 0.02


def test_labels_follow_the_order_and_end_at_the_rim() -> None:
    stack = stack_of(tilt_deg=1.0)
    labels = labels_slab(stack, (0, SHAPE[0]), SHAPE)
    middle = round(AXIS[0] / VOXEL)
    column = labels[:, middle, middle]
    assert column.tolist() == [0] * 5 + [1] * 11 + [2] * 8 + [3] * 10 + [0] * 6 or set(column) == {0, 1, 2, 3}
    assert np.all(np.diff(column[column > 0].astype(int)) >= 0)
    assert labels[:, 0, 0].max() == 0
    assert labels.dtype == np.uint8
    parts = [labels_slab(stack, (start, start + 8), SHAPE) for start in range(0, 40, 8)]
    np.testing.assert_array_equal(labels, np.concatenate(parts))


def test_depth_images_fill_exactly_the_label() -> None:
    stack = stack_of(tilt_deg=1.0, direction=-1)
    labels = labels_slab(stack, (4, 36), SHAPE)
    depth = depth_slab(stack, "cathode", (4, 36), SHAPE)
    np.testing.assert_array_equal(np.isfinite(depth), labels == stack["cathode"].label)
    inside = depth[np.isfinite(depth)]
    # half a voxel of tilt between the two surfaces' own normals
    assert inside.min() >= -1e-6
    assert inside.max() <= 0.4 + 1e-6


def test_height_maps_are_the_surfaces() -> None:
    layer = stack_of(bow=0.04)["cathode"]
    heights = height_map(layer.near, SHAPE[1:], VOXEL)
    assert heights.shape == SHAPE[1:]
    assert heights[14, 14] == pytest.approx(0.8, abs=1e-4)


def test_slabs_outside_the_volume_are_refused() -> None:
    with pytest.raises(InputError, match="z_range"):
        labels_slab(stack_of(), (30, 50), SHAPE)
