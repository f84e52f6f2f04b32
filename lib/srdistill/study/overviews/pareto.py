"""What every set that EDSR was trained on costs and brings: recovered gain over pixels, and over bytes, in one picture.

``pareto_classes`` and ``pareto_perceptual`` have the others.
"""

from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure

from srdistill.study.overviews.fronts import COSTS, cost_axis, costs_of, draw_front, front, read_sizes
from srdistill.study.pages.drawing import drawing
from srdistill.study.pages.figure_files import write_figure
from srdistill.study.pages.tables import read_table
from srdistill.study.paper import tables
from srdistill.study.rows import BICUBIC, ORIGINAL
from srdistill.study.verdicts.board import PARETO

# How a set came to be, by what its row's name has, the first that fits; with colour and marker.
_KINDS = {
    "taught by a larger network": (("taught",), "#7a1f1f", "P"),
    "distilled in a latent space": (("latent", "inversion", "inverted", "in codes"), "#8e5aa8", "D"),
    "distilled in pixels": (("syn.", "distilled in pixels"), "#c8501e", "o"),
    "noise": (("noise",), "0.6", "x"),
    "shrunk": (("downscaled", "shaped", "herded", "shrunk"), "#00739c", "s"),
    "made by a diffusion model": (("distilled,", "samples"), "#d69a00", "v"),
    "chosen": (("",), "#3f8f52", "^"),
}
_STUDENT = "EDSR"
# Sets that fail lie far below zero; a mark at the lower edge stands for them.
_LOWEST = -25.0


def set_gains(root: Path, profile: str) -> pd.DataFrame:
    """Every set with sizes of its own that EDSR was trained on: ``table, scale, row, kind, gain, pixels, bytes``.

    ``gain``: (PSNR - bicubic) / (PSNR of full data - bicubic) in percent, the mean over test sets; ``pixels`` and ``bytes``
    (with whatever decodes the set): shares of the training pictures' in percent. Rows with longer training are left out.
    A table without full data takes it from an earlier one of its paper with the same student and scale.
    """
    lines, known = [], {}
    for name, (paper, table) in tables().items():
        path, sizes = root / profile / f"{name}.csv", root / profile / f"{name}.sizes.csv"
        if path.exists() and sizes.exists():
            full = known.setdefault(paper.name, {})
            lines += _of_table(name, table.scale, read_table(path), costs_of(read_sizes(sizes)), full)
    found = pd.DataFrame(lines, columns=["table", "scale", "row", "kind", "gain", "pixels", "bytes"])
    # Tables share rows; the first says it.
    return found.drop_duplicates(["scale", "row", "gain", "pixels"])


def _of_table(name: str, scale: int, long: pd.DataFrame, costs: pd.DataFrame, known: dict) -> list[tuple]:
    """``known``: what full data gains over bicubic by test set, of (student, scale); this table's is added."""
    psnr = long[(long.metric == "psnr") & long["mean"].notna()]
    nothing = psnr[psnr.row == BICUBIC].set_index("testset")["mean"]
    students = [network for network in dict.fromkeys(psnr.network) if network.startswith(_STUDENT)]
    if not students or nothing.empty:
        return []
    ours = psnr[psnr.network == students[0]]
    original = ours[ours.row == ORIGINAL].set_index("testset")["mean"]
    if len(original):
        known[students[0], scale] = original - nothing
    full = known.get((students[0], scale))
    if full is None or full.min() < 0.1:  # a student that gains nothing has nothing to recover
        return []
    found = []
    for row, cells in ours.groupby("row", sort=False):
        if row in costs.index and "x steps" not in row:
            gain = (100 * (cells.set_index("testset")["mean"] - nothing) / full).mean()
            found.append((name, scale, row, kind_of(row), gain, *costs.loc[row]))
    return found


def kind_of(row: str) -> str:
    """How a row's set came to be, in the words of the legend."""
    return next(kind for kind, (words, _, _) in _KINDS.items() if any(word in row.lower() for word in words))


def pareto_figure(found: pd.DataFrame) -> Figure:
    """A panel for pixels and one for bytes, a mark for each line of ``set_gains``: filled at x2, empty at x4. The line joins
    the sets at x2 that no smaller one beats. Raises ValueError without a line."""
    if found.empty:
        raise ValueError("no set with sizes and a gain to draw")
    caption = ("What every set that EDSR was trained on costs and brings: recovered gain, mean of the test sets, "
               "over its pixels and its bytes; filled marks ×2, empty ones ×4; the line joins the sets at ×2 that no smaller "
               f"one beats; what lies below {_LOWEST:.0f} % stands at the lower edge.")  # fmt: skip
    figure = drawing(11, 4.8, caption)
    axes = figure.subplots(1, 2, sharey=True)
    for axis, cost in zip(axes, COSTS, strict=True):
        axis.axhline(100, color="0.4", linewidth=0.8, linestyle=":")
        axis.axhline(0, color="0.4", linewidth=0.8, linestyle=":")
        for kind, (_, color, marker) in _KINDS.items():
            for scale, face in ((2, color), (4, "none")):
                some = found[(found.kind == kind) & (found.scale == scale)]
                axis.scatter(some[cost], some.gain.clip(lower=_LOWEST), s=34, marker=marker, linewidths=1.1, zorder=3,
                             color=color if marker == "x" else None, edgecolors=None if marker == "x" else color,
                             facecolors=None if marker == "x" else face,
                             label=kind if scale == 2 else None)  # fmt: skip
        best = front(found[found.scale == 2], cost, "gain")
        draw_front(axis, best[cost], best.gain.clip(lower=_LOWEST))
        cost_axis(axis, cost)
        axis.set(ylim=(_LOWEST - 6, None))
    axes[0].set_ylabel("recovered gain of EDSR, %")
    axes[0].annotate("full data", (1, 100), xycoords=("axes fraction", "data"), xytext=(-4, 3), textcoords="offset points",
                     ha="right")  # fmt: skip
    axes[0].annotate("bicubic", (1, 0), xycoords=("axes fraction", "data"), xytext=(-4, 3), textcoords="offset points",
                     ha="right")  # fmt: skip
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=4, frameon=False)
    return figure


def write_pareto(root: Path, profile: str) -> Path | None:
    """The figure of a profile, as PNG and as SVG; None where no set has a gain."""
    found = set_gains(root, profile)
    if found.empty:
        return None
    return write_figure(pareto_figure(found), root / profile / "figures" / PARETO, dpi=130, tight=False)
