"""The volume of a state from its line integrals, with the noise of every voxel."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deltamu.kernels.backend import release_freed_memory
from deltamu.recon.preprocess.weights import open_beam_noise, ray_weights
from deltamu.recon.solvers.engines import OWN
from deltamu.recon.solvers.iterate import Course
from deltamu.recon.solvers.methods import reconstruct, stopped_early
from deltamu.recon.solvers.noise import fbp_variance, ring_variance
from deltamu.recon.study.back_projecting import SeenRows, back_project, cancelling, seen_range
from deltamu.recon.study.checkpoint import PieceKey
from deltamu.recon.study.from_scans import ScannedState, fbp_options, has_stripes, read_rows, shared_variance
from deltamu.recon.study.journal import settings_hash
from deltamu.recon.study.progress import stop_if_asked
from deltamu.recon.study.run_context import RunContext, Slabs
from deltamu.recon.volumes.image import finish_image

Array = NDArray[np.float32]


def reconstruct_state(context: RunContext, state: ScannedState) -> str:
    """Write the attenuation of a state and its sigma; return the hash of what they depend on."""
    settings = settings_hash(
        state.settings,
        state.center,
        state.alignment,
        context.study.reconstruction,
        _settings_of_rows(context),
    )
    _warn_of_unknown_noise(context, state.name)
    group = f"states/{state.name}"
    images = [context.image(state.name, group, name, unit="cm^-1") for name in ("attenuation", "sigma")]
    total = images[0].slabs
    with context.stage("reconstruct"):
        for slab in range(total):

            def compute(slab: int = slab) -> tuple[Slabs, Mapping[str, Any]]:
                release_freed_memory()
                first = slab * images[0].slab
                stop = min(first + images[0].slab, images[0].shape[0])
                courses: list[Course] = []
                arrays = _reconstruct_in_blocks(context, state, first, stop, courses)
                return list(zip(images, arrays, strict=True)), _course_facts(context, courses)

            facts = context.piece(PieceKey("reconstruct", state.name, slab), settings, compute)
            if "early" in facts:
                context.warn(f"{state.name}: {facts['early']}")
            context.progress("reconstruct", state.name, slab + 1, total)
    for image in images:
        finish_image(image)
    return settings


def _warn_of_unknown_noise(context: RunContext, name: str) -> None:
    method = context.study.reconstruction.as_method()
    if not method.noise_is_known:
        context.warn(
            f"{name}: the noise of voxels reconstructed by {method.title} is not known, so sigma and z scores are not "
            "available; errors of means and profiles are those of filtered back-projection of the same views and "
            f"leave out the bias of {method.title}"
        )
        if context.plan.device == "gpu" and method.engine != "astra":
            context.warn(f"{name}: {method.title} computes on the CPU")
    if method.engine != OWN and method.is_iterative:
        context.warn(f"{name}: {method.engine} gives starved rays the weight of all others")
    if method.name in ("mlem", "osem"):
        context.warn(
            f"{name}: {method.title} takes line integrals below zero for zero, which biases air upwards"
        )


def _course_facts(context: RunContext, courses: list[Course]) -> dict[str, str]:
    """What the journal keeps of solvers that were stopped early; a run that goes on warns of it again."""
    method = context.study.reconstruction.as_method()
    told = [text for course in courses if (text := stopped_early(method, course))]
    return {"early": told[0]} if told else {}


def _reconstruct_in_blocks(
    context: RunContext, state: ScannedState, first: int, stop: int, courses: list[Course]
) -> tuple[Array, Array]:
    """Reconstruct the rows of a slab, as many at a time as the plan allows."""
    step = context.plan.compute_rows
    if stop - first <= step:
        return _reconstruct_rows(context, state, first, stop, courses)
    side = state.scan.shape[2]
    attenuation = np.empty((stop - first, side, side), np.float32)
    sigma = np.empty_like(attenuation)
    for begin in range(first, stop, step):
        part = slice(begin - first, min(begin + step, stop) - first)
        end = min(begin + step, stop)
        attenuation[part], sigma[part] = _reconstruct_rows(context, state, begin, end, courses)
    return attenuation, sigma


def _reconstruct_rows(
    context: RunContext, state: ScannedState, first: int, stop: int, courses: list[Course]
) -> tuple[Array, Array]:
    """Attenuation of some rows and its sigma; NaN for a method whose noise is not known voxel by voxel."""
    method = context.study.reconstruction.as_method()
    if method.noise_is_known:
        low, high = seen_range(state, first, stop)
    else:
        low, high = max(first - method.halo, 0), min(stop + method.halo, state.scan.shape[1])
    # judged before rows take memory
    has_stripes(context, state)
    stop_if_asked(context.cancel)
    rows, counted = read_rows(context, state, low, high)
    own = slice(first - low, stop - low)
    stop_if_asked(context.cancel)
    if not method.noise_is_known:
        attenuation = _fitted(context, state, rows, counted, courses)[own]
        return attenuation, np.full(attenuation.shape, np.nan, np.float32)
    attenuation = back_project(context, state, SeenRows(rows, low, first, stop))
    # before the noise takes as much memory
    del rows
    stop_if_asked(context.cancel)
    return attenuation, _sigma(context, state, counted[:, own], first)


def _fitted(
    context: RunContext, state: ScannedState, rows: Array, counted: Array, courses: list[Course]
) -> Array:
    """Reconstruct by a method that weighs rays, or by another program."""
    return reconstruct(
        rows, state.scan.angles, context.study.reconstruction.as_method(), center=state.center,
        pixel_size_mm=state.pixel_size_mm, weights=ray_weights(counted, state.correction),
        noise=open_beam_noise(state.correction), device=context.plan.device, progress=cancelling(context),
        record=courses.append,
    )  # fmt: skip


def _sigma(context: RunContext, state: ScannedState, counted: Array, first: int) -> Array:
    """Noise of filtered back-projection: of the counts, of the open beam and of drifting gains."""
    options = fbp_options(context, state)
    autocorrelation = state.correction.noise.autocorrelation
    variance = fbp_variance(counted, state.scan.angles, autocorrelation=autocorrelation, **options)
    shared = shared_variance(context, state, slice(first, first + counted.shape[1]))
    variance += ring_variance(shared, autocorrelation=autocorrelation, **options)
    return np.sqrt(variance, out=variance)


def _settings_of_rows(context: RunContext) -> list[Any]:
    """What happens to the line integrals of a state when they are read."""
    options = context.study.preprocess
    if options.hardening.method == "none":
        return [options.stripes, options.stripe_method, options.level_views]
    layers, wavelength = context.study.layers, context.study.lithium.wavelength_angstrom
    return [
        options.stripes,
        options.stripe_method,
        options.level_views,
        options.hardening,
        wavelength,
        None if layers is None else layers.radius_mm,
    ]
