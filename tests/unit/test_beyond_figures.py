"""The figure of spectra: lines for all sets, and names that do not lie on each other."""

import pytest
import torch

from srdistill.images.pictures import PictureError
from srdistill.papers.beyond.figures import spectra, spread_apart, windows


def test_every_set_has_a_line_in_both_panels_and_a_name(pictures, test_photos):
    sets = {f"set {k}": [image // (k + 1) for image in pictures.images] for k in range(6)} | {"same": pictures.images}
    figure = spectra(sets, test_photos.images, side=32)
    assert [len(axis.lines) for axis in figure.axes] == [8, 8]
    assert {text.get_text() for text in figure.axes[1].texts} - {""} == {*sets, "test pictures"}
    assert all(axis.get_xscale() == axis.get_yscale() == "log" for axis in figure.axes)


def test_names_do_not_overlap_on_paper(pictures):
    figure = spectra({f"a set called {k}": pictures.images for k in range(7)}, pictures.images, side=32)
    figure.draw_without_rendering()
    boxes = [text.get_window_extent() for text in figure.axes[1].texts if text.get_text()]
    assert not any(a.overlaps(b) for n, a in enumerate(boxes) for b in boxes[n + 1 :])
    assert all(box.x1 <= figure.bbox.x1 + 1 and figure.bbox.y0 <= box.y0 and box.y1 <= figure.bbox.y1 for box in boxes)


@pytest.mark.parametrize(
    ("heights", "expected"),
    [
        ([0.1, 0.5, 0.9], [0.1, 0.5, 0.9]),
        ([0.5, 0.5], [0.45, 0.55]),
        ([0.52, 0.5, 0.9], [0.56, 0.46, 0.9]),
        ([0.3, 0.3, 0.3, 0.44], [0.185, 0.285, 0.385, 0.485]),
        ([], []),
    ],
)
def test_names_move_as_little_as_it_takes(heights, expected):
    assert spread_apart(heights, 0.1) == pytest.approx(expected)


def test_windows_are_spread_over_a_picture():
    image = torch.arange(100 * 200).remainder(251).to(torch.uint8).view(1, 100, 200).expand(3, -1, -1)
    found = windows([image, image[:, :20]], 48)
    assert found.shape == (6, 3, 48, 48)
    assert torch.equal(found[0], image[:, :48, :48]) and torch.equal(found[-1], image[:, -48:, -48:])


def test_pictures_that_are_all_too_small_and_no_sets_are_refused(pictures):
    with pytest.raises(PictureError, match="no picture of tiny has 64 px"):
        spectra({"tiny": [pictures.images[0][:, :20]]}, pictures.images, side=64)
    with pytest.raises(PictureError, match="no training sets"):
        spectra({}, pictures.images)
