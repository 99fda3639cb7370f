"""The points of a run at which a test may stop it; in production they do nothing."""

from collections.abc import Callable
from typing import Literal, NamedTuple

Point = Literal["before-write", "between-levels", "after-write", "torn-line", "after-journal", "summary"]


class PieceKey(NamedTuple):
    """What a piece of work is called in the journal.

    Attributes
    ----------
    stage : str
        "attenuation", "register", …
    state : str
        A state, a change, or "" where the stage has only one piece.
    slab : int
        Which slab, 0 for a piece that is not a slab.
    """

    stage: str
    state: str = ""
    slab: int = 0


Hook = Callable[[Point, PieceKey], None]


def _carry_on(point: Point, key: PieceKey) -> None:
    """Do nothing."""


# a test puts its own function here, for example one that kills the process
hook: Hook = _carry_on


def checkpoint(point: Point, key: PieceKey) -> None:
    """Pass a point of the run: before and after the files of a piece, between the levels of an image, in the
    middle of a journal line, after it, and while the summary is written.
    """
    hook(point, key)
