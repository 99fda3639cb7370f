"""What is noteworthy about the angles of a scan: order, duplicates, gaps."""

import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.float64]

# encoders repeat a position to about a hundredth of a degree
SAME_VIEW_DEG = 0.02


def angle_notes(degrees: Float) -> tuple[str, ...]:
    """Return sentences on the order, duplicate views and gaps of the angles of the views, in degrees."""
    if degrees.size < 2:
        return ()
    notes = [*_order(degrees), *_duplicates(degrees), *_gaps(degrees)]
    return tuple(notes)


def _order(degrees: Float) -> list[str]:
    steps = np.diff(degrees)
    back = int(np.sum(steps < -SAME_VIEW_DEG))
    forth = int(np.sum(steps > SAME_VIEW_DEG))
    if back and forth:
        return [f"the angles are not sorted: {min(back, forth)} of {steps.size} steps go the other way"]
    return []


def _duplicates(degrees: Float) -> list[str]:
    """Views that see the same lines: the same angle, a whole turn apart, or mirrored half a turn apart."""
    notes = []
    for period, text in (
        (360.0, "the same angle or a whole turn apart"),
        (180.0, "half a turn apart (mirrored)"),
    ):
        pairs = _coinciding(degrees, period)
        if period == 180.0:
            pairs = [pair for pair in pairs if not _near_multiple(degrees[pair[1]] - degrees[pair[0]], 360.0)]
        if not pairs:
            continue
        first, second = pairs[0]
        example = f"{degrees[first]:.6g}° and {degrees[second]:.6g}°"
        number = "1 pair of views shows" if len(pairs) == 1 else f"{len(pairs)} pairs of views show"
        notes.append(f"{number} the same lines, {text} ({example}); they share one weight")
    return notes


def _coinciding(degrees: Float, period: float) -> list[tuple[int, int]]:
    """Neighbours on the circle that coincide, as pairs of view numbers."""
    folded = np.mod(degrees, period)
    order = np.argsort(folded, kind="stable")
    gaps = np.diff(np.append(folded[order], folded[order[0]] + period))
    pairs = [(int(order[i]), int(order[(i + 1) % order.size])) for i in np.flatnonzero(gaps < SAME_VIEW_DEG)]
    return [(min(a, b), max(a, b)) for a, b in pairs if a != b]


def _near_multiple(difference: float, period: float) -> bool:
    return bool(abs(difference - period * np.round(difference / period)) < SAME_VIEW_DEG)


def _gaps(degrees: Float) -> list[str]:
    """Gaps between views on the half circle, where a view and its mirror are one."""
    folded = np.sort(np.mod(degrees, 180.0))
    spacing = np.diff(np.append(folded, folded[0] + 180.0))
    real = spacing[spacing > SAME_VIEW_DEG]
    if real.size < 3:
        return []
    typical = float(np.median(real))
    # evenly spaced views show a single missing one; the gaps of a golden-ratio sequence vary by up to 2.6
    even = np.mean(np.abs(real - typical) < 0.1 * typical) > 0.75
    wide = np.flatnonzero(spacing > (1.5 if even else 5.0) * typical)
    if wide.size == 0:
        return []
    widest = wide[np.argmax(spacing[wide])]
    total = float(np.sum(spacing[wide] - typical))
    start = folded[widest]
    number = "a gap" if wide.size == 1 else f"{wide.size} gaps, the widest"
    return [
        f"{number} of {spacing[widest]:.4g}° after {start:.4g}° (mod 180°); typical is {typical:.4g}°, "
        f"{100 * total / 180:.3g} % of the half turn is missing"
    ]
