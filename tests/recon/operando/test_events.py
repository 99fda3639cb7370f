"""Shorts and stages in signals of the simulated cells, with noise like that of the images."""

import numpy as np
import pytest

from deltamu.recon.operando.events import Event, Signals, find_events
from deltamu.recon.simulate.operando.charging import FrontDischarge, InterlayerStages, SoftShort

MINUTE = 60.0
# of one frame: what 60 s of the simulated beam give
_NOISE = {"cathode": 0.011, "plated": 0.018, "void": 0.03, "rim": 0.008, "graphite": 0.006, "anode": 0.04}


def events_of(process, seed: int, minutes: int, *, hide: str = "") -> list[Event]:
    times = MINUTE * (np.arange(minutes + 10) - 9.5)
    rng = np.random.default_rng(seed)
    rest = process.voltage(np.zeros(1))[0]
    voltage = np.where(times < 0, rest, process.voltage(times))
    zones = {
        name: values + _NOISE[name] * rng.standard_normal(times.size)
        for name, values in process.zone_charges(times).items()
    }
    if hide == "voltage":
        voltage = np.full(times.size, np.nan)
    if hide == "zones":
        zones = {name: _NOISE[name] * rng.standard_normal(times.size) for name in zones}
    return find_events(Signals(times, voltage, process.current(times), zones), settle_s=25 * MINUTE)


@pytest.mark.parametrize("seed", range(6))
def test_a_soft_short(seed):
    (event,) = events_of(SoftShort(0.196, seed=seed), seed, 480)
    assert event.kind == "soft short"
    assert event.time_s / MINUTE == pytest.approx(270, abs=6)
    assert {"voltage", "rim", "cathode"} <= set(event.signals)


@pytest.mark.parametrize("seed", range(6))
def test_a_stage_and_a_hard_short(seed):
    stage, short = events_of(InterlayerStages(0.63, seed=seed), seed, 240)
    assert (stage.kind, short.kind) == ("stage", "hard short")
    assert stage.time_s / MINUTE == pytest.approx(90, abs=6)
    assert short.time_s / MINUTE == pytest.approx(180, abs=3)
    assert "cathode" in short.signals


@pytest.mark.parametrize("seed", range(20))
def test_nothing_happens_to_a_healthy_cell(seed):
    assert events_of(SoftShort(0.196, seed=seed, short_s=np.inf), seed, 480) == []


def test_the_end_of_a_discharge_is_no_short():
    process = FrontDischarge(0.46, 36_000.0)
    times = MINUTE * (np.arange(600) - 9.5)
    charge = 0.46 * np.clip(times, 0, None) / 3600 + 0.01 * np.random.default_rng(0).standard_normal(600)
    signals = Signals(
        times, process.voltage(np.clip(times, 0, None)), process.current(times), {"cathode": charge}
    )
    assert not [event for event in find_events(signals, settle_s=25 * MINUTE) if "short" in event.kind]


def test_a_single_signal_is_called_by_its_name():
    """What only the voltage, or only the lithium, shows is no short and no stage."""
    alone = events_of(InterlayerStages(0.63, seed=1), 1, 240, hide="zones")
    assert alone
    assert {event.kind for event in alone} == {"voltage change"}
    alone = events_of(InterlayerStages(0.63, seed=1), 1, 240, hide="voltage")
    assert alone
    assert {event.kind for event in alone} == {"lithium change"}
