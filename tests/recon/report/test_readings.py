"""What the figures read from the store is where and what it should be."""

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from deltamu.recon.report.figure_changes import change_limit
from deltamu.recon.report.flattened import flattened_slices
from deltamu.recon.report.images import open_study_image
from deltamu.recon.report.load import load_report_content
from deltamu.recon.report.regions import changed_fraction, region_means
from deltamu.recon.report.scores import FINE_EDGES, MIDDLES, ScoreStatistics, score_statistics
from deltamu.recon.report.sections import axial_section, cell_frame, cross_section
from deltamu.recon.report.stack_profile import stack_profile

MakeStudy = Callable[..., Path]


def expected_change(depth_mm: np.ndarray) -> np.ndarray:
    """Δμ of the discharged state of the made-up study, before noise."""
    return 1.3 * np.exp(-0.5 * ((depth_mm / 0.4 - 0.35) / 0.27) ** 2)


@pytest.mark.parametrize("upside_down", [False, True])
def test_stack_profile_follows_the_cell(make_study: MakeStudy, upside_down: bool) -> None:
    content = load_report_content(make_study(upside_down=upside_down, noise=0.02))
    profile = stack_profile(content, "discharged-pristine", cell_frame(content))
    inside = (profile.depth_mm > 0.07) & (profile.depth_mm < 0.33)
    # bins of 0.07 mm smooth a peak of 0.108 mm width by up to (0.0725/0.108)²/24 + sampling = 5 % of 1.3
    assert profile.mean[inside] == pytest.approx(expected_change(profile.depth_mm[inside]), abs=0.08)
    anode = (profile.depth_mm > -0.8) & (profile.depth_mm < -0.6)
    assert profile.mean[anode] == pytest.approx(-0.39, abs=0.02)
    separator = (profile.depth_mm > -0.4) & (profile.depth_mm < -0.1)
    # 8000 voxels per bin: standard error 0.02·√2/90 = 3e-4, five of them
    assert np.abs(profile.mean[separator]).max() < 1.6e-3


def test_flattened_slices_have_the_profile_as_their_means(make_study: MakeStudy) -> None:
    content = load_report_content(make_study(noise=0.02))
    frame = cell_frame(content)
    edges = np.array([0.06, 0.14, 0.22, 0.3])
    slices = flattened_slices(content, "discharged-pristine", frame, edges_mm=edges)
    means = np.nanmean(slices.values, axis=(1, 2))
    # voxels of v = 0.0725 mm hold the change at their middles: parts of them average it over a window of v,
    # which changes the mean by v²/24 times the second derivative, 1.3/0.108² · 2.2e-4 = 0.024; as much again
    # because tilt and bow move the rows by 0.6 voxel only, so that parts are not evenly distributed
    expected = [expected_change(np.linspace(low, high, 101)).mean() for low, high in pairwise(edges)]
    assert means == pytest.approx(expected, abs=0.048)
    assert slices.horizontal_mm[0] == pytest.approx(-2.6, abs=0.0725)


def test_flattened_slices_have_no_contour_lines(make_study: MakeStudy) -> None:
    """A tilted face crosses rows of the grid; a change that is linear in depth must not show where."""
    content = load_report_content(make_study(noise=1e-4))
    frame = cell_frame(content)
    slices = flattened_slices(content, "discharged-pristine", frame, edges_mm=np.array([0.1, 0.25]))
    # tilt and bow move the rows by 0.027 + 0.015 mm = 0.6 voxel against the face; whole voxels would count two or
    # three rows and jump by a third of the slope over a voxel (3 cm⁻¹/mm · 0.0725 mm / 3 = 0.07)
    jumps = np.abs(np.diff(slices.values[0], axis=1))
    assert np.nanmax(jumps) < 0.02


def test_flattened_slices_beyond_the_field_are_missing(make_study: MakeStudy) -> None:
    content = load_report_content(make_study())
    slices = flattened_slices(content, "charged-pristine", cell_frame(content), edges_mm=np.array([5.0, 5.2]))
    assert np.all(np.isnan(slices.values))


def test_sections_are_measured_from_the_axis(make_study: MakeStudy) -> None:
    content = load_report_content(make_study())
    frame = cell_frame(content)
    image = open_study_image(content, "states/pristine/attenuation")
    cross = cross_section(image, frame, frame.middle_z_mm)
    axial = axial_section(image, frame, half_width_mm=3.0)
    assert cross.values.shape == (96, 96)
    assert cross.horizontal_mm == pytest.approx((-48 * 0.0725, 48 * 0.0725))
    assert axial.width_mm == pytest.approx(6.0, abs=2 * 0.0725)
    assert axial.vertical_mm == pytest.approx((-0.5 * 0.0725, 47.5 * 0.0725))
    assert cross.values[48, 48] == pytest.approx(1.363, abs=0.5)  # one voxel of noise 0.1


def test_a_slab_is_averaged(make_study: MakeStudy) -> None:
    content = load_report_content(make_study(nan_rows=0))
    frame = cell_frame(content)
    image = open_study_image(content, "states/pristine/attenuation")
    heights = slice(round(frame.middle_z_mm / 0.0725) - 1, round(frame.middle_z_mm / 0.0725) + 2)
    whole = image.read(heights, slice(None), slice(None))
    section = cross_section(
        image, frame, round(frame.middle_z_mm / 0.0725) * 0.0725, thickness_mm=2.5 * 0.0725
    )
    # float32 storage against float32 mean of three
    assert section.values == pytest.approx(whole.mean(axis=0), abs=1e-6)


def test_large_planes_are_thinned(make_study: MakeStudy, monkeypatch: pytest.MonkeyPatch) -> None:
    content = load_report_content(make_study())
    frame = cell_frame(content)
    image = open_study_image(content, "states/pristine/attenuation")
    fine = cross_section(image, frame, frame.middle_z_mm)
    monkeypatch.setattr("deltamu.recon.report.sections.LARGEST_PANEL_PX", 48)
    coarse = cross_section(image, frame, frame.middle_z_mm)
    assert coarse.values.shape == (48, 48)
    assert coarse.extent == pytest.approx(fine.extent)
    assert coarse.values[3, 5] == pytest.approx(fine.values[6:8, 10:12].mean(), abs=1e-6)


def test_scores_of_honest_noise(make_study: MakeStudy) -> None:
    content = load_report_content(make_study())
    found = score_statistics(content, "charged-pristine", cell_frame(content), layers=content.inert_layers)
    assert found is not None
    # n voxels: the standard error of the robust SD is about 1.36/√(2n) and n is some 40 000: five of them
    assert found.robust_sd == pytest.approx(1.0, abs=5 * 1.36 / np.sqrt(2 * found.total))
    assert found.beyond_three == pytest.approx(0.0027, abs=5 * np.sqrt(0.0027 / found.total))
    assert abs(found.median) < 5 * 1.25 / np.sqrt(found.total)


def test_limit_comes_from_the_cathode_not_from_noise(make_study: MakeStudy) -> None:
    assert change_limit(load_report_content(make_study(noise=0.05))) == 1.5  # 1.1 · 1.3, rounded up
    # nothing changed: four times the scatter of the voxels shown, 4 · 0.1·√2 = 0.57, rounded up
    assert change_limit(load_report_content(make_study(amount=(0.0, 0.0, 0.0), noise=0.1))) == pytest.approx(
        0.6
    )


def test_changed_voxels_by_false_discovery_rate() -> None:
    # 100 000 normal scores and 10 000 at z = 5: 2·Q(z)·1e5 false ones may be 5 % of all beyond z
    normal = np.exp(-0.5 * MIDDLES**2)
    counts = 1e5 * normal / normal.sum()
    changed = counts.copy()
    changed[np.searchsorted(FINE_EDGES, 5.0)] += 1e4
    found = ScoreStatistics(changed, int(changed.sum())).changed_fraction(0.05)
    assert found == pytest.approx(1e4 / 1.1e5 / 0.95, rel=0.01)
    # with nothing changed one false discovery among any is more than 5 %
    assert ScoreStatistics(counts, 100_000).changed_fraction(0.05) < 1e-4


def test_regions_of_an_even_change_agree(make_study: MakeStudy) -> None:
    content = load_report_content(make_study(noise=0.02))
    means = region_means(content, "discharged-pristine", cell_frame(content))
    assert len(means) == 8
    values = [value for value in means.values() if value is not None]
    # 2000 columns or more of 4 voxels with noise 0.028: 3e-4; the made-up change is the same everywhere
    assert np.ptp(values) < 5e-3
    assert changed_fraction(content, "discharged-pristine", cell_frame(content)) == pytest.approx(1, abs=0.01)
