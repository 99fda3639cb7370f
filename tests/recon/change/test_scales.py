"""Gain and offset of made-up states."""

import numpy as np
import pytest

from deltamu.recon.change.scales import compare_scales, same_scale
from deltamu.recon.errors import InputError

LEVELS = (2.568, 1.286, 0.111, 1.68)


def states(seed, *, gain=1.0, offset=0.0, noise=0.3, voxels=400, per_level=8):
    rng = np.random.default_rng(seed)
    parts = np.repeat(np.arange(1, per_level * len(LEVELS) + 1), voxels)
    truth = np.repeat(np.repeat(LEVELS, per_level), voxels)
    reference = truth + rng.normal(0, noise, truth.size)
    return reference, gain * truth + offset + rng.normal(0, noise, truth.size), parts


def test_gain_and_offset_come_back_with_honest_errors() -> None:
    # one value per part, with the noise of the mean over 400 voxels
    draws = [states(seed, gain=1.02, offset=-0.03, noise=0.015, voxels=1) for seed in range(400)]
    found = [compare_scales(*draw) for draw in draws]
    for name, truth in (("gain", 1.02), ("offset", -0.03)):
        pulls = [(getattr(f, name) - truth) / getattr(f, f"{name}_standard_error") for f in found]
        # 400 pulls: 3.5 % of their width; errors from 30 degrees of freedom widen them by 4 %
        assert np.std(pulls) == pytest.approx(1.04, abs=0.12)
        # noise of the reference's means (0.015 of levels that spread by 0.9) pulls the gain by 3e-4 of 3e-3
        assert abs(np.mean(pulls)) < 0.25
    # both are some four standard errors off: three of them are exceeded nearly always
    assert np.mean([f.differs for f in found]) > 0.9


def test_equal_scales_are_not_called_different_and_a_changed_part_does_not_pull() -> None:
    assert sum(compare_scales(*states(seed)).differs for seed in range(40)) <= 3
    reference, moving, parts = states(1)
    moving = np.where(parts == 5, moving + 1.0, moving)
    found = compare_scales(reference, moving, parts)
    assert abs(found.gain - 1) < 0.02
    assert abs(found.offset) < 0.03


def test_correcting_leaves_no_difference() -> None:
    reference, moving, parts = states(3, gain=0.97, offset=0.05)
    again = compare_scales(reference, same_scale(moving, compare_scales(reference, moving, parts)), parts)
    assert again.gain == pytest.approx(1, abs=1e-4)
    assert again.offset == pytest.approx(0, abs=1e-4)


def test_refusals() -> None:
    reference, moving, parts = states(0)
    with pytest.raises(InputError, match="expected one grid"):
        compare_scales(reference[1:], moving, parts)
    with pytest.raises(InputError, match="found 3 parts"):
        compare_scales(reference, moving, np.where(parts < 4, parts, 0))
    with pytest.raises(InputError, match="attenuate alike"):
        compare_scales(np.ones(100), np.ones(100), np.repeat(np.arange(1, 6), 20))
