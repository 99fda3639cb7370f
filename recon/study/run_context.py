"""What every stage of a run shares, and how a stage does its pieces."""

import json
import logging
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deltamu.kernels.backend import release_freed_memory
from deltamu.kernels.gridding import forget_plans
from deltamu.recon.study.checkpoint import PieceKey
from deltamu.recon.study.journal import Journal
from deltamu.recon.study.plan import Plan
from deltamu.recon.study.progress import Cancel, Progress, stop_if_asked
from deltamu.recon.study.settings import Study
from deltamu.recon.study.storage import write_slabs_piece
from deltamu.recon.volumes.blocks import BlockArray
from deltamu.recon.volumes.image import Image, create_image

logger = logging.getLogger(__name__)
# raised when the meaning of a stored piece changes, so that an older run is not continued
PIECES_VERSION = 3
Slabs = Sequence[tuple[Image | BlockArray, NDArray[Any]]]


@dataclass(frozen=True)
class RunContext:
    """A run under way: the study, where it writes, what is finished, and whom it tells."""

    study: Study
    output: Path
    plan: Plan
    journal: Journal
    progress: Progress
    cancel: Cancel
    warnings: list[str] = field(default_factory=list)
    ready: set[str] = field(default_factory=set)
    images: set[Path] = field(default_factory=set)
    under_way: list[str] = field(default_factory=list)

    @property
    def store(self) -> Path:
        """Root of the result images."""
        return self.output / "study.zarr"

    @property
    def work(self) -> Path:
        """Root of what is removed after success."""
        return self.output / "work.zarr"

    def image(self, state: str, group: str, name: str, *, unit: str, dtype: type = np.float32) -> Image:
        """Make or continue a result image on the grid of a state."""
        grid = self.plan.state(state)
        self.images.add(self.store / group / name)
        return create_image(
            self.store / group, name, shape=grid.volume, voxel_size_mm=grid.voxel_size_mm, unit=unit, dtype=dtype,
            slab=self.plan.slab,
        )  # fmt: skip

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Mark a stage as the plan states it; freed memory goes back to the system before it and when it ends."""
        release_freed_memory()
        self.under_way.append(name)
        self.log("stage", name=name)
        try:
            yield
        finally:
            self.under_way.pop()
            forget_plans()
            release_freed_memory()
            self.log("stage", name=self.under_way[-1] if self.under_way else "")

    def is_current(self, key: PieceKey, settings: str) -> bool:
        """Whether a piece is finished with these settings."""
        return self.journal.piece_is_current(key, settings)

    def piece(
        self, key: PieceKey, settings: str, compute: Callable[[], tuple[Slabs, Mapping[str, Any]]]
    ) -> Mapping[str, Any]:
        """Return what a piece left in the journal, computing and writing it when it is not finished."""
        if not self.is_current(key, settings):
            stop_if_asked(self.cancel)
            self._tell_of_damage(key, settings)
            begun = time.monotonic()
            slabs, facts = compute()
            payload = {**facts, "seconds": round(time.monotonic() - begun, 4)}
            write_slabs_piece(self.journal, key, settings, slabs, payload=payload)
            self.log("piece", stage=key.stage, state=key.state, slab=key.slab, seconds=payload["seconds"])
        return self.journal.payload(key)

    def _tell_of_damage(self, key: PieceKey, settings: str) -> None:
        """Say that finished work has to be done again because a file is not what was written."""
        for name in self.journal.damaged_files(key, settings):
            logger.warning(
                "deltamu: %s: is not what was written; it is computed again (check this disk)",
                self.output / name,
            )
            self.log("damaged", file=name)

    def remove_work(self) -> None:
        """Remove the line integrals."""
        shutil.rmtree(self.work, ignore_errors=True)

    def warn(self, text: str) -> None:
        """Keep a sentence for the report; it is told once."""
        if text not in self.warnings:
            self.warnings.append(text)

    def log(self, event: str, **details: Any) -> None:
        """Append a line to log.jsonl."""
        line = {"time": datetime.now(UTC).isoformat(timespec="milliseconds"), "event": event, **details}
        with (self.output / "log.jsonl").open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(line) + "\n")
