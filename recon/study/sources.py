"""The scans and volumes of a study: opened, compared, looked at before anything is computed."""

import hashlib
from collections.abc import Mapping

from deltamu.recon.errors import InputError, naming
from deltamu.recon.preprocess.dose import check_air_columns
from deltamu.recon.scans.options import ScanOptions
from deltamu.recon.scans.read import open_scan
from deltamu.recon.scans.scan import Scan
from deltamu.recon.study.cycled_charge import cycled_charges
from deltamu.recon.study.settings import Study
from deltamu.recon.study.state_plan import StatePlan
from deltamu.recon.volumes.read import read_volume
from deltamu.recon.volumes.volume import Volume

Source = Scan | Volume
# what holds for every frame of a camera, whatever it shows
_DETECTOR_OPTIONS = (
    "format", "combine", "transpose", "flip", "crop_rows", "crop_columns", "bin", "pixel_size_mm", "direction",
)  # fmt: skip


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
    _check_priors(study, sources)
    return sources


def look_at_sources(study: Study, sources: Mapping[str, Source]) -> None:
    """Look at every file, the flats and the darks, the cycler's record, and the columns that the settings name.

    Raises
    ------
    InputError
        Naming the state and the file or the setting.
    """
    for name, source in sources.items():
        if isinstance(source, Scan):
            with naming(f"states.{name}"):
                source.check()
                _check_flats_exist(source)
                _check_black_body(study, name, source)
                _check_columns(study, name, source.shape[2])
                # those of one state at a time are enough to hold
                source.forget_references()
    cycled_charges(study)


def state_plans(sources: Mapping[str, Source]) -> tuple[StatePlan, ...]:
    """Sizes of all states, for the plan."""
    return tuple(_state_plan(name, source) for name, source in sources.items())


def source_fingerprint(study: Study, name: str) -> str:
    """Hash over the names, sizes and times of change of the files of a state."""
    path = study.state_path(name)
    files = sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]
    digest = hashlib.sha256()
    for file in files:
        status = file.stat()
        digest.update(f"{file.name}|{status.st_size}|{status.st_mtime_ns}\n".encode())
    return digest.hexdigest()


def open_black_body(study: Study, name: str) -> Scan | None:
    """Open the acquisition behind a black-body grid, with the crop, binning and flip of the state's scan."""
    path = study.black_body_path(name)
    if path is None:
        return None
    with naming(f"states.{name}.black_body"):
        own = study.scan_options(name)
        kept = {key: getattr(own, key) for key in _DETECTOR_OPTIONS}
        return open_scan(path, ScanOptions(**kept))


def _open_source(study: Study, name: str) -> Source:
    settings = study.states[name]
    path = study.state_path(name)
    with naming(f"states.{name}"):
        if settings.volume is None:
            return open_scan(path, study.scan_options(name))
        return read_volume(
            path, voxel_size_mm=settings.voxel_size_mm, unit=settings.unit, dataset=settings.dataset
        )


def _check_priors(study: Study, sources: Mapping[str, Source]) -> None:
    """Refuse a prior on another grid than that of the rows and columns of the views."""
    for name, settings in study.states.items():
        if settings.reconstruction is not None:
            own, prior = (_state_plan(n, sources[n]).volume for n in (name, study.reference))
            if own != prior:
                raise InputError(
                    f"states.{name}.reconstruction: its scan gives {' × '.join(map(str, own))} voxels, the prior "
                    f"{study.reference} has {' × '.join(map(str, prior))}; piccs needs as many: crop the scans alike"
                )


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
    return StatePlan(name, (views, rows, columns), (rows, columns, columns), size, source.reference_frames)


def _check_flats_exist(scan: Scan) -> None:
    if not scan.flats.shape[0]:
        raise InputError(
            f"{scan.projections.label}: found no flats; expected at least one open-beam frame: state `flats` "
            "(a folder, file or pattern) or `flats_path` (a dataset)"
        )


def _check_black_body(study: Study, name: str, scan: Scan) -> None:
    grid = open_black_body(study, name)
    if grid is None:
        return
    grid.check()
    _check_flats_exist(grid)
    if grid.shape[1:] != scan.shape[1:]:
        raise InputError(
            f"black_body: found frames of {grid.shape[1:]} pixels, the scan has {scan.shape[1:]}; "
            "expected the same camera"
        )


def _check_columns(study: Study, name: str, columns: int) -> None:
    """Refuse columns outside the detector, as far as the settings name some."""
    center, search = study.states[name].center, study.center.search_px
    if center is not None and not -0.5 <= center <= columns - 0.5:
        raise InputError(f"center: found {center:g}, expected a detector column, -0.5 to {columns - 0.5:g}")
    if search is not None and not 0 <= search[0] < search[1] <= columns - 1:
        raise InputError(
            f"center.search_px: found {list(search)}, expected [lowest, highest] within 0 to {columns - 1}"
        )
    if study.preprocess.air_columns is not None:
        with naming("preprocess"):
            check_air_columns(study.preprocess.air_columns, columns)
