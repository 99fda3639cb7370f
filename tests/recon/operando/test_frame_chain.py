"""The frame chain on frames whose transmission is known."""

import numpy as np
import pytest

from deltamu.recon.operando.frame_chain import stream
from deltamu.recon.operando.series import Series
from deltamu.recon.operando.series_correction import prepare_series_correction
from deltamu.recon.scans.frames import ArrayFrames
from deltamu.recon.scans.view import DetectorView

SHAPE, COUNT = (40, 96), 14
BEAM, DARK, COUNTS = 20_000.0, 100.0, 4000


def true_transmission() -> np.ndarray:
    """A cell between columns 30 and 66, its rows of two materials, beside air."""
    frame = np.ones(SHAPE, np.float32)
    frame[:20, 30:66], frame[20:, 30:66] = 0.4, 0.1
    return frame


def series(*, scatter: float = 0.0, flats: bool = True, noise: bool = True) -> tuple[Series, np.ndarray]:
    """A series with a beam that dips, and its doses."""
    rng = np.random.default_rng(1)
    doses = 1 + 0.02 * rng.standard_normal(COUNT)
    doses[6] = 0.93

    def counted(level: np.ndarray) -> np.ndarray:
        drawn = rng.poisson(level * COUNTS) / COUNTS if noise else level
        return drawn * BEAM + DARK

    frames = np.stack([counted(dose * (true_transmission() + scatter)) for dose in doses])
    open_beam = np.stack([counted(np.full(SHAPE, 1 + scatter)) for _ in range(20)])
    view = DetectorView(SHAPE, False, False, False, (0, SHAPE[0]), (0, SHAPE[1]), 1)
    made = Series(
        "s", ArrayFrames("frames", frames), np.arange(COUNT), 60.0 * np.arange(COUNT), None, view,
        ArrayFrames("flats", open_beam) if flats else None, ArrayFrames("darks", np.full((5, *SHAPE), DARK)), None, 0.02,
    )  # fmt: skip
    return made, doses


def corrected(made: Series, block: int | None = None, **options) -> list:
    correction = prepare_series_correction(made, **options)
    return [frame for some in stream(made, correction, lambda frame: frame, block=block) for frame in some]


def test_transmission_and_dose_come_back():
    made, doses = series()
    frames = corrected(made)
    assert [frame.number for frame in frames] == list(range(COUNT))
    found = np.array([frame.dose for frame in frames])
    # 40 rows of about 40 columns of air at 4000 counts: 4e-4 per frame, as much for the flats
    np.testing.assert_allclose(found, doses, rtol=3e-3)
    mean = np.mean([frame.transmission for frame in frames], axis=0)
    for part in (slice(2, 18), slice(22, 38)):
        assert mean[part, 34:62].mean() == pytest.approx(true_transmission()[part, 34:62].mean(), rel=3e-3)


def test_the_result_does_not_depend_on_blocks():
    made, _ = series()
    whole, parts = corrected(made, block=64), corrected(made, block=4)
    for one, other in zip(whole, parts, strict=True):
        np.testing.assert_array_equal(one.transmission, other.transmission)


@pytest.mark.parametrize("flats", [True, False])
def test_a_known_background_is_taken_off(flats):
    made, _ = series(scatter=0.05, flats=flats)
    frames = corrected(made, scatter_fraction=0.05)
    mean = np.mean([frame.transmission for frame in frames], axis=0)
    # left in, 5 % of background would make 0.143 of the 0.1
    assert mean[22:38, 34:62].mean() == pytest.approx(0.1, rel=0.02)
    assert mean[2:18, 34:62].mean() == pytest.approx(0.4, rel=0.01)


def test_hits_are_replaced_in_every_frame_also_the_first_and_the_last():
    made, _ = series()
    frames = made.source.array.copy()
    for number in (0, 5, 6, COUNT - 1):
        frames[number, 30, 50] += 30_000
    hit = Series(
        "s", ArrayFrames("frames", frames), made.order, made.times_s, None, made.view, made.flat_source,
        made.dark_source, None, 0.02,
    )  # fmt: skip
    for frame in corrected(hit):
        assert frame.transmission[30, 50] < 0.1 + 8 * np.sqrt(0.1 / COUNTS)
