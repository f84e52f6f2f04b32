"""Names stand beside their marks, and neither on other words nor on marks."""

import math
from itertools import combinations

import pytest
from matplotlib.transforms import Bbox

from srdistill.study.overviews.names import name_marks
from srdistill.study.pages.drawing import one_axis

CLOSE = [(0.3, 0.5), (0.303, 0.505), (0.306, 0.495), (0.3, 0.49), (0.303, 0.51), (0.306, 0.5), (0.3, 0.495), (0.7, 0.5)]


@pytest.fixture
def written():
    """The axis, and its names by what they say."""
    figure, axis = one_axis(7, 4, "Marks that stand close together.")
    axis.plot(*zip(*CLOSE, strict=True), "o", markersize=5)
    axis.set(xlim=(0, 1), ylim=(0, 1))
    axis.annotate("chance", (0.35, 0.49))
    figure.draw_without_rendering()
    name_marks(axis, CLOSE, [(*mark, f"set of IPC {number}", "black") for number, mark in enumerate(CLOSE)])
    figure.draw_without_rendering()
    return axis, {text.get_text().replace("\N{NO-BREAK SPACE}", " "): text for text in axis.texts if text.get_text()}


def test_every_name_is_there_once_and_none_lies_on_another(written):
    _, names = written
    assert set(names) == {"chance", *(f"set of IPC {number}" for number in range(len(CLOSE)))}
    boxes = [text.get_window_extent() for text in names.values()]
    assert not any(a.overlaps(b) for a, b in combinations(boxes, 2))


def test_names_lie_within_the_axis_and_on_no_mark(written):
    axis, names = written
    room = axis.get_window_extent()
    del names["chance"]
    for text in names.values():
        box = text.get_window_extent()
        assert room.containsx(box.x0) and room.containsx(box.x1) and room.containsy(box.y0) and room.containsy(box.y1)
        assert not any(box.overlaps(Bbox([mark, mark])) for mark in axis.transData.transform(CLOSE))


def test_a_name_has_a_line_to_its_mark_unless_it_stands_beside_it(written):
    axis, names = written
    del names["chance"]
    lines = [text for text in axis.texts if getattr(text, "arrow_patch", None)]
    far = [text for text in names.values() if math.hypot(*text.get_position()) > 9.5]
    assert far and len(lines) == len(far)
    assert {line.xy for line in lines} == {text.xy for text in far}
