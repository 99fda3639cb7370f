"""Line integrals of bodies in any geometry against closed forms, the slice-wise code, and their moments."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deltamu.kernels.rays import ray_maps
from deltamu.recon.errors import InputError
from deltamu.recon.geometry import RigidTransform
from deltamu.recon.scan_geometry import cone_geometry, middle_of, parallel_geometry
from deltamu.recon.simulate.body_rays import Cylinder, ray_integrals, voxel_means
from deltamu.recon.simulate.ellipses import Ellipsoid, ellipsoid_line_integrals

ANGLES = np.array([0.0, 0.7, 2.0, 4.0])


def test_slices_of_a_parallel_beam_are_those_of_the_ellipses():
    """One column is a centimetre, so that both count alike."""
    part = Ellipsoid(0.3, 5.0, 8.0, 6.0, z=4.0, x=1.0, y=-2.0, turn_deg=25)
    expected = ellipsoid_line_integrals([part], ANGLES, rows=9, columns=25)
    moved = Ellipsoid(0.3, 50.0, 80.0, 60.0, z=40.0, x=130.0, y=100.0, turn_deg=25)
    geometry = parallel_geometry(
        ANGLES,
        detector_shape=(9, 25),
        center=12.0,
        pixel_size_mm=10.0,
        middle_mm=middle_of((9, 25, 25), 10.0),
    )
    found = ray_integrals([moved], geometry, samples=5)
    # 5 rays across a pixel instead of its exact mean; across rows the slice-wise code takes the middle
    middle = slice(2, 7)
    np.testing.assert_allclose(found[:, middle], expected[:, middle], atol=0.02 * expected.max())


@settings(max_examples=20, deadline=None)
@given(turn=st.floats(-180, 180), lean=st.floats(-60, 60), distance=st.floats(20, 500))
def test_a_ball_looks_the_same_from_everywhere(turn, lean, distance):
    """Every ray through its middle is a diameter, from whatever side and however far."""
    middle = (1.0, 2.0, 3.0)
    ball = Ellipsoid(1.5, 0.8, 0.8, 0.8, z=1.0, y=2.0, x=3.0)
    geometry = cone_geometry(
        ANGLES, detector_shape=(3, 3), center=1.0, pixel_size_mm=0.1, middle_mm=middle,
        source_axis_mm=distance, source_detector_mm=2 * distance,
    ).of_moved_volume(RigidTransform((turn, lean, 3.0), center_mm=middle))  # fmt: skip
    views = ray_integrals([ball], geometry)
    np.testing.assert_allclose(views[:, 1, 1], 1.5 * 1.6 / 10, rtol=1e-6)


def test_mass_is_seen_whole_in_every_parallel_view():
    part = Ellipsoid(2.0, 0.5, 0.9, 0.7, z=1.0, x=1.6, y=1.5, turn_deg=10)
    geometry = parallel_geometry(
        ANGLES,
        detector_shape=(40, 60),
        center=30.0,
        pixel_size_mm=0.05,
        middle_mm=(1.0, 1.5, 1.5),
        tilt_deg=4,
    )
    mass = ray_integrals([part], geometry, samples=3).sum(axis=(1, 2), dtype=float) * 0.005**2
    volume_cm3 = 4 / 3 * np.pi * 0.5 * 0.9 * 0.7 / 1000
    # pixels at the rim are sampled with nine rays each
    np.testing.assert_allclose(mass, 2.0 * volume_cm3, rtol=1e-3)


@settings(max_examples=20, deadline=None)
@given(turn=st.floats(-170, 170), lean=st.floats(-80, 80))
def test_a_cylinder_is_cut_as_it_is_sampled(turn, lean):
    """Chords against counting points along the rays, from every side."""
    can = Cylinder(2.0, 0.8, 0.3, 1.6, x=1.1, y=0.9)
    geometry = parallel_geometry(
        [0.3], detector_shape=(5, 7), center=3.0, pixel_size_mm=0.4, middle_mm=(1.0, 1.0, 1.0)
    ).of_moved_volume(RigidTransform((turn, lean, 10.0), center_mm=(1.0, 1.0, 1.0)))
    rays = ray_maps(geometry.matrices)[0]
    row, column = np.indices((5, 7))
    point = rays[0, 0] + column[..., None] * rays[0, 1] + row[..., None] * rays[0, 2]
    steps = np.arange(-6000, 6000) * 1e-3
    along = point[..., None, :] + steps[:, None] * rays[1, 0]
    counted = can.holds(along).sum(axis=-1) * 1e-3
    # a step at each end of the way
    np.testing.assert_allclose(ray_integrals([can], geometry)[0] * 10 / 2.0, counted, atol=2.1e-3)


def test_a_cylinder_seen_along_its_axis_is_as_long_as_it_is_high():
    can = Cylinder(2.0, 0.8, 0.3, 1.6, x=1.0, y=1.0)
    geometry = parallel_geometry(
        [0.0], detector_shape=(3, 3), center=1.0, pixel_size_mm=0.1, middle_mm=(1.0, 1.0, 1.0)
    ).of_moved_volume(RigidTransform((0, 0, 90), center_mm=(1.0, 1.0, 1.0)))
    np.testing.assert_allclose(ray_integrals([can], geometry), 2.0 * 1.3 / 10, rtol=1e-6)


def test_an_impossible_cylinder_is_refused():
    with pytest.raises(InputError, match="cylinder"):
        Cylinder(1.0, 1.0, 2.0, 1.0)


def test_voxel_means_hold_the_mass_and_its_middle():
    part = Ellipsoid(2.0, 0.5, 0.9, 0.7, z=1.0, x=1.6, y=1.5, turn_deg=10)
    image = voxel_means([part], (20, 30, 33), voxel_size_mm=0.1)
    assert image.sum(dtype=float) * 0.01**3 == pytest.approx(2 * 4 / 3 * np.pi * 0.315 / 1000, rel=2e-3)
    places = [np.average(index * 0.1, weights=image) for index in np.indices(image.shape)]
    np.testing.assert_allclose(places, [1.0, 1.5, 1.6], atol=1e-3)
    assert image[10, 15, 16] == 2.0


@pytest.mark.parametrize("samples", [0, -1])
def test_no_samples_are_refused(samples):
    with pytest.raises(InputError, match="samples"):
        voxel_means([], (1, 1, 1), voxel_size_mm=1.0, samples=samples)
