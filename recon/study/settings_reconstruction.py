"""What is told of the way from line integrals to a volume."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from deltamu.recon.solvers.method import Method
from deltamu.recon.study.settings_section import Finite, NotNegative, Positive, Section


class CenterSettings(Section):
    """Where the centre of rotation is looked for."""

    search_px: tuple[Finite, Finite] | None = None


class ReconstructionSettings(Section):
    """How projections become a volume; what a method is told is described at `solvers.methods.Method`."""

    engine: Literal["deltamu", "astra", "tomopy"] = "deltamu"
    method: Literal["fbp", "sirt", "os-sart", "cgls", "mlem", "osem", "fista-tv", "pdhg-tv"] = "fbp"
    filter: Literal["ram-lak", "shepp-logan", "cosine", "hamming", "hann", "parzen"] = "hann"
    cutoff: Annotated[float, Field(gt=0, le=1)] = 1.0
    padding: Literal["zero", "edge"] = "zero"
    iterations: Annotated[int, Field(ge=1)] | None = None
    relative_change: Positive | None = None
    discrepancy: Positive | None = None
    relaxation: Annotated[float, Field(gt=0, lt=2)] | None = None
    subsets: Annotated[int, Field(ge=1)] | None = None
    lower: Finite | None = None
    upper: Finite | None = None
    strength: NotNegative | None = None
    threshold: NotNegative | None = None
    dimensions: Literal[2, 3] | None = None
    tikhonov: NotNegative | None = None

    @model_validator(mode="after")
    def _known_to_the_method(self) -> "ReconstructionSettings":
        self.as_method()
        return self

    def as_method(self) -> Method:
        """Return the method with its options."""
        options = self.model_dump()
        return Method(name=options.pop("method"), **options)
