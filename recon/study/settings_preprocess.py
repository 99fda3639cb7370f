"""What is told of the way from detector counts to line integrals."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from deltamu.recon.materials.spectrum import GammaSpectrum
from deltamu.recon.preprocess.hardening import Hardening, PolynomialHardening, SpectrumHardening
from deltamu.recon.preprocess.line_spread import LineSpreadTail
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

    def as_text(self) -> str | bool:
        """Say what is done; False where nothing is."""
        if self.method == "uniform":
            return f"a uniform background of {100 * (self.fraction or 0):g} % of the open beam, as stated"
        return self.method != "none" and "the smooth background behind a black-body grid (Carminati 2019)"


class LineSpreadSettings(Section):
    """Wide tail of the line spread, as an edge shows it (`measure_tail`)."""

    tail_fraction: Annotated[float, Field(ge=0, lt=0.5)] = 0.0
    tail_fwhm_um: Positive | None = None

    @model_validator(mode="after")
    def _both(self) -> "LineSpreadSettings":
        if bool(self.tail_fraction) != (self.tail_fwhm_um is not None):
            raise ValueError("tail_fraction and tail_fwhm_um go together, for example 0.05 and 300")
        return self

    def as_tail(self, pixel_size_mm: float) -> LineSpreadTail | None:
        """Return the tail on a detector; None where there is none."""
        if self.tail_fwhm_um is None:
            return None
        return LineSpreadTail(self.tail_fraction, self.tail_fwhm_um / 1e3 / pixel_size_mm)

    def as_text(self) -> str | bool:
        """Say what is done; False where nothing is."""
        if self.tail_fwhm_um is None:
            return False
        return f"a tail of {100 * self.tail_fraction:g} % and {self.tail_fwhm_um:g} µm removed from the transmission"


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

    def as_model(self, wavelength_angstrom: float) -> Hardening | None:
        """Return the model at the wavelength of the conversion to lithium; None where nothing is undone."""
        if self.method == "none":
            return None
        if self.method == "polynomial":
            assert self.coefficients is not None
            assert self.deepest is not None
            return PolynomialHardening(self.coefficients, self.deepest)
        spectrum = GammaSpectrum(self.shortest_angstrom, self.shape, self.scale_angstrom)
        return SpectrumHardening(
            wavelength_angstrom, spectrum, scattering_ratio_angstrom=self.scattering_ratio_angstrom
        )

    def as_text(self, wavelength_angstrom: float, *, casing_left_out: bool) -> str | bool:
        """Say what is done; False where nothing is."""
        if self.method == "none":
            return False
        casing = "left out first" if casing_left_out else "taken for absorber (about +5 % on a change)"
        if self.method == "polynomial":
            return f"a polynomial of −ln T fitted to known thicknesses; casing {casing}"
        return (
            f"a gamma spectrum inverted to {wavelength_angstrom:g} Å with a scattering of "
            f"{self.scattering_ratio_angstrom:g} Å times the absorption per Å (0.33 instead of 0.131 lowers a change by "
            f"about 1.5 % at 6 mm); casing {casing}"
        )


class PreprocessSettings(Section):
    """From detector counts to line integrals."""

    dose: Literal["air", "file", "region", "none"] = "air"
    dose_region: tuple[int, int, int, int] | None = None
    level_views: bool = False
    air_columns: tuple[tuple[int, int], ...] | None = None
    spots: bool = True
    dark_spots: bool = False
    stripes: Literal["auto", "on", "off"] = "auto"
    stripe_method: Literal["gains", "sorting", "large", "dead", "all", "wavelet"] = "gains"
    counts_per_adu: Positive | None = None
    scatter: ScatterSettings = ScatterSettings()
    line_spread: LineSpreadSettings = LineSpreadSettings()
    hardening: HardeningSettings = HardeningSettings()
