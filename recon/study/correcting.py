"""The correction of a state's frames as the settings of a study ask for it."""

from deltamu.recon.preprocess.black_body import BlackBodyFrames
from deltamu.recon.preprocess.correction import Correction
from deltamu.recon.preprocess.line_spread import LineSpreadTail
from deltamu.recon.preprocess.prepare import prepare_correction
from deltamu.recon.scans.scan import Scan
from deltamu.recon.study.settings import Study


def state_correction(study: Study, scan: Scan, black_body: Scan | None) -> Correction:
    """Learn how to correct the frames of a state.

    Parameters
    ----------
    study : Study
    scan : Scan
    black_body : Scan or None
        The acquisition behind a black-body grid, where the settings name one.
    """
    options = study.preprocess
    return prepare_correction(
        scan,
        dose=options.dose,
        air_columns=options.air_columns,
        spots=options.spots,
        counts_per_adu=options.counts_per_adu,
        black_body=None if black_body is None else BlackBodyFrames(black_body, scan.angles),
        scatter_fraction=options.scatter.fraction,
        tail=_tail(study, scan),
    )


def _tail(study: Study, scan: Scan) -> LineSpreadTail | None:
    given = study.preprocess.line_spread
    if given.tail_fwhm_um is None:
        return None
    assert scan.pixel_size_mm is not None
    return LineSpreadTail(given.tail_fraction, given.tail_fwhm_um / 1e3 / scan.pixel_size_mm)
