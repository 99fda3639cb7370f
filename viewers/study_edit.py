"""Write what was found by eye into a study.toml; comments stay."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import tomlkit

from deltamu.recon.atomic import write_text
from deltamu.recon.errors import InputError
from deltamu.recon.study.settings import read_study, study_from_table


def edit_study(path: Path, changes: Mapping[tuple[str, ...], Any]) -> Path:
    """Set keys of a study.toml, after a check that it is still a study.

    Parameters
    ----------
    path : Path
    changes : mapping of key path to value
        For example `{("states", "pristine", "center"): 255.3}`; None takes a key away.

    Raises
    ------
    InputError
        If the file is no study, before or after; it is left as it was.
    """
    study = read_study(path)
    document = tomlkit.parse(path.read_bytes().decode("utf-8-sig"))
    for keys, value in changes.items():
        table: Any = document
        for key in keys[:-1]:
            if key not in table:
                table[key] = tomlkit.table()
            table = table[key]
        if value is None:
            table.pop(keys[-1], None)
        else:
            table[keys[-1]] = value
    text = tomlkit.dumps(document)
    study_from_table(tomlkit.parse(text).unwrap(), folder=study.folder, source=str(path))
    return write_text(path, text)


def state_of_scan(path: Path, scan: Path) -> str:
    """Name of the state of a study whose scan this is.

    Raises
    ------
    InputError
        If no state uses it.
    """
    study = read_study(path)
    for name in study.states:
        if study.state_path(name) == scan.resolve():
            return name
    raise InputError(f"{path}: no state uses the scan {scan}; its states are {', '.join(study.states)}")
