"""The whole chain on one study: plan, run, resume."""

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path

from deltamu.kernels.backend import resolve_device, thread_count
from deltamu.recon.atomic import write_json, write_text
from deltamu.recon.errors import InputError, ResourceError
from deltamu.recon.report.page import write_report
from deltamu.recon.scans.read import open_scan
from deltamu.recon.scans.scan import Scan
from deltamu.recon.study.change_chain import compare_states
from deltamu.recon.study.from_scans import ScannedState, prepare_state, reconstruct_state
from deltamu.recon.study.from_volumes import import_state
from deltamu.recon.study.journal import Journal
from deltamu.recon.study.lock import RunLock
from deltamu.recon.study.plan import Plan, StatePlan, check_disk, make_plan, parse_memory, plan_text
from deltamu.recon.study.progress import Cancel, Progress, never, silent
from deltamu.recon.study.results import write_results
from deltamu.recon.study.run_context import RunContext
from deltamu.recon.study.settings import Study, read_study, settings_text
from deltamu.recon.study.storage import prepare_output, start_afresh
from deltamu.recon.volumes.read import read_volume
from deltamu.recon.volumes.volume import Volume

Source = Scan | Volume
LIBRARIES = ("numpy", "scipy", "zarr")


def run(
    study: Study,
    *,
    progress: Progress = silent,
    cancel: Cancel = never,
    device: str = "auto",
    memory: str | None = None,
    fresh: bool = False,
    keep_work: bool = False,
) -> Path:
    """Run a study, or continue it where it stopped, and return its output folder.

    Parameters
    ----------
    study : Study
    progress : callable, optional
        Told (stage, state, done, total) after every piece.
    cancel : callable, optional
        Asked between pieces; when it says yes the run stops and keeps what is finished.
    device : {"auto", "cpu", "gpu"}
    memory : str, optional
        Limit such as "4G"; by default 90 % of what is free.
    fresh : bool
        Start over instead of continuing.
    keep_work : bool
        Keep the line integrals after success.

    Raises
    ------
    InputError
        If the settings, a scan or the output is wrong.
    ResourceError
        If memory, disk or the device does not suffice.
    Cancelled
        If `cancel` said yes.
    """
    sources = open_sources(study)
    plan = plan_study(study, sources, memory=memory, device=device)
    output = study.output_dir
    prepare_output(output)
    with RunLock(output):
        if fresh:
            start_afresh(output)
        plan = _agreed_plan(output, study, plan)
        check_disk(plan, output, written_bytes=_written_bytes(output))
        with _threads(plan.threads):
            context = RunContext(
                study, output, plan, Journal.open(output / "journal.jsonl"), progress, cancel
            )
            _run_stages(context, sources)
        if not (keep_work or study.run.keep_work):
            context.remove_work()
    return output


def check(path: Path, *, memory: str | None = None) -> str:
    """Validate a study and return its plan as text; nothing is written.

    Raises
    ------
    InputError, ResourceError
        As `run` would.
    """
    study = read_study(path)
    sources = open_sources(study)
    plan = plan_study(study, sources, memory=memory, device="auto")
    check_disk(plan, study.output_dir, written_bytes=_written_bytes(study.output_dir))
    notes = [f"{name}: {note}" for name, source in sources.items() for note in source.notes]
    return "\n".join([plan_text(plan), *notes])


def open_sources(study: Study) -> dict[str, Source]:
    """Open every scan and volume of a study and check that they can be compared.

    Raises
    ------
    InputError
        If one cannot be read, has no pixel size, or differs from the reference in it.
    """
    sources = {name: _open_source(study, name) for name in study.states}
    sizes = {name: _voxel_size(name, source) for name, source in sources.items()}
    for name, size in sizes.items():
        expected = sizes[study.reference]
        # relative: the same detector written with other digits
        if study.changes and abs(size - expected) > 1e-4 * expected:
            raise InputError(
                f"states.{name}: voxel size {size:g} mm, the reference {study.reference} has {expected:g} mm; "
                "volumes can only be subtracted on one voxel size: bin the scans alike"
            )
    return sources


def plan_study(study: Study, sources: Mapping[str, Source], *, memory: str | None, device: str) -> Plan:
    """Plan memory, disk and time of a study whose scans are open."""
    states = tuple(_state_plan(name, source) for name, source in sources.items())
    limit = parse_memory(memory or study.run.memory)
    try:
        chosen = resolve_device("cpu" if device == "auto" else device)
    except RuntimeError as error:
        raise ResourceError(str(error)) from None
    if chosen.name == "gpu":
        raise ResourceError(
            "device: this version computes on the CPU only; leave --device away or use --device cpu"
        )
    return make_plan(study, states, memory=limit, threads=thread_count(), device=chosen.name)


def _open_source(study: Study, name: str) -> Source:
    settings = study.states[name]
    path = study.state_path(name)
    try:
        if settings.volume is None:
            return open_scan(path, study.scan_options(name))
        return read_volume(
            path, voxel_size_mm=settings.voxel_size_mm, unit=settings.unit, dataset=settings.dataset
        )
    except InputError as error:
        raise InputError(f"states.{name}: {error}") from error


def _voxel_size(name: str, source: Source) -> float:
    size = source.voxel_size_mm if isinstance(source, Volume) else source.pixel_size_mm
    if size is None:
        raise InputError(
            f"states.{name}: pixel_size_mm is missing and the files do not state it; set it in [scan]"
        )
    return size


def _state_plan(name: str, source: Source) -> StatePlan:
    size = _voxel_size(name, source)
    if isinstance(source, Volume):
        return StatePlan(name, None, source.shape, size)
    views, rows, columns = source.shape
    return StatePlan(name, (views, rows, columns), (rows, columns, columns), size)


def _run_stages(context: RunContext, sources: Mapping[str, Source]) -> None:
    write_text(context.output / "study.toml", settings_text(context.study))
    context.log("start", version=metadata.version("deltamu"), plan=context.plan.fixed())
    scanned: dict[str, ScannedState] = {}
    hashes: dict[str, str] = {}
    for name, source in sources.items():
        if isinstance(source, Volume):
            hashes[name] = import_state(context, name, source, fingerprint(context.study, name))
        else:
            for note in source.notes:
                context.warn(f"{name}: {note}")
            scanned[name] = prepare_state(context, name, source)
            hashes[name] = reconstruct_state(context, scanned[name])
    compared = compare_states(context, scanned, hashes) if context.study.changes else None
    write_results(context, sources, scanned, compared)
    write_report(context.output)
    context.progress("report", "", 1, 1)
    context.log("done")


def fingerprint(study: Study, name: str) -> str:
    """Name, size and time of the files of a volume made elsewhere."""
    path = study.state_path(name)
    files = sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]
    return ";".join(f"{file.name}:{file.stat().st_size}:{file.stat().st_mtime_ns}" for file in files)


def _agreed_plan(output: Path, study: Study, plan: Plan) -> Plan:
    """Keep what an earlier start chose, so that a resumed run ends bit-identical; refuse what it cannot keep."""
    path = output / "plan.json"
    libraries = {name: metadata.version(name) for name in ("deltamu", *LIBRARIES)}
    chosen = {**plan.fixed(), "libraries": libraries, "study": study.name}
    if not path.exists():
        write_json(path, chosen)
        return plan
    try:
        earlier = json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        raise InputError(f"{path}: damaged; --fresh starts over") from None
    if earlier.get("study") != study.name:
        raise InputError(
            f"{output}: holds the study '{earlier.get('study')}', this one is '{study.name}'; "
            "choose another output, or --fresh to replace it"
        )
    for key in ("device", "slab", "libraries"):
        if earlier.get(key) != chosen[key]:
            raise InputError(
                f"{output}: begun with {key} {earlier.get(key)}, now {chosen[key]}; a resumed run must end "
                "bit-identical: go back to that, or --fresh starts over"
            )
    return plan.with_choices(threads=int(earlier["threads"]), compute_rows=int(earlier["compute_rows"]))


def _written_bytes(output: Path) -> int:
    """Bytes of results that are already there and need no new space."""
    if not output.is_dir():
        return 0
    names = ("study.zarr", "work.zarr")
    return sum(file.stat().st_size for name in names for file in (output / name).rglob("*") if file.is_file())


@contextmanager
def _threads(count: int) -> Iterator[None]:
    """Let the kernels use as many threads as the plan says."""
    before = os.environ.get("OMP_NUM_THREADS")
    os.environ["OMP_NUM_THREADS"] = str(count)
    try:
        yield
    finally:
        if before is None:
            del os.environ["OMP_NUM_THREADS"]
        else:
            os.environ["OMP_NUM_THREADS"] = before
