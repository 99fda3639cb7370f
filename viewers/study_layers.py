"""The layers of a study: states, registered states, changes, significance, labels."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deltamu.recon.errors import InputError
from deltamu.recon.report.content import change_title, state_title
from deltamu.recon.report.load import read_profile
from deltamu.viewers.image_levels import ImageLevels, open_levels
from deltamu.viewers.layer import DIVERGING, GREY, Layer, Opened, Role
from deltamu.viewers.limits import LARGEST_SAMPLE, grey_limits, sample, symmetric_limits, white_inside

STORE = "study.zarr"
SCHEMA = 1
# z scores beyond this all look alike
SIGNIFICANCE_LIMIT = 5.0
# voxel noise stays within this part of the scale of a change
NOISE_WITHIN_SCALE = 4.0


@dataclass
class _Found:
    """What has been gathered so far."""

    layers: list[Layer] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def open(self, path: Path) -> ImageLevels | None:
        """Open an image, or note why that is not possible."""
        try:
            image = open_levels(path)
        except InputError as error:
            self.notes.append(str(error))
            return None
        if image.problem:
            self.notes.append(image.problem)
        return image


def study_layers(output: Path) -> Opened:
    """Describe the layers of a study's output folder; missing and half-written parts become sentences.

    Parameters
    ----------
    output : Path
        Folder with study.zarr.

    Raises
    ------
    InputError
        If there is no store, or none of its images can be shown.
    """
    store = output / STORE
    _check_store(store)
    summary, notes = _read_summary(output / "summary.json")
    found = _Found(notes=notes)
    changes = _names(store / "changes", summary.get("changes"))
    states = _names(store / "states", summary.get("states"))
    reference = summary.get("reference") or next(iter(states), "")
    labels = _labels(found, store, summary)
    _add_states(found, store, states, str(reference), _inside_profile_layer(labels, summary))
    _add_residuals(found, store, states)
    _add_significance(found, store, changes)
    _add_changes(found, output, changes)
    found.layers += [] if labels is None else [labels]
    if not found.layers:
        raise InputError(" ".join([f"{store}: holds no image that can be shown.", *found.notes[:3]]))
    title = str(summary.get("name") or output.name)
    notes_once = tuple(dict.fromkeys(found.notes))
    return Opened(
        title, tuple(found.layers), notes_once, str(output), _middle_of_profile_layer(labels, summary)
    )


def _check_store(store: Path) -> None:
    if (store / "zarr.json").is_file():
        return
    if (store / ".zgroup").is_file():
        raise InputError(
            f"{store}: is a zarr 2 store, written by an older program; expected zarr 3. `deltamu run` writes it anew"
        )
    raise InputError(f"{store}: no such store; expected the output folder of `deltamu run`")


def _read_summary(path: Path) -> tuple[dict[str, Any], list[str]]:
    """Read what is known of the study; without it the store still shows."""
    try:
        summary = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}, [f"{path.name} is not there yet, so the study is not finished; `deltamu run` continues it"]
    except (OSError, ValueError) as error:
        return {}, [f"{path} cannot be read ({error}); the images are shown without it"]
    if not isinstance(summary, dict):
        return {}, [f"{path} holds no JSON object; the images are shown without it"]
    if summary.get("schema") != SCHEMA:
        note = f"{path.name} has schema {summary.get('schema')!r}, this version reads {SCHEMA}; only the images are shown"
        return {}, [note]
    return summary, []


def _names(group: Path, known: Any) -> list[str]:
    """Folders of a group, those that the summary knows first and in its order."""
    there = sorted(p.name for p in group.iterdir() if p.is_dir()) if group.is_dir() else []
    first = [name for name in known or () if name in there]
    return [*first, *(name for name in there if name not in first)]


def _add_states(
    found: _Found, store: Path, states: Sequence[str], reference: str, inside: NDArray[np.bool_] | None
) -> None:
    """Raw states hidden, then the states on the reference grid, all with one grey scale."""
    opened: list[tuple[str, Role, Path, ImageLevels]] = []
    roles: tuple[Role, Role] = ("state", "registered")
    for group, role in zip(("states", "registered"), roles, strict=True):
        for state in states:
            path = store / group / state / "attenuation"
            if path.is_dir() and (image := found.open(path)) is not None:
                opened.append((state, role, path, image))
    shown = [image for state, role, _, image in opened if state == reference or role == "registered"]
    limits = _grey_limits(shown or [item[3] for item in opened], inside)
    for state, role, path, image in opened:
        name = f"μ {state_title(state)}" + (" (registered)" if role == "registered" else "")
        layer = _layer(name, image, path, role=role, subject=state, limits=limits, colors=GREY)
        found.layers.append(replace(layer, visible=role == "state" and state == reference))


def _grey_limits(images: Sequence[ImageLevels], inside: NDArray[np.bool_] | None) -> tuple[float, float]:
    """One scale for all images, white for what the profile layer reaches, where that is known."""
    pairs = [grey_limits(image.levels) for image in images]
    low, high = min((p[0] for p in pairs), default=0.0), max((p[1] for p in pairs), default=1.0)
    if inside is not None:
        fitting = [image.levels for image in images if image.levels[-1].shape == inside.shape]
        high = max((white_inside(levels, inside) for levels in fitting), default=0.0) or high
    return (low, high) if low < high else (high - 1.0, high)


def _add_residuals(found: _Found, store: Path, states: Sequence[str]) -> None:
    """What is left of the parts without change, hidden, with one scale for all states."""
    paths = {state: store / "registered" / state / "residual" for state in states}
    opened = {s: image for s, p in paths.items() if p.is_dir() and (image := found.open(p)) is not None}
    limits = symmetric_limits(image.levels for image in opened.values())
    for state, image in opened.items():
        layer = _layer(
            f"residual {state_title(state)}", image, paths[state], role="residual", subject=state,
            limits=limits, colors=DIVERGING,
        )  # fmt: skip
        found.layers.append(replace(layer, visible=False))


def _add_significance(found: _Found, store: Path, changes: Sequence[str]) -> None:
    limits = (-SIGNIFICANCE_LIMIT, SIGNIFICANCE_LIMIT)
    for change in reversed(changes):
        path = store / "changes" / change / "z_score"
        if path.is_dir() and (image := found.open(path)) is not None:
            layer = _layer(
                f"significance {change_title(change)}", image, path, role="significance", subject=change,
                limits=limits, colors=DIVERGING,
            )  # fmt: skip
            found.layers.append(replace(layer, visible=False))


def _add_changes(found: _Found, output: Path, changes: Sequence[str]) -> None:
    """One scale for all changes, the first of them on top and visible."""
    paths = {change: output / STORE / "changes" / change / "delta_mu" for change in changes}
    opened = {c: image for c, p in paths.items() if p.is_dir() and (image := found.open(p)) is not None}
    limits = _change_limits(output, opened)
    for change in reversed(opened):
        layer = _layer(
            f"Δμ {change_title(change)}", opened[change], paths[change], role="change", subject=change,
            limits=limits, colors=DIVERGING,
        )  # fmt: skip
        found.layers.append(replace(layer, visible=change == next(iter(opened))))


def _change_limits(output: Path, opened: dict[str, ImageLevels]) -> tuple[float, float]:
    """Scale from the depth profiles and the noise; from the values where there are no profiles yet."""
    profiles = [output / "profiles" / f"{change}.csv" for change in opened]
    largest = [value for path in profiles for value in _largest_mean(path)]
    if not largest:
        return symmetric_limits(image.levels for image in opened.values())
    noise = [NOISE_WITHIN_SCALE * value for change in opened for value in _typical_sigma(output, change)]
    return symmetric_limits((), least=max(1.1 * max(largest), *noise, 0.0))


def _largest_mean(path: Path) -> Iterator[float]:
    try:
        profile = read_profile(path)
    except InputError:
        return
    mean = np.abs(profile.mean[profile.eroded])
    if np.isfinite(mean).any():
        yield float(np.nanmax(mean))


def _typical_sigma(output: Path, change: str) -> Iterator[float]:
    try:
        values = sample(open_levels(output / STORE / "changes" / change / "sigma").levels)
    except InputError:
        return
    if values.size:
        yield float(np.median(values))


def _labels(found: _Found, store: Path, summary: dict[str, Any]) -> Layer | None:
    path = store / "layers" / "labels"
    if not path.is_dir():
        if (store / "changes").is_dir():
            found.notes.append("the study has no layers yet, so there are no outlines")
        return None
    image = found.open(path)
    if image is None:
        return None
    known = summary.get("layers") or {}
    names = {int(layer["label"]): name for name, layer in known.items() if "label" in layer}
    layer = _layer("layers", image, path, role="layers", subject="", limits=None, colors="")
    return replace(layer, kind="labels", label_names=names)


def _inside_profile_layer(labels: Layer | None, summary: dict[str, Any]) -> NDArray[np.bool_] | None:
    """Mask of the layer whose profile is reported, on the coarsest level; None where it is not known."""
    if labels is None or labels.levels[-1].size > LARGEST_SAMPLE:
        return None
    wanted = next((k for k, name in labels.label_names.items() if name == summary.get("profile_layer")), None)
    inside: NDArray[np.bool_] = np.asarray(labels.levels[-1]) == wanted
    return inside if inside.any() else None


def _middle_of_profile_layer(labels: Layer | None, summary: dict[str, Any]) -> tuple[float, ...] | None:
    """Middle of the layer whose profile is reported, (z, y, x) mm."""
    inside = _inside_profile_layer(labels, summary)
    if labels is None or inside is None:
        return None
    factor = 2 ** (len(labels.levels) - 1)
    index = np.argwhere(inside).mean(axis=0) * factor + (factor - 1) / 2
    return tuple(float(i * size) for i, size in zip(index, labels.scale, strict=True))


def _layer(
    name: str,
    image: ImageLevels,
    path: Path,
    *,
    role: Role,
    subject: str,
    limits: tuple[float, float] | None,
    colors: str,
) -> Layer:
    return Layer(
        name=name, kind="image", levels=image.levels, scale=(image.voxel_size_mm,) * 3, translate=(0.0,) * 3,
        units=("mm",) * 3, axes=("z", "y", "x"), role=role, subject=subject, value_unit=image.unit, colors=colors,
        limits=limits, source=str(path),
    )  # fmt: skip
