"""Planes made on demand are indexed as the array they stand for."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deltamu.recon.volumes.planes import PlanesOnDemand

WHOLE = np.random.default_rng(2).normal(size=(7, 3, 4)).astype(np.float32)


class Kept(PlanesOnDemand):
    shape = WHOLE.shape

    def planes(self, begin, end):
        assert 0 <= begin <= end <= len(WHOLE)
        return WHOLE[begin:end].copy()


bounds = st.one_of(st.none(), st.integers(-9, 9))


@given(st.slices(7).filter(lambda part: (part.step or 1) > 0), bounds, bounds)
def test_slices_are_those_of_the_array(part, first, second):
    np.testing.assert_array_equal(Kept()[part], WHOLE[part])
    np.testing.assert_array_equal(Kept()[part, first:second, ::2], WHOLE[part, first:second, ::2])


@given(st.integers(-7, 6))
def test_planes_are_those_of_the_array(row):
    np.testing.assert_array_equal(Kept()[row], WHOLE[row])
    np.testing.assert_array_equal(Kept()[row, 1:], WHOLE[row, 1:])


def test_a_plane_beyond_the_array_is_refused():
    with pytest.raises(IndexError):
        Kept()[7]
