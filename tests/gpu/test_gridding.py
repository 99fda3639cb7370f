"""Filtered back-projection by gridding: device against CPU."""

import numpy as np
import pytest

from deltamu.kernels import gridding_cuda
from deltamu.kernels.gridding import grid_backproject, plan_gridding

# (columns, views, slices, size, step): one of everything; odd numbers; a grid with more tiles than one colour has
CASES = [(1, 1, 1, 1, 1.0), (15, 9, 3, 13, 1.0), (24, 30, 5, 31, 0.5)]


@pytest.mark.parametrize(("columns", "views", "slices", "size", "step"), CASES)
@pytest.mark.parametrize("repeat_edge", [False, True])
def test_same_slices_as_on_the_cpu(device, agree, columns, views, slices, size, step, repeat_edge):
    rng = np.random.default_rng(1)
    sinograms = rng.normal(size=(views, slices, columns)).astype(np.float32)
    angles = rng.uniform(-7, 7, views)
    plan = plan_gridding(columns, angles, columns / 2 - 0.7, size=size, voxel_step=step)
    response = rng.uniform(0.5, 1, plan.padded // 2 + 1)
    found = grid_backproject(plan, device.asarray(sinograms), response, repeat_edge=repeat_edge)
    # the same sums of float32 numbers in another order, and two other Fourier transforms
    agree(found, grid_backproject(plan, sinograms, response, repeat_edge=repeat_edge), 4e-6)


def test_batches_join(device, agree, monkeypatch):
    monkeypatch.setattr(gridding_cuda, "BATCH", 4)
    rng = np.random.default_rng(2)
    sinograms = rng.normal(size=(6, 9, 8)).astype(np.float32)
    plan = plan_gridding(8, np.linspace(0, 3, 6), 3.6)
    response, seen = np.ones(plan.padded // 2 + 1), []
    out = device.empty((9, 8, 8), np.float32)
    found = grid_backproject(
        plan, device.asarray(sinograms), response, out=out, progress=lambda done, of: seen.append((done, of))
    )
    assert found is out
    assert seen == [(4, 9), (8, 9), (9, 9)]
    agree(found, grid_backproject(plan, sinograms, response), 4e-6)


def test_more_pairs_than_a_warp(device, agree, monkeypatch):
    monkeypatch.setattr(gridding_cuda, "BATCH", 80)
    rng = np.random.default_rng(3)
    sinograms = rng.normal(size=(3, 70, 4)).astype(np.float32)
    plan = plan_gridding(4, np.array([0.2, 1.0, 2.5]), 1.4)
    response = np.ones(plan.padded // 2 + 1)
    agree(
        grid_backproject(plan, device.asarray(sinograms), response),
        grid_backproject(plan, sinograms, response),
        4e-6,
    )


def test_views_that_are_not_finite_are_named(device):
    sinograms = np.zeros((5, 2, 6), np.float32)
    sinograms[3, 1, 2] = np.nan
    plan = plan_gridding(6, np.linspace(0, 3, 5), 2.5)
    with pytest.raises(ValueError, match=r"view 3 holds values that are not finite \(slices 0 to 1\)"):
        grid_backproject(plan, device.asarray(sinograms), np.ones(plan.padded // 2 + 1))
