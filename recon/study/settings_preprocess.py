"""What is told of the way from detector counts to line integrals."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from deltamu.recon.study.settings_section import Finite, Positive, Section


class ScatterSettings(Section):
    """Background of scattered neutrons: from black-body frames of each state, or a stated fraction."""

    method: Literal["none", "black_body", "uniform"] = "none"
    fraction: Annotated[float, Field(ge=0, lt=1)] | None = None

    @model_validator(mode="after")
    def _stated(self) -> "ScatterSettings":
        if (self.method == "uniform") != (self.fraction is not None):
            raise ValueError(
                "fraction goes with method = 'uniform': the background over the open beam, for example 0.02"
            )
        return self


class LineSpreadSettings(Section):
    """Wide tail of the line spread, as an edge shows it (`measure_tail`)."""

    tail_fraction: Annotated[float, Field(ge=0, lt=0.5)] = 0.0
    tail_fwhm_um: Positive | None = None

    @model_validator(mode="after")
    def _both(self) -> "LineSpreadSettings":
        if bool(self.tail_fraction) != (self.tail_fwhm_um is not None):
            raise ValueError("tail_fraction and tail_fwhm_um go together, for example 0.05 and 300")
        return self


class HardeningSettings(Section):
    """Hardening of a white beam, undone at `lithium.wavelength_angstrom`."""

    method: Literal["none", "spectrum", "polynomial"] = "none"
    shortest_angstrom: Positive = 0.8
    shape: Positive = 4.0
    scale_angstrom: Positive = 0.55
    scattering_ratio_angstrom: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.131
    coefficients: tuple[Finite, ...] | None = None
    deepest: Positive | None = None
    leave_out_casing: bool = True

    @model_validator(mode="after")
    def _complete(self) -> "HardeningSettings":
        if (self.method == "polynomial") != (self.coefficients is not None and self.deepest is not None):
            raise ValueError(
                "coefficients and deepest (the largest −ln T that was fitted) go with method = 'polynomial'; "
                "`fit_hardening` finds both from known thicknesses"
            )
        return self


class PreprocessSettings(Section):
    """From detector counts to line integrals."""

    dose: Literal["air", "file", "region", "none"] = "air"
    dose_region: tuple[int, int, int, int] | None = None
    level_views: bool = False
    air_columns: tuple[tuple[int, int], ...] | None = None
    spots: bool = True
    stripes: Literal["auto", "on", "off"] = "auto"
    stripe_method: Literal["sorting", "large", "dead", "all", "wavelet"] = "sorting"
    counts_per_adu: Positive | None = None
    scatter: ScatterSettings = ScatterSettings()
    line_spread: LineSpreadSettings = LineSpreadSettings()
    hardening: HardeningSettings = HardeningSettings()
