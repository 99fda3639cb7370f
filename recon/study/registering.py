"""Each state laid over the reference, on the parts without change; what is said about it."""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from deltamu.recon.change.layer_stack import LayerStack
from deltamu.recon.change.registration import Registration, register
from deltamu.recon.change.registration_bodies import (
    AGREEMENT_VOXEL,
    BodyComparison,
    compare_bodies,
    join_bodies,
)
from deltamu.recon.change.registration_checks import SelfCheck, check_registration
from deltamu.recon.errors import InputError
from deltamu.recon.geometry import RigidTransform
from deltamu.recon.study.checkpoint import PieceKey
from deltamu.recon.study.comparison import compared_states, layer_settings
from deltamu.recon.study.from_scans import as_json
from deltamu.recon.study.held_parts import HeldParts
from deltamu.recon.study.journal import settings_hash
from deltamu.recon.study.registering_affine import refine, stretch_facts, stretch_warnings
from deltamu.recon.study.run_context import RunContext, Slabs
from deltamu.recon.volumes.open import open_image
from deltamu.recon.volumes.volume import Volume


def register_states(
    context: RunContext, stack: LayerStack, hashes: Mapping[str, str]
) -> dict[str, Mapping[str, Any]]:
    """Lay every compared state over the reference, on the parts without change."""
    reference = context.study.reference
    facts = {}
    states = compared_states(context)
    masks = HeldParts(context, stack)
    for index, state in enumerate(states):
        settings = settings_hash(
            hashes[reference],
            hashes[state],
            context.study.registration,
            layer_settings(context),
            "self-check",
        )

        def align(state: str = state) -> tuple[Slabs, Mapping[str, Any]]:
            return [], _align(context, state, masks)

        facts[state] = context.piece(PieceKey("register", state), settings, align)
        for warning in facts[state]["warnings"]:
            context.warn(warning)
        context.progress("register", "", index + 1, len(states))
    return facts


def _align(context: RunContext, state: str, masks: HeldParts) -> dict[str, Any]:
    reference = open_image(context.store / "states" / context.study.reference / "attenuation")
    moving = open_image(context.store / "states" / state / "attenuation")
    found = register(
        reference,
        moving,
        voxel_size_mm=reference.voxel_size_mm,
        moving_voxel_size_mm=moving.voxel_size_mm,
        mask=masks.fixed,
        metric=context.study.registration.metric,
        **_start(context, state, reference),
        # half resolution places a surface only to a tenth of a voxel: too little along the axis
        stop_level=0,
    )
    rigid = context.study.registration.model == "rigid"
    # neither needs the other, and much of each runs on one core
    with ThreadPoolExecutor(1) as beside:
        checked = beside.submit(_self_check, context, reference, moving, found, masks) if rigid else None
        found, housing, warnings = _with_housing(reference, moving, state, found, masks)
        check = checked.result() if checked else None
    facts = _registration_facts(found)
    if not rigid:
        self_check = context.study.registration.self_check
        affine, check = refine(reference, moving, found, masks, self_check=self_check)
        facts |= stretch_facts(affine, masks)
        warnings += stretch_warnings(state, affine)
    facts["warnings"] = [*_registration_warnings(state, found), *warnings, *_check_warnings(state, check)]
    facts["self_check"] = None if check is None else as_json(_check_facts(check))
    facts["mask"] = list(masks.names)
    facts["housing"] = housing
    return facts


def _self_check(
    context: RunContext, reference: Volume, moving: Volume, found: Registration, masks: HeldParts
) -> SelfCheck | None:
    """Register again to see whether the result holds; not by mutual information, whose errors are too rough."""
    settings = context.study.registration
    if not settings.self_check or settings.metric != "squared-difference":
        return None
    size = reference.voxel_size_mm
    return check_registration(reference, moving, found, voxel_size_mm=size, mask=masks.fixed)


def _check_facts(check: SelfCheck) -> dict[str, Any]:
    comparisons = {"inverse": check.inverse, "halves": check.halves}
    return {
        "agree": check.agree,
        **{
            name: None
            if found is None
            else {
                "max_voxel": found.max_voxel,
                "deviation_voxel": found.deviation_voxel,
                "agree": found.agree,
            }
            for name, found in comparisons.items()
        },
    }


def _check_warnings(state: str, check: SelfCheck | None) -> list[str]:
    """Say which of the comparisons of a registration with itself disagrees."""
    if check is None:
        return []
    named = {
        "the registration backwards differs": check.inverse,
        "two halves of the mask differ": check.halves,
    }
    return [
        f"registration of {state}: {words} by {found.max_voxel:.3f} voxel, more than the stated errors explain "
        f"({found.deviation_voxel:.3f}); its uncertainty is too small"
        for words, found in named.items()
        if found is not None and not found.agree
    ]


def _start(context: RunContext, state: str, reference: Volume) -> dict[str, Any]:
    """Where the search begins: as the settings say, with no rotations tried beside it."""
    given = context.study.registration.start.get(state)
    if given is None:
        return {}
    z, y, x = (0.5 * (n - 1) * reference.voxel_size_mm for n in reference.shape)
    return {"initial": RigidTransform(given[3:], given[:3], (z, y, x)), "search_deg": 0.0}


def _registration_facts(found: Registration) -> dict[str, Any]:
    facts: dict[str, Any] = as_json(
        {
            "transform": {
                "rotation_deg": found.transform.rotation_deg,
                "translation_mm": found.transform.translation_mm,
                "center_mm": found.transform.center_mm,
            },
            "residual_voxel": found.residual_voxel,
            "iterations": found.iterations,
            "converged": found.converged,
            "uncertainty": {k: v if np.isfinite(v) else None for k, v in found.uncertainty.items()},
            "undetermined": list(found.undetermined),
            "overlap": found.overlap,
            "correlation": found.correlation,
            "gain": found.gain,
            "offset": found.offset,
        }
    )
    return facts


def _registration_warnings(state: str, found: Registration) -> list[str]:
    warnings = []
    if found.undetermined:
        warnings.append(
            f"registration of {state}: the data do not determine {', '.join(found.undetermined)}; held at the start value"
        )
    if not found.converged:
        warnings.append(
            f"registration of {state}: did not converge in {found.iterations} iterations; look at the overlay"
        )
    return warnings


def _with_housing(
    reference: Volume, moving: Volume, state: str, found: Registration, masks: HeldParts
) -> tuple[Registration, dict[str, Any] | None, list[str]]:
    """Improve a registration by the housing where both agree; otherwise the parts of the mask win, and it is said.

    The position along the axis always comes from the mask: the stack may slip in its housing.
    """
    if masks.housing is None:
        return found, None, []
    size = reference.voxel_size_mm
    try:
        other = register(
            reference, moving, voxel_size_mm=size, moving_voxel_size_mm=moving.voxel_size_mm, mask=masks.housing,
            initial=found.transform, search_deg=0.0, stop_level=1, metric=masks.context.study.registration.metric,
        )  # fmt: skip
    except InputError as error:
        return found, None, [f"registration of {state}: the housing could not be compared ({error})"]
    compared = compare_bodies(found, other, voxel_size_mm=size, within=masks.pellet)
    if compared.agree:
        found = join_bodies(found, other, voxel_size_mm=size, within=masks.pellet)
    slip, deviation = compared.slip_mm / size, compared.slip_deviation_mm / size
    facts: dict[str, Any] = as_json(
        {
            "used": compared.agree,
            "max_voxel": compared.max_voxel,
            "deviation_voxel": compared.deviation_voxel,
            "slip_voxel": slip if np.isfinite(slip) else None,
            "slip_deviation_voxel": deviation if np.isfinite(deviation) else None,
        }
    )
    return found, facts, _housing_warnings(state, compared, " and ".join(masks.names), slip, deviation)


def _housing_warnings(
    state: str, compared: BodyComparison, names: str, slip: float, deviation: float
) -> list[str]:
    warnings = []
    if not compared.agree:
        warnings.append(
            f"registration of {state}: the housing moved differently from {names} by up to "
            f"{compared.max_voxel:.2f} voxel ({compared.axial_voxel:.2f} along the axis); {names} are used"
        )
    if np.isfinite(slip) and abs(slip) > max(AGREEMENT_VOXEL, 3 * deviation):
        warnings.append(
            f"registration of {state}: the housing slipped by {slip:+.2f} voxel along the axis against {names}; "
            f"{names} are used"
        )
    return warnings
