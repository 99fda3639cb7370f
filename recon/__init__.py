"""Tomography of one sample in several states: what changed, where, how much, how sure.

Every public function works on arrays and stands alone; `from deltamu.recon import fbp` loads only what `fbp` needs.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from deltamu.recon.change.charge_budget import BudgetLine, charge_budget
    from deltamu.recon.change.depth import depth_of
    from deltamu.recon.change.difference import Change, difference
    from deltamu.recon.change.edge_response import EdgeResponse, fit_edge
    from deltamu.recon.change.flattening import flatten
    from deltamu.recon.change.laplace_depth import LaplaceDepth, laplace_depth
    from deltamu.recon.change.layers import find_layers
    from deltamu.recon.change.lithium import charge_density, inventory, lithium_concentration
    from deltamu.recon.change.log_blur import face_deficit
    from deltamu.recon.change.masks import layer_mask
    from deltamu.recon.change.profile import DepthProfile, depth_profile
    from deltamu.recon.change.profile_shape import ProfileShape, profile_shape
    from deltamu.recon.change.reaction_front import reaction_front
    from deltamu.recon.change.regions import pellet_regions
    from deltamu.recon.change.registration import Registration, register
    from deltamu.recon.change.resampling import resample, resample_sigma
    from deltamu.recon.change.scales import compare_scales, same_scale
    from deltamu.recon.change.shell_correlation import fourier_shell_correlation
    from deltamu.recon.change.significance import Significance, significant_voxels
    from deltamu.recon.change.transport import compare_transport, reaction_profile
    from deltamu.recon.change.unrolling import Winding, follow_winding, unroll
    from deltamu.recon.errors import Cancelled, DeltamuError, InputError, ResourceError
    from deltamu.recon.geometry import RigidTransform
    from deltamu.recon.operando.alignment import Cycling, align_cycler
    from deltamu.recon.operando.cycler import CyclerRecord, read_cycler
    from deltamu.recon.operando.events import find_events
    from deltamu.recon.operando.front import front_by_half_height, front_by_maximum_rate, front_velocity
    from deltamu.recon.operando.kymograph import Kymograph, make_kymograph
    from deltamu.recon.operando.rate import sliding_rate
    from deltamu.recon.operando.ratio import TransmissionRatio, transmission_ratio
    from deltamu.recon.operando.reference import find_reference
    from deltamu.recon.operando.series import Series, open_series
    from deltamu.recon.operando.series_correction import prepare_series_correction
    from deltamu.recon.operando.strip_profiles import measure_frame
    from deltamu.recon.operando.zone_charge import zone_charges
    from deltamu.recon.preprocess.alignment import ViewShifts, align_views
    from deltamu.recon.preprocess.black_body import BlackBodyFrames
    from deltamu.recon.preprocess.center import CenterResult, find_center
    from deltamu.recon.preprocess.correction import correct_frames
    from deltamu.recon.preprocess.hardening import (
        PolynomialHardening,
        SpectrumHardening,
        fit_hardening,
        linearise,
    )
    from deltamu.recon.preprocess.line_spread import LineSpreadTail, measure_tail, remove_tail
    from deltamu.recon.preprocess.prepare import prepare_correction
    from deltamu.recon.preprocess.scatter import measure_background
    from deltamu.recon.preprocess.stripe_audit import audit_stripes
    from deltamu.recon.preprocess.stripes import remove_stripes
    from deltamu.recon.preprocess.transmission import line_integrals, transmission
    from deltamu.recon.scan_geometry import ScanGeometry, cone_geometry, middle_of, parallel_geometry
    from deltamu.recon.scans.read import read_scan, scan_from_arrays
    from deltamu.recon.scans.scan import Scan
    from deltamu.recon.solvers.direct import fbp_direct
    from deltamu.recon.solvers.fbp import fbp
    from deltamu.recon.solvers.fbp_adjoint import readout_variance, readout_weights
    from deltamu.recon.solvers.fdk import fdk
    from deltamu.recon.solvers.iterative import cgls, fista, mlem, os_sart, pdhg, sirt
    from deltamu.recon.solvers.method import Method
    from deltamu.recon.solvers.methods import reconstruct
    from deltamu.recon.solvers.noise import fbp_variance
    from deltamu.recon.solvers.onto import fbp_onto
    from deltamu.recon.solvers.operators import Operator, dot_product_error, operator, operator_of
    from deltamu.recon.solvers.penalties import Tikhonov, TotalVariation
    from deltamu.recon.solvers.prior_scans import RegisteredViews, joint, piccs
    from deltamu.recon.study.operando.pipeline import run_series
    from deltamu.recon.study.operando.settings import read_series_study
    from deltamu.recon.study.pipeline import run
    from deltamu.recon.study.settings import read_study
    from deltamu.recon.volumes.export import export_volume
    from deltamu.recon.volumes.open import open_image
    from deltamu.recon.volumes.read import read_volume
    from deltamu.recon.volumes.volume import Volume

_PLACES = {
    "change.charge_budget": ("BudgetLine", "charge_budget"),
    "change.depth": ("depth_of",),
    "change.difference": ("Change", "difference"),
    "change.edge_response": ("EdgeResponse", "fit_edge"),
    "change.flattening": ("flatten",),
    "change.laplace_depth": ("LaplaceDepth", "laplace_depth"),
    "change.layers": ("find_layers",),
    "change.lithium": ("charge_density", "inventory", "lithium_concentration"),
    "change.log_blur": ("face_deficit",),
    "change.masks": ("layer_mask",),
    "change.profile": ("DepthProfile", "depth_profile"),
    "change.profile_shape": ("ProfileShape", "profile_shape"),
    "change.reaction_front": ("reaction_front",),
    "change.regions": ("pellet_regions",),
    "change.registration": ("Registration", "register"),
    "change.resampling": ("resample", "resample_sigma"),
    "change.scales": ("compare_scales", "same_scale"),
    "change.shell_correlation": ("fourier_shell_correlation",),
    "change.significance": ("Significance", "significant_voxels"),
    "change.transport": ("compare_transport", "reaction_profile"),
    "change.unrolling": ("Winding", "follow_winding", "unroll"),
    "errors": ("Cancelled", "DeltamuError", "InputError", "ResourceError"),
    "geometry": ("RigidTransform",),
    "operando.alignment": ("Cycling", "align_cycler"),
    "operando.cycler": ("CyclerRecord", "read_cycler"),
    "operando.events": ("find_events",),
    "operando.front": ("front_by_half_height", "front_by_maximum_rate", "front_velocity"),
    "operando.kymograph": ("Kymograph", "make_kymograph"),
    "operando.rate": ("sliding_rate",),
    "operando.ratio": ("TransmissionRatio", "transmission_ratio"),
    "operando.reference": ("find_reference",),
    "operando.series": ("Series", "open_series"),
    "operando.series_correction": ("prepare_series_correction",),
    "operando.strip_profiles": ("measure_frame",),
    "operando.zone_charge": ("zone_charges",),
    "preprocess.alignment": ("ViewShifts", "align_views"),
    "preprocess.black_body": ("BlackBodyFrames",),
    "preprocess.center": ("CenterResult", "find_center"),
    "preprocess.correction": ("correct_frames",),
    "preprocess.hardening": ("PolynomialHardening", "SpectrumHardening", "fit_hardening", "linearise"),
    "preprocess.line_spread": ("LineSpreadTail", "measure_tail", "remove_tail"),
    "preprocess.prepare": ("prepare_correction",),
    "preprocess.scatter": ("measure_background",),
    "preprocess.stripe_audit": ("audit_stripes",),
    "preprocess.stripes": ("remove_stripes",),
    "preprocess.transmission": ("line_integrals", "transmission"),
    "scan_geometry": ("ScanGeometry", "cone_geometry", "middle_of", "parallel_geometry"),
    "scans.read": ("read_scan", "scan_from_arrays"),
    "scans.scan": ("Scan",),
    "solvers.direct": ("fbp_direct",),
    "solvers.fbp": ("fbp",),
    "solvers.fbp_adjoint": ("readout_variance", "readout_weights"),
    "solvers.fdk": ("fdk",),
    "solvers.iterative": ("cgls", "fista", "mlem", "os_sart", "pdhg", "sirt"),
    "solvers.method": ("Method",),
    "solvers.methods": ("reconstruct",),
    "solvers.onto": ("fbp_onto",),
    "solvers.operators": ("Operator", "dot_product_error", "operator", "operator_of"),
    "solvers.penalties": ("Tikhonov", "TotalVariation"),
    "solvers.noise": ("fbp_variance",),
    "solvers.prior_scans": ("RegisteredViews", "joint", "piccs"),
    "study.operando.pipeline": ("run_series",),
    "study.operando.settings": ("read_series_study",),
    "study.pipeline": ("run",),
    "study.settings": ("read_study",),
    "volumes.export": ("export_volume",),
    "volumes.open": ("open_image",),
    "volumes.read": ("read_volume",),
    "volumes.volume": ("Volume",),
}
_MODULES = {name: module for module, names in _PLACES.items() for name in names}

__all__ = [
    "BlackBodyFrames",
    "BudgetLine",
    "Cancelled",
    "CenterResult",
    "Change",
    "CyclerRecord",
    "Cycling",
    "DeltamuError",
    "DepthProfile",
    "EdgeResponse",
    "InputError",
    "Kymograph",
    "LaplaceDepth",
    "LineSpreadTail",
    "Method",
    "Operator",
    "PolynomialHardening",
    "ProfileShape",
    "RegisteredViews",
    "Registration",
    "ResourceError",
    "RigidTransform",
    "Scan",
    "ScanGeometry",
    "Series",
    "Significance",
    "SpectrumHardening",
    "Tikhonov",
    "TotalVariation",
    "TransmissionRatio",
    "ViewShifts",
    "Volume",
    "Winding",
    "align_cycler",
    "align_views",
    "audit_stripes",
    "cgls",
    "charge_budget",
    "charge_density",
    "compare_scales",
    "compare_transport",
    "cone_geometry",
    "correct_frames",
    "depth_of",
    "depth_profile",
    "difference",
    "dot_product_error",
    "export_volume",
    "face_deficit",
    "fbp",
    "fbp_direct",
    "fbp_onto",
    "fbp_variance",
    "fdk",
    "find_center",
    "find_events",
    "find_layers",
    "find_reference",
    "fista",
    "fit_edge",
    "fit_hardening",
    "flatten",
    "follow_winding",
    "fourier_shell_correlation",
    "front_by_half_height",
    "front_by_maximum_rate",
    "front_velocity",
    "inventory",
    "joint",
    "laplace_depth",
    "layer_mask",
    "line_integrals",
    "linearise",
    "lithium_concentration",
    "make_kymograph",
    "measure_background",
    "measure_frame",
    "measure_tail",
    "middle_of",
    "mlem",
    "open_image",
    "open_series",
    "operator",
    "operator_of",
    "os_sart",
    "parallel_geometry",
    "pdhg",
    "pellet_regions",
    "piccs",
    "prepare_correction",
    "prepare_series_correction",
    "profile_shape",
    "reaction_front",
    "reaction_profile",
    "read_cycler",
    "read_scan",
    "read_series_study",
    "read_study",
    "read_volume",
    "readout_variance",
    "readout_weights",
    "reconstruct",
    "register",
    "remove_stripes",
    "remove_tail",
    "resample",
    "resample_sigma",
    "run",
    "run_series",
    "same_scale",
    "scan_from_arrays",
    "significant_voxels",
    "sirt",
    "sliding_rate",
    "transmission",
    "transmission_ratio",
    "unroll",
    "zone_charges",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    """Load a public name when it is first asked for, so that the command line starts at once."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
