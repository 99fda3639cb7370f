"""How lithium-metal cells fail: where the lithium is at every time, and what the voltage does meanwhile."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.float64]
HOUR_S = 3600.0
MINUTE_S = 60.0


def autoregressive(times_s: Float, *, tau_s: float, rng: np.random.Generator) -> Float:
    """Fluctuation of unit variance that forgets itself in the time tau."""
    value, out = rng.standard_normal(), np.empty(times_s.size)
    steps = np.diff(times_s, prepend=times_s[0])
    for index, memory in enumerate(np.exp(-steps / tau_s)):
        value = memory * value + np.sqrt(1 - memory**2) * rng.standard_normal()
        out[index] = value
    return out


@dataclass(frozen=True)
class SoftShort:
    """A cell whose voltage stops to rise while lithium goes on to creep up the piston.

    Until the short lithium follows the charge: 70 % in front of the anode, the rest, and what leaves the contact
    with the collector, in the rim. Afterwards a tenth of the current still moves lithium; cathode and plating
    fluctuate with the voltage. Without a short (`short_s` = infinity) the cell is healthy.
    """

    current_ma: float
    seed: int = 1
    short_s: float = 4.5 * HOUR_S
    duration_s: float = 8.0 * HOUR_S
    plated_share: float = 0.7
    efficiency: float = 0.1
    fluctuation: float = 0.05
    void_mah_per_h: float = 0.14
    memory_s: float = 10 * MINUTE_S

    def net_charge_mah(self, times_s: Float) -> Float:
        """Charge that moved lithium, without fluctuation."""
        hours = np.clip(times_s, 0, None) / HOUR_S
        short = self.short_s / HOUR_S
        after = np.maximum(hours - short, 0) if np.isfinite(short) else np.zeros_like(hours)
        return np.asarray(self.current_ma * (hours - (1 - self.efficiency) * after))

    def _unrest(self, times_s: Float) -> Float:
        """Fluctuation after the short, ± 1, the same for every question about a time."""
        grid = np.arange(0, self.duration_s + 2 * MINUTE_S, MINUTE_S)
        walk = autoregressive(grid, tau_s=self.memory_s, rng=np.random.default_rng([self.seed, 4100]))
        return np.where(times_s >= self.short_s, np.interp(times_s, grid, walk), 0.0)

    def zone_charges(self, times_s: Float) -> Mapping[str, Float]:
        """MAh that each zone has gained."""
        hours = np.clip(times_s, 0, None) / HOUR_S
        net = self.net_charge_mah(times_s) * (1 + self.fluctuation * self._unrest(times_s))
        void = self.void_mah_per_h * hours
        rim = (1 - self.plated_share) * self.current_ma * hours + void
        return {"cathode": -net, "plated": net - rim + void, "void": -void, "rim": rim}

    def voltage(self, times_s: Float) -> Float:
        """Volt: an NMC charge curve against lithium until it breaks off into an unsteady plateau."""
        rng = np.random.default_rng([self.seed, 4101])
        hours = np.clip(times_s, 0, None) / HOUR_S
        rising = 3.30 + 0.088 * hours - 0.9 * np.exp(-hours / 0.05)
        noise = 0.001 * rng.standard_normal(hours.size)
        if not np.isfinite(self.short_s):
            return np.asarray(rising + noise)
        plateau = 3.30 + 0.088 * self.short_s / HOUR_S
        unsteady = plateau + 0.02 * self._unrest(times_s)
        return np.asarray(np.where(times_s < self.short_s, rising, unsteady) + noise)

    def current(self, times_s: Float) -> Float:
        """Milliampere."""
        return np.where(times_s >= 0, self.current_ma, 0.0)

    @property
    def events(self) -> dict[str, float]:
        """Times in seconds."""
        return {"soft_short": self.short_s} if np.isfinite(self.short_s) else {}


@dataclass(frozen=True)
class InterlayerStages:
    """A cell with a graphite interlayer: plating in front of it, then also inside and behind, then a hard short."""

    current_ma: float
    seed: int = 1
    second_s: float = 90 * MINUTE_S
    short_s: float = 180 * MINUTE_S
    duration_s: float = 240 * MINUTE_S
    relaxation_s: float = 10 * MINUTE_S
    remaining: float = 0.25
    shares: tuple[float, float, float] = (0.5, 0.15, 0.35)

    def zone_charges(self, times_s: Float) -> Mapping[str, Float]:
        """MAh that each zone has gained."""
        until = np.clip(times_s, 0, self.short_s) / HOUR_S
        first = self.current_ma * np.minimum(until, self.second_s / HOUR_S)
        second = self.current_ma * np.maximum(until - self.second_s / HOUR_S, 0)
        plated, graphite, anode = self.shares
        kept = self._kept(times_s)
        return {
            "cathode": -(first + second) * kept,
            "plated": (first + plated * second) * kept,
            "graphite": graphite * second * kept,
            "anode": anode * second * kept,
        }

    def _kept(self, times_s: Float) -> Float:
        """Share of the change that is left after the short has begun to equalise it."""
        since = np.maximum(times_s - self.short_s, 0)
        return np.asarray(self.remaining + (1 - self.remaining) * np.exp(-since / self.relaxation_s))

    def voltage(self, times_s: Float) -> Float:
        """Volt: rises, rises faster once lithium must cross the interlayer, drops at the short."""
        rng = np.random.default_rng([self.seed, 4200])
        hours = np.clip(times_s, 0, None) / HOUR_S
        second = np.maximum(hours - self.second_s / HOUR_S, 0)
        rising = 3.35 + 0.16 * hours + 0.14 * second - 0.9 * np.exp(-hours / 0.03)
        since = np.maximum(times_s - self.short_s, 0)
        at_short = 3.35 + 0.16 * self.short_s / HOUR_S + 0.14 * (self.short_s - self.second_s) / HOUR_S
        dropped = 0.25 + (at_short - 0.25) * np.exp(-since / MINUTE_S)
        clean = np.where(times_s < self.short_s, rising, dropped)
        return np.asarray(clean + 0.001 * rng.standard_normal(hours.size))

    def current(self, times_s: Float) -> Float:
        """Milliampere; the cycler goes on to charge through the short."""
        return np.where(times_s >= 0, self.current_ma, 0.0)

    @property
    def events(self) -> dict[str, float]:
        """Times in seconds."""
        return {"stage_2": self.second_s, "hard_short": self.short_s}


@dataclass(frozen=True)
class FrontDischarge:
    """Discharge of the Li-S cell against indium-lithium: two sloping plateaus and a steep end."""

    current_ma: float
    duration_s: float
    seed: int = 1

    def voltage(self, times_s: Float) -> Float:
        """Volt against In/InLi."""
        rng = np.random.default_rng([self.seed, 4300])
        x = np.clip(times_s / self.duration_s, 0, 1)
        plateau = 1.42 - 0.10 * x + 0.25 * np.exp(-x / 0.01)
        end = 0.35 * np.exp(-np.clip(1 - x, 0, None) / 0.02)
        return np.asarray(plateau - end + 0.001 * rng.standard_normal(x.size))

    def current(self, times_s: Float) -> Float:
        """Milliampere; negative on discharge, as cyclers write it."""
        return np.where(times_s >= 0, -self.current_ma, 0.0)

    @property
    def events(self) -> dict[str, float]:
        """Nothing breaks."""
        return {}
