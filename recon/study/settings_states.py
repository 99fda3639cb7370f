"""The states of a study: where each comes from."""

from dataclasses import fields
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from deltamu.recon.scans.options import ScanOptions
from deltamu.recon.study.settings_section import Finite, NotNegative, Positive, Section

SCAN_OPTION_NAMES = tuple(field.name for field in fields(ScanOptions))

# what a scan calls the properties of a volume
_SCAN_KEYS = {"voxel_size_mm": "pixel_size_mm", "unit": "pixel_size_mm", "dataset": "data_path"}


class PriorSettings(Section):
    """How a state of few views is reconstructed with another state as prior; `prior_scans.piccs` has the meaning."""

    method: Literal["piccs"]
    prior: str
    strength: NotNegative | None = None
    prior_share: Annotated[float, Field(ge=0, le=1)] | None = None
    threshold: NotNegative | None = None
    iterations: Annotated[int, Field(ge=1)] | None = None
    relative_change: Positive | None = None
    lower: Finite | None = None
    upper: Finite | None = None

    @property
    def options(self) -> dict[str, Any]:
        """What the solver is told."""
        return self.model_dump(exclude={"method", "prior"}, exclude_none=True)


class StateSettings(Section):
    """One state of the sample: a scan to reconstruct, or a volume reconstructed elsewhere."""

    scan: str | None = None
    volume: str | None = None
    voxel_size_mm: Positive | None = None
    unit: str | None = None
    dataset: str | None = None
    # what a volume was made with, or a scan taken with; states that differ are not subtracted
    filter: str | None = None
    wavelength_angstrom: Positive | None = None
    energy_kev: Positive | None = None
    center: Finite | None = None
    tilt_deg: Annotated[float, Field(gt=-45, lt=45)] | None = None
    black_body: str | None = None
    black_body_dots: str | None = None
    dose_file: str | None = None
    dose_reference: Positive | None = None
    reconstruction: PriorSettings | None = None
    options: dict[str, Any] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _one_source(self) -> "StateSettings":
        if (self.scan is None) == (self.volume is None):
            raise ValueError("expected either `scan` (raw projections) or `volume` (reconstructed elsewhere)")
        if self.volume is not None:
            self._refuse(
                [
                    "center",
                    "tilt_deg",
                    "black_body",
                    "black_body_dots",
                    "dose_file",
                    "dose_reference",
                    "reconstruction",
                    *self.options,
                ],
                "belongs to a scan, a volume has none",
            )
        else:
            self._refuse(
                ["filter"], "belongs to a volume; that of scans is reconstruction.filter, the same for all"
            )
            self._refuse(["voxel_size_mm", "unit", "dataset"], "belongs to a volume; of a scan state `{}`")
        if self.black_body_dots is not None and self.black_body is None:
            raise ValueError(
                "black_body_dots (a mask of the dots) goes with black_body, the frames behind the grid"
            )
        return self

    def _refuse(self, keys: list[str], why: str) -> None:
        """Refuse what would be ignored."""
        for key in keys:
            if key in self.options or getattr(self, key, None) is not None:
                raise ValueError(f"{key} {why}".format(_SCAN_KEYS.get(key, "")))
