"""The cell's own book-keeping."""

import pytest

from deltamu.recon.simulate.cell import Cell, cell_materials, cell_state, mean_lithiation, single_wavelength


@pytest.mark.parametrize("name", ["discharged", "charged"])
def test_the_anode_loses_what_the_cathode_gains_while_its_voxels_grow_darker(name) -> None:
    """T16: the integral over depth balances in shrink mode, although the attenuation per voxel rises."""
    cell, channels = Cell(), single_wavelength(2.6)
    before, after = cell_state(cell, "pristine"), cell_state(cell, name)
    start, end = (float(cell_materials(state, channels).parts["anode"][0]) for state in (before, after))
    anode = end * after.anode_mm - start * before.anode_mm
    contrast = float(cell_materials(after, channels).uptake[0])
    cathode = contrast * mean_lithiation(after) * cell.cathode_mm
    # closed form: only the constants of the two compositions are rounded
    assert anode == pytest.approx(-cathode, rel=1e-3)
    assert end > start
    assert after.anode_mm < before.anode_mm
