"""Scattered background behind a black-body grid, and a uniform one."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from deltamu.recon.errors import InputError
from deltamu.recon.preprocess.scatter import (
    UniformBackground,
    dot_labels,
    find_dots,
    measure_background,
)
from deltamu.recon.preprocess.smooth_surface import smooth_surface
from deltamu.recon.scans.read import scan_from_arrays
from deltamu.recon.study.correcting import state_correction
from deltamu.recon.study.settings import study_from_table

SHAPE = (96, 240)
PITCH, RADIUS = (32, 30), 7.0


def grid():
    """What a grid of black discs lets through, with soft rims; the discs cover every part of the field alike."""
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
    y, x = (v % p - (p - 1) / 2 for v, p in zip((y, x), PITCH, strict=True))
    return np.clip(np.hypot(y, x) - RADIUS + 0.5, 0, 1)


def sample(shape=SHAPE):
    x = (np.arange(shape[1]) - shape[1] / 2) / (0.35 * shape[1])
    chord = np.sqrt(np.maximum(1 - x**2, 0))
    strength = np.linspace(0.8, 2.5, shape[0])[:, None]
    return np.exp(-strength * chord)


def scattered(transmission, behind, *, share=0.08, constant=0.02):
    """Scatter of what the sample takes out of the beam behind the grid, and a background in proportion to the beam."""
    return (
        share * gaussian_filter((1 - transmission) * behind, 40.0, mode="reflect") + constant * behind.mean()
    )


def measured(dose=(1.0, 0.9, 1.1)):
    """A view over the open beam, and the same frames behind the grid, each with its own dose."""
    clear, dark = np.ones(SHAPE), grid()
    truth = sample()
    flat = 1 + scattered(clear, clear)
    view = dose[0] * (truth + scattered(truth, clear)) / flat
    sample_grid = dose[1] * (truth * dark + scattered(truth, dark)) / flat
    open_grid = dose[2] * (dark + scattered(clear, dark)) / flat
    return truth, view, sample_grid, open_grid


def air():
    mask = np.zeros(SHAPE, bool)
    mask[:, :24] = mask[:, -24:] = True
    return mask


def corrected(view, background, *, index=0):
    b, b0 = background.of_view(index), background.open_beam
    dose = view[air()].mean() / np.broadcast_to(1 - b0 + b, view.shape)[air()].mean()
    return (view / dose - b) / (1 - b0)


def test_the_grid_takes_the_scatter_away():
    """−11 % in the optical depth of the thickest rays without, 0.6 % with: what a grid that shades a tenth of the beam
    unevenly can know."""
    truth, view, sample_grid, open_grid = measured()
    background = measure_background(
        sample_grid[None], open_grid, angles=[0.0], view_angles=[0.0, 1.0], air=air()
    )
    depth = -np.log(truth)
    thick = depth > 1.5
    before = -np.log(view / view[air()].mean())
    after = -np.log(corrected(view, background))
    assert np.mean(before[thick] / depth[thick]) < 0.9
    assert np.abs(after[thick] / depth[thick] - 1).max() < 0.02
    assert abs(np.mean(after[thick] / depth[thick]) - 1) < 0.006


def test_dose_of_the_grid_frames_does_not_count():
    """Everything is relative to the air beside the sample."""
    one, other = measured(), measured(dose=(0.8, 1.2, 0.7))
    results = [
        corrected(view, measure_background(s[None], o, angles=[0.0], view_angles=[0.0], air=air()))
        for _, view, s, o in (one, other)
    ]
    np.testing.assert_allclose(results[0], results[1], rtol=1e-4)


def test_every_dot_is_found():
    dark = grid()
    noisy = np.clip(dark, 0.02, 1) * np.linspace(0.9, 1.1, SHAPE[1])
    noisy += np.random.default_rng(1).normal(0, 0.02, SHAPE)
    labels = find_dots(noisy)
    assert labels.max() == 24
    assert np.all(dark[labels > 0] == 0)


def test_a_mask_by_hand_gives_the_same_as_the_search():
    _, _, sample_grid, open_grid = measured()
    labels = dot_labels(find_dots(open_grid) > 0)
    common = {"angles": [0.0], "view_angles": [0.0], "air": air()}
    found = measure_background(sample_grid[None], open_grid, **common)
    drawn = measure_background(sample_grid[None], open_grid, dots=labels, **common)
    np.testing.assert_allclose(found.of_view(0), drawn.of_view(0), rtol=1e-6)


def grid_scan(frames, flats):
    """Frames of a camera with an offset of 100 ADU and an open beam of 20 000."""
    adu = [100 + 20_000 * np.asarray(image) for image in (frames, flats)]
    darks = np.full((3, *SHAPE), 100.0)
    return scan_from_arrays(adu[0], np.arange(len(frames)) * 90, flats=adu[1], darks=darks, pixel_size_mm=0.1)


def test_a_study_takes_a_mask_of_the_dots(tmp_path):
    """From a file; a mask of other pixels is refused."""
    _, view, sample_grid, open_grid = measured()
    scan = grid_scan([view, view], np.ones((3, *SHAPE)))
    grid_frames = grid_scan([sample_grid, sample_grid], [open_grid] * 3)
    found = find_dots(open_grid)
    np.save(tmp_path / "dots.npy", found > 0)
    np.save(tmp_path / "other.npy", found[:, 1:] > 0)

    def background(mask):
        state = {"scan": "a", "black_body": "g", **({"black_body_dots": mask} if mask else {})}
        table = {
            "reference": "a", "states": {"a": state},
            "preprocess": {"scatter": {"method": "black_body"}, "spots": False},
        }  # fmt: skip
        return state_correction(study_from_table(table, folder=tmp_path), "a", scan, grid_frames).background

    np.testing.assert_allclose(background("dots.npy").of_view(0), background(None).of_view(0), rtol=1e-5)
    with pytest.raises(InputError, match="a mask of"):
        background("other.npy")
    with pytest.raises(InputError, match=r"black_body_dots: .*none\.npy: cannot be read"):
        background("none.npy")


def test_background_is_interpolated_over_the_turn():
    """Half way between two angles it is their mean, also across the end of the turn."""
    _, _, sample_grid, open_grid = measured()
    frames = np.stack([sample_grid, sample_grid + 0.01])
    angles = np.array([0.0, np.pi])
    found = measure_background(
        frames, open_grid, angles=angles, view_angles=[0.0, np.pi / 2, np.pi, 1.5 * np.pi]
    )
    ends = found.levels[0], found.levels[2]
    assert np.all(ends[1] > ends[0])
    np.testing.assert_allclose(
        found.levels[[1, 3]], np.broadcast_to(0.5 * (ends[0] + ends[1]), (2, len(ends[0])))
    )


def test_a_gamma_hit_behind_a_dot_is_left_out():
    """A cluster that fills the core of a dot in one frame: the angles beside it say what is there."""
    _, _, sample_grid, open_grid = measured()
    frames = np.repeat(sample_grid[None], 9, axis=0)
    frames += np.random.default_rng(2).normal(0, 0.002, frames.shape)
    angles = np.arange(9) * np.pi / 9
    common = {"angles": angles, "view_angles": angles, "air": air()}
    clean = measure_background(frames, open_grid, **common)
    frames[4][find_dots(open_grid) == 7] += 0.8
    hit = measure_background(frames, open_grid, **common)
    # a level is the mean of some forty pixels with a noise of 0.002
    np.testing.assert_allclose(hit.levels, clean.levels, atol=0.002)


@pytest.mark.parametrize(
    "places", [[[3, 4]], [[0, 0], [0, 50]], [[0, 0], [0, 50], [0, 90]], [[0, 0], [30, 5], [9, 60]]]
)
def test_a_surface_goes_through_its_places(places):
    """From one place (a level) over a line to a plane; bilinear between nodes, exact to a tenth of a percent."""
    values = 0.05 + 0.01 * np.arange(len(places))
    surface = smooth_surface(np.array(places), (40, 100))(values)
    assert surface.shape == (40, 100)
    found = [surface[tuple(place)] for place in places]
    np.testing.assert_allclose(found, values, rtol=0.01)


def test_a_uniform_background_is_that_of_the_closed_form():
    """Appendix: OD = −ln((T + β) / (1 + β)); the correction gives T back."""
    truth = np.array([[0.08, 0.2, 0.02, 1.0]])
    background = UniformBackground(0.03)
    view = (truth + 0.03) / 1.03
    assert -np.log(view[0, 0]) == pytest.approx(2.237, abs=1e-3)
    b = background.of_view(0)
    np.testing.assert_allclose((view - b) / (1 - background.open_beam), truth, atol=1e-7)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: UniformBackground(-0.1), "fraction"),
        (lambda: find_dots(np.ones((50, 50))), "black_body"),
        (lambda: dot_labels(np.zeros((5, 5))), "mask"),
        (lambda: smooth_surface(np.empty((0, 2)), (4, 4)), "places"),
        (
            lambda: measure_background(np.ones((2, 9, 9)), np.ones((9, 9)), angles=[0.0], view_angles=[0.0]),
            "sample_grid",
        ),
    ],
)
def test_wrong_input_is_named(make, message):
    with pytest.raises(InputError, match=message):
        make()
