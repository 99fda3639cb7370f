"""What the uncertainty of every registration leaves at the faces of the cathode, as summary.json states it."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np

from deltamu.recon.change.edge_residue import edge_residue
from deltamu.recon.change.layer_stack import LayerStack, Surface
from deltamu.recon.materials.lithium import charge_per_attenuation
from deltamu.recon.study.comparison import Registered, layer_settings, state_image
from deltamu.recon.study.run_context import RunContext
from deltamu.recon.study.subtraction import resolution_mm
from deltamu.recon.study.systematics import axial_error_mm
from deltamu.recon.volumes.volume import Volume

# the levels beside a face are read this many widths of the blur away from it, in the inner half of the pellet
_WIDTHS = 1.5
_CORE = 0.5


def edge_residues(
    context: RunContext, stack: LayerStack, registered: Registered
) -> dict[str, dict[str, Any] | None]:
    """Work out peak and charge of a one standard error shift at both faces and over the layer, per state.

    None where the registration leaves the position along the axis open.
    """
    return {
        state: _of_state(context, stack, state, sigma) if (sigma := axial_error_mm(facts)) else None
        for state, facts in registered.facts.items()
    }


def _of_state(context: RunContext, stack: LayerStack, state: str, shift_mm: float) -> dict[str, Any]:
    lithium, blur = context.study.lithium, resolution_mm(context, stack)
    factor = charge_per_attenuation(lithium.wavelength_angstrom, lithium.li6_fraction)
    image, layer = state_image(context, state), stack[layer_settings(context).cathode]
    steps = {
        "near": face_step(image, layer.near, stack.radius_mm, distance_mm=_WIDTHS * blur),
        "far": face_step(image, layer.far, stack.radius_mm, distance_mm=_WIDTHS * blur),
    }
    faces: Mapping[str, Any] = {
        name: {
            "step_per_cm": step,
            **_named(edge_residue(step, shift_mm, fwhm_mm=blur, charge_per_attenuation=factor)),
        }
        for name, step in steps.items()
    }
    # both faces move together: over the whole layer only the difference of its neighbours remains
    both = edge_residue(sum(steps.values()), shift_mm, fwhm_mm=blur, charge_per_attenuation=factor)
    return {"shift_um": 1000 * shift_mm, **faces, "layer_areal_mAh_cm2": both.areal_mAh_cm2}


def face_step(volume: Volume, surface: Surface, radius_mm: float, *, distance_mm: float) -> float:
    """Attenuation above a face less that below it, along +z, in the core of the pellet; NaN outside the field."""
    size, (y0, x0) = volume.voxel_size_mm, surface.axis_mm
    y, x = (np.arange(n) * size - a for n, a in zip(volume.shape[1:], (y0, x0), strict=True))
    core = np.hypot(y[:, None], x[None, :]) < _CORE * radius_mm
    height = surface.mean_height_mm(_CORE * radius_mm)
    below, above = (_mean_of_row(volume, (height + side * distance_mm) / size, core) for side in (-1, 1))
    return above - below


def _mean_of_row(volume: Volume, row: float, core: Any) -> float:
    at = round(row)
    if not 0 <= at < volume.shape[0]:
        return float("nan")
    values = np.asarray(volume[at])[core]
    known = values[np.isfinite(values)]
    return float(known.mean(dtype=float)) if known.size else float("nan")


def _named(found: Any) -> dict[str, float]:
    facts = asdict(found)
    return {"peak_per_cm": facts["peak"], "areal_mAh_cm2": facts["areal_mAh_cm2"]}
