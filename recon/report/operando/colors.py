"""Colours of Tr_t / Tr_0, in the conventions of Cao et al., MRS Bulletin (2023), doi 10.1557/s43577-023-00611-7.

`article` (their Figures 2 and 3d): green where nothing has changed, blue above 1 (depletion of lithium), red below
(enrichment). `grey` (their Figure 3c): bright above 1, dark below. `safe`: blue, white, red, for eyes that do not
tell green from red. All are centred on 1 and even in the logarithm.
"""

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from matplotlib.colors import Colormap

_STOPS = {
    "article": (
        "#7f0000",
        "#d7301f",
        "#fdae61",
        "#e6e34a",
        "#3fa34d",
        "#35b6c9",
        "#2b7bba",
        "#253494",
        "#081d58",
    ),
    "grey": ("#000000", "#808080", "#ffffff"),
    "safe": ("#67001f", "#d6604d", "#f7f7f7", "#4393c3", "#053061"),
}
_MISSING = "#d9d9d9"
RATIO_LABEL = "Tr$_t$ / Tr$_0$     < 1 enrichment · > 1 depletion"


def ratio_colormap(name: str = "article") -> "Colormap":
    """Colour map of the transmission ratio."""
    from matplotlib.colors import LinearSegmentedColormap

    return LinearSegmentedColormap.from_list(f"deltamu_{name}", _STOPS[name], N=255).with_extremes(
        bad=_MISSING
    )


def ratio_norm(ratios: list[NDArray[Any]], *, quantile: float = 0.995) -> Any:
    """Logarithmic scale that is centred on 1 and holds almost all values."""
    from matplotlib.colors import LogNorm

    logs = np.concatenate(
        [np.abs(np.log(ratio[np.isfinite(ratio) & (ratio > 0)])).ravel() for ratio in ratios]
    )
    limit = float(np.exp(max(np.quantile(logs, quantile), 0.01))) if logs.size else 1.05
    return LogNorm(1 / limit, limit)


def dress_ratio_bar(bar: Any) -> None:
    """Write plain numbers at round ratios."""
    from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

    low, high = bar.norm.vmin, bar.norm.vmax
    step = next((s for s in (0.5, 0.2, 0.1, 0.05, 0.02, 0.01, 0.005) if (high - low) / s >= 4), 0.002)
    ticks = np.arange(np.ceil(low / step), np.floor(high / step) + 1) * step
    bar.ax.yaxis.set_minor_locator(NullLocator())
    bar.ax.yaxis.set_major_locator(FixedLocator(list(ticks)))
    bar.ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.3g}"))
