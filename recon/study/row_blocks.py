"""Rows of a slab, a few at a time."""

from collections.abc import Iterator

# rows of a slab that are computed together where every row stands for itself
ROWS_AT_A_TIME = 8


def row_blocks(first: int, stop: int) -> Iterator[tuple[int, int]]:
    """Split rows into a few at a time, where arrays of a whole slab would take too much memory."""
    for begin in range(first, stop, ROWS_AT_A_TIME):
        yield begin, min(begin + ROWS_AT_A_TIME, stop)
