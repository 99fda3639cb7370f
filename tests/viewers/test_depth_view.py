"""Depth: what the widget shows is what the study's table and the store hold."""

import numpy as np
import pytest

from deltamu.recon.errors import InputError
from deltamu.recon.report.load import read_profile
from deltamu.viewers.depth_columns import column_sums
from deltamu.viewers.depth_export import write_profiles
from deltamu.viewers.depth_regions import Columns
from deltamu.viewers.depth_view import DepthView
from deltamu.viewers.inspection import Inspection

CHANGE = "discharged-pristine"


@pytest.fixture
def view(demo):
    return DepthView(demo / "result")


@pytest.mark.slow
def test_the_core_from_the_voxels_is_the_table(view):
    for change in view.content.changes:
        table, core = view.profile(change, "core"), view.profile(change, view.columns.ring("core"))
        np.testing.assert_array_equal(core.count, table.count)
        # the table keeps eight digits, the sums of a column seven
        np.testing.assert_allclose(core.mean, table.mean, atol=1e-6)
        np.testing.assert_allclose(core.spread, table.spread, atol=1e-6)


@pytest.mark.slow
def test_prepared_sums_are_those_that_a_region_uses(view, monkeypatch):
    from deltamu.viewers import depth_view

    view.prepare()
    monkeypatch.setattr(depth_view, "column_sums", None)
    assert np.isfinite(view.profile(CHANGE, "whole").mean).any()


@pytest.mark.slow
def test_core_and_rim_make_the_whole(view):
    core, rim, whole = (view.profile(CHANGE, view.columns.ring(r)) for r in ("core", "rim", "whole"))
    np.testing.assert_array_equal(core.count + rim.count, whole.count)
    total = core.mean * core.count + rim.mean * rim.count
    np.testing.assert_allclose(total, whole.mean * whole.count, rtol=1e-9)


@pytest.mark.slow
def test_depth_and_point_are_inverse(view):
    for depth in (0.0, 0.13, 0.4):
        assert view.depth_at(view.point_at(depth, 6.1, 7.2)) == pytest.approx(depth, abs=1e-9)


@pytest.mark.slow
def test_the_depth_of_a_voxel_is_that_of_the_store(view, demo):
    inspection = Inspection(demo / "result")
    point = view.point_at(0.2, *view.layer.axis_mm)
    # the store has the depth of voxel centres, at most half a voxel away
    assert inspection.read(CHANGE, point).depth_mm == pytest.approx(0.2, abs=0.51 * view.layer.voxel_size_mm)


@pytest.mark.slow
def test_the_read_out_holds_the_values_of_the_store(demo):
    import zarr

    inspection = Inspection(demo / "result")
    voxel = inspection.labels.voxel_size_mm
    store = zarr.open_group(str(demo / "result" / "study.zarr"), mode="r")
    for index in ((30, 80, 80), (24, 70, 95), (5, 10, 20)):
        found = inspection.read(CHANGE, tuple(i * voxel for i in index))
        for name in ("delta_mu", "sigma", "z_score"):
            expected = store[f"changes/{CHANGE}/{name}/0"][index]
            np.testing.assert_equal(getattr(found, name), float(expected))
        np.testing.assert_equal(
            found.attenuation["pristine"], float(store["states/pristine/attenuation/0"][index])
        )
        kappa = inspection.content.summary["lithium"]["kappa_cm2_per_mol"]
        assert found.lithium_mol_l == pytest.approx(1000 * found.delta_mu / kappa, nan_ok=True)


@pytest.mark.slow
def test_the_exported_table_holds_what_is_drawn(view, tmp_path):
    profiles = {CHANGE: view.profile(CHANGE, "core")}
    text = write_profiles(tmp_path / "core.csv", "core", profiles).read_text()
    rows = [line.split(",") for line in text.splitlines() if line.startswith(CHANGE)]
    table = read_profile(view.content.output_dir / "profiles" / f"{CHANGE}.csv")
    np.testing.assert_allclose([float(row[2]) for row in rows], table.mean, rtol=1e-7)
    np.testing.assert_allclose([float(row[3]) for row in rows], table.standard_error, rtol=1e-7)


def pellet():
    return Columns(slice(0, 40), slice(0, 40), 0.1, (2.0, 2.0), 1.5, 0.8)


def test_a_drawn_rectangle_is_its_inside():
    corners = np.array([[1.45, 1.45], [1.45, 2.45], [2.05, 2.45], [2.05, 1.45]])
    mask = pellet().shapes([corners], ["rectangle"])
    expected = np.zeros((40, 40), bool)
    expected[15:21, 15:25] = True
    np.testing.assert_array_equal(mask, expected)


def test_a_drawn_circle_is_its_inside():
    corners = np.array([[1.21, 1.22], [1.21, 2.82], [2.81, 2.82], [2.81, 1.22]])
    y, x = np.mgrid[:40, :40] * 0.1
    np.testing.assert_array_equal(pellet().shapes([corners], ["ellipse"]), np.hypot(y - 2.01, x - 2.02) < 0.8)


def test_a_shape_beside_the_pellet_is_refused():
    with pytest.raises(InputError, match="does not meet the pellet"):
        pellet().shapes([np.array([[0.0, 0.0], [0.0, 0.2], [0.2, 0.2]])], ["polygon"])
    with pytest.raises(InputError, match="does not meet the pellet"):
        pellet().shapes([np.array([[1.0, 1.0], [2.0, 2.0]])], ["line"])


def test_sums_of_a_linear_change_give_the_depth_back():
    from deltamu.recon.change.depth import depth_of
    from deltamu.recon.change.layer_stack import Layer, Surface

    near, far = (Surface((z, 0.01, -0.02, 0.005), (2.0, 2.0)) for z in (1.0, 2.0))
    layer = Layer("cathode", 1, near, far, 1.5, 0.1)
    z, y, x = np.ogrid[:30, :40, :40]
    image = depth_of(layer, z, y, x).astype(np.float32)
    sums = column_sums(image, layer, pellet(), np.arange(-2, 13) * 0.1)
    profile = sums.profile(pellet().ring("whole"))
    # the depths of voxels lie evenly in a bin up to the tilt: half of a hundredth of a voxel
    np.testing.assert_allclose(profile.mean, profile.depth_mm, atol=0.02)
    assert np.all(profile.count == profile.count[3]) or np.ptp(profile.count) < 0.1 * profile.count.max()
