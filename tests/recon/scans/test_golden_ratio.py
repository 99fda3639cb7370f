"""Golden-ratio angles: T15 of the closed forms."""

import numpy as np
import pytest

from deltamu.recon.scans.angles import golden_ratio


def test_the_golden_angle():
    """T15: steps of 180°(√5 − 1)/2 = 111.246118°, modulo half a turn (Köhler, IEEE NSS 2004)."""
    degrees = np.asarray(golden_ratio(50).values)
    assert degrees[1] == pytest.approx(111.246118, abs=5e-7)
    np.testing.assert_allclose(np.mod(np.diff(degrees), 180), 111.246118, atol=1e-5)


@pytest.mark.parametrize("count", [13, 34, 89])
def test_any_number_of_views_spreads_evenly(count):
    """For a Fibonacci number of views there are two gaps, whose ratio is the golden one."""
    degrees = np.sort(np.mod(golden_ratio(count).values, 180))
    gaps = np.diff(np.append(degrees, degrees[0] + 180))
    assert gaps.max() / gaps.min() == pytest.approx((1 + 5**0.5) / 2, rel=0.02)
