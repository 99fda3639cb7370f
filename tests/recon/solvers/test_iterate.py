"""How a solver went: recorded for who asks, and told where it was stopped early."""

import re

import numpy as np
import pytest

from deltamu.recon.solvers.iterate import Course, Iterate, Stopping, last
from deltamu.recon.solvers.method import Method
from deltamu.recon.solvers.methods import SETTLED_CHANGE, reconstruct, stopped_early

VOLUMES = [np.full((1, 2, 2), value, np.float32) for value in (1.0, 2.0, 2.5, 2.5)]


def iterates():
    for number, volume in enumerate(VOLUMES, 1):
        yield Iterate(number, volume, lambda n=number: (10.0 / n, 4.0 - n))


@pytest.mark.parametrize(
    ("stopping", "taken", "reason"),
    [
        (Stopping(3), 3, "iterations"),
        (Stopping(4, discrepancy=2.0), 2, "discrepancy"),
        (Stopping(9, relative_change=0.3), 3, "relative_change"),
        # met with the very last iteration is met
        (Stopping(4, relative_change=0.1), 4, "relative_change"),
    ],
)
def test_the_course_says_what_happened(stopping, taken, reason):
    courses = []
    assert last(iterates(), stopping, record=courses.append).number == taken
    (course,) = courses
    assert course.objectives == tuple(10.0 / n for n in range(1, taken + 1))
    # norms of constant volumes: |2 - 1| / 2, |2.5 - 2| / 2.5, 0
    assert course.changes == pytest.approx((np.inf, 0.5, 0.2, 0.0)[:taken])
    assert course.reason == reason


def test_objectives_are_not_worked_out_for_nobody():
    def refuse():
        raise AssertionError

    assert last((Iterate(n, VOLUMES[0], refuse) for n in (1, 2)), Stopping(2)).number == 2


def test_a_volume_of_zeros_has_not_moved():
    courses = []
    zeros = np.zeros((1, 2, 2), np.float32)
    last((Iterate(n, zeros, lambda: (0.0, 0.0)) for n in (1, 2)), Stopping(2), record=courses.append)
    assert courses[0].changes[1] == 0


def course(reason="iterations", change=0.1):
    return Course((2.0, 1.0), (np.inf, change), reason)


@pytest.mark.parametrize(
    ("method", "course", "told"),
    [
        (Method("fista-tv"), course(), "fista-tv stopped after 2 iterations .* 0.1 of itself"),
        (Method("pdhg-tv"), course(), "more iterations"),
        (Method("fista-tv"), course(change=0.9 * SETTLED_CHANGE), None),
        (Method("fista-tv", relative_change=0.2), course("relative_change"), None),
        # stopped early on purpose, unless a criterion was named
        (Method("sirt"), course(), None),
        (Method("sirt", discrepancy=1.0), course(), "before it met discrepancy"),
        (Method("cgls", discrepancy=1.0), course("discrepancy"), None),
    ],
)
def test_who_is_stopped_early_is_told(method, course, told):
    found = stopped_early(method, course)
    if told is None:
        assert found is None
    else:
        assert re.search(told, found)


@pytest.mark.parametrize("name", ["sirt", "os-sart", "cgls", "mlem", "fista-tv", "pdhg-tv"])
def test_every_method_records_its_objectives(name):
    views = np.full((6, 1, 9), 0.1, np.float32)
    courses = []
    reconstruct(
        views, np.arange(6) * np.pi / 6, Method(name, iterations=3), center=4.0, pixel_size_mm=0.1, noise=0.01,
        record=courses.append,
    )  # fmt: skip
    assert len(courses[0].objectives) == 3
    assert np.isfinite(courses[0].objectives).all()
