"""Working memory of the preprocessing, beyond its input and its result."""

from deltamu.kernels.backend import Cost

FLOAT = 4
# of a pixel while it is read: 16 bits as stored, and float32
READ_BYTES = 6
# views that `prepare_correction` looks at, and arrays of their size that it holds while it looks at them
SAMPLED_VIEWS = 24
SAMPLE_ARRAYS = 7
# arrays of the size of the flats while they are combined
FLAT_ARRAYS = 5
# maps (row, column) of a correction: dark, flat, its inverse, counts, noise of spots, corners
CORRECTION_MAPS = 8
# frames that a thread works on while it turns one into line integrals
THREAD_FRAMES = 5
# bytes per view and column while the centre is searched for, and what any scan needs as well
CENTER_BYTES = 310
CENTER_LEAST = 125_000_000
# bytes per view and column of a thread that sorts a sinogram
SORT_BYTES = 20


def prepare_cost(pixels: int, *, views: int, flats: int) -> int:
    """Bytes that `prepare_correction` needs for frames of `pixels` pixels, beyond flats and darks."""
    sampled = SAMPLE_ARRAYS * min(views, SAMPLED_VIEWS)
    return FLOAT * pixels * (max(sampled, FLAT_ARRAYS * flats) + CORRECTION_MAPS)


def correct_cost(pixels: int, *, threads: int) -> Cost:
    """Bytes that `correct_frames` needs with its raw frames and its result, per frame and for each thread."""
    # raw and line integrals; the masks of spots and of starved pixels have a byte per pixel each
    return Cost((2 * FLOAT + 2) * pixels, FLOAT * pixels * THREAD_FRAMES * threads)


def center_cost(views: int, columns: int) -> int:
    """Bytes that `find_center` needs; it averages the rows it gets to a few heights."""
    return CENTER_BYTES * views * columns + CENTER_LEAST


def stripe_score_cost(views: int, columns: int) -> Cost:
    """Bytes that `stripe_scores` needs per row: the differences of pairs of views, and their squares."""
    return Cost(FLOAT * columns * views, 0)


def stripe_removal_cost(views: int, columns: int, *, threads: int) -> Cost:
    """Bytes that `remove_stripes` needs with its result."""
    return Cost(FLOAT * views * columns, SORT_BYTES * views * columns * threads)
