"""How far a measured result is from the truth of a simulated study."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deltamu.recon.errors import InputError
from deltamu.recon.geometry import AffineTransform, RigidTransform
from deltamu.recon.simulate.truth import Truth

Array = NDArray[np.float32]
Float = NDArray[np.float64]
Mask = NDArray[np.bool_]

CORE_FRACTION = 0.8
EROSION_MM = 0.045
# half width, relative to the thickness, of the part of a profile to which a peak is fitted
_PEAK_WINDOW = 0.25
_PEAK_BINS = 4


@dataclass(frozen=True)
class RegistrationErrors:
    """Distance between a found motion and the true one over separator and cathode, in voxels.

    Attributes
    ----------
    max_error_voxel : float
        Largest displacement.
    axial_error_voxel : float
        Largest displacement along the rotation axis.
    """

    max_error_voxel: float
    axial_error_voxel: float

    def as_dict(self) -> dict[str, float]:
        """Return the keys of summary.json."""
        return {"max_error_voxel": self.max_error_voxel, "axial_error_voxel": self.axial_error_voxel}


def registration_error(truth: Truth, transform: AffineTransform, state: str) -> RegistrationErrors:
    """Compare a motion from the reference scan to the scan of a state with the true one.

    Raises
    ------
    InputError
        If the truth does not know the state.
    """
    if state not in truth.registration:
        raise InputError(f"state: found {state!r}, the truth knows {', '.join(truth.registration)}")
    points = _pellet_rim(truth)
    error = (transform.apply(points) - truth.registration[state].apply(points)) / truth.voxel_size_mm
    return RegistrationErrors(float(np.linalg.norm(error, axis=1).max()), float(np.abs(error[:, 0]).max()))


def _pellet_rim(truth: Truth) -> Float:
    """Points in the reference scan around separator and cathode: a rigid error is largest on the hull."""
    pose = truth.facts["poses"]["pristine"]
    motion = RigidTransform(*(tuple(pose[k]) for k in ("rotation_deg", "translation_mm", "center_mm")))
    layers = truth.facts["layers_mm"]
    inner = ("collector_a", "anode", "separator", "cathode", "collector_c")
    bottom = -sum(layers[name] for name in inner) / 2 + layers["collector_a"] + layers["anode"]
    heights = bottom + np.array([0.0, layers["separator"], layers["separator"] + layers["cathode"]])
    azimuth = np.arange(72) * (2 * np.pi / 72)
    rim = [(z, truth.pellet_mm * np.sin(a), truth.pellet_mm * np.cos(a)) for z in heights for a in azimuth]
    return motion.apply(np.array(rim))


@dataclass(frozen=True)
class ChangeErrors:
    """Errors of a measured Δμ; None where the truth is zero or a figure cannot be formed.

    Attributes
    ----------
    mean_error, true_mean : float
        cm⁻¹, over the eroded core of the cathode.
    mean_error_percent, profile_rmse_percent : float or None
        Of the true mean, and of the true peak.
    peak_depth_error_um : float or None
    charge_error_percent : float or None
        ∫Δμ dV over the pellet and two widths of the resolution beyond, against the exact charge.
    uneroded_mean_error_percent, uneroded_profile_rmse_percent : float or None
        With the voxels next to separator and collector.
    missing_fraction : float
        Share of the pellet's voxels without a measured value.
    """

    mean_error: float
    true_mean: float
    mean_error_percent: float | None
    profile_rmse_percent: float | None
    peak_depth_error_um: float | None
    charge_error_percent: float | None
    uneroded_mean_error_percent: float | None
    uneroded_profile_rmse_percent: float | None
    missing_fraction: float

    def as_dict(self) -> dict[str, Any]:
        """Return the keys of summary.json."""
        return {
            "mean_error": self.mean_error,
            "true_mean": self.true_mean,
            "mean_error_percent": self.mean_error_percent,
            "profile_rmse_percent": self.profile_rmse_percent,
            "peak_depth_error_um": self.peak_depth_error_um,
            "charge_error_percent": self.charge_error_percent,
            "missing_fraction": self.missing_fraction,
            "uneroded": {
                "mean_error_percent": self.uneroded_mean_error_percent,
                "profile_rmse_percent": self.uneroded_profile_rmse_percent,
            },
        }


def change_errors(
    truth: Truth,
    delta_mu: NDArray[np.floating],
    change: str,
    *,
    core_fraction: float = CORE_FRACTION,
    erosion_mm: float = EROSION_MM,
    bin_mm: float | None = None,
) -> ChangeErrors:
    """Compare a measured Δμ with the true one, averaged over the same voxels.

    Parameters
    ----------
    truth : Truth
    delta_mu : (z, y, x) array
        Measured, cm⁻¹, on the voxels `truth.box.slices` of the reference grid; NaN where it is missing.
    change : str
        For example "discharged-pristine".
    core_fraction : float
        Part of the radius over which profiles are averaged.
    erosion_mm : float
        Left out at both faces of the cathode.
    bin_mm : float, optional
        Width of a bin of depth; one voxel by default.

    Raises
    ------
    InputError
        If the shape is not that of the box or the change is unknown.
    """
    if delta_mu.shape != truth.box.shape:
        raise InputError(
            f"delta_mu: found shape {delta_mu.shape}, expected the box of the truth, {truth.box.shape}"
        )
    expected = truth.change(change)
    finite = np.isfinite(delta_mu)
    core = finite & (truth.radius_mm < core_fraction * truth.pellet_mm)
    inside = core & _between(truth, 0.0)
    eroded = core & _between(truth, erosion_mm)
    profiles = _Profiles(truth, delta_mu, expected, core, bin_mm or truth.voxel_size_mm)
    true_mean, mean_error = _mean_error(delta_mu, expected, eroded)
    whole_mean, whole_error = _mean_error(delta_mu, expected, inside)
    return ChangeErrors(
        mean_error=mean_error,
        true_mean=true_mean,
        mean_error_percent=_percent(mean_error, true_mean),
        profile_rmse_percent=profiles.rmse_percent(erosion_mm),
        peak_depth_error_um=profiles.peak_error_um(erosion_mm),
        charge_error_percent=_charge_error(truth, delta_mu, change),
        uneroded_mean_error_percent=_percent(whole_error, whole_mean),
        uneroded_profile_rmse_percent=profiles.rmse_percent(0.0),
        missing_fraction=1.0 - float(np.mean(finite[_pellet(truth)])),
    )


def _between(truth: Truth, margin_mm: float) -> Mask:
    return np.asarray((truth.depth_mm >= margin_mm) & (truth.depth_mm <= truth.cathode_mm - margin_mm))


def _mean_error(measured: NDArray[np.floating], expected: Array, mask: Mask) -> tuple[float, float]:
    """Mean of the truth, and of measured minus true."""
    true_mean = float(np.mean(expected[mask], dtype=np.float64))
    return true_mean, float(np.mean(measured[mask], dtype=np.float64)) - true_mean


def _percent(error: float, reference: float) -> float | None:
    return 100 * error / abs(reference) if abs(reference) > 1e-9 else None


def _pellet(truth: Truth) -> Mask:
    """Cathode, and two widths of the resolution around it."""
    beyond = 2 * truth.facts["resolution_fwhm_um"] / 1000
    result: Mask = _between(truth, -beyond) & (truth.radius_mm <= truth.pellet_mm + beyond)
    return result


def _charge_error(truth: Truth, delta_mu: NDArray[np.floating], change: str) -> float | None:
    values = delta_mu[_pellet(truth)]
    exact = truth.facts["changes"][change]["attenuation_integral_cm2"]
    if not np.all(np.isfinite(values)):
        return None
    integral = float(np.sum(values, dtype=np.float64)) * (truth.voxel_size_mm / 10) ** 3
    return _percent(integral - exact, exact)


class _Profiles:
    """Means over bins of depth, measured and true, of the same voxels."""

    def __init__(
        self, truth: Truth, measured: NDArray[np.floating], expected: Array, core: Mask, bin_mm: float
    ) -> None:
        bins = int(np.ceil(truth.cathode_mm / bin_mm - 1e-9))
        edges = np.minimum(np.arange(bins + 1) * bin_mm, truth.cathode_mm)
        inside = core & _between(truth, 0.0)
        number = np.clip(np.digitize(truth.depth_mm[inside], edges) - 1, 0, bins - 1)
        self._thickness = truth.cathode_mm
        self._low, self._high = edges[:-1], edges[1:]
        count = np.bincount(number, minlength=bins)
        self._filled = count > 0
        count = np.maximum(count, 1)
        self._measured = np.bincount(number, measured[inside].astype(float), bins) / count
        self._expected = np.bincount(number, expected[inside].astype(float), bins) / count
        self._depth = np.bincount(number, truth.depth_mm[inside].astype(float), bins) / count

    def _kept(self, erosion_mm: float) -> Mask:
        eps = 1e-9
        inner = (self._low >= erosion_mm - eps) & (self._high <= self._thickness - erosion_mm + eps)
        return np.asarray(self._filled & inner)

    def rmse_percent(self, erosion_mm: float) -> float | None:
        """Root mean square difference of the profiles, of the true peak."""
        kept = self._kept(erosion_mm)
        if not np.any(kept):
            return None
        error = self._measured[kept] - self._expected[kept]
        return _percent(float(np.sqrt(np.mean(error**2))), float(np.abs(self._expected).max()))

    def peak_error_um(self, erosion_mm: float) -> float | None:
        """Difference between the vertices of parabolas through both profiles around the true peak."""
        kept = self._kept(erosion_mm)
        if np.sum(kept) < _PEAK_BINS or not np.any(self._expected):
            return None
        sign = np.sign(self._expected[np.argmax(np.abs(self._expected))])
        top = self._depth[kept][np.argmax(sign * self._expected[kept])]
        near = kept & (np.abs(self._depth - top) <= _PEAK_WINDOW * self._thickness)
        if np.sum(near) < _PEAK_BINS:
            return None
        found = [
            _vertex(self._depth[near], sign * values[near]) for values in (self._measured, self._expected)
        ]
        if found[0] is None or found[1] is None:
            return None
        return 1000 * (found[0] - found[1])


def _vertex(depth: Float, height: Float) -> float | None:
    """Position of the maximum of a parabola through points; None when it opens upwards."""
    middle = float(depth.mean())
    curvature, slope, _ = np.polyfit(depth - middle, height, 2)
    return middle - slope / (2 * curvature) if curvature < 0 else None
