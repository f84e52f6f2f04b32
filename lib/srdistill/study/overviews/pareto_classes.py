"""What the sets of classifiers cost and bring: accuracy over pixels, and over bytes; for each data set and student."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from srdistill.study.classification import ALL_PICTURES, AVERAGE
from srdistill.study.overviews.fronts import (
    COSTS,
    TRAINING,
    cost_axis,
    costs_of,
    draw_front,
    front,
    front_handle,
    kinds_of_rows,
    line_at,
    read_sizes,
)
from srdistill.study.overviews.names import name_marks
from srdistill.study.pages.drawing import CONTROL, FULL, PAPER, PRINTED, WIDEST, drawing, listed
from srdistill.study.pages.figure_files import write_figure
from srdistill.study.pages.tables import read_table, testset_title
from srdistill.study.paper import tables
from srdistill.study.verdicts.board import PARETO_CLASSES

_COLUMNS = ["table", "row", "of_paper", "pixels", "bytes", "accuracy", "printed"]
# The paper's own method, which is named wherever it lies.
_OURS = "Ours"
# So many times left of the smallest set lies one without any pixels; and there is room for names.
_LEFT = 4
# And so many times beside each other lie sets of the same pixels.
_BESIDE = 1.09
_PANEL = 3.0  # inches


def class_sets(root: Path, profile: str) -> list[pd.DataFrame]:
    """A frame for each data set, resolution and student, a line for each set of each table: ``table, row, of_paper, pixels,
    bytes, accuracy, printed``.

    ``pixels``, ``bytes``: as of ``fronts.costs_of``; ``accuracy``: top-1 in percent, mean over seeds; ``printed``: the printed
    one, NaN where there is none for this data set and student; ``of_paper``: whether the row is in print. ``attrs``: ``title``;
    ``chance``, in percent; ``full``: what all pictures give by student, in percent, empty where nobody was trained on them.
    """
    found = []
    for name in tables():
        path, sizes = root / profile / f"{name}.csv", root / profile / f"{name}.sizes.csv"
        if path.exists() and sizes.exists():
            found.append(_of_table(name, read_table(path), read_sizes(sizes)))
    if not found:
        return []
    every, frames = pd.concat(found), []
    for (testset, side), of_data in every.groupby(["testset", "side"], sort=False):
        whole = of_data[of_data.row == ALL_PICTURES]
        for _, lines in of_data[of_data.row != ALL_PICTURES].groupby("network", sort=False):
            frame = lines[_COLUMNS].reset_index(drop=True)
            frame.attrs = {
                "title": f"{testset_title(testset)}, {side} px: {_student(lines)}",
                "chance": 100 / of_data.classes.min(),
                "full": dict(zip(whole.network, whole.accuracy, strict=True)),
                "network": lines.network.iloc[0],
            }
            frames.append(frame)
    return frames


def _of_table(name: str, long: pd.DataFrame, sizes: pd.DataFrame) -> pd.DataFrame:
    """Of the first data set, which sizes are of: a line for each set, student and, across architectures, their mean alone."""
    ours = long[(long.metric == "accuracy") & long["mean"].notna()]
    ours = ours[ours.testset == ours.testset.iloc[0]] if len(ours) else ours
    students = [network for network in dict.fromkeys(ours.network) if network != AVERAGE]
    ours = ours[ours.network == AVERAGE] if AVERAGE in set(ours.network) else ours
    ours = ours[ours.row.isin(sizes.index) | (ours.row == ALL_PICTURES)]
    in_print = set(long[long.status != ""].row)
    return ours.assign(
        table=name, of_paper=ours.row.isin(in_print), accuracy=ours["mean"],
        printed=ours.published.where(ours.status != "doubtful"), students=listed(students),
        side=round((sizes["HR pixels"] / sizes["images"])[TRAINING] ** 0.5),
        # The smallest set has one picture of each class.
        classes=sizes["images"][sizes["images"] > 0].min(),
    ).join(costs_of(sizes), on="row")  # fmt: skip


def _student(lines: pd.DataFrame) -> str:
    """In words, with the tables: "ConvNet (tables 1 and 3)"."""
    network = lines.network.iloc[0]
    numbers = [name.rpartition("_t")[2] for name in dict.fromkeys(lines.table)]
    whose = network if network != AVERAGE else f"mean of {lines.students.iloc[0]}"
    return f"{whose} (table{'s' if len(numbers) > 1 else ''} {listed(numbers)})"


def pareto_classes_figure(groups: Sequence[pd.DataFrame]) -> Figure:
    """Two panels for each frame of ``class_sets``, accuracy over pixels and over bytes; a mark for each set, a diamond where
    the paper prints a number. Named are the sets of the front, the best of each kind and the paper's own. Raises ValueError
    without a frame."""
    if not groups:
        raise ValueError("no set of classifiers with sizes and an accuracy to draw")
    every = pd.concat(groups)
    printed = every.printed.notna().any()
    caption = ("What the sets of classifiers cost and bring: top-1 accuracy, mean over seeds, over a set's pixels and its "
               "bytes, labels and decoders counted; the line joins the sets that no smaller one beats. Dotted are chance, all "
               "pictures with their own labels and, upright, as many bytes as all pictures have. Marks of equal pixels stand "
               "a little beside each other.")  # fmt: skip
    caption += " A set without pixels lies at the left end." if (every.pixels == 0).any() else ""
    caption += " Printed numbers stand over the size of our set." if printed else ""
    figure = drawing(WIDEST, 0.8 + _PANEL * len(groups), caption)
    axes = figure.subplots(len(groups), 2, squeeze=False, sharex="col", sharey="row", width_ratios=(1, 1.7))
    for axis, cost in zip(axes[0], COSTS, strict=True):
        axis.set_xlim(every[cost][every[cost] > 0].min() / (1.5 * _LEFT), every[cost].max() * 2)
    for line, frame in zip(axes, groups, strict=True):
        line[0].set_title(frame.attrs["title"], loc="left")
        line[0].set_ylabel("top-1 accuracy, %")
        for axis, cost in zip(line, COSTS, strict=True):
            _panel(axis, frame, cost)
            axis.tick_params(which="both", labelbottom=True)
    handles = [*kinds_of_rows(every.of_paper), front_handle()]
    handles += [Line2D([], [], color=PRINTED, marker="D", linestyle="", fillstyle="none", label="printed")] if printed else []
    figure.legend(handles=handles, loc="outside lower center", ncols=len(handles), frameon=False)
    figure.draw_without_rendering()
    for line, frame in zip(axes, groups, strict=True):
        for axis, cost in zip(line, COSTS, strict=True):
            _names(axis, frame, cost)
    return figure


def _placed(frame: pd.DataFrame, cost: str) -> pd.DataFrame:
    """The sets with the place ``at`` of their marks. One without pixels lies at the left end, as zero has no logarithm; those
    of equal pixels stand a little beside each other, or they would hide each other."""
    costs = frame[cost]
    at = costs.where(costs > 0, costs[costs > 0].min() / _LEFT)
    if cost == "pixels":
        rank = frame.groupby(cost).accuracy.rank(method="first") - 1
        at = at * _BESIDE ** ((rank % 3 - 1).where(frame.groupby(cost)[cost].transform("size") > 3, 0))
    return frame.assign(at=at)


def _panel(axis: Axes, frame: pd.DataFrame, cost: str) -> None:
    sets, full = _placed(frame, cost), frame.attrs["full"]
    for of_paper, color in ((True, PAPER), (False, CONTROL)):
        some = sets[sets.of_paper == of_paper]
        for marker, those in (("o", some[some[cost] > 0]), ("<", some[some[cost] == 0])):
            axis.scatter(those["at"], those.accuracy, s=26, color=color, marker=marker, alpha=0.75, linewidths=0, zorder=3)
    axis.plot(sets["at"], sets.printed, "D", color=PRINTED, fillstyle="none", markersize=5.5, zorder=4)
    best = front(sets, cost, "accuracy")
    draw_front(axis, best["at"], best.accuracy)
    chance = frame.attrs["chance"]
    top = max(sets.accuracy.max(), sets.printed.max(), full.get(frame.attrs["network"], 0))
    axis.set_ylim(chance - 0.1 * (top - chance), top + 0.08 * (top - chance))
    line_at(axis, chance, "chance", above=False)
    if frame.attrs["network"] in full:
        line_at(axis, full[frame.attrs["network"]], "all pictures")
    elif full:
        student, reached = next(iter(full.items()))
        axis.annotate(f"↑ all pictures, {student}: {reached:.1f}", (1, 1), xycoords="axes fraction", xytext=(-2, 2),
                      textcoords="offset points", ha="right", va="top", color=FULL)  # fmt: skip
    if sets[cost].max() > 100:
        axis.axvline(100, color=FULL, linewidth=0.8, linestyle=":", zorder=1)
    cost_axis(axis, cost)


def _names(axis: Axes, frame: pd.DataFrame, cost: str) -> None:
    sets = _placed(frame, cost)
    best_of_kinds = sets.loc[sets.groupby("of_paper").accuracy.idxmax()]
    named = pd.concat([front(sets, cost, "accuracy"), best_of_kinds, sets[sets.row.str.startswith(_OURS)]])
    named = named[~named.index.duplicated()]
    # Rows of a panel's first table are known by their names.
    of_table = ["" if table == frame.table.iloc[0] else f", table {table.rpartition('_t')[2]}" for table in named.table]
    words = [row + table for row, table in zip(named.row, of_table, strict=True)]
    colors = [PAPER if of_paper else CONTROL for of_paper in named.of_paper]
    marks = pd.concat([sets[["at", "accuracy"]], sets[["at", "printed"]].dropna().set_axis(["at", "accuracy"], axis=1)])
    name_marks(axis, marks.to_numpy(), list(zip(named["at"], named.accuracy, words, colors, strict=True)))


def write_pareto_classes(root: Path, profile: str) -> Path | None:
    """The figure of a profile, as PNG and as SVG; None where no classifier was trained."""
    groups = class_sets(root, profile)
    if not groups:
        return None
    return write_figure(pareto_classes_figure(groups), root / profile / "figures" / PARETO_CLASSES, dpi=130, tight=False)
