"""One scan without a study: `deltamu recon` and `deltamu center`."""

import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deltamu.kernels.backend import release_freed_memory
from deltamu.recon.atomic import PARTIAL, ensure_free
from deltamu.recon.errors import Cancelled, InputError, naming
from deltamu.recon.preprocess.axis_tilt import axis_tilt
from deltamu.recon.preprocess.center import CenterResult, find_center
from deltamu.recon.preprocess.correction import Correction
from deltamu.recon.preprocess.gain_pattern import gain_pattern
from deltamu.recon.preprocess.moments import MomentSums
from deltamu.recon.preprocess.prepare import prepare_correction
from deltamu.recon.preprocess.stripes import StripeMode, judge_stripes
from deltamu.recon.report.figure_centers import write_center_picture
from deltamu.recon.scans.options import ScanOptions
from deltamu.recon.scans.read import open_scan
from deltamu.recon.scans.scan import Scan
from deltamu.recon.solvers.engines import check_engine
from deltamu.recon.solvers.fbp import check_center
from deltamu.recon.solvers.filters import check_filter
from deltamu.recon.solvers.method import Method
from deltamu.recon.study.aligning import KNOWN_TILT_DEG
from deltamu.recon.study.corrected_like import read_example, with_example
from deltamu.recon.study.frames_to_rows import (
    CENTER_ROWS,
    FRAMES_PER_FILE,
    ROWS_PER_FILE,
    Stack,
    correct_scan,
    mean_projection,
    stack_stripe_scores,
)
from deltamu.recon.study.from_scans import centering_facts
from deltamu.recon.study.plan import parse_memory
from deltamu.recon.study.progress import Cancel, Progress, never
from deltamu.recon.study.reconstructed_rows import ReconstructedRows
from deltamu.recon.study.row_solver import RowSolver
from deltamu.recon.study.scan_plan import plan_scan
from deltamu.recon.study.settings_problems import refuse_unknown
from deltamu.recon.study.settings_states import SCAN_OPTION_NAMES
from deltamu.recon.volumes.blocks import BlockArray, create_stack
from deltamu.recon.volumes.export import export_volume
from deltamu.recon.volumes.image import create_image, finish_image, own_attributes, write_slab
from deltamu.recon.volumes.slice_folder import refuse_foreign, write_slices
from deltamu.recon.volumes.volume import Volume

Array = NDArray[np.float32]
FORMATS = {".h5": "hdf5", ".hdf5": "hdf5", ".nrrd": "nrrd", ".tif": "tiff", ".tiff": "tiff"}


def scan_with_options(path: Path, settings: Mapping[str, Any]) -> Scan:
    """Open a scan with options as they stand in study.toml.

    Raises
    ------
    InputError
        If an option is unknown or wrong.
    """
    values: dict[str, Any] = {
        key: tuple(value) if isinstance(value, list) else value for key, value in settings.items()
    }
    refuse_unknown("--set", "", values, SCAN_OPTION_NAMES)
    return open_scan(path, ScanOptions(**values))


def reconstruct_scan(
    path: Path,
    output: Path,
    *,
    settings: Mapping[str, Any],
    method: Method,
    center: float | None,
    stripes: StripeMode,
    rows: str | None,
    progress: Progress,
    memory: str | None = None,
    tell: Callable[[str], None] = lambda text: None,
    cancel: Cancel = never,
    like: str | None = None,
) -> str:
    """Reconstruct one scan to a volume on disk; return a line that says what was done, and one for a warning.

    Parameters
    ----------
    path, output : Path
        The scan; an OME-Zarr image (.zarr), a TIFF stack (.tif), HDF5 (.h5), NRRD, or a folder of TIFF slices.
    settings : mapping
        Options of the reader.
    method : Method
    center : float, optional
        Pixels; found when it is None.
    stripes : {"auto", "on", "off"}
        See `deltamu.recon.preprocess.stripes.remove_stripes`.
    rows : str, optional
        "start:stop" of detector rows.
    memory : str, optional
        Limit such as "2G"; by default 90 % of what is free. Line integrals that do not fit go to disk beside the
        output while it is made.
    tell : callable, optional
        Told in one line what the run will need, before it starts.
    cancel : callable, optional
        Asked between blocks of frames, blocks of rows and iterations whether to stop.
    like : str, optional
        "study.toml:state": corrected as this state of a study would be (dose, scattered background, tail of the line
        spread, hardening), with its options of the reader.

    Raises
    ------
    InputError
        If the scan, an option or the output is wrong.
    ResourceError
        If memory or disk does not suffice.
    Cancelled
        If `cancel` said so.
    """
    check_engine(method.engine)
    example = read_example(like)
    scan = scan_with_options(path, with_example(settings, example))
    if scan.pixel_size_mm is None:
        raise InputError(f"{path}: the pixel size is not in the files; give it with --set pixel_size_mm=…")
    check_target(output)
    check_filter(method.filter, method.cutoff)
    if center is not None:
        check_center(center, scan.shape[2])
    kept = slice(*parse_rows(rows, scan.shape[1]))
    picked = _spread_rows(kept) if center is None else np.empty(0, int)
    plan = plan_scan(
        scan, rows=kept.stop - kept.start, picked=picked.size, stripes=stripes, limit=parse_memory(memory),
        method=method,
    )  # fmt: skip
    told, dose = _stoppable(progress, cancel), np.ones(scan.shape[0])
    ensure_free(output, plan.disk_bytes)
    scan.check()
    tell(plan.text)
    with _stack(scan, kept, output, staged=plan.staged) as stack, naming(str(path)):
        correction = prepare_correction(scan) if example is None else example.correction(scan)
        scan.forget_references()
        release_freed_memory()
        chosen = correct_scan(scan, correction, stack, rows=kept, picked=picked, dose=dose, progress=told)
        release_freed_memory()
        if center is None:
            center = find_center(chosen, scan.angles).center
        del chosen
        release_freed_memory()
        solver = RowSolver(
            method, scan.angles, center, scan.pixel_size_mm, correction, dose, first_row=kept.start
        )
        striped = _has_stripes(stripes, stack, correction, rows=kept, step=plan.step)
        gains = gain_pattern(mean_projection(stack)) if striped else None
        linear = None
        if example is not None:
            linear = example.linearisation(
                stack, scan.angles, center=center, pixel_size_mm=scan.pixel_size_mm
            )
        release_freed_memory()
        volume = ReconstructedRows(stack, solver, plan.step, gains, told, linear)
        write_volume(output, Volume(volume, scan.pixel_size_mm, "cm^-1", "attenuation"))
    size = " × ".join(map(str, volume.shape))
    done = f"{output}: {size} voxels of {scan.pixel_size_mm * 1e3:g} µm in cm⁻¹ by {method.title}, centre {center:.2f} px"
    return done if solver.warning is None else f"{done}\nwarning: {solver.warning}"


def _stoppable(progress: Progress, cancel: Cancel) -> Progress:
    """Tell what is done, unless it is to stop."""

    def tell(stage: str, state: str, done: int, total: int) -> None:
        if cancel():
            raise Cancelled("stopped as asked; the volume is not finished")
        progress(stage, state, done, total)

    return tell


@contextmanager
def _stack(scan: Scan, rows: slice, output: Path, *, staged: bool) -> Iterator[Array | BlockArray]:
    """Room for the line integrals of some rows: in memory, or in a folder beside the output that goes away again."""
    views, _, columns = scan.shape
    shape = (views, rows.stop - rows.start, columns)
    if not staged:
        yield np.empty(shape, np.float32)
        return
    folder = output.with_name(f".{output.name}.lines{PARTIAL}")
    shutil.rmtree(folder, ignore_errors=True)
    try:
        yield create_stack(folder, shape=shape, chunks=(FRAMES_PER_FILE, ROWS_PER_FILE, columns))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _has_stripes(mode: StripeMode, stack: Stack, correction: Correction, *, rows: slice, step: int) -> bool:
    if mode != "auto":
        return mode == "on"
    return judge_stripes(stack_stripe_scores(stack, correction, rows=rows, step=step)).detected


def report_center(path: Path, *, picture: Path, settings: Mapping[str, Any], like: str | None = None) -> str:
    """Find the centre of a scan, draw the candidates, and return them as lines.

    `like` is as for `reconstruct_scan`; hardening, which moves no centre, is left.

    Raises
    ------
    InputError
        If the scan or an option is wrong.
    """
    example = read_example(like)
    scan = scan_with_options(path, with_example(settings, example))
    scan.check()
    rows = _spread_rows(slice(0, scan.shape[1]))
    with naming(str(path)):
        correction = prepare_correction(scan) if example is None else example.correction(scan)
        sums = MomentSums()
        line_integrals = correct_scan(scan, correction, sums, rows=slice(0, scan.shape[1]), picked=rows)
        result = find_center(line_integrals, scan.angles)
    facts = centering_facts(result, rows)
    content = {"candidates": facts["candidates"], "consensus_px": result.center, "search_px": facts["search"]}
    write_center_picture(picture, content, title=scan.name, spread_px=result.spread)
    lines = [*_center_lines(result), *_tilt_lines(sums, scan.angles), f"picture: {picture}"]
    return "\n".join(lines)


def _tilt_lines(sums: MomentSums, angles: NDArray[np.floating]) -> list[str]:
    """Direction of the axis from the moments of the views, or why it cannot be told."""
    try:
        tilt = axis_tilt(sums.result(), angles)
    except InputError as error:
        return [f"tilt from the moments of the views: unknown ({error})"]
    found = {
        "in the detector plane": (tilt.roll_deg, tilt.roll_error_deg),
        "along the beam": (tilt.lean_deg, tilt.lean_error_deg),
    }
    return [
        f"tilt from the moments of the views, {where}: {value:.3f} ± {error:.3f}°" if error <= KNOWN_TILT_DEG
        else f"tilt from the moments of the views, {where}: cannot be told from this sample"
        for where, (value, error) in found.items()
    ]  # fmt: skip


def write_volume(output: Path, volume: Volume) -> None:
    """Write a volume as an OME-Zarr image (.zarr), HDF5, NRRD, a TIFF stack (.tif), or a folder of slices."""
    suffix = output.suffix.lower()
    if suffix == ".zarr":
        _write_image(output, volume)
    elif suffix in FORMATS and not output.is_dir():
        export_volume(volume, output, format=FORMATS[suffix])
    else:
        write_slices(volume, output)


def _write_image(output: Path, volume: Volume) -> None:
    image = create_image(
        output.parent, output.name, shape=volume.shape, voxel_size_mm=volume.voxel_size_mm, unit=volume.unit
    )
    for slab in range(image.slabs):
        write_slab(image, slab, volume[slab * image.slab : (slab + 1) * image.slab])
    finish_image(image)


def check_target(output: Path) -> None:
    """Refuse a file name that no volume can be written to, before anything is computed.

    Raises
    ------
    InputError
        If the suffix is unknown, or something that is not a volume of deltamu is in the way.
    """
    suffix = output.suffix.lower()
    if suffix == ".zarr":
        if output.exists():
            own_attributes(output)
    elif not suffix or output.is_dir():
        refuse_foreign(output)
    elif suffix not in FORMATS:
        raise InputError(
            f"{output}: found the suffix '{suffix}', expected .zarr, .tif, .h5 or .nrrd, or the name of a "
            "folder for TIFF slices"
        )


def parse_rows(text: str | None, rows: int) -> tuple[int, int]:
    """Read 'start:stop' of detector rows.

    Raises
    ------
    InputError
        If it is not that, or empty, or beyond the detector.
    """
    if text is None:
        return 0, rows
    begin, colon, end = text.partition(":")
    try:
        first, stop = int(begin or 0), int(end or rows)
    except ValueError:
        colon = ""
    if not colon or not 0 <= first < stop <= rows:
        raise InputError(f"--rows {text}: expected start:stop within 0:{rows}")
    return first, stop


def _spread_rows(rows: slice) -> NDArray[np.int64]:
    """Detector rows that the centre is searched in."""
    return np.unique(np.linspace(rows.start, rows.stop - 1, CENTER_ROWS).round().astype(int))


def _center_lines(result: CenterResult) -> list[str]:
    methods = dict.fromkeys(candidate.method for candidate in result.candidates)
    lines = [
        f"centre {result.center:.2f} ± {result.spread:.2f} px, searched {result.search[0]:.1f} to {result.search[1]:.1f}"
    ]
    for method in methods:
        values = [c.center for c in result.candidates if c.method == method]
        lines.append(f"  {method:24} median {np.median(values):8.2f} px from {len(values)} rows")
    lines.append(f"tilt of the axis in the detector plane: {result.tilt_deg:.3f}°")
    return lines + [f"warning: {warning}" for warning in result.warnings]
