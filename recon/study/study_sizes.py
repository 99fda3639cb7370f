"""What the memory of a study depends on, known before anything is computed."""

from dataclasses import dataclass

from deltamu.recon.study.settings import Study
from deltamu.recon.study.settings_cell import LayerSettings
from deltamu.recon.study.state_plan import StatePlan


@dataclass(frozen=True)
class StudySizes:
    """A study with the sizes of its states and of the blocks that it is computed in.

    Attributes
    ----------
    study : Study
    states : tuple of StatePlan
    rows : int
        Rows that are reconstructed together.
    slab : int
        Rows that are written together.
    threads : int
    """

    study: Study
    states: tuple[StatePlan, ...]
    rows: int
    slab: int
    threads: int

    @property
    def scans(self) -> list[StatePlan]:
        """States that are reconstructed."""
        return [state for state in self.states if state.projections]

    @property
    def imported(self) -> list[StatePlan]:
        """States that were reconstructed elsewhere."""
        return [state for state in self.states if not state.projections]

    @property
    def reference(self) -> StatePlan:
        """The state on whose grid all are compared."""
        return next(state for state in self.states if state.name == self.study.reference)

    @property
    def layers(self) -> LayerSettings:
        """The stack of the cell; a study with changes has one."""
        layers = self.study.layers
        assert layers is not None
        return layers

    @property
    def pellet_columns(self) -> int:
        """Voxels across the pellet, with a rim."""
        across = 2 * self.layers.radius_mm / self.reference.voxel_size_mm
        return min(int(across) + 8, *self.reference.volume[1:])

    def layer_rows(self, name: str) -> int:
        """Rows of a layer, without what is beside it."""
        thickness = self.layers.thickness_mm[self.layers.order.index(name)]
        return int(thickness / self.reference.voxel_size_mm) + 1
