import numpy as np
import pytest

from deltamu.recon.change.columns import read_columns
from deltamu.recon.change.surface_model import SurfaceModel
from deltamu.recon.change.surfaces import fit_surfaces
from deltamu.recon.errors import InputError
from deltamu.recon.simulate import profiles

SMALL = {"shape": (128, 92, 92), "radius": 0.9, "axis": (1.25, 1.22)}


def model_of(cell, degree: int = 6) -> SurfaceModel:
    thickness = cell.thickness[3]
    return SurfaceModel(
        (1, degree, 1),
        cell.axis,
        cell.radius,
        cell.voxel,
        (thickness,),
        (0.1 * thickness,),
        0.015,
        0.018,
        0.5,
    )


def columns_of(cell, volume):
    return read_columns(
        volume,
        voxel_size_mm=cell.voxel,
        axis_mm=cell.axis,
        radius_mm=0.95 * cell.radius,
        rows=slice(0, cell.shape[0]),
    )


def fit(cell, volumes, offset: float = 0.0, model: SurfaceModel | None = None):
    start = np.zeros((2, 4))
    start[:, 0] = cell.edges[3:5] + offset
    columns = [columns_of(cell, v) for v in volumes]
    return fit_surfaces(columns, start, model or model_of(cell), reach_mm=(0.24, 0.24))


def test_without_noise_a_sloped_profile_moves_a_surface_by_less_than_a_tenth_of_a_voxel(
    cell, lithium_profiles
) -> None:
    """A fit that left the slope out of the blur would miss the near surface by 0.18 voxel."""
    one = cell(**SMALL)
    found = fit(
        one, [one.volume(lithium_profiles["pristine"]), one.volume(lithium_profiles["discharged"])], 0.02
    )
    error = (found.coefficients[:, 0] - one.edges[3:5]) / one.voxel
    assert found.converged
    # what the polynomials cannot follow of the profile
    assert np.all(np.abs(error) < 0.1)
    assert found.width_mm == pytest.approx(np.hypot(one.blur_mm, one.voxel / np.sqrt(12)), rel=0.1)


def test_tilt_and_bow_follow_the_shape(cell, lithium_profiles) -> None:
    one = cell(**SMALL, tilt_deg=0.8, azimuth_deg=-120.0, bow_um=30.0)
    found = fit(one, [one.volume(lithium_profiles["pristine"])])
    slope = np.tan(np.radians(0.8))
    # flat layers and no noise: the lateral blocks limit it
    assert found.coefficients[0, 1] == pytest.approx(slope * np.sin(np.radians(-120)), abs=0.02 * slope)
    assert found.coefficients[0, 2] == pytest.approx(slope * np.cos(np.radians(-120)), abs=0.02 * slope)
    assert 1e3 * found.coefficients[0, 3] * one.radius**2 == pytest.approx(30.0, abs=1.5)


def test_pores_do_not_pull_the_surface(cell, lithium_profiles) -> None:
    one = cell(**SMALL)
    clean = one.volume(lithium_profiles["pristine"], seed=1)
    holed = clean.copy()
    rng = np.random.default_rng(3)
    for _ in range(12):
        y, x = (rng.uniform(-0.8, 0.8, 2) / np.sqrt(2) * one.radius + one.axis) / one.voxel
        z = one.edges[3] / one.voxel - rng.uniform(0, 3)
        holed[int(z) - 1 : int(z) + 2, int(y) - 2 : int(y) + 3, int(x) - 2 : int(x) + 3] = 0.0
    moved = fit(one, [holed]).coefficients[0, 0] - fit(one, [clean]).coefficients[0, 0]
    assert abs(moved) < 0.05 * one.voxel


def test_errors_cover_the_truth(cell, lithium_profiles) -> None:
    """Pulls of the near surface's mean height over noise: within 3.5 in all of three draws."""
    one = cell(**SMALL, texture=0.0)
    clean = one.volume(lithium_profiles["pristine"])
    rng = np.random.default_rng(0)
    for _ in range(3):
        noisy = clean + 0.3 * rng.standard_normal(clean.shape, dtype=np.float32)
        found = fit(one, [noisy])
        assert abs(found.coefficients[0, 0] - one.edges[3]) < 3.5 * np.sqrt(found.covariance[0, 0])


@pytest.mark.slow
@pytest.mark.parametrize("truth", ["front", "center"])
def test_errors_cover_what_the_polynomials_miss(cell, truth) -> None:
    """Steep profiles between faces of little contrast, noise as low as in averages over the whole demo.

    With six powers of depth and the errors of counting alone the far surface was off by 3.4 to 5.5 of its errors.
    """
    one = cell(**SMALL, texture=0.0, noise=(0.05, 0.4, 0.07, 0.05, 0.05))
    states = profiles.TRUTHS[truth].values()
    found = fit(one, [one.volume(u, seed=11 + k) for k, u in enumerate(states)], model=model_of(one, 8))
    miss = found.coefficients[:, 0] - one.edges[3:5]
    assert np.all(np.abs(miss) < 3 * np.sqrt(np.diag(found.covariance)[[0, 4]]))
    # the demo's requirement for surfaces holds at the separator, where all states have contrast
    assert abs(miss[0]) < 0.15 * one.voxel


def test_a_window_outside_the_data_is_refused(cell, lithium_profiles) -> None:
    one = cell(**SMALL)
    with pytest.raises(InputError, match="samples around"):
        fit(one, [one.volume(lithium_profiles["pristine"])], offset=5.0)
