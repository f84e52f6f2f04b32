"""Quality over the size of a set: what the methods of a table reach with more and more images, or pixels."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from srdistill.study.classification import ALL_PICTURES
from srdistill.study.metrics import number
from srdistill.study.overviews.fronts import costs_of, read_sizes
from srdistill.study.pages.drawing import DASHES, FULL, LINES, drawing, listed
from srdistill.study.pages.figure_files import write_figure
from srdistill.study.pages.tables import read_table
from srdistill.study.paper import tables
from srdistill.study.rows import BICUBIC, ORIGINAL
from srdistill.study.verdicts.board import SET_SIZE

# Rows that name their size: "GSDD, 140", "RDED, IPC 10", "Herded, smaller, 3 %", or that there is more of it.
_SIZED = re.compile(r"^(?P<method>.*), (?:(?:IPC )?(?P<size>[\d.]+)(?: %)?|more of them)$")
# More than there are colours: together they repeat late.
_MARKS = "osD^vP*X<>pdH"
_PIXELS = "HR pixels, % of the training pictures'"
# Tables with sets of several sizes: of what, the metric, and what full data is called there.
_PANELS = (
    (("beyond_t1", "beyond_t2", "beyond_t7"), _PIXELS, "psnr_y", "Full data, several scales"),
    (("labelfree_t1", "labelfree_t3"), "images", "ssim", ORIGINAL),
    (("labelfree_t2",), "images", "psnr", ORIGINAL),
    (("coreset_t1",), "images per class", "accuracy", ALL_PICTURES),
    (("coreset_t2",), "images per class", "accuracy", ALL_PICTURES),
)
_WORDS = {"psnr": "PSNR over bicubic, dB", "psnr_y": "PSNR of luma over bicubic, dB", "ssim": "SSIM over bicubic",
          "accuracy": "top-1 accuracy, %"}  # fmt: skip
# What lies further below all lines than this share of their height is a number at the edge.
_BELOW = 0.5
# How far apart stand lines, marks of one size beside lines, and such marks alone; and how wide an axis is, about: in points.
_ASIDE, _WIDE = (3, 6, 15), 320
_LEGEND, _REST = 0.17, 1.1  # inches: of a line of the legend, of titles and axes


def sized_rows(root: Path, profile: str) -> list[pd.DataFrame]:
    """A frame for each group of tables with sets of several sizes: ``method, size, value, std`` of the student that most rows
    were run with, means over test sets, bicubic taken off; ``size`` 0 is all pictures. ``attrs`` say of what."""
    found = []
    for names, what, metric, full in _PANELS:
        paths = [root / profile / f"{name}.csv" for name in names]
        if all(path.exists() for path in paths):
            long = pd.concat([read_table(path) for path in paths]).drop_duplicates(["row", "network", "testset", "metric"])
            long = long[(long.metric == metric) & long["mean"].notna()]
            lines = _sizes_of(long, full, _shares(paths) if what == _PIXELS else {})
            if (lines["size"] > 0).any():
                lines.attrs |= {"tables": names, "what": what, "metric": metric}
                found.append(lines)
    return found


def _shares(paths: Sequence[Path]) -> dict[str, float]:
    """Of the sets of tables, by row: their pixels in percent of the training pictures'."""
    sizes = (read_sizes(path.with_suffix(".sizes.csv")) for path in paths)
    return {row: share for found in sizes for row, share in costs_of(found).pixels.items()}


def _sizes_of(long: pd.DataFrame, full: str, shares: Mapping[str, float]) -> pd.DataFrame:
    """``shares``: sizes of rows that are measured; others name theirs."""
    nothing = long[long.row == BICUBIC].set_index("testset")["mean"]
    ours = long[~long.network.isin(("bicubic", "average"))]
    if ours.empty:
        return pd.DataFrame(columns=["method", "size", "value", "std"])
    # Of several the first whose name is EDSR's, the student that the tables share.
    network = next((name for name in dict.fromkeys(ours.network) if name.startswith("EDSR")), ours.network.iloc[0])
    lines = []
    for row, cells in ours[ours.network == network].groupby("row", sort=False):
        named = _SIZED.match(row)
        size = 0.0 if row == full else shares.get(row) or (named and float(named["size"] or 0))
        # Sets that students were trained on for longer have no other size.
        if size is not None and "x steps" not in row:
            over = (cells["mean"] - cells.testset.map(nothing).fillna(0)).mean()
            lines.append((named["method"] if named else row, size, over, cells["std"].mean()))
    frame = pd.DataFrame(lines, columns=["method", "size", "value", "std"])
    frame.attrs["network"] = network
    return frame


def set_size_figure(groups: Sequence[pd.DataFrame]) -> Figure:
    """A panel for each frame of ``sized_rows``: a line for each method that was run with two sizes or more, an empty mark for
    one with a single size; dotted what all pictures give. Raises ValueError without a frame."""
    if not groups:
        raise ValueError("no table with rows of several sizes to draw")
    caption = ("Quality over the size of the set: a line for each method, an empty mark where it was run with one size; means "
               "over test sets and seeds, bars are standard deviations over seeds. Marks of one size stand a little beside "
               "each other; a method far below the lines has its number in the legend. The dotted line is all pictures. How "
               "long students train may differ between the sizes of classification sets.")  # fmt: skip
    heights = [max(3.2, _REST + _LEGEND * lines[lines["size"] > 0].method.nunique()) for lines in groups]
    # One below the other: beside each other their words would be too small to read on a page.
    figure = drawing(8.4, sum(heights), caption)
    looks = _looks(groups)
    axes = figure.subplots(len(groups), 1, squeeze=False, height_ratios=heights)[:, 0]
    for axis, lines in zip(axes, groups, strict=True):
        _panel(axis, lines, looks[_paper(lines)])
    return figure


def _paper(lines: pd.DataFrame) -> str:
    return lines.attrs["tables"][0].rpartition("_")[0]


def _parts(lines: pd.DataFrame) -> list[tuple[str, pd.DataFrame]]:
    """By method; those of several sizes come first."""
    parts = [(name, part.sort_values("size")) for name, part in lines[lines["size"] > 0].groupby("method", sort=False)]
    return sorted(parts, key=lambda found: len(found[1]) == 1)


def _looks(groups: Sequence[pd.DataFrame]) -> dict[str, dict[str, dict]]:
    """By paper and method: colour, dash and mark, the same in every panel."""
    looks: dict[str, dict[str, dict]] = {}
    for lines in groups:
        known = looks.setdefault(_paper(lines), {})
        for name, _ in _parts(lines):
            color, dash, mark = (found[len(known) % len(found)] for found in (LINES, DASHES, _MARKS))
            known.setdefault(name, {"color": color, "linestyle": dash, "marker": mark})
    return looks


def _title(lines: pd.DataFrame) -> str:
    """What the tables are about, in the words of the first."""
    first = tables()[lines.attrs["tables"][0]][1].title
    paper, _, about = first.partition(", table ")
    numbers = [name.rpartition("_t")[2] for name in lines.attrs["tables"]]
    several = "s" if len(numbers) > 1 else ""
    return f"{paper}, table{several} {listed(numbers)}: {about.partition(': ')[2]}; student {lines.attrs['network']}"


def _panel(axis: Axes, lines: pd.DataFrame, looks: Mapping[str, dict]) -> None:
    parts, whole = _parts(lines), lines[lines["size"] == 0]["value"]
    several = [part for _, part in parts if len(part) > 1]
    joined = several or [part for _, part in parts]
    low = _lowest(joined, whole)
    # Measured sizes of one budget differ a little.
    digits = ".1g" if lines.attrs["what"] == _PIXELS else "g"
    ticks = sorted({float(f"{size:{digits}}") for part in joined for size in part["size"]})
    left, right = ticks[0] / 2, ticks[-1] * 1.6
    for index, (name, part) in enumerate(parts):
        # A little beside each other, or they would hide each other.
        if index < len(several):
            aside = _ASIDE[0] * (index - (len(several) - 1) / 2)
        else:
            aside = _ASIDE[1 if several else 2] * (index - (len(several) + len(parts) - 1) / 2)
        places = part["size"] * (right / left) ** (aside / _WIDE)
        look = {"capsize": 2, "linewidth": 1.3, "markersize": 4.5, **looks[name]}
        if part["value"].max() < low:
            words = f"{name}, at {number(part['value'].iloc[0], lines.attrs['metric'])}"
            axis.errorbar(places, [low] * len(part), label=words, clip_on=False, **look | {"linestyle": "", "marker": "v"})
            continue
        single = {"linestyle": "", "markerfacecolor": "none"} if len(part) == 1 else {}
        axis.errorbar(places, part["value"], yerr=part["std"], label=name, **look | single)
    if len(whole):
        axis.axhline(whole.iloc[0], color=FULL, linestyle=":", linewidth=1)
        axis.annotate("all pictures", (0, whole.iloc[0]), xycoords=("axes fraction", "data"), xytext=(3, 2),
                      textcoords="offset points")  # fmt: skip
    axis.set(xscale="log", xlabel=lines.attrs["what"], ylabel=_WORDS[lines.attrs["metric"]], xlim=(left, right))
    axis.set_ylim(bottom=low if any(part["value"].max() < low for _, part in parts) else None)
    axis.xaxis.set_major_locator(FixedLocator(ticks))
    axis.xaxis.set_minor_locator(NullLocator())
    axis.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_title(_title(lines), loc="left")
    axis.legend(frameon=False, loc="center left", bbox_to_anchor=(1.01, 0.5), labelspacing=0.3)


def _lowest(joined: Sequence[pd.DataFrame], whole: pd.Series) -> float:
    """Below it a method has a number at the edge instead of a mark."""
    ends = [*whole, *(end for part in joined for end in part["value"] - part["std"].fillna(0))]
    tops = [*whole, *(value for part in joined for value in part["value"])]
    return min(ends) - _BELOW * (max(tops) - min(ends))


def write_set_size(root: Path, profile: str) -> Path | None:
    """The figure of a profile, as PNG and as SVG; None where no table has rows of several sizes."""
    groups = sized_rows(root, profile)
    if not groups:
        return None
    return write_figure(set_size_figure(groups), root / profile / "figures" / SET_SIZE, dpi=120, tight=False)
