"""The largest eigenvalue against a dense solver."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deltamu.recon.solvers.largest_eigenvalue import largest_eigenvalue


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 1000), size=st.integers(1, 40), blocks=st.integers(1, 4))
def test_is_that_of_a_dense_solver(seed, size, blocks):
    """Blocks that differ by a thousandth, as slices do."""
    matrix = np.random.default_rng(seed).random((size + 3, size))
    scale = 1 + 1e-3 * np.arange(blocks)

    def normal(x):
        images = [s * matrix.T @ (matrix @ part.ravel()) for s, part in zip(scale, x, strict=True)]
        return np.array(images, np.float32).reshape(x.shape)

    exact = scale[-1] * np.linalg.norm(matrix, 2) ** 2
    found = largest_eigenvalue(normal, np.ones((blocks, 1, size), np.float32))
    # the stated tolerance; above it by rounding only
    assert exact * (1 - 5e-3) <= found <= exact * (1 + 1e-5)


def test_takes_few_steps_where_slices_are_nearly_alike():
    """Power iteration needs thousands: the ratio of the two largest is 1.001."""
    scale, calls = np.linspace(1, 1.05, 50, dtype=np.float32)[:, None, None], []

    def normal(x):
        calls.append(1)
        return x * scale

    assert largest_eigenvalue(normal, np.ones((50, 1, 1), np.float32)) == pytest.approx(1.05, rel=5e-3)
    assert len(calls) < 20


def test_of_nothing_is_zero():
    assert largest_eigenvalue(np.zeros_like, np.ones((2, 2, 2), np.float32)) == 0
