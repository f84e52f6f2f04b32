"""Quality over the size of a set: what the methods of a table reach with more and more images, or pixels."""

import re
from pathlib import Path

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from srdistill.study.pages.drawing import DASHES, FULL, LINES, drawing
from srdistill.study.pages.figure_files import write_figure
from srdistill.study.pages.tables import read_table
from srdistill.study.rows import BICUBIC
from srdistill.study.verdicts.board import SET_SIZE

# Rows that name their size: "GSDD, 140", "RDED, IPC 10", "Herded, smaller, 3 %".
_SIZED = re.compile(r"^(?P<method>.*), (?:IPC )?(?P<size>[\d.]+)(?: %)?$")
_MARKS = "osD^vP*X<>"
# Tables whose rows come in several sizes: of what, the metric, and what full data is called there.
_PANELS = (
    (("beyond_t1", "beyond_t2"), "HR pixels, % of the training pictures'", "psnr_y", "Full data, several scales"),
    (("labelfree_t2",), "images", "psnr", "Baseline (original)"),
    (("coreset_t1",), "images per class", "accuracy", "All pictures, own labels"),
)
_WORDS = {"psnr": "PSNR over bicubic, dB", "psnr_y": "PSNR of luma over bicubic, dB", "accuracy": "top-1 accuracy, %"}


def sized_rows(root: Path, profile: str) -> list[pd.DataFrame]:
    """A frame for each group of tables with rows of several sizes: ``method, size, value, std`` of the student that most rows
    were run with, means over test sets, bicubic taken off; ``size`` 0 is all pictures. ``attrs`` say of what."""
    found = []
    for names, what, metric, full in _PANELS:
        paths = [root / profile / f"{name}.csv" for name in names]
        if all(path.exists() for path in paths):
            long = pd.concat([read_table(path) for path in paths]).drop_duplicates(["row", "network", "testset", "metric"])
            lines = _sizes_of(long[(long.metric == metric) & long["mean"].notna()], full)
            if lines[lines["size"] > 0].groupby("method")["size"].nunique().max() >= 2:
                lines.attrs |= {"table": " and ".join(names), "what": what, "metric": metric}
                found.append(lines)
    return found


def _sizes_of(long: pd.DataFrame, full: str) -> pd.DataFrame:
    nothing = long[long.row == BICUBIC].set_index("testset")["mean"]
    ours = long[~long.network.isin(("bicubic", "average"))]
    if ours.empty:
        return pd.DataFrame(columns=["method", "size", "value", "std"])
    # Of several the first whose name is EDSR's, the student that the tables share.
    network = next((name for name in dict.fromkeys(ours.network) if name.startswith("EDSR")), ours.network.iloc[0])
    lines = []
    for row, cells in ours[ours.network == network].groupby("row", sort=False):
        budget = next((value for value in cells.get("budget", pd.Series(dtype=str)) if value), "")
        named = _SIZED.match(row if not budget or row.endswith(budget) else f"{row}, {budget}")
        if named or row == full:
            method, size = (named["method"], float(named["size"])) if named else (row, 0.0)
            over = (cells["mean"] - cells.testset.map(nothing).fillna(0)).mean()
            lines.append((method, size, over, cells["std"].mean()))
    frame = pd.DataFrame(lines, columns=["method", "size", "value", "std"])
    frame.attrs["network"] = network
    return frame


def set_size_figure(groups: list[pd.DataFrame]) -> Figure:
    """A panel for each frame of ``sized_rows``, a line for each method that was run with two sizes or more; dotted what all
    pictures give. Raises ValueError without a frame."""
    if not groups:
        raise ValueError("no table with rows of several sizes to draw")
    caption = ("Quality over the size of the set, a line for each method: means over test sets and seeds, bars are standard "
               "deviations over seeds. The dotted line is all pictures. How long students train may differ between the sizes "
               "of classification sets.")  # fmt: skip
    # One below the other: beside each other their words would be too small to read on a page.
    figure = drawing(8.4, 3.4 * len(groups), caption)
    for axis, lines in zip(figure.subplots(len(groups), 1, squeeze=False)[:, 0], groups, strict=True):
        _panel(axis, lines)
    return figure


def _panel(axis: Axes, lines: pd.DataFrame) -> None:
    sized, whole = lines[lines["size"] > 0], lines[lines["size"] == 0]["value"]
    joined = [(name, part.sort_values("size")) for name, part in sized.groupby("method", sort=False) if len(part) > 1]
    for index, (name, part) in enumerate(joined):
        color, dash, mark = (found[index % len(found)] for found in (LINES, DASHES, _MARKS))
        # A little beside each other, or bars would hide each other.
        places = part["size"] * 1.03 ** (index - (len(joined) - 1) / 2)
        axis.errorbar(places, part["value"], yerr=part["std"], label=name, capsize=2, linewidth=1.3, markersize=4,
                      color=color, linestyle=dash, marker=mark)  # fmt: skip
    if len(whole):
        axis.axhline(whole.iloc[0], color=FULL, linestyle=":", linewidth=1)
        axis.annotate("all pictures", (0, whole.iloc[0]), xycoords=("axes fraction", "data"), xytext=(3, 2),
                      textcoords="offset points")  # fmt: skip
    sizes = sorted({size for _, part in joined for size in part["size"]})
    axis.set(xscale="log", xlabel=lines.attrs["what"], ylabel=_WORDS[lines.attrs["metric"]],
             xlim=(sizes[0] / 1.6, sizes[-1] * 1.6))  # fmt: skip
    axis.xaxis.set_major_locator(FixedLocator(sizes))
    axis.xaxis.set_minor_locator(NullLocator())
    axis.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_title(f"{lines.attrs['table']}: {lines.attrs['network']}")
    axis.legend(frameon=False, loc="center left", bbox_to_anchor=(1.01, 0.5))


def write_set_size(root: Path, profile: str) -> Path | None:
    """The figure of a profile, as PNG and as SVG; None where no table has rows of several sizes."""
    groups = sized_rows(root, profile)
    if not groups:
        return None
    return write_figure(set_size_figure(groups), root / profile / "figures" / SET_SIZE, dpi=120, tight=False)
