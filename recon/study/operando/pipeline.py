"""The whole chain on one series: check, run, resume."""

from importlib import metadata
from pathlib import Path

import numpy as np
from threadpoolctl import threadpool_limits

from deltamu.kernels.backend import thread_count
from deltamu.recon.atomic import ensure_free, readable_bytes, write_bytes, write_json, write_text
from deltamu.recon.errors import InputError
from deltamu.recon.operando.frame_chain import frames_per_block
from deltamu.recon.operando.reference import find_reference
from deltamu.recon.operando.series_correction import prepare_series_correction
from deltamu.recon.preprocess.memory import prepare_cost
from deltamu.recon.report.operando.content import load_series_content
from deltamu.recon.report.operando.film import draw_film
from deltamu.recon.report.operando.page import write_series_report
from deltamu.recon.study.journal import Journal, finished_pieces, settings_hash
from deltamu.recon.study.lock import RunLock
from deltamu.recon.study.operando.analysis import analyse
from deltamu.recon.study.operando.frame_pieces import PIECE_FRAMES, SeriesRun, measure_frames, measure_maps
from deltamu.recon.study.operando.results import write_series_results
from deltamu.recon.study.operando.settings import SeriesStudy, read_series_study, series_text
from deltamu.recon.study.operando.sources import Sources, open_sources, regions_of, stack_of, zones_of
from deltamu.recon.study.progress import Cancel, Progress, never, silent, stop_if_asked
from deltamu.recon.study.storage import check_output, prepare_output, start_afresh

# raised when the meaning of a stored piece changes, so that an older run is not continued
PIECES_VERSION = 4
_BASE_BYTES = 300_000_000
# copies of a frame in the chain: raw, float, cleaned, of a block and the next one that is read meanwhile
_COPIES = 5
_MEASURED_PIXELS_PER_S = 60e6


def run_series(
    study: SeriesStudy,
    *,
    progress: Progress = silent,
    cancel: Cancel = never,
    fresh: bool = False,
    report: bool = True,
) -> Path:
    """Run a series, or continue it where it stopped, and return its output folder.

    Parameters
    ----------
    study : SeriesStudy
    progress : callable, optional
        Told (stage, state, done, total) after every piece.
    cancel : callable, optional
        Asked between pieces; when it says yes the run stops and keeps what is finished.
    fresh : bool
        Start over instead of continuing.
    report : bool
        Draw the figures and write report.html; otherwise `write_series_report` does it later.

    Raises
    ------
    InputError
        If the settings, the frames, the cycler's file or the output is wrong.
    ResourceError
        If the disk does not suffice.
    Cancelled
        If `cancel` said yes.
    """
    sources = open_sources(study)
    output = study.output_dir
    prepare_output(output)
    with RunLock(output):
        if fresh:
            start_afresh(output)
        _refuse_a_study(output)
        ensure_free(output, _disk_bytes(sources))
        write_json(output / "plan.json", {"kind": "series", "version": metadata.version("deltamu")})
        # frames are worked on in parallel, each by one thread
        with threadpool_limits(limits={"blas": 1}):
            _run_stages(study, sources, output, progress, cancel)
            if report:
                write_series_report(output)
                progress("report", "", 1, 1)
    return output


def check_series(path: Path) -> str:
    """Validate a series and return its plan as text; nothing is written.

    Raises
    ------
    InputError
        As `run_series` would.
    """
    study = read_series_study(path)
    sources = open_sources(study)
    check_output(study.output_dir)
    _refuse_a_study(study.output_dir)
    done = finished_pieces(study.output_dir / "journal.jsonl")
    begun = f"begun, {done} pieces are finished" if done else "nothing is there yet"
    frames, rows, columns = sources.series.shape
    pixels = frames * rows * columns
    seconds = pixels / _MEASURED_PIXELS_PER_S / max(thread_count(), 1) + 30
    lines = [
        f"{frames} frames of {rows} × {columns} pixels, {sources.series.pixel_size_mm * 1e3:g} µm, every "
        f"{sources.series.step_s:g} s for {np.ptp(sources.series.times_s) / 3600:.2f} h; "
        f"{len(sources.series.flats)} flats, {len(sources.series.darks)} darks",
        f"layers: {', '.join(study.layers.order)}; zones: {', '.join(z.name for z in study.zones) or 'none'}; "
        f"regions: {', '.join(r.name for r in regions_of(study))}",
        f"memory {readable_bytes(_memory_bytes(sources))}, disk {readable_bytes(_disk_bytes(sources))}, "
        f"about {seconds / 60:.1f} min on {thread_count()} threads",
        f"output: {study.output_dir} ({begun})",
        *sources.notes,
    ]
    return "\n".join(lines)


def _run_stages(
    study: SeriesStudy, sources: Sources, output: Path, progress: Progress, cancel: Cancel
) -> None:
    write_text(output / "series.toml", series_text(study))
    options = study.preprocess
    correction = prepare_series_correction(
        sources.series, dose=options.dose, air_columns=options.air_columns, spots=options.spots,
        counts_per_adu=options.counts_per_adu, scatter_fraction=options.scatter.fraction, grid=sources.grid,
        tail=options.line_spread.as_tail(sources.series.pixel_size_mm),
    )  # fmt: skip
    stop_if_asked(cancel)
    reference = find_reference(
        sources.series, correction, stack_of(study), frames=study.reference_frames, zones=zones_of(study),
        regions=regions_of(study), hardening=options.hardening.as_model(study.lithium.wavelength_angstrom),
    )  # fmt: skip
    progress("reference", "", 1, 1)
    journal = Journal.open(output / "journal.jsonl")
    run = SeriesRun(
        study,
        output,
        sources.series,
        correction,
        reference,
        journal,
        _settings_hash(study, sources),
        progress,
        cancel,
    )
    profiles, facts = measure_frames(run)
    bounds = measure_maps(run, facts)
    stop_if_asked(cancel)
    analysis = analyse(run, profiles, facts, sources.cycling)
    progress("analysis", "", 1, 1)
    write_series_results(run, sources, facts, analysis, bounds)
    if study.report.film:
        write_bytes(output / "figures" / "film.gif", draw_film(load_series_content(output)))
        progress("film", "", 1, 1)


def _settings_hash(study: SeriesStudy, sources: Sources) -> str:
    """Of everything that profiles and maps depend on."""
    grid = None if sources.grid is None else sources.grid.fingerprint
    model = study.preprocess.hardening.as_model(study.lithium.wavelength_angstrom)
    return settings_hash(
        PIECES_VERSION, sources.series.fingerprint, grid, study.preprocess, repr(model), study.reference_frames,
        study.layers, study.zones, study.regions, study.report.maps, study.report.frames_per_map,
    )  # fmt: skip


def _refuse_a_study(output: Path) -> None:
    if (output / "study.zarr").exists() or (output / "study.toml").exists():
        raise InputError(f"{output}: holds the results of a tomography; choose another output for the series")


def _disk_bytes(sources: Sources) -> int:
    """Profiles of about 50 strips, maps, tables and figures."""
    frames, rows, columns = sources.series.shape
    return frames * rows * 50 * 4 + 24 * rows * columns * 4 + 50_000_000


def _memory_bytes(sources: Sources) -> int:
    """Flats and darks while they are combined, or blocks of frames; profiles are read in parts."""
    series = sources.series
    frames, rows, columns = series.shape
    pixels, references = rows * columns, len(series.flats) + len(series.darks)
    block = frames_per_block((rows, columns)) + 2
    streaming = 4 * pixels * (_COPIES * block + 24) + 4 * 50 * rows * PIECE_FRAMES * 8
    preparing = prepare_cost(pixels, views=frames, flats=references)
    return _BASE_BYTES + 4 * pixels * references + max(streaming, preparing)
