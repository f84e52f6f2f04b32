"""Diagrams of methods: boxes, and arrows between them."""

from collections.abc import Sequence

from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

from srdistill.study.pages.drawing import WORDS, one_axis

_WIDE, _HIGH, _GAP, _LANE = 1.9, 0.72, 0.5, 1.15  # inches
_BOX, _MOVED, _EDGE, _BACK = "#eef3f7", "#fbe9dd", "0.35", "#c8501e"


def diagram(lanes: Sequence[Sequence[str]], meeting: str = "", back: str = "") -> Figure:
    """Each lane is a chain of boxes from left to right; all end in the box ``meeting``, if there is one.

    ``back``: words on an arrow from the last box to the first of the last lane, which is what a method moves, and shaded.
    """
    longest = max(map(len, lanes))
    columns = longest + bool(meeting)
    width, height = columns * (_WIDE + _GAP) - _GAP, len(lanes) * _LANE + (0.55 if back else 0)
    figure, axis = one_axis(width, height, _in_words(lanes, meeting, back))
    axis.set(xlim=(-0.05, width + 0.05), ylim=(-height + 0.15, 0.15))
    axis.set_axis_off()
    middle = -(len(lanes) - 1) * _LANE / 2
    places = {}
    for row, lane in enumerate(lanes):
        # A short lane begins later, so that all end at the same column.
        for place, words in enumerate(lane):
            left, top = (longest - len(lane) + place) * (_WIDE + _GAP), -row * _LANE
            moved = bool(back) and row == len(lanes) - 1 and place == 0
            _box(axis, left, top, words, _MOVED if moved else _BOX)
            places[row, place] = (left, top - _HIGH / 2)
            if place:
                _arrow(axis, (left - _GAP, top - _HIGH / 2), (left, top - _HIGH / 2))
    if meeting:
        left = longest * (_WIDE + _GAP)
        _box(axis, left, middle, meeting, _BOX)
        for row, lane in enumerate(lanes):
            start, y = places[row, len(lane) - 1]
            _arrow(axis, (start + _WIDE, y), (left, middle - _HIGH / 2))
    if back:
        bottom = -(len(lanes) - 1) * _LANE - _HIGH
        end = longest * (_WIDE + _GAP) if meeting else places[len(lanes) - 1, len(lanes[-1]) - 1][0]
        start_y = (middle if meeting else bottom + _HIGH) - _HIGH
        low = bottom - 0.32
        first = places[len(lanes) - 1, 0][0] + _WIDE / 2
        right = end + _WIDE / 2
        axis.plot([right, right, first], [start_y, low, low], color=_BACK, linewidth=1.2, linestyle="--")
        _arrow(axis, (first, low), (first, bottom), color=_BACK)
        axis.text((first + right) / 2, low - 0.06, back, ha="center", va="top", fontsize=WORDS, color=_BACK)
    return figure


def _in_words(lanes: Sequence[Sequence[str]], meeting: str, back: str) -> str:
    """The diagram, read aloud."""
    chains = "; ".join(" → ".join(lane) for lane in lanes)
    meets = f"; they meet in: {meeting}" if meeting else ""
    return f"Diagram: {chains}{meets}" + (f"; and back: {back}." if back else ".")


def _box(axis, left: float, top: float, words: str, color: str) -> None:
    axis.add_patch(FancyBboxPatch((left, top - _HIGH), _WIDE, _HIGH, boxstyle="round,pad=0,rounding_size=0.08", facecolor=color,
                                  edgecolor=_EDGE, linewidth=0.9))  # fmt: skip
    axis.text(left + _WIDE / 2, top - _HIGH / 2, words, ha="center", va="center", fontsize=WORDS)


def _arrow(axis, start: tuple[float, float], end: tuple[float, float], color: str = _EDGE) -> None:
    shape = {"arrowstyle": "-|>", "mutation_scale": 10, "shrinkA": 1, "shrinkB": 1}
    axis.add_patch(FancyArrowPatch(start, end, color=color, linewidth=1, **shape))
