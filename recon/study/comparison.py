"""The states on one grid: stack, resampling, layers, changes."""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deltamu.recon.change.interpolation_residue import interpolation_residue
from deltamu.recon.change.layer_stack import LayerStack, Surface
from deltamu.recon.change.layers import find_layers
from deltamu.recon.change.resampling import resample, resample_sigma
from deltamu.recon.change.stack import find_stack
from deltamu.recon.errors import InputError
from deltamu.recon.geometry import AffineTransform, read_transform
from deltamu.recon.solvers.noise import voxel_autocorrelation
from deltamu.recon.study.checkpoint import PieceKey
from deltamu.recon.study.from_scans import ScannedState
from deltamu.recon.study.journal import settings_hash
from deltamu.recon.study.layer_images import write_layers
from deltamu.recon.study.prior_states import prior_of, reconstruct_with_prior
from deltamu.recon.study.run_context import RunContext, Slabs
from deltamu.recon.study.settings import split_change
from deltamu.recon.study.settings_cell import LayerSettings
from deltamu.recon.volumes.image import finish_image
from deltamu.recon.volumes.open import open_image
from deltamu.recon.volumes.volume import Volume

Array = NDArray[np.float32]
# a spline: trilinear interpolation blurs the moving state alone, which leaves false changes at every interface
INTERPOLATION_ORDER = 3


@dataclass(frozen=True)
class Registered:
    """The states on the reference grid.

    Attributes
    ----------
    transforms : mapping of state to AffineTransform
        Reference to moving coordinates; the reference itself is not in it.
    facts : mapping of state to what the registration left in the journal
    hashes : mapping of state to the hash of its registered image
    """

    transforms: Mapping[str, AffineTransform]
    facts: Mapping[str, Mapping[str, Any]]
    hashes: Mapping[str, str]


def layer_settings(context: RunContext) -> LayerSettings:
    """Return the stack of the study; the settings have made sure that there is one."""
    layers = context.study.layers
    if layers is None:
        raise InputError("study.toml: layers: missing; changes need the stack of the cell")
    return layers


def compared_states(context: RunContext) -> list[str]:
    """States that a change needs, in the order of the study, without the reference."""
    needed = {state for change in context.study.changes for state in split_change(change)}
    return [name for name in context.study.states if name in needed and name != context.study.reference]


def state_image(context: RunContext, state: str, name: str = "attenuation") -> Volume:
    """Open a state on the reference grid."""
    group = "states" if state == context.study.reference else "registered"
    return open_image(context.store / group / state / name)


def approximate_stack(context: RunContext, settings: str) -> LayerStack:
    """Place the nominal stack in the reference."""
    layers = layer_settings(context)

    def place() -> tuple[Slabs, Mapping[str, Any]]:
        volume = open_image(context.store / "states" / context.study.reference / "attenuation")
        stack = find_stack(
            volume,
            voxel_size_mm=volume.voxel_size_mm,
            order=layers.order,
            thickness_mm=layers.thickness_mm,
            radius_mm=layers.radius_mm,
            separator=layers.separator,
        )
        return [], {"stack": stack_facts(stack)}

    payload = context.piece(PieceKey("stack"), settings_hash(settings, layers), place)
    return stack_from_facts(payload["stack"])


def resample_states(
    context: RunContext,
    facts: Mapping[str, Mapping[str, Any]],
    scanned: Mapping[str, ScannedState],
    hashes: Mapping[str, str],
) -> Registered:
    """Write every compared state on the reference grid, with the noise and the edges that interpolation leaves.

    A state with a prior is reconstructed there instead, from its views.
    """
    transforms = {state: transform_from_facts(fact) for state, fact in facts.items()}
    done = {context.study.reference: hashes[context.study.reference]}
    for state, transform in transforms.items():
        prior = prior_of(context, state)
        if prior is not None:
            done[state] = settings_hash(
                hashes[state], hashes[context.study.reference], facts[state]["transform"], prior,
                context.plan.compute_rows, context.plan.state(context.study.reference),
            )  # fmt: skip
            with context.stage("prior"):
                reconstruct_with_prior(context, scanned[state], transform.rigid(), done[state])
            continue
        done[state] = settings_hash(
            hashes[state],
            facts[state]["transform"],
            "cubic, residue",
            context.plan.state(context.study.reference),
        )
        _resample_state(context, state, transform, _autocorrelation(context, scanned.get(state)), done[state])
    return Registered(transforms, facts, done)


def locate_layers(context: RunContext, stack: LayerStack, registered: Registered) -> LayerStack:
    """Fit the surfaces of the layers to all states together; write labels, depth and height maps."""
    layers = layer_settings(context)
    states = [context.study.reference, *compared_states(context)]
    settings = settings_hash(registered.hashes, layers, context.study.profile.blur_fwhm_um)

    def fit() -> tuple[Slabs, Mapping[str, Any]]:
        found = find_layers(
            {state: state_image(context, state) for state in states},
            voxel_size_mm=stack.voxel_size_mm,
            order=layers.order,
            thickness_mm=layers.thickness_mm,
            radius_mm=layers.radius_mm,
            stack=stack,
            active=layers.cathode,
            separator=layers.separator,
        )
        return [], {"stack": stack_facts(found)}

    found = stack_from_facts(context.piece(PieceKey("layers"), settings, fit)["stack"])
    context.progress("layers", "", 1, 1)
    for warning in found.warnings:
        context.warn(f"layers: {warning}")
    write_layers(context, found, layers, settings)
    return found


def transform_from_facts(facts: Mapping[str, Any]) -> AffineTransform:
    """Read a registration back from the journal."""
    return read_transform(facts["transform"])


def _autocorrelation(context: RunContext, state: ScannedState | None) -> NDArray[np.floating[Any]]:
    """Correlation of the noise between voxels; white for a volume made elsewhere, where it is not known."""
    if state is None:
        white = np.zeros((3, 3, 3))
        white[1, 1, 1] = 1.0
        return white
    options = context.study.reconstruction
    return voxel_autocorrelation(
        filter=options.filter, cutoff=options.cutoff, autocorrelation=state.correction.noise.autocorrelation
    )


def _resample_state(
    context: RunContext,
    state: str,
    transform: AffineTransform,
    correlation: NDArray[np.floating[Any]],
    settings: str,
) -> None:
    grid = context.plan.state(context.study.reference)
    images = [
        context.image(context.study.reference, f"registered/{state}", n, unit="cm^-1")
        for n in ("attenuation", "sigma")
    ]
    sources = [open_image(context.store / "states" / state / n) for n in ("attenuation", "sigma")]
    place: dict[str, Any] = {"voxel_size_mm": grid.voxel_size_mm, "reference_shape": grid.volume}
    common = {**place, "order": INTERPOLATION_ORDER}
    for slab in range(images[0].slabs):

        def compute(slab: int = slab) -> tuple[Slabs, Mapping[str, Any]]:
            rows = (slab * images[0].slab, min((slab + 1) * images[0].slab, grid.volume[0]))
            with ThreadPoolExecutor(1) as beside:
                noise = beside.submit(
                    resample_sigma,
                    sources[1],
                    transform,
                    z_range=rows,
                    voxel_autocorrelation=correlation,
                    **common,
                )
                attenuation = resample(sources[0], transform, z_range=rows, **common)
                residue = interpolation_residue(sources[0], transform, attenuation, z_range=rows, **place)
                sigma = noise.result()
            np.hypot(sigma, residue, out=sigma)
            return [(images[0], attenuation), (images[1], sigma)], {}

        context.piece(PieceKey("resample", state, slab), settings, compute)
        context.progress("resample", state, slab + 1, images[0].slabs)
    for image in images:
        finish_image(image)


def stack_facts(stack: LayerStack) -> dict[str, Any]:
    """Write a stack as JSON; NaN in a covariance (a surface that was placed) becomes null."""
    return {
        "order": list(stack.order),
        "surfaces": [
            {
                "coefficients": list(map(float, surface.coefficients)),
                "covariance": _matrix_facts(surface.covariance),
                "fitted": bool(surface.fitted),
            }
            for surface in stack.surfaces
        ],
        "axis_mm": list(map(float, stack.axis_mm)),
        "radius_mm": float(stack.radius_mm),
        "voxel_size_mm": float(stack.voxel_size_mm),
        "separator": stack.separator,
        "blur_fwhm_mm": None if stack.blur_fwhm_mm is None else float(stack.blur_fwhm_mm),
        "pair_covariances": {name: _matrix_facts(matrix) for name, matrix in stack.pair_covariances.items()},
        "warnings": list(stack.warnings),
    }


def stack_from_facts(facts: Mapping[str, Any]) -> LayerStack:
    """Read a stack back from the journal."""
    axis = (float(facts["axis_mm"][0]), float(facts["axis_mm"][1]))
    surfaces = tuple(
        Surface(tuple(s["coefficients"]), axis, _matrix_from_facts(s["covariance"]), s["fitted"])
        for s in facts["surfaces"]
    )
    return LayerStack(
        order=tuple(facts["order"]),
        surfaces=surfaces,
        axis_mm=axis,
        radius_mm=facts["radius_mm"],
        voxel_size_mm=facts["voxel_size_mm"],
        separator=facts["separator"],
        blur_fwhm_mm=facts["blur_fwhm_mm"],
        pair_covariances={
            name: _matrix_from_facts(matrix) for name, matrix in facts["pair_covariances"].items()
        },
        warnings=tuple(facts["warnings"]),
    )


def _matrix_facts(matrix: NDArray[np.floating[Any]]) -> list[list[float | None]]:
    return [[float(v) if np.isfinite(v) else None for v in row] for row in np.asarray(matrix)]


def _matrix_from_facts(rows: list[list[float | None]]) -> NDArray[np.float64]:
    return np.array([[np.nan if v is None else v for v in row] for row in rows], float)
