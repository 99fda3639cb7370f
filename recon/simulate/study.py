"""Three raw scans of a lithium-sulfur cell, as three instruments would have written them, and the truth."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from deltamu.recon.atomic import write_json
from deltamu.recon.errors import Cancelled, InputError
from deltamu.recon.simulate.acquisition import ScanIdentity, acquire, is_complete
from deltamu.recon.simulate.builder import STATES, Progress, StudyBuilder, StudySettings
from deltamu.recon.simulate.cell import (
    Cell,
)
from deltamu.recon.simulate.description import SimulatedStudy
from deltamu.recon.simulate.detector import expected_flat
from deltamu.recon.simulate.presets import Instrument, find_beam, find_preset
from deltamu.recon.simulate.profiles import find_truth
from deltamu.recon.simulate.truth import (
    write_truth,
)

# interpreter and libraries; arrays of the size of a scan's line integrals while they are drawn
_INTERPRETER_BYTES, _DRAWN_ARRAYS = 210_000_000, 3.4


def simulate_study(
    folder: str | Path,
    *,
    preset: str = "small",
    beam: str = "ideal",
    seed: int = 1,
    same_state: bool = False,
    featureless: bool = False,
    stack_shift_um: float = 0.0,
    lithium: str = "broad",
    progress: Progress | None = None,
    cancel: Callable[[], bool] | None = None,
) -> SimulatedStudy:
    """Simulate three scans of a cell and write them, and the truth, below a folder.

    Scans that are complete and were made with the same settings are kept.

    Parameters
    ----------
    folder : path
        Gets raw/ and truth/.
    preset : {"tiny", "small", "full"}
    beam : {"ideal", "real"}
        One wavelength and a sharp detector, or a spectrum, scatter, a wide line spread and a tilted axis.
    seed : int
        Of the sample, its poses, the detector and the noise.
    same_state : bool
        All three scans show the pristine cell, each mounted anew.
    featureless : bool
        Without holes, notch, pores and collector ends.
    stack_shift_um : float
        How far separator, cathode and collector follow the shrinking anode.
    lithium : {"broad", "front", "mirror", "center"}
        Where in the cathode it is: a broad maximum near the separator, a front from the separator or from the
        collector, a maximum in the middle.
    progress : callable, optional
        Called with (stage, state, done, total).
    cancel : callable, optional
        Asked between blocks; true stops.

    Returns
    -------
    SimulatedStudy

    Raises
    ------
    InputError
        If a setting is wrong or the folder holds something else.
    ResourceError
        If the disk is full.
    Cancelled
        If `cancel` said so; complete scans stay.
    """
    settings = _settings(preset, beam, seed, same_state, featureless, stack_shift_um, lithium)
    identities = [
        ScanIdentity(
            state, index, settings.content(state), preset, beam, seed, featureless, float(stack_shift_um)
        )
        for index, state in enumerate(STATES)
    ]
    report = _Reporter(progress, cancel)
    builder = StudyBuilder(settings)
    folder = Path(folder)
    for identity in identities:
        _simulate_scan(folder, identity, builder, report)
    study = builder.describe(folder)
    _simulate_truth(study, identities, builder, report)
    return study


def simulation_cost(preset: str) -> tuple[int, int]:
    """Bytes of memory that `simulate_study` needs at most, with the interpreter, and those that it writes.

    The line integrals of a scan are drawn as a whole, body by body; three scans are written with 16 bits.
    """
    sizes = find_preset(preset)
    frames = sizes.rows * sizes.columns * sizes.views
    held = _INTERPRETER_BYTES + int(_DRAWN_ARRAYS * 4 * frames)
    return held, len(STATES) * 2 * frames + 4 * sizes.rows * sizes.columns**2


def describe_study(
    folder: str | Path,
    *,
    preset: str = "small",
    beam: str = "ideal",
    seed: int = 1,
    same_state: bool = False,
    featureless: bool = False,
    stack_shift_um: float = 0.0,
    lithium: str = "broad",
) -> SimulatedStudy:
    """Say what `simulate_study` would write, without writing it.

    Parameters
    ----------
    folder, preset, beam, seed, same_state, featureless, stack_shift_um, lithium
        As for `simulate_study`.

    Raises
    ------
    InputError
        If a setting is wrong.
    """
    settings = _settings(preset, beam, seed, same_state, featureless, stack_shift_um, lithium)
    return StudyBuilder(settings).describe(Path(folder))


def _settings(
    preset: str,
    beam: str,
    seed: int,
    same_state: bool,
    featureless: bool,
    stack_shift_um: float,
    lithium: str,
) -> StudySettings:
    if seed < 0:
        raise InputError(f"seed: found {seed}, expected a whole number of at least 0")
    find_truth(lithium)
    return StudySettings(
        find_preset(preset),
        find_beam(beam),
        Instrument(),
        Cell(stack_shift_mm=stack_shift_um / 1000, featureless=featureless),
        seed,
        same_state,
        lithium,
    )


def _simulate_scan(folder: Path, identity: ScanIdentity, builder: StudyBuilder, report: "_Reporter") -> None:
    if is_complete(folder, identity):
        report("simulate", identity.state, 1, 1)
        return
    acquire(
        folder,
        identity,
        lambda: builder.scene(identity.state),
        builder.detector,
        progress=lambda done, total: report("simulate", identity.state, done, total),
    )


def _simulate_truth(
    study: SimulatedStudy, identities: list[ScanIdentity], builder: StudyBuilder, report: "_Reporter"
) -> None:
    stamp = {"scans": [vars(identity) for identity in identities]}
    file = study.truth / "made_with.json"
    if not ((study.truth / "truth.json").is_file() and _reads(file) == stamp):
        (study.truth / "truth.json").unlink(missing_ok=True)
        write_truth(study.truth, builder.truth(report))
        np.save(study.truth / "flat_mean.npy", expected_flat(builder.detector)[0])
        np.save(study.truth / "flat_variance.npy", expected_flat(builder.detector)[1])
        write_json(file, stamp)
    report("truth", "", len(STATES), len(STATES))


def _reads(file: Path) -> object:
    import json

    return json.loads(file.read_text(encoding="utf-8")) if file.is_file() else None


@dataclass(frozen=True)
class _Reporter:
    """Passes on progress and asks whether to stop."""

    progress: Progress | None
    cancel: Callable[[], bool] | None

    def __call__(self, stage: str, state: str, done: int, total: int) -> None:
        if self.progress is not None:
            self.progress(stage, state, done, total)
        if self.cancel is not None and self.cancel():
            raise Cancelled("stopped as asked; complete scans are kept, the same command continues from here")
