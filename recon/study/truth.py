"""Results of a simulated study beside its truth; only the demo calls this, after the run."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from deltamu.recon.geometry import RigidTransform
from deltamu.recon.simulate.compare import change_errors, registration_error
from deltamu.recon.simulate.truth import Truth, read_truth
from deltamu.recon.study.results import finite_or_null
from deltamu.recon.volumes.open import open_image


def truth_section(output: Path, truth_folder: Path, summary: Mapping[str, Any]) -> dict[str, Any]:
    """Return the `truth` of summary.json: how far the results are from what was simulated.

    Raises
    ------
    InputError
        If the folder holds no truth or the run is not finished.
    """
    truth = read_truth(truth_folder)
    section = {
        "states": {
            name: {"center_error_px": state["center_px"] - truth.facts["center_px"][name]}
            for name, state in summary["states"].items()
        },
        "registration": {
            name: registration_error(truth, _transform(found), name).as_dict()
            for name, found in summary["registration"].items()
        },
        "changes": {change: _change(output, truth, change) for change in summary["changes"]},
    }
    return finite_or_null(section)  # type: ignore[no-any-return]


def _transform(found: Mapping[str, Any]) -> RigidTransform:
    return RigidTransform(
        tuple(found["rotation_deg"]), tuple(found["translation_mm"]), tuple(found["center_mm"])
    )


def _change(output: Path, truth: Truth, change: str) -> dict[str, Any]:
    volume = open_image(output / "study.zarr" / "changes" / change / "delta_mu")
    return change_errors(truth, volume[truth.box.slices], change).as_dict()
