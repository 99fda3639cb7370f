"""First against last projections, by the mean line integral."""

import numpy as np
import pytest

from deltamu.recon.errors import InputError
from deltamu.recon.preprocess.consistency import moment_drift


def test_a_drift_is_found_and_noise_is_not_one() -> None:
    rng = np.random.default_rng(2)
    noise = 0.002 * rng.standard_normal(400)
    drift, error = moment_drift(1.5 + noise)
    # 40 views at either end, of scatter 0.002 in 1.5
    assert error == pytest.approx(100 * 0.002 * np.sqrt(2 / 40) / 1.5, rel=0.2)
    assert abs(drift) < 4 * error
    # the last tenth lies 0.9 of the way above the first
    drift, same = moment_drift(1.5 + noise + np.linspace(0, 0.03, 400))
    assert drift == pytest.approx(100 * 0.9 * 0.03 / 1.515, abs=4 * error)
    assert same == pytest.approx(error, rel=0.1)


def test_too_few_views_are_refused() -> None:
    with pytest.raises(InputError, match="three views"):
        moment_drift(np.array([1.0, 2.0]))
