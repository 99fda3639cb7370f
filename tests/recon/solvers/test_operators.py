"""Projection operators: exact transposes, units, norms."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deltamu.recon.errors import InputError
from deltamu.recon.simulate.ellipses import Ellipse, line_integrals
from deltamu.recon.solvers.operators import dot_product_error, operator

GOOD = {"columns": 16, "rows": 2, "center": 7.5, "pixel_size_mm": 0.1}
# float32 sums; see docs of dot_product_error
ADJOINT = 1e-6


@settings(max_examples=15, deadline=None)
@given(
    views=st.integers(1, 9),
    rows=st.sampled_from([1, 3, 33]),
    columns=st.integers(1, 40),
    size=st.integers(1, 40),
    seed=st.integers(0, 99),
)
def test_transpose_is_exact(views, rows, columns, size, seed):
    rng = np.random.default_rng(seed)
    angles = rng.uniform(-4, 4, views)
    A = operator(angles, columns=columns, rows=rows, center=(columns - 1) / 2, pixel_size_mm=0.05, size=size)
    assert dot_product_error(A, rng) <= ADJOINT


def test_projects_attenuation_to_line_integrals():
    """A disc of mu cm^-1 and radius R mm: 2 mu R / 10 through its middle."""
    pixel_mm, mu, radius = 0.05, 2.5, 1.5
    columns = 81
    place = (np.arange(columns) - 40) * pixel_mm
    volume = (mu * (np.hypot(place[:, None], place) < radius)).astype(np.float32)[None]
    views = operator(np.linspace(0, 3, 11), columns=columns, rows=1, center=40.0, pixel_size_mm=pixel_mm)(
        volume
    )
    exact = line_integrals(
        [Ellipse(mu * pixel_mm / 10, radius / pixel_mm, radius / pixel_mm)], [0.0], columns=columns
    )[0]
    # a disc of whole voxels is right to about a voxel along a ray
    assert np.abs(views - exact)[:, 0, 15:66].max() < 1.5 * mu * pixel_mm / 10


def test_norm_is_the_largest_singular_value():
    A = operator(np.linspace(0, 3, 7), columns=9, rows=3, center=4.2, pixel_size_mm=0.3, size=8)
    basis = np.eye(64, dtype=np.float32).reshape(64, 1, 8, 8).repeat(3, axis=1)
    matrix = np.stack([A(column)[:, 0].ravel() for column in basis], axis=1)
    assert A.norm() == pytest.approx(np.linalg.norm(matrix.astype(float), 2), rel=2e-3)
    assert A.norm() == A.subset(slice(None)).norm()


def test_subset_holds_the_chosen_views():
    A = operator(np.linspace(0, 3, 7), **GOOD)
    volume = np.random.default_rng(0).random(A.domain_shape).astype(np.float32)
    np.testing.assert_array_equal(A.subset(slice(1, None, 3))(volume), A(volume)[1::3])
    np.testing.assert_array_equal(A.subset(np.array([5, 2]))(volume), A(volume)[[5, 2]])
    with pytest.raises(InputError, match="views"):
        A.subset(slice(0, 0))


def test_transposing_twice_changes_nothing():
    A = operator([0.1, 0.2], **GOOD)
    assert A.T.T is A
    assert A.domain_shape == (2, 16, 16)
    assert A.range_shape == (2, 2, 16)
    assert A.path == "parallel z-aligned, slices innermost"


@pytest.mark.parametrize(
    ("angles", "change", "named"),
    [
        ([], {}, "angles"),
        ([np.nan], {}, "angles"),
        ([0.0], {"center": np.nan}, "center"),
        ([0.0], {"pixel_size_mm": 0.0}, "pixel_size_mm"),
        ([0.0], {"rows": 0}, "rows"),
        ([0.0], {"size": 0}, "size"),
    ],
)
def test_bad_arguments_are_named(angles, change, named):
    with pytest.raises(InputError, match=named):
        operator(angles, **(GOOD | change))


def test_shapes_are_checked():
    A = operator([0.1, 0.2], **GOOD)
    with pytest.raises(InputError, match="volume"):
        A(np.zeros((2, 16, 15), np.float32))
    with pytest.raises(InputError, match="projections"):
        A.T(np.zeros((2, 16, 16), np.float32))
