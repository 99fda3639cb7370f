"""A roll with a known winding, unrolled."""

import runpy
from pathlib import Path

import numpy as np
import pytest
import tifffile

from deltamu.recon.change.unrolling import Winding, follow_winding, unroll
from deltamu.recon.errors import InputError

CENTER, START, PITCH, TURNS = (101.3, 98.6), 40.0, 11.0, 4.0


def radius(angle: np.ndarray) -> np.ndarray:
    """Not an even spiral: the pitch is taken in one part of the turn, as in a pressed cell."""
    return START + PITCH * (angle / (2 * np.pi) + 0.12 * np.sin(angle - 0.6) + 0.12 * np.sin(0.6))


def roll(mark: float = 0.0) -> np.ndarray:
    """A foil 2.4 px wide whose brightness swings along its length; brighter turns inside, as in a real cell."""
    y, x = np.indices((204, 204), float)
    y, x = y - CENTER[0], x - CENTER[1]
    turn = np.arctan2(y, x) % (2 * np.pi) + 2 * np.pi * np.arange(-1, 7)[:, None, None]
    distance = np.hypot(y, x) - radius(turn)
    bright = 1.5 - 0.1 * turn / (2 * np.pi) + mark * np.cos(turn)
    image = np.sum(bright * np.exp(-0.5 * distance**2), axis=0)
    return image + np.random.default_rng(4).normal(0, 0.15, image.shape)


def followed(image: np.ndarray) -> Winding:
    return follow_winding(
        image, CENTER, start_angle=0.0, start_radius_px=START + 1, turns=TURNS, pitch_px=PITCH
    )


def test_the_winding_is_followed_through_its_turns() -> None:
    found = followed(roll())
    # a tenth of a pixel is the grid of the search, noise of a tenth of the contrast adds as much; smoothing bends the ends
    inner = slice(8, -8)
    np.testing.assert_allclose(found.radius_px[inner], radius(found.angle)[inner], atol=0.35)
    assert np.sqrt(np.mean((found.radius_px - radius(found.angle)) ** 2)) < 0.15


def test_an_offset_of_the_brightness_changes_nothing() -> None:
    found, other = followed(roll()), followed(roll() - 2.0)
    np.testing.assert_allclose(other.radius_px, found.radius_px, atol=1e-6)


def test_what_is_on_the_foil_comes_out_along_it() -> None:
    """The brightness over the length, against that of the phantom at the same angle."""
    found = followed(roll(mark=0.4))
    flat = unroll(roll(mark=0.4)[None], found, offsets_px=np.arange(-6.0, 7.0))[0]
    angle = np.interp(np.arange(flat.shape[1]), found.length_px, found.angle)
    expected = 1.5 - 0.1 * angle / (2 * np.pi) + 0.4 * np.cos(angle)
    # the ridge read between pixels loses 8 % of a Gaussian of 1 px; noise 0.15
    assert np.corrcoef(flat[6], expected)[0, 1] > 0.8
    assert np.all(np.argmax(flat[3:10].mean(axis=1)) == 3)
    # half a pitch away lies no foil
    assert flat[[0, 12]].mean() < 0.2 * flat[6].mean()


def test_the_length_of_an_even_spiral_has_a_closed_form() -> None:
    angle = np.linspace(0, 6 * np.pi, 2000)
    slope = PITCH / (2 * np.pi)
    found = Winding(CENTER, angle, slope * (angle + 20.0)).length_px[-1]

    def integral(t: float) -> float:
        return slope / 2 * (t * np.sqrt(1 + t * t) + np.arcsinh(t))

    assert found == pytest.approx(integral(angle[-1] + 20) - integral(20), rel=1e-5)


def test_a_real_roll_keeps_its_pitch(deltamu_data) -> None:
    """Ten turns of a cylindrical cell: the foil is left for no neighbour, so every turn adds one pitch."""
    script = runpy.run_path(str(Path(__file__).resolve().parents[3] / "docs" / "gallery" / "unrolling.py"))
    image = tifffile.imread(deltamu_data / "battery_cell_xray" / "cell_vol_041_072.tif", key=script["SLICE"])
    found = script["follow"](image.astype(np.float32))
    np.testing.assert_allclose(np.diff(found.radius_px[::360]), script["PITCH_PX"], atol=0.3)
    foil, beside = unroll(image[None].astype(np.float32), found, offsets_px=np.array([0.0, 5.5]))[0]
    assert np.mean(foil > beside) > 0.98


def test_turns_beyond_the_image_are_refused() -> None:
    with pytest.raises(InputError, match="leave the image"):
        follow_winding(roll(), CENTER, start_angle=0, start_radius_px=80, turns=6, pitch_px=PITCH)
