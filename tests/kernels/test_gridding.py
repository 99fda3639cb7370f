"""Gridding against the Fourier sum it approximates, and the laws a back-projection obeys."""

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deltamu.kernels.gridding import BLOCK, grid_backproject, gridding_cost, plan_gridding


def direct_sum(sinograms, angles, center, size, response, padded, step=1.0):
    """The defining sum, band-limited interpolation of filtered views, in float64."""
    spectrum = np.fft.rfft(sinograms.astype(float), padded, axis=-1) * response
    spectrum[..., -1] = 0  # the Nyquist frequency has no defined phase between columns
    k = np.arange(padded // 2 + 1) / padded
    spectrum[..., 1:] *= 2
    place = (np.arange(size) - (size - 1) / 2) * step
    total = np.zeros((sinograms.shape[1], size, size))
    for view, theta in enumerate(angles):
        column = center + place[None, :] * np.cos(theta) + place[:, None] * np.sin(theta)
        waves = np.exp(2j * np.pi * k[:, None, None] * column)
        total += np.tensordot(spectrum[view], waves, 1).real * np.pi / (angles.size * padded)
    return total


@settings(max_examples=12, deadline=None)
@given(
    columns=st.integers(1, 40),
    views=st.integers(1, 20),
    slices=st.sampled_from([1, 2, 15, 17, 32, 33, 65]),
    size=st.integers(1, 45),
    step=st.sampled_from([1.0, 0.5]),
    seed=st.integers(0, 1000),
)
def test_agrees_with_the_direct_sum_for_any_shape(columns, views, slices, size, step, seed):
    random = np.random.default_rng(seed)
    sinograms = random.standard_normal((views, slices, columns)).astype(np.float32)
    angles = random.uniform(-7, 7, views)
    center = random.uniform(0, columns - 1)
    plan = plan_gridding(columns, angles, center, size=size, voxel_step=step)
    response = random.uniform(0.5, 1, plan.padded // 2 + 1)
    expected = direct_sum(sinograms, angles, center, size, response, plan.padded, step)
    found = grid_backproject(plan, sinograms, response)
    # a Kaiser-Bessel window 4 wide at oversampling 1.25 aliases at most exp(-4 pi sqrt(1 - 1/1.25)) = 0.4 %
    # of the energy; 3 % of the largest voxel allows for several samples adding up in phase
    assert np.abs(found - expected).max() <= 0.03 * np.abs(expected).max() + 1e-6
    assert np.linalg.norm(found - expected) <= 0.012 * np.linalg.norm(expected) + 1e-6


def test_slices_do_not_mix():
    random = np.random.default_rng(3)
    sinograms = random.standard_normal((30, 40, 24)).astype(np.float32)
    plan = plan_gridding(24, np.linspace(0, np.pi, 30, endpoint=False), 11.5)
    response = np.ones(plan.padded // 2 + 1)
    together = grid_backproject(plan, sinograms, response)
    for row in (0, 15, 16, 31, 32, 39):
        alone = grid_backproject(plan, sinograms[:, row : row + 1].copy(), response)
        # rounding differs where another slice rides in the same complex number
        np.testing.assert_allclose(together[row], alone[0], atol=2e-6 * np.abs(alone).max())


def test_edge_padding_continues_a_constant():
    plan = plan_gridding(20, np.linspace(0, np.pi, 25, endpoint=False), 9.5)
    response = np.ones(plan.padded // 2 + 1)
    constant = np.ones((25, 1, 20), np.float32)
    padded = grid_backproject(plan, constant, response, repeat_edge=True)
    np.testing.assert_allclose(
        padded, np.pi, rtol=0.02
    )  # only the frequency 0 is left: the window's own error


def test_writes_into_out_and_reports_progress():
    plan = plan_gridding(16, np.arange(8) / 3, 7.5)
    out = np.full((BLOCK + 3, 16, 16), np.nan, np.float32)
    calls = []
    sinograms = np.ones((8, BLOCK + 3, 16), np.float32)
    result = grid_backproject(
        plan, sinograms, np.ones(17), out=out, progress=lambda done, of: calls.append((done, of))
    )
    assert result is out
    assert np.all(np.isfinite(out))
    assert calls == [(BLOCK, BLOCK + 3), (BLOCK + 3, BLOCK + 3)]


def test_plans_are_kept():
    angles = np.arange(10) * 0.3
    assert plan_gridding(16, angles, 7.0) is plan_gridding(16, angles.copy(), 7.0)
    assert plan_gridding(16, angles, 7.0).gridder is plan_gridding(16, angles, 7.5).gridder


def test_names_the_view_that_is_not_finite():
    plan = plan_gridding(16, np.arange(8) / 3, 7.5)
    sinograms = np.ones((8, 3, 16), np.float32)
    for value in (np.nan, np.inf):
        sinograms[5, 2, 15] = value
        with pytest.raises(ValueError, match="view 5 holds"):
            grid_backproject(plan, sinograms, np.ones(17))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"columns": 0}, "columns"),
        ({"angles": np.array([0, np.nan])}, "angles"),
        ({"angles": np.array([])}, "angles"),
        ({"center": np.inf}, "center"),
        ({"size": 0}, "size"),
        ({"weights": np.ones(3)}, "weights"),
        ({"voxel_step": 0.0}, "voxel_step"),
    ],
)
def test_refuses_a_geometry_without_meaning(change, message):
    arguments = {"columns": 8, "angles": np.zeros(2), "center": 3.5, **change}
    with pytest.raises(ValueError, match=message):
        plan_gridding(arguments.pop("columns"), arguments.pop("angles"), arguments.pop("center"), **arguments)


def test_refuses_sinograms_of_another_shape():
    plan = plan_gridding(16, np.arange(8) / 3, 7.5)
    with pytest.raises(ValueError, match="expected"):
        grid_backproject(plan, np.ones((8, 3, 15), np.float32), np.ones(17))
    with pytest.raises(ValueError, match="out"):
        grid_backproject(
            plan, np.ones((8, 3, 16), np.float32), np.ones(17), out=np.empty((3, 16, 15), np.float32)
        )


_HASH = """
import hashlib, numpy as np
from deltamu.kernels.gridding import grid_backproject, plan_gridding
sinograms = np.random.default_rng(0).standard_normal((200, 35, 96)).astype(np.float32)
plan = plan_gridding(96, np.arange(200) * 1.9416, 47.2)
volume = grid_backproject(plan, sinograms, np.ones(plan.padded // 2 + 1))
print(hashlib.sha256(volume.tobytes()).hexdigest())
"""


def test_the_same_bits_for_any_number_of_threads():
    found = {
        subprocess.run(
            [sys.executable, "-c", _HASH],
            env={"OMP_NUM_THREADS": threads, "PATH": "/usr/bin:/bin"},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for threads in ("1", "2", "3", "3")
    }
    assert len(found) == 1


def test_cost_covers_the_workspace():
    for views, columns, size in ((720, 512, 512), (91, 160, 200), (5, 31, 31)):
        plan = plan_gridding(columns, np.linspace(0, 3, views), columns / 2, size=size)
        needed = plan.gridder.workspace_bytes + plan.gridder.table_bytes + plan.phases.nbytes
        cost = gridding_cost(views, columns, size).total(64)
        assert needed <= cost <= 1.5 * needed
