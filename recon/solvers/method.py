"""A reconstruction method and what it is told, as study.toml and the command line say it."""

from collections.abc import Mapping
from dataclasses import dataclass, fields

from deltamu.recon.errors import InputError
from deltamu.recon.solvers.engines import OWN, engine_options
from deltamu.recon.solvers.filters import check_filter

_BOUNDED = ("iterations", "relative_change", "discrepancy", "lower", "upper")
_VARIATION = (*_BOUNDED, "strength", "threshold", "dimensions")
# what each method may be told, beside filter, cutoff and padding
OPTIONS: Mapping[str, tuple[str, ...]] = {
    "fbp": (),
    "sirt": (*_BOUNDED, "relaxation"),
    "os-sart": (*_BOUNDED, "relaxation", "subsets"),
    "cgls": ("iterations", "relative_change", "discrepancy", "tikhonov"),
    "mlem": ("iterations", "relative_change", "discrepancy"),
    "osem": ("iterations", "relative_change", "discrepancy", "subsets"),
    "fista-tv": _VARIATION,
    "pdhg-tv": _VARIATION,
}
METHODS = tuple(OPTIONS)
ITERATIONS = {
    "sirt": 100, "os-sart": 10, "cgls": 20, "mlem": 50, "osem": 5, "fista-tv": 60, "pdhg-tv": 200,
}  # fmt: skip
SUBSETS = 10
STRENGTH = 0.5
# slices that total variation in three dimensions looks at beyond those that are asked for
HALO = 8


@dataclass(frozen=True)
class Method:
    """A method and what it is told; None stands for the method's own default.

    Attributes
    ----------
    name : str
        One of `METHODS`.
    filter, cutoff, padding
        Of filtered back-projection, which also gives total variation its first volume.
    iterations : int, optional
        The most that are taken.
    relative_change : float, optional
        Stop when an iteration changes the volume by no more than this part.
    discrepancy : float, optional
        Stop when the residual is this many times what noise alone leaves; 1 is Morozov's principle.
    relaxation : float, optional
        0 to 2.
    subsets : int, optional
        Of the views, each an update of its own.
    lower, upper : float, optional
        What a voxel may be, cm⁻¹.
    strength : float, optional
        Of total variation, in standard deviations of the pull that the noise of the data has on one voxel:
        the same number suits any number of views, dose and voxel size.
    threshold : float, optional
        Of Huber's penalty, cm⁻¹: differences between neighbours below it are punished by their square.
    dimensions : {2, 3}, optional
        2: differences within slices; 3: between slices as well.
    tikhonov : float, optional
        Weight of ½‖x‖², as a part of the largest curvature of the data's term.
    engine : {"deltamu", "astra", "tomopy"}
        Program that computes; the others have some of the methods with some of the options (`engines`), pad with
        zeros, and do not weigh rays.
    """

    name: str = "fbp"
    filter: str = "ram-lak"
    cutoff: float = 1.0
    padding: str = "zero"
    iterations: int | None = None
    relative_change: float | None = None
    discrepancy: float | None = None
    relaxation: float | None = None
    subsets: int | None = None
    lower: float | None = None
    upper: float | None = None
    strength: float | None = None
    threshold: float | None = None
    dimensions: int | None = None
    tikhonov: float | None = None
    engine: str = OWN

    def __post_init__(self) -> None:
        if self.name not in OPTIONS:
            raise InputError(f"method: found '{self.name}', expected one of {', '.join(METHODS)}")
        check_filter(self.filter, self.cutoff)
        known = self._options
        for option in _ITERATIVE:
            if getattr(self, option) is not None and option not in known:
                users = ", ".join(name for name, options in OPTIONS.items() if option in options)
                by = "" if self.engine == OWN else f" of {self.engine}"
                raise InputError(f"{option}: the method {self.name}{by} has none; it belongs to {users}")
        if self.engine != OWN and self.padding != "zero":
            raise InputError(f"padding: found '{self.padding}'; {self.engine} continues views with zeros")
        if self.dimensions not in (None, 2, 3):
            raise InputError(f"dimensions: found {self.dimensions}, expected 2 or 3")

    @property
    def _options(self) -> tuple[str, ...]:
        """What it may be told."""
        return OPTIONS[self.name] if self.engine == OWN else engine_options(self.engine, self.name)

    @property
    def title(self) -> str:
        """Its name, and the program where it is not ours."""
        return self.name if self.engine == OWN else f"{self.name} by {self.engine}"

    @property
    def noise_is_known(self) -> bool:
        """Whether `noise` says what the noise of the data does to every voxel."""
        return self.name == "fbp" and self.engine == OWN

    @property
    def weighs_rays(self) -> bool:
        """Whether rays that fewer neutrons came through count less."""
        return self.is_iterative and self.engine == OWN

    @property
    def is_iterative(self) -> bool:
        """Whether it approaches its result step by step."""
        return self.name != "fbp"

    @property
    def needs_noise(self) -> bool:
        """Whether an option counts in units of the noise."""
        return (self.strength != 0 and "strength" in OPTIONS[self.name]) or self.discrepancy is not None

    @property
    def halo(self) -> int:
        """Slices on either side that a slice depends on, as far as they are looked at."""
        return HALO if self.dimensions == 3 else 0


_FBP_FIELDS = ("name", "filter", "cutoff", "padding", "engine")
_ITERATIVE = tuple(f.name for f in fields(Method) if f.name not in _FBP_FIELDS)
