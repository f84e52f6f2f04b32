"""What the sets of students with perceptual losses cost and bring: PSNR, SSIM and LPIPS over pixels, and over bytes."""

import math
from pathlib import Path

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from srdistill.study.metrics import METRICS
from srdistill.study.overviews.fronts import (
    COSTS,
    cost_axis,
    costs_of,
    draw_front,
    front,
    front_handle,
    kinds_of_rows,
    read_sizes,
)
from srdistill.study.overviews.names import name_marks
from srdistill.study.pages.drawing import CONTROL, FULL, PAPER, WIDEST, drawing, listed
from srdistill.study.pages.figure_files import write_figure
from srdistill.study.pages.tables import read_table
from srdistill.study.rows import BICUBIC, ORIGINAL
from srdistill.study.verdicts.board import PARETO_PERCEPTUAL

_TABLES = ("labelfree_t1", "labelfree_t3")
_METRICS = ("psnr", "ssim", "lpips")
# By student, the first one's marks are full: how marks, lines of fronts and lines of all pictures look.
_FILLS, _DASHES = ("full", "none"), ("-", "--")
# The paper's own sets; the largest is named wherever it lies, with the first student.
_OWN = r"Distilled, \d+"
_PANEL = 3.2  # inches
_LINE = 0.06  # of words, in heights of a panel


def perceptual_sets(root: Path, profile: str) -> pd.DataFrame:
    """A line for each metric, student and set, and for bicubic and all pictures, which have no sizes: ``table, metric, network,
    row, of_paper, pixels, bytes, value``.

    ``value``: mean over test sets and seeds; ``metric``: psnr in dB, ssim, lpips, of whichever network the profile has it;
    ``pixels``, ``bytes``: as of ``fronts.costs_of``; ``of_paper``: whether the row is in print. What tables share is of the
    first.
    """
    found = []
    for name in _TABLES:
        path, sizes = root / profile / f"{name}.csv", root / profile / f"{name}.sizes.csv"
        if path.exists() and sizes.exists():
            long = read_table(path)
            in_print = set(long[long.status != ""].row)
            ours = long[long["mean"].notna()]
            ours = ours.assign(metric=ours.metric.str.partition("_")[0].where(ours.metric.str.startswith("lpips"), ours.metric))
            means = ours[ours.metric.isin(_METRICS)].groupby(["metric", "network", "row"], sort=False)["mean"].mean()
            lines = means.rename("value").reset_index().join(costs_of(read_sizes(sizes)), on="row")
            found.append(lines.assign(table=name, of_paper=lines.row.isin(in_print)))
    columns = ["table", "metric", "network", "row", "of_paper", "pixels", "bytes", "value"]
    every = pd.concat(found)[columns] if found else pd.DataFrame(columns=columns)
    return every.drop_duplicates(["metric", "network", "row"]).reset_index(drop=True)


def pareto_perceptual_figure(every: pd.DataFrame) -> Figure:
    """Two panels for each metric of ``perceptual_sets``, over pixels and over bytes; up is better. A mark for each set, full
    for the first student, empty for the second; named are the sets of the fronts and the paper's own. Raises ValueError
    without a set."""
    sets = every[every.pixels.notna()]
    if sets.empty:
        raise ValueError("no set of a student with perceptual losses to draw")
    students, metrics = list(dict.fromkeys(sets.network)), [name for name in _METRICS if name in set(sets.metric)]
    caption = (f"What the sets of {listed(students)}, students with perceptual losses, cost and bring at ×4: means over test "
               "sets and seeds, over a set's pixels and its bytes; up is better. The line joins the sets that no smaller one "
               "beats; dotted are bicubic and what all pictures give.")  # fmt: skip
    figure = drawing(WIDEST, 0.8 + _PANEL * len(metrics), caption)
    axes = figure.subplots(len(metrics), len(COSTS), squeeze=False, sharex="col", sharey="row")
    panels = [(axes[row, column], metric, cost) for row, metric in enumerate(metrics) for column, cost in enumerate(COSTS)]
    for axis, metric, cost in panels:
        _panel(axis, every[every.metric == metric], cost, students)
        axis.set_xlim(sets[cost].min() / 1.5, sets[cost].max() * 4)
        axis.tick_params(which="both", labelbottom=True)
    for line, metric in zip(axes, metrics, strict=True):
        line[0].set_ylabel(METRICS[metric].axis)
        if METRICS[metric].lower_is_better:
            line[0].invert_yaxis()
        _beside(line[-1], _levels(every[every.metric == metric]))
    figure.legend(handles=_handles(sets, students), loc="outside lower center", ncols=5, frameon=False)
    figure.draw_without_rendering()
    for axis, metric, cost in panels:
        _names(axis, sets[sets.metric == metric], cost)
    return figure


def _levels(lines: pd.DataFrame) -> dict[str, float]:
    """What is had without a set, and what all pictures give, by its name."""
    found = lines[lines.row.isin((BICUBIC, ORIGINAL))]
    return {
        "bicubic" if line.row == BICUBIC else f"all pictures,\n{line.network}": line.value for line in found.itertuples()
    }  # fmt: skip


def _beside(axis: Axes, levels: dict[str, float]) -> None:
    """The names of the dotted lines, right of the axis; moved apart where they would lie on each other."""
    low, high = sorted(axis.get_ylim())
    places, least = {}, -math.inf
    for name, value in sorted(levels.items(), key=lambda item: item[1]):
        half = (name.count("\n") + 1) * _LINE * (high - low) / 2
        places[name] = max(value, least + half)
        least = places[name] + half
    # Together about as high as their lines.
    aside = sum(places[name] - value for name, value in levels.items()) / len(levels)
    for name, place in places.items():
        axis.annotate(name, (1, place - aside), xycoords=("axes fraction", "data"), xytext=(4, 0), textcoords="offset points",
                      va="center", color=FULL)  # fmt: skip


def _handles(sets: pd.DataFrame, students: list[str]) -> list[Line2D]:
    """What marks and lines are called in the legend."""
    marks = [Line2D([], [], color=FULL, marker="o", fillstyle=fill, linestyle=dash, linewidth=1, label=name)
             for name, fill, dash in zip(students, _FILLS, _DASHES, strict=False)]  # fmt: skip
    return [*kinds_of_rows(sets.of_paper), *marks, front_handle()]


def _panel(axis: Axes, lines: pd.DataFrame, cost: str, students: list[str]) -> None:
    sets = lines[lines.pixels.notna()]
    for student, fill, dash in zip(students, _FILLS, _DASHES, strict=False):
        ours = sets[sets.network == student]
        for of_paper, color in ((True, PAPER), (False, CONTROL)):
            some = ours[ours.of_paper == of_paper]
            axis.plot(some[cost], some.value, "o", color=color, fillstyle=fill, markersize=5, zorder=3)
        best = _front(ours, cost)
        draw_front(axis, best[cost], best.value, dash)
    for value in _levels(lines).values():
        axis.axhline(value, color=FULL, linewidth=0.8, linestyle=":", zorder=1)
    cost_axis(axis, cost)


def _front(sets: pd.DataFrame, cost: str) -> pd.DataFrame:
    """The front of one metric and student."""
    sign = [-1 if METRICS[metric].lower_is_better else 1 for metric in sets.metric]
    return front(sets.assign(quality=sets.value * sign), cost, "quality")


def _names(axis: Axes, sets: pd.DataFrame, cost: str) -> None:
    own = sets[sets.row.str.fullmatch(_OWN) & (sets.network == sets.network.iloc[0])]
    own = own[own.pixels == own.pixels.max()]
    named = pd.concat([*(_front(ours, cost) for _, ours in sets.groupby("network", sort=False)), own])
    named = named[~named.index.duplicated()]
    colors = [PAPER if of_paper else CONTROL for of_paper in named.of_paper]
    name_marks(axis, sets[[cost, "value"]].to_numpy(), list(zip(named[cost], named.value, named.row, colors, strict=True)))


def write_pareto_perceptual(root: Path, profile: str) -> Path | None:
    """The figure of a profile, as PNG and as SVG; None where no such student was trained."""
    every = perceptual_sets(root, profile)
    if every.pixels.isna().all():
        return None
    return write_figure(pareto_perceptual_figure(every), root / profile / "figures" / PARETO_PERCEPTUAL, dpi=130, tight=False)
