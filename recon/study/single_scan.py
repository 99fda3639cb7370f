"""One scan without a study: `deltamu recon` and `deltamu center`."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from numpy.typing import NDArray

from deltamu.recon.atomic import readable_bytes
from deltamu.recon.errors import InputError, ResourceError, naming
from deltamu.recon.preprocess.center import CenterResult, find_center
from deltamu.recon.preprocess.correction import correct_frames, open_beam_variance
from deltamu.recon.preprocess.prepare import prepare_correction
from deltamu.recon.preprocess.stripes import StripeMode, remove_stripes
from deltamu.recon.report.figure_centers import write_center_picture
from deltamu.recon.scans.options import ScanOptions
from deltamu.recon.scans.read import open_scan
from deltamu.recon.scans.scan import Scan
from deltamu.recon.solvers.fbp import fbp, fbp_cost
from deltamu.recon.study.from_scans import CENTER_ROWS, centering_facts
from deltamu.recon.study.plan import BASE_BYTES, FRAMES_PER_BLOCK
from deltamu.recon.study.progress import Progress
from deltamu.recon.study.settings import SCAN_OPTION_NAMES, refuse_unknown
from deltamu.recon.volumes.export import export_volume
from deltamu.recon.volumes.image import create_image, finish_image, own_attributes, write_slab
from deltamu.recon.volumes.slice_folder import refuse_foreign, write_slices
from deltamu.recon.volumes.volume import Volume

Array = NDArray[np.float32]
ROWS_AT_A_TIME = 32
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
    filter: str,
    cutoff: float,
    center: float | None,
    padding: str,
    stripes: StripeMode,
    rows: str | None,
    progress: Progress,
) -> str:
    """Reconstruct one scan to a volume on disk and return a line that says what was done.

    Parameters
    ----------
    path, output : Path
        The scan; an OME-Zarr image (.zarr), a TIFF stack (.tif), HDF5 (.h5), NRRD, or a folder of TIFF slices.
    settings : mapping
        Options of the reader.
    filter, cutoff, center, padding
        As for `deltamu.recon.solvers.fbp.fbp`; the centre is found when it is None.
    stripes : {"auto", "on", "off"}
        See `deltamu.recon.preprocess.stripes.remove_stripes`.
    rows : str, optional
        "start:stop" of detector rows.

    Raises
    ------
    InputError
        If the scan, an option or the output is wrong.
    """
    scan = scan_with_options(path, settings)
    if scan.pixel_size_mm is None:
        raise InputError(f"{path}: the pixel size is not in the files; give it with --set pixel_size_mm=…")
    check_target(output)
    first, stop = parse_rows(rows, scan.shape[1])
    _check_memory(scan, stop - first)
    scan.check()
    with naming(str(path)):
        correction = prepare_correction(scan)
        line_integrals = remove_stripes(
            corrected_rows(scan, correction, first, stop, progress=progress), mode=stripes,
            open_beam_variance=open_beam_variance(correction)[first:stop],
            autocorrelation=correction.noise.autocorrelation,
        )  # fmt: skip
    if center is None:
        center = find_center(_spread_rows(line_integrals), scan.angles).center
    volume = np.empty((stop - first, scan.shape[2], scan.shape[2]), np.float32)
    for begin in range(0, stop - first, ROWS_AT_A_TIME):
        part = slice(begin, begin + ROWS_AT_A_TIME)
        volume[part] = fbp(
            line_integrals[:, part], scan.angles, center=center, pixel_size_mm=scan.pixel_size_mm, filter=filter,
            cutoff=cutoff, padding=padding,
        )  # fmt: skip
        progress("reconstruct", "", min(begin + ROWS_AT_A_TIME, stop - first), stop - first)
    write_volume(output, Volume(volume, scan.pixel_size_mm, "cm^-1", "attenuation"))
    return f"{output}: {stop - first} × {scan.shape[2]} × {scan.shape[2]} voxels of {scan.pixel_size_mm * 1e3:g} µm in cm⁻¹, centre {center:.2f} px"


def report_center(path: Path, *, picture: Path, settings: Mapping[str, Any]) -> str:
    """Find the centre of a scan, draw the candidates, and return them as lines.

    Raises
    ------
    InputError
        If the scan or an option is wrong.
    """
    scan = scan_with_options(path, settings)
    scan.check()
    rows = np.unique(np.linspace(0, scan.shape[1] - 1, CENTER_ROWS).round().astype(int))
    with naming(str(path)):
        correction = prepare_correction(scan)
        line_integrals = corrected_rows(scan, correction, 0, scan.shape[1])[:, rows]
        result = find_center(line_integrals, scan.angles)
    facts = centering_facts(result, rows)
    content = {"candidates": facts["candidates"], "consensus_px": result.center, "search_px": facts["search"]}
    write_center_picture(picture, content, title=scan.name, spread_px=result.spread)
    return "\n".join([*_center_lines(result), f"picture: {picture}"])


def corrected_rows(
    scan: Scan, correction: Any, first: int, stop: int, *, progress: Progress | None = None
) -> Array:
    """Line integrals of detector rows first to stop − 1, (angle, row, column), block of frames by block."""
    views, _, columns = scan.shape
    rows = np.empty((views, stop - first, columns), np.float32)
    for begin in range(0, views, FRAMES_PER_BLOCK):
        end = min(begin + FRAMES_PER_BLOCK, views)
        rows[begin:end] = correct_frames(scan.read(begin, end), correction, first_view=begin).line_integrals[
            :, first:stop
        ]
        if progress:
            progress("preprocess", "", end, views)
    return rows


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


def _check_memory(scan: Scan, rows: int) -> None:
    """Refuse what does not fit: the line integrals and the volume of these rows are held at once."""
    views, detector_rows, columns = scan.shape
    block = min(rows, ROWS_AT_A_TIME)
    held = 4 * rows * columns * (views + columns)
    working = 4 * columns * (8 * FRAMES_PER_BLOCK * detector_rows + 2 * block * views)
    needed = BASE_BYTES + held + working + fbp_cost(views, columns).total(block)
    free = int(0.9 * psutil.virtual_memory().available)
    if needed > free:
        raise ResourceError(
            f"memory: {rows} rows need {readable_bytes(needed)}, {readable_bytes(free)} are free; reconstruct "
            "fewer rows at a time with --rows start:stop, or bin with --set bin=2"
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


def _spread_rows(line_integrals: Array) -> Array:
    picked = np.unique(np.linspace(0, line_integrals.shape[1] - 1, CENTER_ROWS).round().astype(int))
    return np.ascontiguousarray(line_integrals[:, picked])


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
