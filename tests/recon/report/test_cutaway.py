"""Rays against a cut-open cylinder: every face is where geometry says."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deltamu.recon.report.cutaway import Camera, CutCylinder, cast_cutaway

SOLID = CutCylinder(radius=3.0, bottom=-1.5, floor=-0.4, top=1.2)


def in_sector(points: np.ndarray, camera: Camera) -> np.ndarray:
    angle = np.degrees(np.arctan2(points[..., 1], points[..., 0])) - camera.cut_azimuth_deg
    return np.abs((angle + 180) % 360 - 180) < 0.5 * camera.cut_opening_deg


cameras = st.builds(
    Camera,
    azimuth_deg=st.floats(-180, 180),
    elevation_deg=st.floats(5, 85),
    cut_azimuth_deg=st.floats(-180, 180),
    cut_opening_deg=st.floats(20, 170),
    columns=st.integers(15, 60),
)


@settings(max_examples=40, deadline=None)
@given(camera=cameras)
def test_hits_lie_on_the_surface_and_nothing_is_before_them(camera: Camera) -> None:
    hits = cast_cutaway(camera, SOLID)
    points = hits.points[hits.seen]
    radius, up = np.hypot(points[:, 0], points[:, 1]), points[:, 2]
    assert np.all(radius <= SOLID.radius * (1 + 1e-9))
    assert np.all((up >= SOLID.bottom - 1e-9) & (up <= SOLID.top + 1e-9))
    # steps towards the camera: from any of them the solid must not be entered (1e-6 mm clears the rounding)
    for step in np.concatenate([[1e-6], np.linspace(0.05, 12, 60)]):
        ahead = points + step * camera.toward
        radius, up = np.hypot(ahead[:, 0], ahead[:, 1]), ahead[:, 2]
        solid = (radius < SOLID.radius - 1e-6) & (up > SOLID.bottom) & (up < SOLID.top - 1e-6)
        removed = in_sector(ahead, camera) & (up > SOLID.floor - 1e-9)
        # within 1e-5 mm of an upright face of the cut the two ways of asking may differ by rounding
        near_face = np.min(np.abs([ahead @ normal for normal in camera.cut_normals]), axis=0) < 1e-5
        assert not np.any(solid & ~removed & ~near_face)


@settings(max_examples=20, deadline=None)
@given(camera=cameras)
def test_faces_look_at_the_camera(camera: Camera) -> None:
    hits = cast_cutaway(camera, SOLID)
    normals = hits.normals[hits.seen]
    assert np.linalg.norm(normals, axis=1) == pytest.approx(np.ones(len(normals)), abs=1e-9)
    assert np.all(normals @ camera.toward >= -1e-9)
    light = hits.brightness(camera)[hits.seen]
    assert np.all((light > 0) & (light <= 1 + 1e-12))


def test_outline_has_the_area_of_the_cylinder() -> None:
    """Seen from the side away from the cut, the outline is that of the whole cylinder."""
    camera = Camera(azimuth_deg=132, elevation_deg=30, cut_azimuth_deg=-48, cut_opening_deg=90, columns=400)
    hits = cast_cutaway(camera, SOLID)
    left, right, bottom, top = hits.extent
    pixel = (right - left) / hits.points.shape[1] * (top - bottom) / hits.points.shape[0]
    # an ellipse and the rectangle that joins two of them; the cut does not reach the outline behind it but
    # for the sector of the top: what is seen through it is the floor
    expected = np.pi * 3.0**2 * np.sin(np.radians(30)) + 6.0 * 2.7 * np.cos(np.radians(30))
    # the far rim of the top is missing where the cut reaches it: at most a quarter of an ellipse
    assert expected - 0.25 * np.pi * 9 * 0.5 < pixel * hits.seen.sum() < expected * 1.005


def test_wrong_shapes_are_refused() -> None:
    with pytest.raises(ValueError, match="bottom < floor < top"):
        CutCylinder(3.0, 0.0, 2.0, 1.0)
    with pytest.raises(ValueError, match="elevation"):
        Camera(elevation_deg=0.0)
