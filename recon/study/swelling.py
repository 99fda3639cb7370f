"""Swelling of the profile layer between states, told apart from its lithium by the areal integral."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from deltamu.recon.change.layer_stack import LayerStack
from deltamu.recon.change.layers import layer_of_state
from deltamu.recon.study.blurred_faces import BlurredFaces
from deltamu.recon.study.checkpoint import PieceKey
from deltamu.recon.study.comparison import Registered, layer_settings, state_image
from deltamu.recon.study.journal import settings_hash
from deltamu.recon.study.run_context import RunContext, Slabs
from deltamu.recon.study.settings import split_change
from deltamu.recon.study.view_subsets import surface_facts

Thickness = tuple[float, float]


def state_thickness(
    context: RunContext, stack: LayerStack, registered: Registered, faces: BlurredFaces, state: str
) -> Thickness | None:
    """Thickness of the profile layer in one state, and its standard error, mm; None without contrast.

    The error holds the fit and what the blur before the logarithm moves the surfaces by.
    """
    layers = layer_settings(context)
    settings = settings_hash(registered.hashes[state], surface_facts(stack[layers.cathode]), layers)

    def fit() -> tuple[Slabs, Mapping[str, Any]]:
        found = layer_of_state(
            state_image(context, state), stack, layers.cathode, thickness_mm=layers.thickness_mm
        )
        if found is None:
            return [], {"thickness_mm": None}
        return [], {
            "thickness_mm": found.thickness_mm,
            "standard_error_mm": float(found.thickness_standard_error_mm),
        }

    facts = context.piece(PieceKey("thickness", state), settings, fit)
    if facts["thickness_mm"] is None:
        return None
    error = float(np.hypot(facts["standard_error_mm"], faces.thickness_shift_mm(state)))
    return facts["thickness_mm"], error


def swelling_facts(
    change: str, thickness: Mapping[str, Thickness | None], areal_change: float, areal_attenuation: float
) -> dict[str, float | None]:
    """How much of a change is swelling, and how much is amount.

    Parameters
    ----------
    thickness : mapping of state to its thickness and error
    areal_change, areal_attenuation : float
        ∫Δμ dd and ∫μ dd of the origin across the layer, without unit: swelling along d leaves them alone.

    Returns
    -------
    dict
        `amount_ratio`: attenuating material per area, to over from; `concentration_ratio`: the same per volume, as
        `amount_ratio` over the ratio of the thicknesses; null where a thickness is not known.
    """
    to, origin = (thickness.get(state) for state in split_change(change))
    amount = 1 + areal_change / areal_attenuation if areal_attenuation > 0 else None
    facts: dict[str, float | None] = {
        "areal_delta_mu": areal_change, "amount_ratio": amount, "thickness_change_um": None,
        "thickness_change_standard_error_um": None, "concentration_ratio": None,
    }  # fmt: skip
    if to is None or origin is None:
        return facts
    stretch = to[0] / origin[0]
    return facts | {
        "thickness_change_um": 1e3 * (to[0] - origin[0]),
        "thickness_change_standard_error_um": 1e3 * float(np.hypot(to[1], origin[1])),
        "concentration_ratio": None if amount is None else amount / stretch,
    }
