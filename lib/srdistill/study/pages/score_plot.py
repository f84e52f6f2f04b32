"""Scores of all rows of a table: a dot per seed, the mean with its interval, and what is printed."""

from collections.abc import Collection, Sequence

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from srdistill.study.metrics import GAIN, METRICS, number
from srdistill.study.pages.drawing import CONTROL, FULL, PAPER, PRINTED, drawing, panels
from srdistill.study.pages.tables import testset_title
from srdistill.study.rows import BICUBIC, ORIGINAL
from srdistill.study.verdicts.intervals import interval_of_seeds

# What lies further outside the middle half of all means than so many times its width is beyond the edge.
_FAR = 3.0
# Panels side by side, at most: a page's width.
_ACROSS = 3
# What rows of all pictures are called where they are ours.
_FULL = "Full data"
_ROW, _REST, _PANEL, _LABELS = 0.3, 0.85, 2.6, 2.4  # inches: of a row, of an axis and the legend, of a panel, of row labels


def score_plot(
    values: pd.DataFrame, metric: str, testset: str, rows: Sequence[str], xlabel: str, printed: pd.DataFrame | None = None
) -> Figure:
    """A dot per seed, the mean with its 95 % interval over seeds, and a diamond for the printed number; a panel per network,
    all with the same axis.

    ``values``: as ``tables.per_seed`` gives them. ``printed``: a long table, whose ``published`` are drawn where the metric is
    the same; rows that it has numbers of are the paper's, the others controls of ours. A mean that lies far from everything
    else is a number at the edge; a bar or a dot that goes on beyond the edge ends in an arrow.
    """
    data = values[(values.metric == metric) & (values.testset == testset)]
    bicubic = data[data.row == BICUBIC]["value"]
    data = data[data.row.isin(rows)]
    networks = list(dict.fromkeys(data.network))
    if not networks:
        return _nothing(metric)
    marks = _printed(printed, metric, testset, rows, networks)
    of_paper = set() if printed is None else set(printed[printed.published.notna()].row)
    shown = f"{METRICS[metric].axis.partition(' (')[0]} on {testset_title(testset)}"
    shown = shown[0].upper() + shown[1:]
    across, down = _grid(len(networks))
    figure = drawing(_LABELS + _PANEL * across, 0.5 + down * (_REST + _ROW * len(rows)), "")
    axes = list(figure.subplots(down, across, sharey=True, squeeze=False).flat)
    for axis in axes[len(networks) :]:
        figure.delaxes(axis)
    lines = [0.0, 100.0] if metric == GAIN else [float(bicubic.iloc[0])] if len(bicubic) else []
    means = [*data.groupby(["row", "network"])["value"].mean(), *lines, *marks.values()]
    every = [*data["value"], *_ends(data)]
    low, high = _limits(means, every, lines)
    beyond = any(not low <= value <= high for value in [*means, *every])
    figure.caption = f"{shown}: {_key(marks, bicubic, metric, beyond)}."
    for axis, network in zip(axes, networks, strict=False):
        for line in lines:
            axis.axvline(line, color="0.4", linestyle=":", linewidth=1, zorder=1)
        part = data[data.network == network].groupby("row")["value"]
        for place, row in enumerate(rows):
            if row in part.groups:
                _draw_row(axis, place, part.get_group(row).tolist(), _color(row, of_paper), (low, high), metric)
            if (row, network) in marks:
                _draw_printed(axis, place, marks[row, network], (low, high), metric)
        axis.set(title=network, xlabel=xlabel, xlim=(low, high), ylim=(len(rows) - 0.5, -0.5))
        axis.set_yticks(range(len(rows)), rows)
        axis.xaxis.set_major_locator(MaxNLocator(4, prune="both"))
    kinds = {FULL: "full data", PAPER: "rows of the paper", CONTROL: "rows of ours"}
    used = [color for color in kinds if any(_color(row, of_paper) == color for row in rows)]
    handles = [Line2D([], [], color=color, marker="o", linestyle="-", label=kinds[color]) for color in used]
    handles += [Line2D([], [], color=PRINTED, marker="D", linestyle="", fillstyle="none", label="printed")] if marks else []
    figure.legend(handles=handles, loc="outside lower center", ncols=len(handles), frameon=False)
    return figure


def _grid(panels: int) -> tuple[int, int]:
    """How many panels stand side by side, and in how many lines."""
    down = -(-panels // _ACROSS)
    return -(-panels // down), down


def _ends(data: pd.DataFrame) -> list[float]:
    """Of all intervals."""
    of_row = data.groupby(["row", "network"], sort=False)["value"]
    return [end for _, values in of_row if len(values) > 1 for end in interval_of_seeds(values.tolist())]


def _color(row: str, of_paper: Collection[str]) -> str:
    """What kind of row it is."""
    return FULL if row.startswith((ORIGINAL, _FULL)) else PAPER if row in of_paper else CONTROL


def _nothing(metric: str) -> Figure:
    why = "full data is not above bicubic" if metric == GAIN else "this profile does not measure it"
    words = f"no {METRICS[metric].axis.partition(',')[0]} here: {why}"
    figure, axes = panels(1, 1, 5, words[0].upper() + words[1:] + ".", 0.2)
    axes[0, 0].text(0.5, 0.5, words, ha="center", va="center")
    return figure


def _key(marks: dict, bicubic: pd.Series, metric: str, beyond: bool) -> str:
    """What the marks mean, in words."""
    words = "a dot per seed, the mean with its 95 % interval over seeds"
    words += "; diamonds are printed numbers" if marks else ""
    words += "; arrows lead to what lies beyond the axis, with the mean or the printed number where that does" if beyond else ""
    if metric == GAIN:
        return f"{words}; dotted lines are bicubic, 0 %, and full data, 100 %"
    return f"{words}; the dotted line is bicubic" if len(bicubic) else words


def _printed(
    printed: pd.DataFrame | None, metric: str, testset: str, rows: Sequence[str], networks: Sequence[str]
) -> dict[tuple[str, str], float]:
    """Printed numbers by row and network, of the same test set and metric; doubtful ones are left out, and those of networks
    that have no panel."""
    if printed is None:
        return {}
    known = printed[(printed.metric == metric) & (printed.testset == testset) & printed.published.notna()]
    known = known[known.row.isin(rows) & known.network.isin(networks) & (known.status != "doubtful")]
    return {(line.row, line.network): line.published for line in known.itertuples()}


def _limits(means: Sequence[float], every: Sequence[float], always: Sequence[float]) -> tuple[float, float]:
    """Of the axis: whatever of ``means`` and ``every`` is not far from the middle of ``means``, and ``always``."""
    series = pd.Series(means, dtype=float)
    quarter, three_quarters = series.quantile(0.25), series.quantile(0.75)
    reach = _FAR * max(three_quarters - quarter, 1e-9)
    near = [value for value in [*means, *every] if quarter - reach <= value <= three_quarters + reach]
    low, high = min([*near, *always]), max([*near, *always])
    room = 0.06 * (high - low) or 0.5
    return low - room, high + room


def _at_the_edge(axis: Axes, place: float, words: str, right: bool, color: str) -> None:
    """A number that lies far beyond the axis, with an arrow to where."""
    axis.text(0.98 if right else 0.02, place, f"{words} →" if right else f"← {words}", color=color, va="center", zorder=5,
              ha="right" if right else "left", transform=axis.get_yaxis_transform(),
              bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.85, "pad": 0.5})  # fmt: skip


def _draw_printed(axis: Axes, place: int, value: float, limits: tuple[float, float], metric: str) -> None:
    if limits[0] <= value <= limits[1]:
        axis.plot(value, place, "D", color=PRINTED, fillstyle="none", markersize=5.5, zorder=4)
    else:  # below the row's own number, should that be at the edge, too
        _at_the_edge(axis, place + 0.36, number(value, metric), value > limits[1], PRINTED)


def _draw_row(axis: Axes, place: int, values: list[float], color: str, limits: tuple[float, float], metric: str) -> None:
    low, high = limits
    mean = sum(values) / len(values)
    if not low <= mean <= high:
        _at_the_edge(axis, place, number(mean, metric), mean > high, color)
        return
    if len(values) > 1:
        start, end = interval_of_seeds(values)
        for edge, marker, cut in ((low, "<", min(start, *values) < low), (high, ">", max(end, *values) > high)):
            if cut:
                axis.plot(edge, place, marker, color=color, markersize=5, clip_on=False, zorder=4)
        axis.plot([max(low, start), min(high, end)], [place, place], color=color, linewidth=1.6, zorder=2)
        axis.plot([mean, mean], [place - 0.24, place + 0.24], color=color, linewidth=1.8, zorder=3)
    axis.scatter(values, [place] * len(values), s=20, color=color, alpha=0.6, linewidths=0, zorder=3)
