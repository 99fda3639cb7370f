"""What is told of the cell, and of how its states are laid over each other."""

from typing import Literal

from pydantic import Field, model_validator

from deltamu.recon.study.settings_section import Finite, Positive, Section


class LayerSettings(Section):
    """The stack along the rotation axis, as the cell was assembled."""

    order: tuple[str, ...]
    thickness_mm: tuple[Positive, ...]
    radius_mm: Positive
    cathode: str = "cathode"
    separator: str = "separator"

    @model_validator(mode="after")
    def _consistent(self) -> "LayerSettings":
        if len(self.order) != len(self.thickness_mm):
            raise ValueError(
                f"order names {len(self.order)} layers, thickness_mm has {len(self.thickness_mm)}"
            )
        if len(set(self.order)) != len(self.order):
            raise ValueError(f"order names a layer twice: {', '.join(self.order)}")
        for key in ("cathode", "separator"):
            if getattr(self, key) not in self.order:
                raise ValueError(f"{key} = '{getattr(self, key)}' is not in order ({', '.join(self.order)})")
        cathode, separator = self.order.index(self.cathode), self.order.index(self.separator)
        if abs(cathode - separator) != 1 or not 0 < cathode < len(self.order) - 1:
            raise ValueError("the cathode must lie between the separator and a current collector in order")
        return self

    @property
    def behind_cathode(self) -> tuple[str, ...]:
        """The collector at the cathode and everything beyond it, seen from the separator."""
        cathode, separator = self.order.index(self.cathode), self.order.index(self.separator)
        return self.order[cathode + 1 :] if cathode > separator else self.order[:cathode][::-1]

    @property
    def collector(self) -> str:
        """The layer on the far side of the cathode."""
        cathode, separator = self.order.index(self.cathode), self.order.index(self.separator)
        return self.order[2 * cathode - separator]

    @property
    def anode(self) -> str | None:
        """The layer on the other side of the separator, if one is named."""
        cathode, separator = self.order.index(self.cathode), self.order.index(self.separator)
        index = 2 * separator - cathode
        return self.order[index] if 0 <= index < len(self.order) else None

    @property
    def behind_anode(self) -> tuple[str, ...]:
        """Layers beyond the anode, which stay with the housing."""
        if self.anode is None:
            return ()
        at, separator = self.order.index(self.anode), self.order.index(self.separator)
        return self.order[at + 1 :] if at > separator else self.order[:at]


class RegistrationSettings(Section):
    """What is held still when the states are laid over each other."""

    mask: tuple[str, ...] | None = None
    housing_radius_mm: tuple[Positive, Positive] | None = None
    correct_scale: bool = False
    # how agreement is measured; mutual information for states of two kinds, such as neutrons and X-rays
    metric: Literal["squared-difference", "mutual-information"] = "squared-difference"
    # whether the body may also stretch and shear; a state that swells as a whole, or another magnification
    model: Literal["rigid", "affine"] = "rigid"
    # register backwards and from two halves of the mask as well, and say where they disagree
    self_check: bool = True
    # state: translation (z, y, x) in mm, rotation (z, y, x) in degrees about the middle of the reference
    start: dict[str, tuple[Finite, Finite, Finite, Finite, Finite, Finite]] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _one_scale_of_values(self) -> "RegistrationSettings":
        if self.model == "affine" and self.metric == "mutual-information":
            raise ValueError(
                "model = 'affine' compares values and goes with metric = 'squared-difference' only; leave one out"
            )
        return self
