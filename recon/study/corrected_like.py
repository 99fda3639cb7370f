"""One scan corrected like a state of a study: `deltamu recon` and `deltamu center` with `--like study.toml:state`."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deltamu.recon.errors import InputError
from deltamu.recon.preprocess.correction import Correction
from deltamu.recon.preprocess.hardening import Hardening, linearise
from deltamu.recon.scans.scan import Scan
from deltamu.recon.solvers.casing import casing_line_integrals
from deltamu.recon.study.correcting import state_correction
from deltamu.recon.study.frames_to_rows import Stack
from deltamu.recon.study.hardened_rows import CASING_ROWS, block_means, hardening_model, leaves_out_casing
from deltamu.recon.study.settings import Study, read_study
from deltamu.recon.study.sources import open_black_body

Array = NDArray[np.float32]


@dataclass(frozen=True)
class Example:
    """A state of a study, as which a scan is corrected."""

    study: Study
    state: str

    def reader_options(self) -> dict[str, Any]:
        """Options of the reader that the study states for the scan."""
        return {
            key: value for key, value in self.study.states[self.state].options.items() if value is not None
        }

    def correction(self, scan: Scan) -> Correction:
        """Learn how to correct the frames: dose, spots, scattered background, tail of the line spread."""
        return state_correction(self.study, self.state, scan, open_black_body(self.study, self.state))

    def linearisation(
        self, stack: Stack, angles: NDArray[np.floating], **place: Any
    ) -> "Linearisation | None":
        """Return what undoes the hardening of a stack, the casing found in it; `place`: centre and pixel size."""
        model = hardening_model(self.study)
        if model is None:
            return None
        casing = None
        if leaves_out_casing(self.study):
            assert self.study.layers is not None
            casing = casing_line_integrals(
                block_means(stack), angles, radius_mm=self.study.layers.radius_mm, **place
            )
        return Linearisation(model, casing)


@dataclass(frozen=True)
class Linearisation:
    """Undoes the hardening of rows of a scan.

    Attributes
    ----------
    model : Hardening
    casing : (angle, block of rows, column) array or None
        Line integrals that do not harden.
    """

    model: Hardening
    casing: Array | None

    def __call__(self, rows: Array, first: int) -> Array:
        """Line integrals at the reference wavelength; `first` is the row of the stack that row 0 is."""
        inert = None
        if self.casing is not None:
            inert = self.casing[:, (np.arange(rows.shape[1]) + first) // CASING_ROWS]
        linear, _ = linearise(rows, self.model, inert=inert)
        return np.asarray(linear, np.float32)


def read_example(text: str | None) -> Example | None:
    """Read 'study.toml:state'; the state may be left out where the study has one scan.

    Raises
    ------
    InputError
        If the study is wrong, or the state is missing or is no scan.
    """
    if text is None:
        return None
    path, colon, state = text.rpartition(":")
    if not colon or not path or Path(text).exists():
        path, state = text, ""
    study = read_study(Path(path))
    scans = [name for name, settings in study.states.items() if settings.scan is not None]
    if not state and len(scans) == 1:
        state = scans[0]
    if state not in scans:
        raise InputError(
            f"--like {text}: found {f'state {state!r}' if state else 'no state'}, expected STUDY:STATE with one of "
            f"{', '.join(scans) or 'no state, this study has no scans'}"
        )
    return Example(study, state)


def with_example(settings: Mapping[str, Any], example: Example | None) -> dict[str, Any]:
    """Reader options: those of the example, and what is stated itself on top."""
    return {**({} if example is None else example.reader_options()), **settings}
