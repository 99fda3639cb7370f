"""What an earlier start in an output chose, and whether this one may continue it (plan.json)."""

import json
from collections.abc import Mapping
from dataclasses import replace
from importlib import metadata
from pathlib import Path
from typing import Any

from deltamu.recon.atomic import write_json
from deltamu.recon.errors import InputError
from deltamu.recon.study.plan import Plan, make_plan
from deltamu.recon.study.settings import Study
from deltamu.recon.study.sources import source_fingerprint

LIBRARIES = ("numpy", "scipy", "zarr")
_FRESH = "--fresh starts over"


def agreed_plan(output: Path, study: Study, plan: Plan) -> Plan:
    """Keep what an earlier start chose, so that a resumed run ends bit-identical; refuse what it cannot keep.

    Nothing is written.

    Raises
    ------
    InputError
        If plan.json is damaged, belongs to another study, or other libraries or another device were used.
    ResourceError
        If what the earlier start chose does not fit into the memory of this one.
    """
    earlier = _read(output / "plan.json")
    if earlier is None:
        return plan
    chosen = _choices(study, plan)
    _refuse_another_study(output, study, earlier, chosen)
    for key in ("device", "slab", "libraries"):
        if earlier[key] != chosen[key]:
            raise InputError(
                f"{output}: begun with {key} {_told(earlier[key])}, now {_told(chosen[key])}; a resumed run must "
                f"end bit-identical: go back to that, or {_FRESH}"
            )
    kept = make_plan(
        study,
        plan.states,
        memory=plan.memory_limit,
        threads=earlier["threads"],
        device=plan.device,
        compute_rows=earlier["compute_rows"],
    )
    return replace(kept, device_reason=plan.device_reason)


def keep_plan(output: Path, study: Study, plan: Plan) -> None:
    """Write plan.json for the next start."""
    chosen = _choices(study, plan)
    if _read(output / "plan.json") != chosen:
        write_json(output / "plan.json", chosen)


def _choices(study: Study, plan: Plan) -> dict[str, Any]:
    return {
        **plan.fixed(),
        "libraries": {name: metadata.version(name) for name in ("deltamu", *LIBRARIES)},
        "study": study.name,
        "sources": {name: source_fingerprint(study, name) for name in study.states},
    }


def _read(path: Path) -> dict[str, Any] | None:
    """Read plan.json, None when there is none."""
    try:
        found = json.loads(path.read_bytes())
    except FileNotFoundError:
        return None
    except ValueError:
        raise InputError(f"{path}: is damaged, not JSON; restore the file, or {_FRESH}") from None
    kinds = {
        "slab": int, "compute_rows": int, "threads": int, "device": str, "libraries": dict, "study": str, "sources": dict,
    }  # fmt: skip
    for key, kind in kinds.items():
        if not isinstance(found, dict) or not isinstance(found.get(key), kind):
            raise InputError(
                f"{path}: is damaged or of another version, '{key}' is missing; restore it, or {_FRESH}"
            )
    return dict(found)


def _refuse_another_study(
    output: Path, study: Study, earlier: Mapping[str, Any], chosen: Mapping[str, Any]
) -> None:
    """Refuse results of another study: one of another name, or without a single scan in common."""
    if earlier["study"] != study.name:
        raise InputError(
            f"{output}: holds the study '{earlier['study']}', this one is '{study.name}'; "
            "choose another output, or --fresh to replace it"
        )
    if not set(earlier["sources"].values()) & set(chosen["sources"].values()):
        raise InputError(
            f"{output}: holds a study of the same name but of other scans (none of {', '.join(study.states)} is "
            "the same, by the names, sizes and times of the files); choose another output, or --fresh to replace it"
        )


def _told(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {version}" for name, version in value.items())
    return str(value)
