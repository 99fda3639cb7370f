"""Line integrals of a state in files: written by blocks of frames, each a piece of the run, and read by rows."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from deltamu.recon.preprocess.correction import Correction
from deltamu.recon.scans.scan import Scan
from deltamu.recon.study.checkpoint import PieceKey
from deltamu.recon.study.frames_to_rows import FRAMES_PER_FILE, ROWS_PER_FILE, CorrectedViews, correct_views
from deltamu.recon.study.run_context import RunContext, Slabs
from deltamu.recon.volumes.blocks import BlockArray, create_stack


def line_integral_files(
    context: RunContext, name: str, scan: Scan, correction: Correction, settings: str
) -> BlockArray:
    """Return the line integrals on disk, correcting the blocks of frames that are not there yet."""
    views, _, columns = scan.shape
    stored = create_stack(
        context.work / name, shape=scan.shape, chunks=(FRAMES_PER_FILE, ROWS_PER_FILE, columns)
    )
    if name in context.ready:
        return stored
    keys = block_keys(name, views)
    with context.stage("preprocess"):
        for block, key in enumerate(keys):

            def correct(first: int = block * FRAMES_PER_FILE) -> tuple[Slabs, Mapping[str, Any]]:
                stop = min(first + FRAMES_PER_FILE, views)
                found = correct_views(scan, correction, first, stop, device=context.plan.device)
                return [(stored, found.line_integrals)], _facts_of_block(found)

            context.piece(key, settings, correct)
            context.progress("preprocess", name, block + 1, len(keys))
    context.ready.add(name)
    return stored


def block_keys(name: str, views: int) -> list[PieceKey]:
    """Pieces that correct the frames of a state."""
    return [PieceKey("preprocess", name, block) for block in range(-(-views // FRAMES_PER_FILE))]


def _facts_of_block(found: CorrectedViews) -> dict[str, Any]:
    return {
        "dose": [float(v) for v in found.dose],
        "mean": [float(v) for v in found.line_integrals.mean(axis=(1, 2), dtype=np.float64)],
        "spots_fraction": [float(v) for v in found.spots_fraction],
        "starved_per_row": [int(v) for v in found.starved_per_row],
    }
