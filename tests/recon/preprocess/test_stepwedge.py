"""Real neutron radiographs of water step wedges (PSI, CC0): no gamma spot is left."""

import runpy
from pathlib import Path

import numpy as np
import pytest
from scipy import ndimage
from scipy.optimize import curve_fit
from scipy.special import erf

GALLERY = Path(__file__).resolve().parents[3] / "docs" / "gallery" / "stepwedge.py"


def above_surroundings(image):
    """How many standard deviations of the 15 x 15 pixels around it, its own 3 x 3 left out, a pixel stands out."""
    around = np.ones((15, 15))
    around[6:9, 6:9] = 0
    around /= around.sum()
    image = np.asarray(image, float)
    mean = ndimage.convolve(image, around, mode="mirror")
    variance = ndimage.convolve(image**2, around, mode="mirror") - mean**2
    return (image - mean) / np.sqrt(variance)


@pytest.fixture(scope="module")
def wedges(deltamu_data):
    """Water and empty holders as they are, and cleaned of spots."""
    return runpy.run_path(str(GALLERY))["wedges"](deltamu_data / "stepwedge_neutron")


@pytest.mark.slow
def test_no_spot_is_left_on_the_step_wedges(wedges):
    plain, clean = wedges
    for before, after in zip(plain, clean, strict=True):
        # some thousand pixels of 1.35 million are hit in 20 s
        assert np.count_nonzero(above_surroundings(before) > 8) > 1000
        assert above_surroundings(after).max() < 8
        assert np.isfinite(after).all()


@pytest.mark.slow
def test_the_steps_keep_their_level(wedges):
    """Cleaning must not shift what it does not replace: the median of every step stays."""
    plain, clean = wedges
    for row in (150, 250, 370, 490, 600):
        for column in (380, 1100):
            patch = np.s_[row - 15 : row + 15, column - 60 : column + 60]
            # no columns beside the holders are air in both views, so there is no dose in it; a median of 3600 pixels
            # with 3 % of noise is known to 0.06 %, the flat's own spots come on top
            assert np.median(clean[0][patch]) == pytest.approx(np.median(plain[0][patch]), rel=0.005)


def edge_width(lines):
    """Standard deviation of the blur of an edge across (line, position): the mean over lines without spots."""
    middle = np.median(lines, axis=0)
    usual = np.abs(lines - middle) < 4 * 1.4826 * np.median(np.abs(lines - middle), axis=0)
    profile = np.mean(lines, axis=0, where=usual)
    position = np.arange(profile.size) - float(np.argmax(np.abs(np.diff(profile))))

    def edge(x, level, height, place, width, slope):
        return level + height * erf((x - place) / (np.sqrt(2) * width)) + slope * x

    start = (profile.mean(), (profile[-1] - profile[0]) / 2, 0.5, 1.5, 0.0)
    return abs(curve_fit(edge, position, profile, start)[0][3])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("lines", "across", "axis"),
    [((120, 660), (178, 194), 0), ((120, 660), (812, 826), 0), ((970, 1240), (648, 668), 1)],
)
def test_edges_of_the_wedges_stay_sharp(wedges, lines, across, axis):
    """A side of the water, the rim of a holder and the end of the thinnest step: within 3 % in the median over groups of 30 lines."""
    widths = []
    for image in wedges:
        water = image[0] if axis == 0 else image[0].T
        groups = range(lines[0], lines[1], 30)
        widths.append(np.median([edge_width(water[a : a + 30, slice(*across)]) for a in groups]))
    assert widths[1] == pytest.approx(widths[0], rel=0.03)


@pytest.mark.slow
def test_water_attenuates_alike_at_every_thickness(deltamu_data):
    """Nine steps of 0.5 to 4.5 mm: the step of 5 mm is left out, the water ends inside its window.

    The stated limits are 14 % after the scattered background and 6 % after the hardening too, which is fitted to five
    of the steps; about 36 % without either.
    """
    found = runpy.run_path(str(GALLERY))["attenuation"](deltamu_data / "stepwedge_neutron")
    plain, scatter, hardening = (np.ptp(values) / values.mean() for values in found.values())
    assert plain > 0.3
    assert scatter < 0.14
    assert hardening < 0.06
    assert (
        4.2
        < found["scattered background subtracted"].min()
        < found["scattered background subtracted"].max()
        < 5.3
    )
