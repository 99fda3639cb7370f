"""The whole chain on one study: plan, run, resume."""

import logging
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from importlib import metadata
from pathlib import Path

from threadpoolctl import threadpool_limits

from deltamu.kernels.backend import reuse_freed_memory, share_one_heap, thread_count
from deltamu.kernels.device import resolve_device
from deltamu.recon.atomic import write_text
from deltamu.recon.errors import ResourceError, naming
from deltamu.recon.report.page import write_report
from deltamu.recon.solvers.engines import check_engine
from deltamu.recon.study.agreement import agreed_plan, keep_plan
from deltamu.recon.study.change_chain import compare_states
from deltamu.recon.study.exporting import image_names
from deltamu.recon.study.from_scans import ScannedState, prepare_state
from deltamu.recon.study.from_volumes import import_state
from deltamu.recon.study.journal import Journal, finished_pieces
from deltamu.recon.study.lock import RunLock
from deltamu.recon.study.plan import (
    Plan,
    check_disk,
    device_text,
    make_plan,
    parse_memory,
    plan_line,
    plan_text,
)
from deltamu.recon.study.progress import Cancel, Progress, never, silent, stop_if_asked
from deltamu.recon.study.reconstructing import reconstruct_state
from deltamu.recon.study.results import write_results
from deltamu.recon.study.run_context import RunContext
from deltamu.recon.study.settings import Study, read_study, settings_text
from deltamu.recon.study.sources import (
    Source,
    look_at_sources,
    open_sources,
    source_fingerprint,
    state_plans,
)
from deltamu.recon.study.state_plan import StatePlan
from deltamu.recon.study.storage import check_output, prepare_output, start_afresh
from deltamu.recon.volumes.image import set_aside
from deltamu.recon.volumes.volume import Volume

logger = logging.getLogger(__name__)


def run(
    study: Study,
    *,
    progress: Progress = silent,
    cancel: Cancel = never,
    device: str = "auto",
    memory: str | None = None,
    fresh: bool = False,
    keep_work: bool = False,
    tell: Callable[[str], None] = lambda text: None,
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
        On a GPU the attenuation is reconstructed; everything else is computed on the CPU.
    memory : str, optional
        Limit such as "4G"; by default 90 % of what is free.
    fresh : bool
        Start over instead of continuing.
    keep_work : bool
        Keep the line integrals after success.
    tell : callable, optional
        Told in one line what the run will need, before it starts.

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
    plan = plan_study(study, state_plans(sources), memory=memory, device=device)
    look_at_sources(study, sources)
    output = study.output_dir
    prepare_output(output)
    with RunLock(output):
        if fresh:
            start_afresh(output)
        plan = agreed_plan(output, study, plan)
        check_disk(plan, output, written_bytes=_written_bytes(output))
        keep_plan(output, study, plan)
        tell(plan_line(plan))
        share_one_heap()
        reuse_freed_memory()
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
    plan = plan_study(study, state_plans(sources), memory=memory, device="auto")
    look_at_sources(study, sources)
    check_output(study.output_dir)
    plan = agreed_plan(study.output_dir, study, plan)
    check_disk(plan, study.output_dir, written_bytes=_written_bytes(study.output_dir))
    notes = [f"{name}: {note}" for name, source in sources.items() for note in source.notes]
    done = finished_pieces(study.output_dir / "journal.jsonl")
    begun = f"begun, {done} pieces are finished" if done else "nothing is there yet"
    return "\n".join([plan_text(plan), f"output: {study.output_dir} ({begun})", *notes])


def plan_study(
    study: Study, states: tuple[StatePlan, ...], *, memory: str | None = None, device: str = "auto"
) -> Plan:
    """Plan memory, disk and time of a study whose scans have the given sizes.

    Raises
    ------
    InputError
        If the limit of the memory is no size, or the engine is not installed.
    ResourceError
        If the memory or the device does not suffice.
    """
    limit = parse_memory(memory or study.run.memory)
    check_engine(study.reconstruction.engine)
    try:
        chosen = resolve_device(device)
    except RuntimeError as error:
        raise ResourceError(str(error)) from None
    plan = make_plan(study, states, memory=limit, threads=thread_count(), device=chosen.name)
    return replace(plan, device_reason=chosen.reason)


def _run_stages(context: RunContext, sources: Mapping[str, Source]) -> None:
    write_text(context.output / "study.toml", settings_text(context.study))
    if context.plan.device_reason:
        logger.warning("deltamu: computing on the %s", device_text(context.plan))
    context.log("start", version=metadata.version("deltamu"), plan=context.plan.fixed())
    scanned: dict[str, ScannedState] = {}
    hashes: dict[str, str] = {}
    for name, source in sources.items():
        with naming(f"states.{name}"):
            if isinstance(source, Volume):
                with context.stage("import"):
                    hashes[name] = import_state(
                        context, name, source, source_fingerprint(context.study, name)
                    )
            else:
                for note in source.notes:
                    context.warn(f"{name}: {note}")
                scanned[name] = prepare_state(context, name, source)
                hashes[name] = reconstruct_state(context, scanned[name])
    compared = compare_states(context, scanned, hashes) if context.study.changes else None
    stop_if_asked(context.cancel)
    _set_aside_images_of_other_settings(context)
    with context.stage("report"):
        write_results(context, sources, scanned, compared)
        write_report(context.output)
    context.progress("report", "", 1, 1)
    context.log("done")


def _set_aside_images_of_other_settings(context: RunContext) -> None:
    """Keep images of states and changes that are no longer in the study from being taken for its results."""
    for name in image_names(context.store):
        if context.store / name not in context.images:
            set_aside(context.store / name)


def _written_bytes(output: Path) -> int:
    """Bytes of results that are already there and need no new space."""
    if not output.is_dir():
        return 0
    names = ("study.zarr", "work.zarr")
    return sum(file.stat().st_size for name in names for file in (output / name).rglob("*") if file.is_file())


@contextmanager
def _threads(count: int) -> Iterator[None]:
    """Let the kernels use as many threads as the plan says, and the linear algebra one.

    A resumed run may find other processors than the first start did, and sums in BLAS depend on their number.
    """
    before = os.environ.get("OMP_NUM_THREADS")
    os.environ["OMP_NUM_THREADS"] = str(count)
    try:
        with threadpool_limits(limits={"blas": 1, "openmp": count}):
            yield
    finally:
        if before is None:
            del os.environ["OMP_NUM_THREADS"]
        else:
            os.environ["OMP_NUM_THREADS"] = before
