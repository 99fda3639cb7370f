import numpy as np
import pytest

from deltamu.recon.change.stack import find_stack
from deltamu.recon.errors import InputError

SMALL = {"shape": (128, 120, 120), "radius": 1.2, "axis": (1.60, 1.57)}


@pytest.fixture(scope="module")
def small(cell):
    chosen = cell(**SMALL)
    return chosen, chosen.volume(seed=1)


def options(cell, stack_order) -> dict:
    return {"voxel_size_mm": cell.voxel, "order": stack_order, "thickness_mm": cell.thickness}


def mean_edges(cell) -> np.ndarray:
    """Interfaces averaged over the core that the profile is taken from (bow · (0.7 R)² / 2)."""
    return cell.edges + 0.5e-3 * cell.bow_um * 0.7**2


def test_the_stack_is_found_to_a_fraction_of_a_voxel(small, stack_order) -> None:
    cell, volume = small
    stack = find_stack(volume, radius_mm=cell.radius, **options(cell, stack_order))
    found = [surface.coefficients[0] for surface in stack.surfaces]
    # the weakest step is 0.08 cm⁻¹ against a noise of 0.3 and 3 % texture: half a voxel is needed by masks
    assert np.max(np.abs(found - mean_edges(cell))) < 0.5 * cell.voxel
    assert np.max(np.abs(np.subtract(stack.axis_mm, cell.axis))) < 0.2 * cell.voxel
    assert abs(stack.radius_mm - cell.radius) < 0.2 * cell.voxel
    assert stack.direction == 1
    assert stack.warnings == ()


def test_the_radius_need_not_be_given(small, stack_order) -> None:
    cell, volume = small
    stack = find_stack(volume, **options(cell, stack_order))
    assert abs(stack.radius_mm - cell.radius) < 0.3 * cell.voxel


def test_a_wrong_radius_is_kept_and_said(small, stack_order) -> None:
    cell, volume = small
    stack = find_stack(volume, radius_mm=1.1 * cell.radius, **options(cell, stack_order))
    assert stack.radius_mm == 1.1 * cell.radius
    assert "slices show" in stack.warnings[0]


def test_an_upside_down_stack_needs_more_than_its_thicknesses(small, stack_order) -> None:
    """Anode and cathode are nearly equally thick: only their attenuation tells the directions apart."""
    cell, volume = small
    flipped = volume[::-1]
    with pytest.raises(InputError, match="upside down"):
        find_stack(flipped, radius_mm=cell.radius, direction="auto", **options(cell, stack_order))
    stack = find_stack(
        flipped,
        radius_mm=cell.radius,
        direction="auto",
        attenuation={"anode": 10.0, "cathode": 1.4},
        **options(cell, stack_order),
    )
    assert stack.direction == -1
    height = (cell.shape[0] - 1) * cell.voxel
    found = np.array([surface.coefficients[0] for surface in stack.surfaces])
    assert np.max(np.abs(height - found - mean_edges(cell))) < 0.5 * cell.voxel


def test_layers_that_do_not_fit_are_refused(small, stack_order) -> None:
    cell, volume = small
    with pytest.raises(InputError, match="span"):
        find_stack(volume[:30], radius_mm=cell.radius, **options(cell, stack_order))
    with pytest.raises(InputError, match="nothing for anode"):
        find_stack(
            volume, voxel_size_mm=cell.voxel, order=("anode", "separator"), thickness_mm={"separator": 0.5}
        )
    with pytest.raises(InputError, match="direction"):
        find_stack(volume, direction=2, **options(cell, stack_order))
