"""What is told of the way from line integrals to a volume."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError, model_validator

from deltamu.recon.errors import InputError
from deltamu.recon.solvers.method import Method
from deltamu.recon.study.settings_problems import first_problem, refuse_unknown
from deltamu.recon.study.settings_section import Finite, NotNegative, Positive, Section


class CenterSettings(Section):
    """Where the centre of rotation is looked for."""

    search_px: tuple[Finite, Finite] | None = None


class AlignmentSettings(Section):
    """What of the geometry is measured on the views and applied when they are reconstructed."""

    views: bool = False
    tilt: bool = False

    @property
    def is_asked_for(self) -> bool:
        """Whether anything is to be measured."""
        return self.views or self.tilt


def read_method(table: Mapping[str, Any], *, source: str) -> Method:
    """Check a table like [reconstruction], for example of the command line; `source` names it in errors.

    Raises
    ------
    InputError
        If a key is unknown, a value out of range, or the method does not know an option.
    """
    refuse_unknown(source, "", table, ReconstructionSettings.model_fields)
    try:
        return ReconstructionSettings(**table).as_method()
    except ValidationError as error:
        raise InputError(f"{source}: {first_problem(error, ReconstructionSettings)}") from None


class ReconstructionSettings(Section):
    """How projections become a volume; what a method is told is described at `solvers.methods.Method`."""

    engine: Literal["deltamu", "astra", "tomopy"] = "deltamu"
    method: Literal["fbp", "sirt", "os-sart", "cgls", "mlem", "osem", "fista-tv", "pdhg-tv"] = "fbp"
    filter: Literal["ram-lak", "shepp-logan", "cosine", "hamming", "hann", "parzen"] = "hann"
    cutoff: float = 1.0
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
