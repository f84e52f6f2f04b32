"""All claims of a profile in one picture: how far each lies from its line, with its interval."""

import math
from collections.abc import Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from srdistill.study.pages.drawing import WIDEST, WORDS, drawing
from srdistill.study.pages.figure_files import write_figure
from srdistill.study.verdicts.board import FOREST, once, read_claims, table_title

# What is good for a sentence or an answer, what is not, what is not known; safe for eyes that do not tell red from green.
_COLORS = {
    "reproduced": "#00739c", "yes": "#00739c", "not reproduced": "#c8501e", "no": "#c8501e", "undecided": "0.25",
    "open": "0.25", "no power": "0.7",
}  # fmt: skip
_WORDS = {"#00739c": "reproduced, or yes", "#c8501e": "not reproduced, or no", "0.25": "undecided", "0.7": "no power"}
# Of the axis, in units of the size that would matter; what lies beyond ends in an arrow.
_REACH = 8.0
_ROW, _TOP = 0.24, 1.1  # inches


def forest_figure(claims: Sequence[dict]) -> Figure:
    """A line for each claim, table by table: the difference less its line, divided by what would matter (the claim's margin:
    0.1 dB, 0.002 SSIM, 0.004 LPIPS, 2 points), with its 95 % interval; right of zero the sentence or question holds.

    Raises ValueError without any measured claim.
    """
    drawn = [claim for claim in claims if not math.isnan(_scaled(claim)[0])]
    if not drawn:
        raise ValueError("no claim with a measured difference to draw")
    lines = _under_titles(drawn)
    caption = (f"{len(drawn)} claims and questions, table by table: the difference less its line in multiples of what would "
               "matter, with its 95 % interval; right of zero it holds, arrows lie beyond the edge.")  # fmt: skip
    figure = drawing(WIDEST, _TOP + _ROW * len(lines), caption)
    _draw(figure.subplots(), lines)
    marks = [Line2D([], [], color=color, marker="o", label=words) for color, words in _WORDS.items()]
    figure.legend(handles=marks, loc="outside upper center", ncols=len(marks), frameon=False)
    return figure


def write_forest(root: Path, profile: str) -> Path | None:
    """The figure of a profile, as PNG and as SVG; None where there is no claim."""
    claims = once(read_claims(root, profile))
    if not any(not math.isnan(_scaled(claim)[0]) for claim in claims):
        return None
    return write_figure(forest_figure(claims), root / profile / "figures" / FOREST, tight=False)


def _scaled(claim: dict) -> tuple[float, float, float]:
    """Mean and interval, less the line, in units of the margin; NaN where nothing was measured."""
    if not claim["values"] or claim["interval"] is None or not claim["margin"]:
        return (math.nan,) * 3
    mean = sum(claim["values"]) / len(claim["values"])
    return tuple((value - claim["line"]) / claim["margin"] for value in (mean, *claim["interval"]))


def _under_titles(claims: Sequence[dict]) -> list[dict | str]:
    """Claims under the titles of their tables."""
    of: dict[str, list] = {}
    for claim in claims:
        of.setdefault(claim["table"], [table_title(claim["table"])]).append(claim)
    return [line for lines in of.values() for line in lines]


def _draw(axis: Axes, lines: Sequence[dict | str]) -> None:
    axis.axvspan(-1, 1, color="0.95", zorder=0)
    axis.axvline(0, color="0.5", linewidth=0.8, zorder=1)
    names = []
    for place, line in enumerate(lines):
        if isinstance(line, str):
            names.append(line)
            continue
        names.append(line["statement"])
        color = _COLORS[line["verdict"]]
        mean, low, high = _scaled(line)
        shown = [min(max(value, -_REACH), _REACH) for value in (mean, low, high)]
        axis.plot(shown[1:], [place, place], color=color, linewidth=1.4, solid_capstyle="butt")
        marker = "o" if abs(mean) <= _REACH else ("<" if mean < 0 else ">")
        axis.plot(shown[0], place, marker, color=color, markersize=4)
    axis.set_yticks(range(len(lines)), names, fontsize=WORDS)
    for line, label in zip(lines, axis.get_yticklabels(), strict=True):
        if isinstance(line, str):
            label.set_weight("bold")
    axis.tick_params(axis="y", length=0)
    axis.set(xlim=(-_REACH - 0.4, _REACH + 0.4), ylim=(len(lines) - 0.4, -0.6))
    axis.set_xlabel("difference, in multiples of what would matter\n(0.1 dB, 0.002 SSIM, 0.004 LPIPS, 2 points)")
    axis.spines[["top", "right", "left"]].set_visible(False)
