"""Read the results of a study from disk; docs/formats.md describes the files."""

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deltamu.recon.errors import InputError
from deltamu.recon.report.content import ProfileTable, ReportContent, Table

AGAIN = "is this the output of a finished study? `deltamu run study.toml` continues an unfinished one"
PROFILE_COLUMNS = ("depth_mm", "mean", "standard_error")


def load_report_content(output_dir: Path | str) -> ReportContent:
    """Read everything the report needs from the output folder of a study.

    Parameters
    ----------
    output_dir : path
        Folder that `deltamu run` wrote.

    Returns
    -------
    ReportContent

    Raises
    ------
    InputError
        If the folder, one of its files or one of its images is missing or damaged, naming it.
    """
    folder = Path(output_dir)
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder; expected the output folder of a study")
    summary = _read_json(folder / "summary.json")
    _check_summary(folder / "summary.json", summary)
    content = ReportContent(
        output_dir=folder,
        summary=summary,
        diagnostics=_read_json(folder / "diagnostics.json"),
        settings_text=_read_text(folder / "study.toml"),
        profiles={
            change: read_profile(folder / "profiles" / f"{change}.csv")
            for change in summary.get("changes") or ()
        },
    )
    _check_images(content)
    return content


def read_profile(path: Path) -> ProfileTable:
    """Read one depth profile; lines that start with `#` and hold no column names are comments.

    Raises
    ------
    InputError
        If the file is missing, a column is missing or a value is not a number.
    """
    lines = _read_text(path).splitlines()
    start = next((i for i, line in enumerate(lines) if set(PROFILE_COLUMNS) <= set(_cells(line))), None)
    if start is None:
        raise InputError(f"{path}: no header line; expected the columns {', '.join(PROFILE_COLUMNS)}")
    names = _cells(lines[start])
    rows = list(csv.reader(line for line in lines[start + 1 :] if line.strip() and line[0] != "#"))
    columns = {name: _column(path, rows, index, name) for index, name in enumerate(names)}
    blank = np.full(len(rows), np.nan)
    return ProfileTable(
        change=path.stem,
        depth_mm=columns["depth_mm"],
        mean=columns["mean"],
        standard_error=columns["standard_error"],
        spread=columns.get("spread", blank),
        count=columns.get("count", blank),
        eroded=columns.get("eroded", np.ones(len(rows))) > 0.5,
        lithium_mol_cm3=columns.get("lithium_mol_cm3", blank),
    )


def _cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.lstrip("# ").split(",")]


def _column(path: Path, rows: list[list[str]], index: int, name: str) -> NDArray[np.float64]:
    try:
        return np.array([float(row[index]) if row[index].strip() else np.nan for row in rows])
    except (IndexError, ValueError) as error:
        raise InputError(f"{path}: column {name}: {error}; expected one number per row") from None


def _read_text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise InputError(f"{path}: missing; {AGAIN}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read ({error})") from None


def _read_json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(_read_text(path))
    except json.JSONDecodeError as error:
        raise InputError(f"{path}: not valid JSON ({error}); {AGAIN}") from None
    if not isinstance(content, dict):
        raise InputError(f"{path}: found a {type(content).__name__}, expected a JSON object")
    return content


def _check_summary(path: Path, summary: Table) -> None:
    states = summary.get("states")
    if not isinstance(states, dict) or not states:
        raise InputError(f"{path}: states: found {states!r}, expected at least one state; {AGAIN}")
    reference = summary.get("reference", next(iter(states)))
    if reference not in states:
        raise InputError(f"{path}: reference: found '{reference}', expected one of {', '.join(states)}")
    for change in summary.get("changes") or ():
        if not set(change.split("-")) <= set(states):
            raise InputError(f"{path}: changes.{change}: expected two of the states {', '.join(states)}")


def _check_images(content: ReportContent) -> None:
    for image in _needed_images(content):
        if not content.has_image(image):
            raise InputError(f"{content.image_path(image)}: missing from the store; {AGAIN}")


def _needed_images(content: ReportContent) -> list[str]:
    images = [f"states/{state}/attenuation" for state in content.states]
    images += [f"registered/{state}/attenuation" for state in content.moving_states]
    images += [f"changes/{change}/{name}" for change in content.changes for name in ("delta_mu", "z_score")]
    if content.changes and content.profile_layer is not None:
        images += [f"layers/{content.profile_layer}/{name}" for name in ("depth", "near", "far")]
        images.append("layers/labels")
    return images
