"""What is told of depth profiles and lithium."""

from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from deltamu.recon.study.settings_section import STATE_NAME, Finite, Fraction, Positive, Section


class ProfileSettings(Section):
    """How depth profiles are averaged."""

    core_fraction: Annotated[float, Field(gt=0, le=1)] = 0.8
    bin_um: Positive | None = None
    blur_fwhm_um: Positive | None = None
    subsets: Annotated[int, Field(ge=4, le=32)] = 12
    rings: Annotated[int, Field(ge=1, le=32)] = 8
    regions: dict[str, str] = Field(default_factory=dict)
    # "laplace": along the field lines between the labels of separator and collector
    depth: Literal["surface", "laplace"] = "surface"
    # label image (z, y, x) on the grid of the reference, k + 1 inside layers.order[k]
    labels: str | None = None
    false_discovery_rate: Annotated[float, Field(gt=0, lt=1)] = 0.05

    @model_validator(mode="after")
    def _labels_need_laplace(self) -> "ProfileSettings":
        if self.labels is not None and self.depth != "laplace":
            raise ValueError("labels goes with depth = 'laplace': fitted surfaces know nothing of them")
        return self

    @field_validator("regions")
    @classmethod
    def _region_names(cls, regions: dict[str, str]) -> dict[str, str]:
        for name in regions:
            if not STATE_NAME.fullmatch(name):
                raise ValueError(f"region '{name}': expected lower-case letters, digits and underscores")
        return regions


class CyclerFileSettings(Section):
    """The cycler's record, and when in it each state was scanned."""

    path: str
    # hours since the first record
    state_hours: dict[str, Finite]
    columns: dict[str, str] = Field(default_factory=dict)
    decimal: Literal[".", ","] | None = None
    encoding: str | None = None
    current_sign: Literal[1, -1] = 1


class LithiumSettings(Section):
    """The cross section that turns attenuation into lithium, and what the cycler counted."""

    wavelength_angstrom: Positive = 2.6
    li6_fraction: Fraction = 0.0759
    charge_mah: dict[str, Finite] = Field(default_factory=dict)
    cycler: CyclerFileSettings | None = None
    cross_section_relative_error: Fraction | None = None
    scatter_relative_error: Fraction | None = None
    hardening_relative_error: Fraction | None = None
