"""Results of a simulated study beside its truth; only the demo calls this, after the run."""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deltamu.recon.change.scores import score_statistics
from deltamu.recon.geometry import read_transform
from deltamu.recon.simulate.compare import change_errors, registration_error
from deltamu.recon.simulate.truth import Truth, read_truth
from deltamu.recon.study.results import finite_or_null
from deltamu.recon.volumes.open import open_image

# of the pellet's radius: the rim itself is left out
SCORE_RADIUS = 0.95
ROWS_AT_A_TIME = 16


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
            name: registration_error(truth, read_transform(found), name).as_dict()
            for name, found in summary["registration"].items()
        },
        "changes": {change: _change(output, truth, change, summary) for change in summary["changes"]},
    }
    return finite_or_null(section)  # type: ignore[no-any-return]


def _change(output: Path, truth: Truth, change: str, summary: Mapping[str, Any]) -> dict[str, Any]:
    volume = open_image(output / "study.zarr" / "changes" / change / "delta_mu")
    errors = change_errors(truth, volume[truth.box.slices], change).as_dict()
    return errors | {"z_score": _layer_scores(output, truth, change, summary)}


def _layer_scores(output: Path, truth: Truth, change: str, summary: Mapping[str, Any]) -> dict[str, Any]:
    """Statistics of the z scores of every layer that the change leaves alone, within `SCORE_RADIUS`."""
    layers = summary["layers"]
    store = output / "study.zarr"
    scores, labels = (
        open_image(store / "changes" / change / "z_score"),
        open_image(store / "layers" / "labels"),
    )
    core = _core(labels.shape, summary["voxel_size_mm"], next(iter(layers.values())))
    chosen: dict[str, list[NDArray[np.float32]]] = {
        name: [] for name in layers if truth.unchanged(change) or layers[name]["inert"]
    }
    for start in range(0, labels.shape[0], ROWS_AT_A_TIME):
        rows = slice(start, min(start + ROWS_AT_A_TIME, labels.shape[0]))
        label, score = labels[rows][:, core], scores[rows][:, core]
        for name, parts in chosen.items():
            parts.append(score[label == layers[name]["label"]])
    found = {name: score_statistics(np.concatenate(parts)) for name, parts in chosen.items()}
    # a layer that is mostly unknown is a starved one
    return {
        name: asdict(one) if one is not None and one.unknown_percent < 50 else None
        for name, one in found.items()
    }


def _core(shape: tuple[int, ...], voxel_size_mm: float, layer: Mapping[str, Any]) -> NDArray[np.bool_]:
    y, x = (np.arange(n) * voxel_size_mm - axis for n, axis in zip(shape[1:], layer["axis_mm"], strict=True))
    return np.asarray(np.hypot(y[:, None], x[None, :]) < SCORE_RADIUS * layer["radius_mm"])
