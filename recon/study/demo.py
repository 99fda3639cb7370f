"""`deltamu demo`: simulated raw scans of a Li-S cell, the study on them, and the comparison with the truth."""

import json
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

from deltamu.kernels.backend import share_one_heap
from deltamu.recon.atomic import write_json
from deltamu.recon.errors import InputError
from deltamu.recon.report.page import write_report
from deltamu.recon.simulate.builder import CHANGES
from deltamu.recon.simulate.description import SimulatedStudy
from deltamu.recon.simulate.presets import Beam, Instrument, find_preset
from deltamu.recon.simulate.study import describe_study, simulate_study, simulation_cost
from deltamu.recon.study.pipeline import plan_study, run
from deltamu.recon.study.plan import check_disk, refuse_beyond
from deltamu.recon.study.progress import Cancel, Progress, never, silent
from deltamu.recon.study.settings import read_study
from deltamu.recon.study.state_plan import StatePlan
from deltamu.recon.study.template import StudyDraft, write_draft
from deltamu.recon.study.truth import truth_section

# a cell that is cycled seldom stays where it was in its casing
STACK_SHIFT_UM = 10.0


def run_demo(
    folder: Path,
    *,
    preset: str = "small",
    beam: str = "ideal",
    seed: int = 1,
    same_state: bool = False,
    featureless: bool = False,
    stack_shift_um: float = STACK_SHIFT_UM,
    lithium: str = "broad",
    device: str = "auto",
    memory: str | None = None,
    fresh: bool = False,
    keep_work: bool = False,
    progress: Progress = silent,
    cancel: Cancel = never,
    tell: Callable[[str], None] = lambda text: None,
) -> str:
    """Simulate, run, compare; return a few lines that say what came out and where it is.

    Parameters
    ----------
    folder : Path
        Made when missing: raw/, truth/, study.toml and result/.
    preset : {"tiny", "small", "full"}
    beam : {"ideal", "real"}
    seed : int
        Of the noise and the misalignment.
    same_state : bool
        All three scans show the pristine cell.
    featureless : bool
        No holes, no notch: the rotation about the axis is not determined.
    stack_shift_um : float
        How far separator, cathode and collector follow the anode when it shrinks, against housing and sleeve.
    lithium : {"broad", "front", "mirror", "center"}
        Where in the cathode it is, as for `simulate_study`.
    device, memory, fresh, keep_work, progress, cancel, tell
        As for `run`.

    Raises
    ------
    InputError
        If the folder holds something else.
    ResourceError
        If memory, disk or the device does not suffice; before anything is simulated.
    """
    folder = Path(folder)
    _refuse_foreign(folder)
    described = describe_study(
        folder, preset=preset, beam=beam, seed=seed, same_state=same_state, featureless=featureless,
        stack_shift_um=stack_shift_um, lithium=lithium,
    )  # fmt: skip
    draft = draft_of(described, preset=preset, beam=beam)
    share_one_heap()
    _refuse_too_large(draft, folder, preset, memory=memory, device=device)
    simulate_study(
        folder, preset=preset, beam=beam, seed=seed, same_state=same_state, featureless=featureless,
        stack_shift_um=stack_shift_um, lithium=lithium, progress=progress, cancel=cancel,
    )  # fmt: skip
    study_file = write_draft(folder / "study.toml", draft)
    output = run(
        read_study(study_file), progress=progress, cancel=cancel, device=device, memory=memory, fresh=fresh,
        keep_work=keep_work, tell=tell,
    )  # fmt: skip
    summary = json.loads((output / "summary.json").read_text(encoding="utf-8"))
    summary["truth"] = truth_section(output, folder / "truth", summary)
    write_json(output / "summary.json", summary)
    write_report(output)
    return outcome_text(output, summary)


def draft_of(simulated: SimulatedStudy, *, preset: str, beam: str) -> StudyDraft:
    """Write down what the experimenter knows of a simulated study."""
    states = {
        name: {"scan": source.path, "black_body": source.black_body, **source.options}
        for name, source in simulated.scans.items()
    }
    return StudyDraft(
        name=f"Li-S cell, simulated ({preset}, {beam} beam)",
        states=states,
        reference="pristine",
        scan={"pixel_size_mm": simulated.pixel_size_mm},
        layers={
            "order": simulated.layer_order,
            "thickness_mm": simulated.layer_thickness_mm,
            "radius_mm": simulated.pellet_radius_mm,
        },
        changes=CHANGES,
        charge_mah=dict(simulated.charge_mah),
        wavelength_angstrom=simulated.wavelength_angstrom,
        housing_radius_mm=simulated.housing_radius_mm,
        beam=_beam_tables(simulated.beam),
    )


def _beam_tables(beam: Beam) -> dict[str, dict[str, object]]:
    """Corrections that the beam needs, with what an instrument's scientists know of it."""
    tables: dict[str, dict[str, object]] = {}
    if beam.black_bodies:
        tables["scatter"] = {"method": "black_body"}
    if beam.tail_fraction:
        tables["line_spread"] = {"tail_fraction": beam.tail_fraction, "tail_fwhm_um": beam.tail_fwhm_um}
    if beam.spectrum is not None:
        tables["hardening"] = {
            "method": "spectrum",
            "shortest_angstrom": beam.spectrum.shortest_angstrom,
            "shape": beam.spectrum.shape,
            "scale_angstrom": beam.spectrum.scale_angstrom,
        }
    return tables


def outcome_text(output: Path, summary: dict[str, object]) -> str:
    """Say in a few lines what came out, next to the truth."""
    from deltamu.recon.report.numbers import number, uncertain

    lines = []
    truth = summary["truth"]
    assert isinstance(truth, dict)
    changes = summary["changes"]
    assert isinstance(changes, dict)
    for name, change in changes.items():
        if change["mean_delta_mu"] is None:
            lines.append(f"{name}: not determined, see the warnings of the report")
            continue
        errors = truth["changes"][name]
        lines.append(
            f"{name}: mean Δμ {uncertain(change['mean_delta_mu'], change['standard_error'])} cm⁻¹ "
            f"(off the truth by {number(errors['mean_error_percent'], digits=2)} %), "
            f"charge {uncertain(change['charge_mAh'], change['charge_standard_error_mAh'])} mAh "
            f"(off by {number(errors['charge_error_percent'], digits=2)} %)"
        )
    warnings = summary["warnings"]
    assert isinstance(warnings, list)
    lines += [f"{len(warnings)} warnings stand first in the report"] if warnings else []
    return "\n".join([*lines, f"report: {output / 'report.html'}"])


def _refuse_too_large(
    draft: StudyDraft, folder: Path, preset: str, *, memory: str | None, device: str
) -> None:
    """Plan the run from the sizes of the preset, so that minutes of simulation do not come before the refusal."""
    sizes = find_preset(preset)
    projections = (sizes.views, sizes.rows, sizes.columns)
    volume = (sizes.rows, sizes.columns, sizes.columns)
    references = 2 * Instrument().flats + Instrument().darks
    states = tuple(
        StatePlan(name, projections, volume, sizes.pixel_size_mm, references) for name in draft.states
    )
    with TemporaryDirectory() as place:
        study = read_study(write_draft(Path(place) / "study.toml", draft))
    plan = plan_study(study, states, memory=memory, device=device)
    held, written = simulation_cost(preset)
    if (folder / "truth" / "truth.json").exists():
        held, written = 0, 0
    refuse_beyond(plan, "simulate", held, given=memory is not None, way_out="a smaller --preset")
    if not (folder / "result").is_dir():
        check_disk(plan, folder, written_bytes=-written)


def _refuse_foreign(folder: Path) -> None:
    """Refuse a folder that something else lives in."""
    if folder.is_file():
        raise InputError(f"{folder}: is a file; expected a folder for the demo")
    if (
        folder.is_dir()
        and any(folder.iterdir())
        and not (folder / "truth").is_dir()
        and not (folder / "raw").is_dir()
    ):
        raise InputError(f"{folder}: is not empty and holds no demo; choose another folder")
