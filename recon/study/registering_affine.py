"""A registered state that may also stretch and shear: `registration.model = "affine"`."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from deltamu.recon.change.registration import Registration
from deltamu.recon.change.registration_affine import AffineRegistration, refine_affine
from deltamu.recon.change.registration_affine_checks import check_affine
from deltamu.recon.change.registration_checks import SelfCheck
from deltamu.recon.change.registration_pyramid import mask_box
from deltamu.recon.study.from_scans import as_json
from deltamu.recon.study.held_parts import HeldParts
from deltamu.recon.volumes.volume import Volume

Float = NDArray[np.float64]

# what summary.json says of a stretch beside the motion
STRETCH_FACTS = ("model", "strain_standard_error", "volume_factor", "volume_factor_standard_error")


def refine(
    reference: Volume, moving: Volume, found: Registration, masks: HeldParts, *, self_check: bool
) -> tuple[AffineRegistration, SelfCheck | None]:
    """Let the parts that do not change stretch and shear, from their rigid motion on; and check it."""
    size, mask = reference.voxel_size_mm, masks.fixed
    affine = refine_affine(reference, moving, found, voxel_size_mm=size, mask=mask)
    check = None
    if self_check:
        check = check_affine(reference, moving, found, affine, voxel_size_mm=size, mask=mask)
    return affine, check


def stretch_facts(found: AffineRegistration, masks: HeldParts) -> dict[str, Any]:
    """What the journal keeps of it, in the place of what it keeps of the rigid motion."""
    transform = found.transform
    errors = [
        [None if name in found.undetermined else error for name, error in zip(names, row, strict=True)]
        for names, row in zip(_strain_names(), found.strain_standard_error.tolist(), strict=True)
    ]
    facts: dict[str, Any] = as_json(
        {
            "model": "affine",
            "transform": {
                "rotation_deg": transform.rotation_deg,
                "translation_mm": transform.translation_mm,
                "center_mm": transform.center_mm,
                "strain": transform.strain,
            },
            "strain_standard_error": errors,
            "volume_factor": transform.volume_factor,
            "volume_factor_standard_error": found.volume_factor_standard_error,
            "uncertainty": {k: v if np.isfinite(v) else None for k, v in found.uncertainty.items()},
            "undetermined": list(found.undetermined),
            "residual_voxel": found.residual_voxel,
            "iterations": found.iterations,
            "converged": found.converged,
            "axial_standard_error_mm": found.axial_deviation_mm(_pellet_heights_mm(masks)),
        }
    )
    return facts


def stretch_warnings(state: str, found: AffineRegistration) -> list[str]:
    """Say which strains were held at none, and whether the search ended."""
    strains = [name for name in found.undetermined if name.startswith(("stretch", "shear"))]
    warnings = []
    if strains:
        warnings.append(
            f"registration of {state}: the data do not determine {', '.join(strains)}; held at none (a mask with "
            "edges across that direction would)"
        )
    if not found.converged:
        warnings.append(
            f"registration of {state}: the affine model did not converge in {found.iterations} iterations; look at "
            'the overlay, or take model = "rigid"'
        )
    return warnings


def _strain_names() -> list[list[str]]:
    axes = "zyx"
    return [
        [f"stretch_{a}" if a == b else f"shear_{''.join(sorted(a + b, reverse=True))}" for b in axes]
        for a in axes
    ]


def _pellet_heights_mm(masks: HeldParts) -> Float:
    """First and last row of separator and cathode."""
    rows = mask_box(masks.pellet)[:, 0] - np.array([0, 1])
    heights: Float = rows * masks.stack.voxel_size_mm
    return heights
