"""From profiles to results: kymographs, lithium of the zones, the front, events."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from deltamu.recon.errors import InputError
from deltamu.recon.materials.lithium import charge_per_attenuation
from deltamu.recon.operando.alignment import Cycling, clock_doubt
from deltamu.recon.operando.current_distribution import CurrentDistribution, current_distribution
from deltamu.recon.operando.events import Event, Signals, find_events
from deltamu.recon.operando.front import (
    FrontPath,
    FrontVelocity,
    front_by_half_height,
    front_by_maximum_rate,
    front_velocity,
    sharp_front_velocity_um_h,
)
from deltamu.recon.operando.kymograph import Kymograph, average_in_time, group_bounds, make_kymograph
from deltamu.recon.operando.rate import sliding_mean, sliding_rate
from deltamu.recon.operando.stack_geometry import StackGeometry
from deltamu.recon.operando.zone_charge import ZoneCharges, zone_charges
from deltamu.recon.operando.zones import Region
from deltamu.recon.study.operando.frame_pieces import FrameFacts, SeriesRun
from deltamu.recon.study.operando.settings import FrontSettings
from deltamu.recon.study.operando.sources import regions_of, zones_of
from deltamu.recon.volumes.blocks import BlockArray

Float = NDArray[np.float64]
Bounds = Sequence[tuple[int, int]]
_READ_FRAMES = 128
# windows of lithium.window_min over which the local current is a straight line
_CURRENT_WINDOWS = 5


@dataclass(frozen=True)
class FrontResult:
    """A front: where it is by two methods, its velocity, and what a sharp front would do.

    Attributes
    ----------
    depth_mm : (row,) array
        From the face of the neighbour.
    thickness_mm : float
    rate, rate_sigma : (time, row) arrays
        Of ∫Δμ dl, per hour.
    by_rate, by_half : FrontPath
    velocity : FrontVelocity or None
        None where the front does not pass.
    expected_um_h : float or None
        i / (F Δn U).
    """

    depth_mm: Float
    thickness_mm: float
    rate: Float
    rate_sigma: Float
    by_rate: FrontPath
    by_half: FrontPath
    velocity: FrontVelocity | None
    expected_um_h: float | None


@dataclass(frozen=True)
class Analysis:
    """Everything that a series tells.

    Attributes
    ----------
    times_s : (time,) array
        Of the profiles, after averaging in time.
    kymographs : mapping of region to Kymograph
    frame_charges : ZoneCharges
        At every time.
    window_charges : ZoneCharges
        Means over longer windows, with the group "balance".
    currents : mapping of zone to CurrentDistribution
        Empty where the series is too short for a rate.
    front : FrontResult or None
    events : list of Event
    notes : tuple of str
    """

    times_s: Float
    kymographs: Mapping[str, Kymograph]
    frame_charges: ZoneCharges | None
    window_charges: ZoneCharges | None
    currents: Mapping[str, CurrentDistribution]
    front: FrontResult | None
    events: list[Event]
    notes: tuple[str, ...]


def analyse(run: SeriesRun, profiles: BlockArray, facts: FrameFacts, cycling: Cycling | None) -> Analysis:
    """Work out all results."""
    bounds = group_bounds(run.series.shape[0], run.study.average_frames)
    times = _grouped(run.series.times_s, bounds)
    reference = _reference_groups(run, bounds)
    kymographs = {
        region.name: _kymograph(run, profiles, facts, region, bounds, times, reference)
        for region in regions_of(run.study)
    }
    single, windows = _charges(run, profiles, facts, bounds, times)
    notes: list[str] = []
    currents = {} if windows is None else _currents(run, windows, notes)
    front = None if run.study.front is None else _front(run, run.study.front, kymographs, cycling, notes)
    events = _events(run, single, cycling, bounds, times, notes)
    return Analysis(times, kymographs, single, windows, currents, front, events, tuple(notes))


def _grouped(values: Float, bounds: Bounds) -> Float:
    return np.array([values[first:stop].mean(axis=0) for first, stop in bounds])


def _reference_groups(run: SeriesRun, bounds: Bounds) -> tuple[int, int]:
    """The groups that lie within the reference frames."""
    first, stop = run.study.reference_frames
    inside = [number for number, (a, b) in enumerate(bounds) if a >= first and b <= stop]
    if not inside:
        raise InputError(
            f"average_frames: found {run.study.average_frames}, the reference has {stop - first} frames; expected that a "
            "group fits into it"
        )
    return inside[0], inside[-1] + 1


def _kymograph(
    run: SeriesRun, profiles: BlockArray, facts: FrameFacts, region: Region, bounds: Bounds,
    times: Float, reference: tuple[int, int],
) -> Kymograph:  # fmt: skip
    weights = region.weights(run.reference.strips)
    means, spreads = [], []
    for first in range(0, run.series.shape[0], _READ_FRAMES):
        block = profiles[first : first + _READ_FRAMES].astype(np.float64)
        dose = facts.dose[first : first + _READ_FRAMES, None, None]
        linear, variance = run.reference.linear_profiles(block, run.reference.noise.variance(block, dose))
        means.append(np.einsum("s,tsr->tr", weights, linear))
        spreads.append(np.einsum("s,tsr->tr", weights**2, variance))
    count = run.study.average_frames
    sizes = np.array([stop - first for first, stop in bounds])[:, None]
    transmission = average_in_time(np.concatenate(means), count)
    spread = average_in_time(np.concatenate(spreads), count) / sizes
    return make_kymograph(
        transmission, spread, times, reference=reference, pixel_size_mm=run.series.pixel_size_mm
    )


def _charges(
    run: SeriesRun, profiles: BlockArray, facts: FrameFacts, bounds: Bounds, times: Float
) -> tuple[ZoneCharges | None, ZoneCharges | None]:
    """Charges at every time, and means over windows, read in parts so that memory does not grow with the series."""
    if not run.study.zones:
        return None, None
    before, before_variance = _reference_profiles(run, profiles)
    width = max(1, round(60 * run.study.lithium.window_min / run.series.step_s))
    windows = [b for b in group_bounds(run.series.shape[0], width) if b[1] - b[0] > width // 2]
    both = []
    for groups in (bounds, windows):
        parts = []
        for first in range(0, len(groups), _READ_FRAMES):
            some = groups[first : first + _READ_FRAMES]
            parts.append(_charges_of(run, profiles, facts, some, before, before_variance))
        both.append(_joined_charges(parts))
    return both[0], both[1]


def _currents(run: SeriesRun, windows: ZoneCharges, notes: list[str]) -> dict[str, CurrentDistribution]:
    span = _CURRENT_WINDOWS * 60 * run.study.lithium.window_min
    try:
        return {
            zone.name: current_distribution(
                windows, zone.name, run.reference.strips, radius_mm=run.study.layers.radius_mm, window_s=span
            )
            for zone in zones_of(run.study)
        }
    except InputError as error:
        notes.append(f"current across the electrode: {error}")
        return {}


def _reference_profiles(run: SeriesRun, profiles: BlockArray) -> tuple[Float, Float]:
    first, stop = run.study.reference_frames
    before = profiles[first:stop].astype(np.float64).mean(axis=0)
    dose = run.reference.dose * (stop - first)
    return run.reference.linear_profiles(before, run.reference.noise.variance(before, dose))


def _charges_of(
    run: SeriesRun, profiles: BlockArray, facts: FrameFacts, groups: Bounds, before: Float,
    before_variance: Float,
) -> ZoneCharges:  # fmt: skip
    means = np.stack([profiles[a:b].astype(np.float64).mean(axis=0) for a, b in groups])
    noise = run.reference.noise
    sizes = np.array([(b - a) * facts.dose[a:b].mean() for a, b in groups])
    means, variance = run.reference.linear_profiles(means, noise.variance(means, sizes[:, None, None]))
    lithium = run.study.lithium
    zones = zones_of(run.study)
    # noise of sums over rows: the limit of large areas, not that of a single row
    return zone_charges(
        means, variance / noise.row_share, before, before_variance / noise.row_share, _grouped(run.series.times_s, groups),
        geometry=run.reference.geometry, zones=zones,
        charge_per_attenuation=charge_per_attenuation(lithium.wavelength_angstrom, li6_fraction=lithium.li6_fraction),
        groups={"balance": lithium.balance} if lithium.balance else None,
    )  # fmt: skip


def _joined_charges(parts: list[ZoneCharges]) -> ZoneCharges:
    def joined(pick: str) -> dict[str, Float]:
        return {
            name: np.concatenate([getattr(part, pick)[name] for part in parts])
            for name in getattr(parts[0], pick)
        }

    times = np.concatenate([part.times_s for part in parts])
    return ZoneCharges(
        times, joined("mah"), joined("sigma_mah"), joined("strips_mah"), joined("strips_sigma_mah")
    )


def _front(
    run: SeriesRun, settings: FrontSettings, kymographs: Mapping[str, Kymograph], cycling: Cycling | None,
    notes: list[str],
) -> FrontResult:  # fmt: skip
    kymograph = kymographs[settings.region]
    times = kymograph.times_s
    order, depth, thickness = _depths(run.reference.geometry, settings)
    change, sigma = kymograph.change[:, order], kymograph.own_sigma[:, order]
    fit, mean = (kind(times, window_s=60 * settings.window_min) for kind in (sliding_rate, sliding_mean))
    rate, rate_sigma = fit.apply(change), fit.sigma(sigma)
    limits = (0.0, thickness)
    sign = 1 if float(np.nansum(rate[:, (depth > 0) & (depth < thickness)])) > 0 else -1
    by_rate = front_by_maximum_rate(rate, rate_sigma, depth, times, limits_mm=limits, fit=fit, sign=sign)
    by_half = front_by_half_height(
        mean.apply(change), mean.sigma(sigma), depth, times, limits_mm=limits, fit=mean, sign=sign
    )
    velocity, expected = _velocity(by_rate, settings, thickness, notes), _expected(run, settings, cycling)
    return FrontResult(
        depth, thickness, 3600 * rate, 3600 * rate_sigma, by_rate, by_half, velocity, expected
    )  # fmt: skip


def _depths(geometry: StackGeometry, settings: FrontSettings) -> tuple[NDArray[np.int64], Float, float]:
    """Order of the rows by depth from the face of the neighbour, these depths, and the thickness of the layer."""
    first, last = geometry.rows_of(settings.layer)
    rows = np.arange(geometry.model.rows)
    from_above = geometry.index(settings.near) < geometry.index(settings.layer)
    depth = np.asarray((rows - first if from_above else last - rows) * geometry.pixel_size_mm, np.float64)
    order = np.argsort(depth)
    return order, depth[order], (last - first) * geometry.pixel_size_mm


def _velocity(
    path: FrontPath, settings: FrontSettings, thickness: float, notes: list[str]
) -> FrontVelocity | None:
    between = (settings.between[0] * thickness, settings.between[1] * thickness)
    try:
        return front_velocity(path, between_mm=between)
    except InputError as error:
        notes.append(str(error))
        return None


def _expected(run: SeriesRun, settings: FrontSettings, cycling: Cycling | None) -> float | None:
    if settings.lithium_mol_cm3 is None or cycling is None or not np.any(np.isfinite(cycling.current_ma)):
        return None
    current = float(np.nanmedian(cycling.current_ma[np.abs(np.nan_to_num(cycling.current_ma)) > 0]))
    area = np.pi * run.study.layers.radius_mm**2 / 100
    return sharp_front_velocity_um_h(
        current / area, lithium_mol_cm3=settings.lithium_mol_cm3, level=settings.level
    )


def _events(
    run: SeriesRun, charges: ZoneCharges | None, cycling: Cycling | None, bounds: Bounds, times: Float,
    notes: list[str],
) -> list[Event]:  # fmt: skip
    if not run.study.events.search:
        return []
    if cycling is None:
        notes.append(
            "events: without a cycler's record only lithium is searched, and nothing is called a short"
        )
    nothing = np.full(times.size, np.nan)
    voltage = nothing if cycling is None else _grouped(cycling.voltage_v, bounds)
    current = nothing if cycling is None else _grouped(cycling.current_ma, bounds)
    zones = {} if charges is None else {z.name: charges.mah[z.name] for z in zones_of(run.study)}
    if zones and cycling is not None and np.any(np.isfinite(current)):
        doubt = clock_doubt(times, current, next(iter(zones.values())))
        notes += [doubt] if doubt else []
    return find_events(Signals(times, voltage, current, zones), settle_s=60 * run.study.events.settle_min)
