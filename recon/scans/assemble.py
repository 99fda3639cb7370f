"""A scan from what a reader found and what the user states."""

from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from deltamu.recon.errors import InputError
from deltamu.recon.scans.angle_file import AngleList, read_angle_file
from deltamu.recon.scans.angle_notes import angle_notes
from deltamu.recon.scans.angles import (
    FrameAngles,
    FrameCounts,
    evenly_spaced,
    from_names,
    golden_ratio,
    match_with_frames,
)
from deltamu.recon.scans.found import FoundScan
from deltamu.recon.scans.frames import FrameSource, SelectedFrames, join
from deltamu.recon.scans.options import ScanOptions, parse_select
from deltamu.recon.scans.scan import Scan
from deltamu.recon.scans.stated import base_folder
from deltamu.recon.scans.view import DetectorView, detector_view
from deltamu.recon.scans.views import FrameGroups, group_frames


def assemble(name: str, path: Path, found: FoundScan, options: ScanOptions) -> Scan:
    """Make a scan of what was found and what was stated.

    Parameters
    ----------
    name : str
    path : Path
        The scan; a stated angle file is relative to it.
    found : FoundScan
    options : ScanOptions

    Raises
    ------
    InputError
        If angles, frames and options do not fit together.
    """
    projections, selected = _selected_projections(found.projections, options)
    frames = FrameCounts(
        label=found.projections.label,
        stored=found.projections.count,
        selected=selected,
        in_file=found.in_file,
        all_in_file=found.all_in_file,
        frames_per_angle=options.frames_per_angle,
    )
    angles = match_with_frames(
        _angle_list(path, found, frames, options),
        frames,
        unit=options.angle_unit,
        select=options.angle_select,
    )
    angles = replace(angles, times_s=_times(found, selected, angles))
    groups = group_frames(angles.degrees, frames_per_angle=options.frames_per_angle, label=projections.label)
    view = detector_view(projections.shape, options, projections.label)
    return _scan(name, found, options, projections=projections, angles=angles, groups=groups, view=view)


def _scan(
    name: str,
    found: FoundScan,
    options: ScanOptions,
    *,
    projections: FrameSource,
    angles: FrameAngles,
    groups: FrameGroups,
    view: DetectorView,
) -> Scan:
    flats = [source for source in (found.flats, found.flats_after) if source is not None]
    pixel_size, pixel_note = _pixel_size(found, options)
    exposures, exposure_note = _exposures(found, options)
    sign = -1.0 if options.direction == "reversed" else 1.0
    degrees = groups.of_views(angles.degrees)
    return Scan(
        name=name,
        projections=projections,
        groups=groups.groups,
        angles=np.radians(sign * degrees),
        view=view,
        flat_source=join(flats, flats[0].label if flats else ""),
        dark_source=found.darks,
        pixel_size_mm=pixel_size,
        times_s=None if angles.times_s is None else groups.of_views(angles.times_s),
        flats_after=None if found.flats_after is None else (found.flats.count if found.flats else 0),
        exposure_s=exposures,
        combine=options.combine,
        direction=options.direction,
        notes=(
            *found.notes, *groups.notes, *angle_notes(degrees), *pixel_note, *exposure_note,
            *_missing_notes(found),
        ),
        settings=repr(options),
    )  # fmt: skip


def _selected_projections(source: FrameSource, options: ScanOptions) -> tuple[FrameSource, NDArray[np.int64]]:
    selected = np.arange(source.count)[parse_select(options.projection_select, "projection_select")]
    if selected.size < 2:
        if options.projection_select and source.count > 1:
            raise InputError(
                f"projection_select: '{options.projection_select}' leaves {selected.size} of the "
                f"{source.count} projections"
            )
        raise InputError(
            f"{source.label}: found {source.count} projection, expected a scan of at least two views"
        )
    if selected.size == source.count:
        return source, selected
    return SelectedFrames(source, selected, source.label), selected


def _angle_list(path: Path, found: FoundScan, frames: FrameCounts, options: ScanOptions) -> AngleList:
    """Return the angles that the user states, otherwise those of the files."""
    count = int(frames.selected.size) // (options.frames_per_angle or 1)
    if options.angles_deg is not None:
        return AngleList(np.array(options.angles_deg, np.float64), None, "angles_deg")
    if options.angle_file is not None:
        return read_angle_file(base_folder(path) / options.angle_file, column=options.angle_column)
    if options.angle_golden is not None:
        return golden_ratio(count, range_deg=options.angle_golden, start_deg=options.angle_start_deg or 0.0)
    if options.angle_start_deg is not None and options.angle_stop_deg is not None:
        endpoint = bool(options.angle_endpoint)
        return evenly_spaced(options.angle_start_deg, options.angle_stop_deg, count, endpoint=endpoint)
    if options.angle_pattern is not None:
        names = found.projections.names
        if names is None:
            raise InputError(
                f"angle_pattern: the frames of {frames.label} have no file names; state the angles otherwise"
            )
        return from_names(names, options.angle_pattern)
    if found.angles is None:
        raise InputError(
            f"{frames.label}: found no angles; state angle_file, or angle_start_deg, angle_stop_deg and "
            "angle_endpoint, or angle_golden, or angle_pattern for file names"
        )
    return found.angles


def _times(found: FoundScan, selected: NDArray[np.int64], angles: FrameAngles) -> NDArray[np.float64] | None:
    """Time stamps of the selected frames: of a dataset, otherwise of the file that holds the angles."""
    if found.times_s is None:
        return angles.times_s
    if found.times_s.size != found.projections.count:
        raise InputError(
            f"times_path: found {found.times_s.size} time stamps for the {found.projections.count} "
            f"projections of {found.projections.label}"
        )
    return found.times_s[selected]


def _pixel_size(found: FoundScan, options: ScanOptions) -> tuple[float | None, tuple[str, ...]]:
    """Return the size of a binned pixel, and where it is from."""
    if options.pixel_size_mm is not None:
        return options.pixel_size_mm * options.bin, ()
    if found.pixel_size_mm is None:
        return None, ()
    return found.pixel_size_mm * options.bin, (
        f"pixel size {found.pixel_size_mm * 1e3:.6g} µm as the file states it",
    )


def _exposures(found: FoundScan, options: ScanOptions) -> tuple[dict[str, float] | None, tuple[str, ...]]:
    projections = options.exposure_s if options.exposure_s is not None else found.exposure_s
    stated = {"projections": projections, "flats": options.flat_exposure_s, "darks": options.dark_exposure_s}
    exposures = {kind: seconds for kind, seconds in stated.items() if seconds is not None}
    if not exposures:
        return None, ()
    if projections is None:
        raise InputError(
            "flat_exposure_s, dark_exposure_s: the exposure of the projections is not known; state exposure_s"
        )
    differing = [f"{kind} {seconds:g} s" for kind, seconds in exposures.items() if seconds != projections]
    if not differing:
        return exposures, ()
    used = {
        "flats": "flats are scaled to it",
        "darks": "darks are used as they are, an offset does not grow with it",
    }
    told = [text for kind, text in used.items() if exposures.get(kind, projections) != projections]
    return exposures, (
        f"exposure of projections {projections:g} s, of {' and '.join(differing)}: {'; '.join(told)}",
    )


def _missing_notes(found: FoundScan) -> list[str]:
    notes = []
    if found.flats is None and found.flats_after is None:
        notes.append("no flats were found")
    if found.darks is None:
        notes.append("no darks were found")
    return notes
