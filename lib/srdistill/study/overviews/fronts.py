"""Quality over cost, what all such figures share: shares of the training pictures, axes, and the front."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib import rcParams
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter

from srdistill.study.pages.drawing import CONTROL, FULL, PAPER

# What a set may cost, as columns and in words.
COSTS = {"pixels": "HR pixels", "bytes": "bytes, decoders counted"}
TRAINING = "training pictures"
_FRONT = "0.75"
# An axis that ends at less than so many times where it begins is short.
_SHORT = 100


def read_sizes(path: Path) -> pd.DataFrame:
    """The sizes of a table's sets, and in the line ``TRAINING`` those of the pictures that they were made from."""
    return pd.read_csv(path, index_col=0)


def costs_of(sizes: pd.DataFrame) -> pd.DataFrame:
    """By row ``pixels`` and ``bytes`` (with labels and with whatever decodes the set): percent of the training pictures'."""
    percent = 100 * sizes / sizes.loc[TRAINING]
    return pd.DataFrame({"pixels": percent.iloc[:, 1], "bytes": percent.iloc[:, 3]}).drop(index=TRAINING)


def front(sets: pd.DataFrame, cost: str, quality: str) -> pd.DataFrame:
    """The sets that no smaller one beats, from the smallest on; of equals the first. More of column ``quality`` is better."""
    best = sets.sort_values([cost, quality], ascending=[True, False], kind="stable")
    return best[best[quality] > best[quality].cummax().shift(fill_value=-np.inf)]


def draw_front(axis: Axes, costs: Sequence[float], values: Sequence[float], linestyle: str = "-") -> None:
    """The line that joins the sets of a front."""
    stairs = np.repeat(costs, 2)[1:], np.repeat(values, 2)[:-1]
    axis.plot(*stairs, color=_FRONT, linewidth=1.2, zorder=1, linestyle=linestyle)


def front_handle() -> Line2D:
    """What the line is called in a legend."""
    return Line2D([], [], color=_FRONT, linewidth=1.2, label="what no smaller set beats")


def kinds_of_rows(of_paper: Sequence[bool]) -> list[Line2D]:
    """Legend entries of the kinds of rows that are there."""
    words = {True: ("rows of the paper", PAPER), False: ("rows of ours", CONTROL)}
    there = [kind for kind in words if kind in set(of_paper)]
    return [Line2D([], [], color=words[kind][1], marker="o", linestyle="", label=words[kind][0]) for kind in there]


def cost_axis(axis: Axes, cost: str) -> None:
    """A logarithmic axis of ``cost``; one that is short has its threes named too, as there may be but one power of ten."""

    def three(value: float, _: int) -> str:
        low, high = axis.get_xlim()
        return f"{value:g}" if high < _SHORT * low and f"{value:e}".startswith("3") else ""

    axis.set(xscale="log", xlabel=f"{COSTS[cost]}, % of the training pictures'")
    axis.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.xaxis.set_minor_formatter(FuncFormatter(three))
    # Theirs are shorter ticks; words stand on one line.
    below = rcParams["xtick.major.pad"] + rcParams["xtick.major.size"] - rcParams["xtick.minor.size"]
    axis.tick_params(axis="x", which="minor", pad=below)


def line_at(axis: Axes, value: float, words: str, above: bool = True) -> None:
    """A dotted line with its name at the right end."""
    axis.axhline(value, color=FULL, linewidth=0.8, linestyle=":", zorder=1)
    axis.annotate(words, (1, value), xycoords=("axes fraction", "data"), xytext=(-2, 2 if above else -2),
                  textcoords="offset points", ha="right", va="bottom" if above else "top", color=FULL)  # fmt: skip
