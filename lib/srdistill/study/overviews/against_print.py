"""Our numbers against the printed ones, row by row, in one plot: do the papers' orderings come back?

What is compared depends on what a paper prints. Where it prints PSNR of its full data on a test set that is measured here, the
recovered gain (x - bicubic) / (full - bicubic), with our bicubic, which is the printed one wherever that is known. Where it
prints SSIM on other pictures, the distance to full data. Of classifiers, top-1 accuracy.
"""

import math
from collections.abc import Iterator, Mapping
from pathlib import Path

import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from srdistill.study.overviews.orders import write_orders
from srdistill.study.pages.drawing import LINES, drawing
from srdistill.study.pages.figure_files import write_figure
from srdistill.study.pages.tables import read_table
from srdistill.study.paper import tables
from srdistill.study.rows import BICUBIC, ORIGINAL
from srdistill.study.verdicts.board import AGAINST_PRINT

GAIN_OF, BELOW_FULL, ACCURACY = "recovered gain, %", "SSIM minus that of full data", "top-1 accuracy, %"
# A recovered gain in percent below which a set has failed.
_FAILS = -100
_MARKS = "oXs^DvP*"
_COLUMNS = ["paper", "table", "row", "network", "quantity", "printed", "ours"]


def compared(root: Path, profile: str) -> pd.DataFrame:
    """Every printed row that was run in a profile: ``paper, table, row, network, quantity, printed, ours``, one line for each
    student and test set. Ours is that of the same test set and student where there is one; else the mean over ours."""
    lines = []
    for name, (paper, _) in tables().items():
        path = root / profile / f"{name}.csv"
        if path.exists():
            lines += [(paper.name, name, *line) for line in _of_table(read_table(path))]
    return pd.DataFrame(lines, columns=_COLUMNS)


def _of_table(long: pd.DataFrame) -> Iterator[tuple]:
    long = long[long.status != "doubtful"]
    shared = long[(long.metric == "psnr") & long.published.notna() & long["mean"].notna()]
    if (shared.row == ORIGINAL).any():
        yield from _gains(shared, long)
    elif ((long.row == ORIGINAL) & (long.metric == "ssim") & long.published.notna()).any():
        yield from _below_full(long[long.metric == "ssim"])
    else:
        yield from _accuracies(long[long.metric == "accuracy"])


def _gains(shared: pd.DataFrame, long: pd.DataFrame) -> Iterator[tuple]:
    nothing = long[(long.row == BICUBIC) & (long.metric == "psnr")].set_index("testset")["mean"]
    for (network, testset), found in shared.groupby(["network", "testset"], sort=False):
        full = found[found.row == ORIGINAL]
        if full.empty:
            continue
        start = nothing[testset]
        room = {side: float(full[side].iloc[0]) - start for side in ("published", "mean")}
        if min(room.values()) < 0.1:  # a student that learned nothing has no gain to recover
            continue
        for line in found[found.row != ORIGINAL].itertuples():
            printed, ours = (100 * (getattr(line, side) - start) / room[side] for side in ("published", "mean"))
            yield line.row, network, GAIN_OF, printed, ours


def _below_full(ssim: pd.DataFrame) -> Iterator[tuple]:
    printed = ssim.dropna(subset="published").groupby(["row", "network"], sort=False).published.mean()
    ours = ssim.dropna(subset="mean").groupby(["row", "network"], sort=False)["mean"].mean()
    for row, network in printed.index:
        full = (ORIGINAL, network)
        if row != ORIGINAL and full in printed and full in ours and (row, network) in ours:
            yield row, network, BELOW_FULL, printed[row, network] - printed[full], ours[row, network] - ours[full]


def _accuracies(accuracy: pd.DataFrame) -> Iterator[tuple]:
    printed = accuracy.dropna(subset="published").groupby(["row", "testset"], sort=False).published.mean()
    ours = accuracy.dropna(subset="mean").groupby(["row", "testset"], sort=False)["mean"].mean()
    everywhere = ours.groupby(level="row").mean()
    for row, testset in printed.index:
        here = ours.get((row, testset), math.nan)
        if math.isnan(here) and testset not in ours.index.get_level_values("testset"):
            here = everywhere.get(row, math.nan)
        if not math.isnan(here):
            yield row, testset, ACCURACY, printed[row, testset], here


def against_print_figure(lines: pd.DataFrame) -> Figure:
    """One panel for each quantity, a dot for each line of ``compared``: on the dotted line both agree. Above it Spearman's rank
    correlation, which asks for the order alone. Sets that fail in print hide the others, which then have a panel of their own.
    """
    panels = {quantity: lines[lines.quantity == quantity] for quantity in (GAIN_OF, BELOW_FULL, ACCURACY)}
    gains = panels.pop(GAIN_OF)
    some = gains[gains.printed > _FAILS]
    without = {f"{GAIN_OF}, without failures": some} if 0 < len(some) < len(gains) else {}
    panels = {title: found for title, found in ({GAIN_OF: gains} | without | panels).items() if len(found)}
    caption = ("Every printed row that was run, ours over the printed number, a colour per table and a mark per student; on "
               "the dotted line the two are equal.")  # fmt: skip
    if without:
        caption += f" Sets whose printed gain is below {_FAILS} % hide the others, which are shown once more without them."
    columns = max(1, min(2, len(panels)))
    rows = max(1, -(-len(panels) // columns))
    figure = drawing(5.6 * columns, 3.9 * rows, caption)
    axes = figure.subplots(rows, columns, squeeze=False)
    for axis in axes.flat[len(panels) :]:
        figure.delaxes(axis)
    for axis, (title, found) in zip(axes.flat, panels.items(), strict=False):
        # A table keeps its colour where it is shown once more.
        tables_of_paper = dict.fromkeys(lines[lines.quantity == found.quantity.iloc[0]].table)
        _panel(axis, found, title, dict(zip(tables_of_paper, LINES, strict=False)))
    return figure


def _panel(axis: Axes, found: pd.DataFrame, quantity: str, colors: Mapping[str, str]) -> None:
    """One quantity; its legend names what is in it. ``colors``: of tables."""
    names, students = list(dict.fromkeys(found.table)), list(dict.fromkeys(found.network))
    marks = [_MARKS[index % len(_MARKS)] for index in range(len(students))]
    palette = [colors[name] for name in names]
    look = {"hue_order": names, "palette": palette, "style_order": students, "markers": marks}
    sns.scatterplot(found, x="printed", y="ours", hue="table", style="network", ax=axis, s=36, alpha=0.8, **look)
    axis.axline((0, 0), slope=1, color="0.6", linestyle=":", linewidth=1)
    agreement = found.printed.corr(found.ours, method="spearman")
    paper = " and ".join(dict.fromkeys(found.paper))
    axis.set(title=f"{paper}: {quantity}\nrank correlation {agreement:.2f}, {len(found)} rows", xlabel="printed", ylabel="here")
    axis.legend(frameon=False, loc="center left", bbox_to_anchor=(1, 0.5))


def write_against_print(root: Path, profile: str) -> Path | None:
    """The figure of a profile as ``figures/against_print.png``, its lines as ``against_print.csv`` and the order of its rows
    (``orders``); None if no printed row was run."""
    lines = compared(root, profile)
    if lines.empty:
        return None
    path = root / profile / "figures" / AGAINST_PRINT
    path.parent.mkdir(parents=True, exist_ok=True)
    lines.to_csv(path.with_suffix(".csv"), index=False, float_format="%.4g")
    write_figure(against_print_figure(lines), path, dpi=120, tight=False)
    write_orders(lines, root, profile)
    return path
