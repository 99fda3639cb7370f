"""Slabs are shared, halved where memory runs out, and every row is computed once."""

import threading

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deltamu.recon.solvers.slabs import share_slabs


class Device:
    """Refuses slabs that are taller than its memory."""

    def __init__(self, most):
        self.most, self.slabs, self.workers, self.refused = most, [], set(), []
        self.lock = threading.Lock()

    def __call__(self, worker, first, stop):
        with self.lock:
            if stop - first > self.most:
                self.refused.append(stop - first)
                raise MemoryError("device")
            self.slabs.append((first, stop))
            self.workers.add(worker)

    def rows(self):
        return [row for first, stop in sorted(self.slabs) for row in range(first, stop)]


@settings(max_examples=60, deadline=None)
@given(rows=st.integers(0, 70), slab=st.integers(1, 40), most=st.integers(1, 40), workers=st.integers(1, 4))
def test_every_row_is_computed_once(rows, slab, most, workers):
    device = Device(most)
    share_slabs(device, rows, slab=slab, workers=workers)
    assert device.rows() == list(range(rows))


def test_slabs_stay_small_after_memory_ran_out():
    device = Device(5)
    share_slabs(device, 40, slab=20)
    assert device.refused == [20, 10]
    assert all(first % 2 == 0 for first, _ in device.slabs)


def test_a_row_that_does_not_fit_ends_it():
    with pytest.raises(MemoryError):
        share_slabs(Device(0), 8, slab=4, workers=2)


def test_all_workers_take_part():
    meeting = threading.Barrier(3, timeout=20)
    share_slabs(lambda *_: meeting.wait(), 3, slab=1, workers=3)


def test_an_error_stops_the_others():
    seen = []

    def fails(worker, first, stop):
        seen.append(first)
        raise RuntimeError("broken")

    with pytest.raises(RuntimeError, match="broken"):
        share_slabs(fails, 100, slab=1)
    assert seen == [0]


@pytest.mark.parametrize("options", [{"slab": 0}, {"slab": 1, "workers": 0}])
def test_bad_numbers_are_refused(options):
    with pytest.raises(ValueError, match="slab, workers"):
        share_slabs(Device(1), 3, **options)
