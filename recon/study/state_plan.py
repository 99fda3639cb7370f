"""Sizes of the states of a study, known before anything is computed."""

from dataclasses import dataclass


@dataclass(frozen=True)
class StatePlan:
    """Size of one state: its projections (None for a volume made elsewhere) and its volume.

    Attributes
    ----------
    name : str
    projections : (angle, row, column) or None
    volume : (z, y, x)
    voxel_size_mm : float
    references : int
        Flats and darks.
    """

    name: str
    projections: tuple[int, int, int] | None
    volume: tuple[int, int, int]
    voxel_size_mm: float
    references: int = 0

    @property
    def voxels(self) -> int:
        """Of the volume."""
        nz, ny, nx = self.volume
        return nz * ny * nx

    @property
    def plane_bytes(self) -> int:
        """Of a slice of float32."""
        return 4 * self.volume[1] * self.volume[2]

    @property
    def views(self) -> int:
        """Number of projections, 0 for a volume."""
        return self.projections[0] if self.projections else 0

    @property
    def frame_pixels(self) -> int:
        """Of a projection, 0 for a volume."""
        return self.projections[1] * self.projections[2] if self.projections else 0

    @property
    def columns(self) -> int:
        """Of a projection, 0 for a volume."""
        return self.projections[2] if self.projections else 0

    @property
    def row_bytes(self) -> int:
        """Of one detector row in all views, float32."""
        return 4 * self.views * self.columns
