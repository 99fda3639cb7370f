"""Rows of a volume, a few at a time."""

from collections.abc import Iterator

from deltamu.recon.volumes.pyramid import CHUNK_ROWS

# rows of a slab that are computed together where every row stands for itself
ROWS_AT_A_TIME = 8


def row_blocks(first: int, stop: int) -> Iterator[tuple[int, int]]:
    """Split rows into a few at a time, where arrays of a whole slab would take too much memory."""
    for begin in range(first, stop, ROWS_AT_A_TIME):
        yield begin, min(begin + ROWS_AT_A_TIME, stop)


def chunk_blocks(first: int, stop: int) -> Iterator[slice]:
    """Split rows where the chunks of a stored image end, so that each is read once."""
    begin = first
    while begin < stop:
        end = min((begin // CHUNK_ROWS + 1) * CHUNK_ROWS, stop)
        yield slice(begin, end)
        begin = end
