"""What all figures share: sizes of words, colours with a meaning, captions, and small steps of drawing."""

import textwrap
from collections.abc import Sequence
from io import BytesIO

import numpy as np
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

# Dots per inch of PNG files.
DOTS = 110
# Points, at the size at which a figure is printed; nothing in a figure is smaller.
WORDS = 9
# What a notebook shows without shrinking it, in inches.
WIDEST = 10.2
# Rows of the papers, rows of ours that they lack, full data; and what is printed. Told apart by eyes of every kind.
PAPER, CONTROL, FULL, PRINTED = "#00739c", "#d1720a", "0.25", "#8e2a6b"
# Lines that stand for as many different things; each has a dash of its own as well.
LINES = ("#00739c", "#d1720a", "#8e2a6b", "#3f8f52", "0.35", "#56b4e9", "#b8860b", "#cc79a7", "#7a1f1f", "#4b2e83")
DASHES = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)), (0, (3, 1)), (0, (1, 1)), (0, (7, 2)), (0, (2, 1)), (0, (6, 1, 2, 1)))

sns.set_theme(
    style="ticks",
    palette="colorblind",
    rc={
        "axes.spines.top": False,
        "axes.spines.right": False,
        **{name: WORDS for name in ("font.size", "axes.labelsize", "axes.titlesize", "xtick.labelsize", "ytick.labelsize",
                                    "legend.fontsize", "legend.title_fontsize", "figure.titlesize")},
    },
)  # fmt: skip


class Drawing(Figure):
    """A figure that knows what it shows. ``caption``: one or two sentences; the notebook keeps it as the text of the output,
    and pages take it as caption and as alternative text."""

    caption = ""

    def _repr_mimebundle_(self, include=None, exclude=None) -> tuple[dict, dict]:
        """The picture, whatever backend the kernel has; the caption, as text and as what is read aloud."""
        file = BytesIO()
        self.savefig(file, format="png", dpi=DOTS, bbox_inches="tight")
        return {"image/png": file.getvalue(), "text/plain": self.caption}, {"image/png": {"alt": self.caption}}


def drawing(width: float, height: float, caption: str) -> Drawing:
    """An empty figure of so many inches."""
    figure = Drawing(figsize=(width, height), layout="constrained")
    figure.caption = " ".join(caption.split())
    return figure


def one_axis(width: float, height: float, caption: str) -> tuple[Drawing, Axes]:
    """A figure with one pair of axes."""
    figure = drawing(width, height, caption)
    return figure, figure.subplots()


def panels(rows: int, columns: int, size: float, caption: str, ratio: float = 1.0) -> tuple[Drawing, np.ndarray]:
    """A grid of pictures without axes, each ``size`` inches wide and ``ratio`` times as high."""
    figure = drawing(columns * size, rows * size * ratio, caption)
    axes = figure.subplots(rows, columns, squeeze=False)
    for axis in axes.flat:
        axis.set_axis_off()
    return figure, axes


def show_image(axis: Axes, image: Tensor, title: str = "", wrap: int = 0) -> None:
    """An image ``uint8`` (3, H, W), pixel by pixel; its title in lines of ``wrap`` characters."""
    axis.imshow(image.permute(1, 2, 0).numpy(), interpolation="nearest")
    if title:
        axis.set_title(wrapped(title, wrap) if wrap else title)


def wrapped(text: str, width: int) -> str:
    """Text in lines of ``width`` characters; those that it has are kept."""
    lines = [textwrap.fill(line, width, break_on_hyphens=False, break_long_words=False) for line in text.split("\n")]
    return "\n".join(lines)


def fitting(inches: float) -> int:
    """How many characters of the usual size fit into so many inches."""
    return max(8, int(inches * 72 / (0.56 * WORDS)))


def row_label(axis: Axes, text: str, inches: float = 1.5) -> None:
    """Words beside the first picture of a row, turned; in lines as long as the picture is high."""
    axis.text(-0.08, 0.5, wrapped(text, fitting(inches)), rotation=90, multialignment="center", va="center", ha="right",
              transform=axis.transAxes)  # fmt: skip


def listed(names: Sequence[str]) -> str:
    """Names as a sentence has them; semicolons part those with commas of their own."""
    names = [" ".join(name.split()) for name in names]
    if any("," in name for name in names):
        return "; ".join(names)
    return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]])) if names else ""
