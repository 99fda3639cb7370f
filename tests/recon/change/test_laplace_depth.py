"""Depth by Laplace's equation against layers whose depth is known in closed form."""

import numpy as np
import pytest

from deltamu.recon.change.laplace_depth import laplace_depth
from deltamu.recon.errors import InputError

NEAR, LAYER, FAR = 1, 2, 3


def cylinders(inner, outer, *, height=6, size=None):
    """Concentric cylinders about an axis off the voxel grid, and the radius of every voxel."""
    size = size or int(2 * outer + 14)
    y, x = np.indices((size, size)) - (size / 2 + 0.3)
    radius = np.broadcast_to(np.hypot(y, x), (height, size, size))
    return np.where(radius < inner, NEAR, np.where(radius < outer, LAYER, FAR)).astype(np.uint8), radius


@pytest.mark.parametrize(("inner", "outer"), [(20.3, 36.7), (8.2, 20.9), (60.0, 70.0)])
def test_concentric_cylinders(inner, outer):
    """Potential ln(r/a)/ln(b/a), depth r − a, thickness b − a (Jackson, Classical Electrodynamics, 2.10)."""
    labels, radius = cylinders(inner, outer)
    found = laplace_depth(labels, layer=LAYER, near=NEAR, far=FAR, voxel_size_mm=0.1)
    inside = labels == LAYER
    error = found.depth_mm[inside] / 0.1 - (radius[inside] - inner)
    thickness = found.thickness_mm[inside] / 0.1
    # a surface known from whole voxels is uncertain by a few tenths of one locally; on the average 1 % of the thickness
    assert abs(error.mean()) < 0.01 * (outer - inner)
    assert np.sqrt(np.mean(error**2)) < 0.25
    assert thickness.mean() == pytest.approx(outer - inner, rel=0.01)
    potential = np.log(radius[inside] / inner) / np.log(outer / inner)
    assert np.sqrt(np.mean((found.potential[inside] - potential) ** 2)) < 0.25 / (outer - inner)


def test_normal_points_outwards():
    labels, radius = cylinders(15.0, 30.0)
    found = laplace_depth(labels, layer=LAYER, near=NEAR, far=FAR, voxel_size_mm=1.0)
    size = labels.shape[1]
    y, x = np.indices((size, size)) - (size / 2 + 0.3)
    deep = (labels == LAYER) & (radius > 18) & (radius < 27)
    cosine = (found.normal[1] * y + found.normal[2] * x) / radius
    assert cosine[deep].min() > np.cos(np.radians(3))
    np.testing.assert_allclose(np.linalg.norm(found.normal[:, deep], axis=0), 1.0, atol=1e-5)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_flat_layer_is_the_plain_distance(axis):
    index = np.indices((20, 18, 22))[axis]
    labels = np.where(index < 5, NEAR, np.where(index < 13, LAYER, FAR)).astype(np.int16)
    found = laplace_depth(labels, layer=LAYER, near=NEAR, far=FAR, voxel_size_mm=2.0)
    inside = labels == LAYER
    # the surface of whole voxels is half a voxel before the first centre
    np.testing.assert_allclose(found.depth_mm[inside], 2.0 * (index[inside] - 4.5), atol=2e-3)
    np.testing.assert_allclose(found.thickness_mm[inside], 16.0, atol=4e-3)
    assert np.isnan(found.depth_mm[~inside]).all()


def test_tilted_layer_beside_a_wall():
    """A tilted slab cut off by another material: field lines run along the cut only where they must."""
    z, y, x = np.indices((40, 40, 24)).astype(float)
    height = z * np.cos(0.3) - (y - 20) * np.sin(0.3)
    labels = np.where(height < 14.0, NEAR, np.where(height < 26.0, LAYER, FAR)).astype(np.uint8)
    labels[:, :, 20:] = 0
    found = laplace_depth(labels, layer=LAYER, near=NEAR, far=FAR, voxel_size_mm=1.0)
    inside = (labels == LAYER) & (np.abs(y - 20) < 12) & (x > 3)
    error = found.depth_mm[inside] - (height[inside] - 14.0)
    assert abs(error.mean()) < 0.12
    assert np.sqrt(np.mean(error**2)) < 0.2
    assert found.thickness_mm[inside].mean() == pytest.approx(12.0, rel=0.01)


def test_rolled_layer_is_as_thick_on_every_turn():
    """An Archimedean spiral of two turns: thickness pitch·w everywhere, whatever the winding."""
    size, pitch = 140, 26.0
    y, x = np.indices((size, size)) - size / 2 + 0.2
    turns = (np.hypot(y, x) - np.arctan2(y, x) / (2 * np.pi) * pitch) / pitch
    phase = turns - np.floor(turns)
    labels = np.where(phase < 0.3, NEAR, np.where(phase < 0.7, LAYER, FAR)).astype(np.uint8)
    labels = np.repeat(labels[None], 3, axis=0)
    found = laplace_depth(labels, layer=LAYER, near=NEAR, far=FAR, voxel_size_mm=1.0)
    radius = np.hypot(y, x)
    ring = (labels == LAYER) & (radius > 30) & (radius < 60)
    # the turns lie oblique to the radius by atan(pitch / 2πr)
    expected = 0.4 * pitch / np.hypot(1, pitch / (2 * np.pi * radius))
    ratio = found.thickness_mm[ring] / np.broadcast_to(expected, labels.shape)[ring]
    assert ratio.mean() == pytest.approx(1.0, abs=0.01)
    assert np.std(ratio) < 0.03


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"layer": 7}, "label 7"),
        ({"far": 0}, "far"),
        ({"near": LAYER}, "different"),
        ({"voxel_size_mm": -1.0}, "voxel_size_mm"),
    ],
)
def test_wrong_input(arguments, words):
    labels, _ = cylinders(5.0, 10.0)
    labels[0, 0, 0] = 0
    with pytest.raises(InputError, match=words):
        laplace_depth(
            labels, **({"layer": LAYER, "near": NEAR, "far": FAR, "voxel_size_mm": 1.0} | arguments)
        )


def test_labels_are_not_written_to():
    labels, _ = cylinders(5.0, 10.0)
    before = labels.copy()
    laplace_depth(labels, layer=LAYER, near=NEAR, far=FAR, voxel_size_mm=1.0)
    np.testing.assert_array_equal(labels, before)
