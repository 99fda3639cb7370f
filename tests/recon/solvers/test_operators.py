"""Projection operators: exact transposes, units, norms."""

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from deltamu.recon.errors import InputError
from deltamu.recon.geometry import RigidTransform
from deltamu.recon.scan_geometry import cone_geometry, middle_of, parallel_geometry
from deltamu.recon.simulate.ellipses import Ellipse, line_integrals
from deltamu.recon.solvers.operators import dot_product_error, operator, operator_of

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
@example(views=1, rows=1, columns=33, size=31, seed=0)
@example(views=7, rows=1, columns=1, size=17, seed=1)
def test_transpose_is_exact(views, rows, columns, size, seed):
    rng = np.random.default_rng(seed)
    angles = rng.uniform(-4, 4, views)
    A = operator(angles, columns=columns, rows=rows, center=(columns - 1) / 2, pixel_size_mm=0.05, size=size)
    assert dot_product_error(A, rng) <= ADJOINT


def scan(shape, detector_shape, angles, *, cone=False, **options):
    common = {
        "detector_shape": detector_shape,
        "center": (detector_shape[1] - 1) / 2 + 0.3,
        "pixel_size_mm": 0.1,
        "middle_mm": middle_of(shape, 0.1),
    }
    if cone:
        return cone_geometry(
            angles,
            source_axis_mm=8.0,
            source_detector_mm=12.0,
            **(common | {"pixel_size_mm": 0.15}),
            **options,
        )
    return parallel_geometry(angles, **common, **options)


@settings(max_examples=25, deadline=None)
@given(
    views=st.integers(1, 5),
    shape=st.tuples(*[st.integers(1, 11)] * 3),
    detector_shape=st.tuples(st.integers(1, 9), st.integers(1, 13)),
    tilt=st.sampled_from([0.0, 0.3, 12.0]),
    cone=st.booleans(),
    seed=st.integers(0, 99),
)
@example(views=1, shape=(7, 9, 11), detector_shape=(1, 13), tilt=0.0, cone=True, seed=0)
@example(views=1, shape=(1, 11, 9), detector_shape=(9, 1), tilt=12.0, cone=True, seed=1)
@example(views=5, shape=(11, 1, 9), detector_shape=(7, 13), tilt=12.0, cone=False, seed=2)
@example(views=5, shape=(1, 1, 1), detector_shape=(9, 13), tilt=0.3, cone=True, seed=3)
def test_transpose_is_exact_in_every_geometry(views, shape, detector_shape, tilt, cone, seed):
    rng = np.random.default_rng(seed)
    geometry = scan(
        shape, detector_shape, rng.uniform(-4, 4, views), cone=cone, tilt_deg=tilt, roll_deg=tilt / 3
    )
    moved = geometry.shifted(rng.normal(size=views), 0.2).of_moved_volume(
        RigidTransform((3, 1, -2), (0.1, 0, 0))
    )
    for one in (geometry, moved):
        A = operator_of(one, volume_shape=shape, voxel_size_mm=0.1)
        assert dot_product_error(A, rng) <= ADJOINT


SHAPE, DETECTOR, ANGLES = (6, 15, 15), (6, 17), np.linspace(0, 3, 5)


@pytest.mark.parametrize(
    ("geometry", "fast"),
    [
        (scan(SHAPE, DETECTOR, ANGLES), True),
        (scan(SHAPE, DETECTOR, ANGLES).shifted(np.arange(5.0)), True),
        (scan(SHAPE, DETECTOR, ANGLES).of_moved_volume(RigidTransform((3, 0, 0), (0, 0.1, 0.2))), True),
        (scan(SHAPE, DETECTOR, ANGLES).shifted(0, 0.5), False),
        (scan(SHAPE, DETECTOR, ANGLES).of_moved_volume(RigidTransform((0, 0.1, 0))), False),
        (scan(SHAPE, DETECTOR, ANGLES, tilt_deg=0.1), False),
        (scan(SHAPE, DETECTOR, ANGLES, roll_deg=0.1), False),
        (scan(SHAPE, DETECTOR, ANGLES, cone=True), False),
        (scan(SHAPE, (5, 17), ANGLES), False),
    ],
)
def test_the_choice_of_the_path_is_visible(geometry, fast):
    path = operator_of(geometry, volume_shape=SHAPE, voxel_size_mm=0.1).path
    assert path == ("parallel z-aligned, slices innermost" if fast else "general")


def test_both_paths_agree():
    volume = np.random.default_rng(0).random(SHAPE).astype(np.float32)
    geometry = scan(SHAPE, DETECTOR, ANGLES).shifted([0, 1, 2, -1, 0.5])
    fast = operator_of(geometry, volume_shape=SHAPE, voxel_size_mm=0.1)
    # a slice without its row takes the general path
    general = operator_of(geometry.cropped(slice(0, 5)), volume_shape=SHAPE, voxel_size_mm=0.1)
    assert general.path == "general"
    np.testing.assert_allclose(general(volume), fast(volume)[:, :5], rtol=1e-5)


def test_moving_the_volume_is_moving_the_instrument_the_other_way():
    """By whole voxels, so that interpolation has no part in it."""
    volume = np.zeros(SHAPE, np.float32)
    volume[1:4, 5:10, 5:10] = np.random.default_rng(0).random((3, 5, 5))
    shifted = np.roll(volume, (1, 2, -1), axis=(0, 1, 2))
    geometry = scan(SHAPE, DETECTOR, ANGLES, tilt_deg=2.0)
    moved = geometry.of_moved_volume(RigidTransform(translation_mm=(0.1, 0.2, -0.1)))
    options = {"volume_shape": SHAPE, "voxel_size_mm": 0.1}
    np.testing.assert_allclose(
        operator_of(moved, **options)(volume), operator_of(geometry, **options)(shifted), atol=1e-6
    )


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


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"volume_shape": (0, 1, 1)}, "volume_shape"),
        ({"volume_shape": (1, 1)}, "volume_shape"),
        ({"voxel_size_mm": 0.0}, "voxel_size_mm"),
        ({"voxel_size_mm": np.nan}, "voxel_size_mm"),
    ],
)
def test_bad_grids_are_named(change, named):
    with pytest.raises(InputError, match=named):
        operator_of(scan(SHAPE, DETECTOR, ANGLES), **({"volume_shape": SHAPE, "voxel_size_mm": 0.1} | change))


def test_shapes_are_checked():
    A = operator([0.1, 0.2], **GOOD)
    with pytest.raises(InputError, match="volume"):
        A(np.zeros((2, 16, 15), np.float32))
    with pytest.raises(InputError, match="projections"):
        A.T(np.zeros((2, 16, 16), np.float32))
