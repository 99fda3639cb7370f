"""The correction of a state's frames as the settings of a study ask for it."""

import numpy as np
from numpy.typing import NDArray

from deltamu.recon.preprocess.black_body import BlackBodyFrames
from deltamu.recon.preprocess.correction import Correction
from deltamu.recon.preprocess.line_spread import LineSpreadTail
from deltamu.recon.preprocess.prepare import prepare_correction
from deltamu.recon.scans.scan import Scan
from deltamu.recon.study.dose_file import HEADER, read_dose_file, read_header_dose
from deltamu.recon.study.mask_file import read_mask_file
from deltamu.recon.study.settings import Study


def state_correction(study: Study, name: str, scan: Scan, black_body: Scan | None) -> Correction:
    """Learn how to correct the frames of a state.

    Parameters
    ----------
    study : Study
    name : str
        Of the state.
    scan : Scan
    black_body : Scan or None
        The acquisition behind a black-body grid, where the settings name one.
    """
    options = study.preprocess
    return prepare_correction(
        scan,
        dose="counted" if options.dose == "file" else options.dose,
        dose_counts=_counts(study, name, scan),
        dose_region=options.dose_region,
        air_columns=options.air_columns,
        spots=options.spots,
        dark_spots=options.dark_spots,
        counts_per_adu=options.counts_per_adu,
        black_body=None
        if black_body is None
        else BlackBodyFrames(black_body, scan.angles, mask=dots_of_grid(study, name)),
        scatter_fraction=options.scatter.fraction,
        tail=_tail(study, scan),
    )


def dots_of_grid(study: Study, name: str) -> NDArray[np.bool_] | None:
    """Mask (row, column) of the dots of the black-body grid, where the settings name a file of it."""
    path = study.black_body_dots_path(name)
    if path is None:
        return None
    return read_mask_file(
        path, setting=f"states.{name}.black_body_dots", axes="(row, column) of the frames as read"
    )


def _counts(study: Study, name: str, scan: Scan) -> NDArray[np.float64] | None:
    state = study.states[name]
    if study.preprocess.dose != "file" or state.dose_file is None:
        return None
    path = study.dose_path(name)
    if path is None:
        keyword = state.dose_file.removeprefix(HEADER)
        return read_header_dose(scan, keyword, reference=state.dose_reference)
    return read_dose_file(path, scan.shape[0], reference=state.dose_reference)


def _tail(study: Study, scan: Scan) -> LineSpreadTail | None:
    assert scan.pixel_size_mm is not None
    return study.preprocess.line_spread.as_tail(scan.pixel_size_mm)
