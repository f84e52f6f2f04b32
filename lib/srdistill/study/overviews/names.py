"""Names beside the marks of a figure, each where there is room.

textalloc does the same for any figure. Where marks stand as close as in ours, its version 1.2.4 wrote names across marks, lines
and each other.
"""

import re
from collections.abc import Sequence
from itertools import product

import numpy as np
from matplotlib.axes import Axes

from srdistill.study.pages.drawing import wrapped

# Where a name may stand, seen from its mark: points away, and in which direction, in degrees; the first that is free.
_AWAY = (9, 18, 30, 44, 60, 80, 105)
_AROUND = (0, 180, 40, -40, 140, -140, 90, -90, 20, -20, 160, -160, 65, -65, 115, -115)
_MARK = 3.5  # points from the middle of a mark to its edge
_LETTERS = 24  # of a line of a name


def name_marks(axis: Axes, marks: Sequence[tuple[float, float]], names: Sequence[tuple[float, float, str, str]]) -> None:
    """Write ``names``, each (x, y, words, colour), beside their marks: where they lie neither on other words nor, if there is
    room, on ``marks``, all that the axis shows, and on its lines. The figure must have been laid out
    (``draw_without_rendering``)."""
    points, room = axis.figure.dpi / 72, axis.get_window_extent().extents
    words = [text.get_window_extent().extents for text in axis.texts]
    at = axis.transData.transform(np.reshape(marks, (-1, 2)))
    taken = np.hstack([at - _MARK * points, at + _MARK * points])
    lines = [np.empty((0, 2))]
    lines += [line.get_transform().transform_path(line.get_path()).interpolated(60).vertices for line in axis.lines]
    for x, y, name, color in names:
        # A number stays with what it counts.
        name = re.sub(r"(IPC|table|=) (?=\d)| (?==)", "\\1\N{NO-BREAK SPACE}", name)
        label = axis.annotate(wrapped(name, _LETTERS), (x, y), xytext=(0, 0), textcoords="offset points", color=color, zorder=2,
                              bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.85, "pad": 0.5})  # fmt: skip
        label.set_in_layout(False)
        size, start = label.get_window_extent().size, axis.transData.transform((x, y))
        places = [_Place(start, *place, size, points) for place in product(_AWAY, _AROUND)]
        best = min(places, key=lambda place: place.cost(room, np.reshape(words, (-1, 4)), taken, np.concatenate(lines)))
        label.set(position=best.offset, ha=best.ha, va=best.va)
        words.append(best.box)
        if best.away > _AWAY[0]:
            lines.append(best.line)
            look = {"arrowstyle": "-", "color": color, "linewidth": 0.6, "shrinkA": 0, "shrinkB": _MARK}
            axis.annotate("", (x, y), xytext=best.offset, textcoords="offset points", arrowprops=look).set_in_layout(False)


class _Place:
    """Where a name may stand: ``away`` points from its mark, in the direction ``around``. ``start``: the mark, ``size``: of the
    name, in dots, of which a point has ``points``. Boxes are (left, low, right, high), in dots."""

    def __init__(self, start: np.ndarray, away: float, around: float, size: np.ndarray, points: float):
        side, up = np.cos(np.radians(around)), np.sin(np.radians(around))
        self.away, self.offset = away, (away * side, away * up)
        self.ha, left = ("left", 0) if side > 0.1 else ("right", -1) if side < -0.1 else ("center", -0.5)
        self.va, low = ("bottom", 0) if up > 0.5 else ("top", -1) if up < -0.5 else ("center", -0.5)
        corner = start + points * np.array(self.offset) + size * (left, low)
        self.box = np.hstack([corner, corner + size])
        # Of the line from the mark to the name, where it has left the mark.
        self.line = start + points * np.outer(np.linspace(1.5 * _MARK, away - 1, 16), (side, up))

    def cost(self, room: np.ndarray, words: np.ndarray, marks: np.ndarray, lines: np.ndarray) -> float:
        """How bad it is: words on words are unreadable, words beyond the axis strange; words on marks or lines, a line across
        marks or words, and one that is long are ugly."""
        outside = (self.box[:2] < room[:2]).any() or (self.box[2:] > room[2:]).any()
        struck = _inside(lines, self.box[None]).any()
        return (100 * _touching(words, self.box).sum() + 50 * outside + 10 * _inside(self.line, words).any(0).sum()
                + 4 * _touching(marks, self.box).sum() + 2 * _inside(self.line, marks).any(0).sum() + 5 * struck
                + self.away / 15)  # fmt: skip


def _touching(boxes: np.ndarray, box: np.ndarray) -> np.ndarray:
    """Which of the boxes (n, 4) share dots with one."""
    return ((boxes[:, :2] < box[2:]) & (boxes[:, 2:] > box[:2])).all(1)


def _inside(points: np.ndarray, boxes: np.ndarray) -> np.ndarray:
    """Which of the points (n, 2) lie in which of the boxes (m, 4), (n, m)."""
    return ((points[:, None] > boxes[:, :2]) & (points[:, None] < boxes[:, 2:])).all(2)
