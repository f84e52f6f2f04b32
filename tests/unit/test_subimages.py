"""Sub-images: the windows of BasicSR's extract_subimages, and the count that it published for DIV2K."""

import pytest
import torch

from srdistill.images.pictures import PictureError, Pictures
from srdistill.images.subimages import extract_sub_images, window_starts

# Sub-images per picture of DIV2K's 800 training pictures: how many pictures have as many.
DIV2K = {40: 607, 48: 102, 32: 55, 24: 13, 64: 12, 56: 10, 16: 1}
# One shorter side for each of these counts; the longer side is 2040 px.
DIV2K_SIDES = {40: 1356, 48: 1536, 32: 1128, 24: 816, 64: 2040, 56: 1800, 16: 648}


def counted(height, width):
    """How many sub-images of 480 px every 240 px a picture of this size gives."""
    return len(window_starts(height, 480, 240)) * len(window_starts(width, 480, 240))


@pytest.mark.parametrize(
    ("length", "starts"),
    [
        (480, [0]),
        (481, [0, 1]),
        (719, [0, 239]),
        (720, [0, 240]),
        (721, [0, 240, 241]),
        (1356, [0, 240, 480, 720, 876]),
        (2040, [0, 240, 480, 720, 960, 1200, 1440, 1560]),
    ],
)
def test_last_window_is_flush_with_the_border(length, starts):
    assert window_starts(length, 480, 240) == starts


@pytest.mark.parametrize(("crop", "step"), [(0, 240), (480, 0), (-1, 1)])
def test_windows_without_size_or_step_are_refused(crop, step):
    with pytest.raises(PictureError, match="must be 1 px or more"):
        window_starts(960, crop, step)


def test_axis_shorter_than_a_window_is_refused():
    with pytest.raises(PictureError, match="479 px is smaller than the sub-image size 480"):
        window_starts(479, 480, 240)


def test_div2k_gives_32592_sub_images():
    """The counts per picture are those of BasicSR's meta_info_DIV2K800sub_GT.txt; the sizes stand for them.

    The pictures themselves are not here: each count is represented by one shorter side that DIV2K's pictures of that
    count can have, with the longer side of 2040 px that all have.
    """
    assert sum(DIV2K.values()) == 800
    for count, side in DIV2K_SIDES.items():
        assert counted(side, 2040) == counted(2040, side) == count
    total = sum(counted(side, 2040) * DIV2K[count] for count, side in DIV2K_SIDES.items())
    assert total == 32_592


@pytest.mark.parametrize("count", DIV2K)
def test_every_shorter_side_of_an_interval_gives_the_same_count(count):
    """The published counts hold for whole intervals of sides, so the representatives above are not chosen by luck."""
    rows = count // 8
    first, last = 480 + 240 * (rows - 2) + 1, 480 + 240 * (rows - 1)
    for side in range(first, last + 1):
        assert len(window_starts(side, 480, 240)) == rows
    assert counted(first, 2040) == counted(last, 2040) == count
    assert counted(first - 1, 2040) == count - 8
    assert counted(last + 1, 2040) == count + 8


def test_extracted_windows_are_as_many_as_counted(train_photos):
    large = train_photos.at_least(480)
    sub_images = extract_sub_images(large)
    expected = [counted(*image.shape[1:]) for image in large.images]
    assert len(sub_images) == sum(expected)
    assert sub_images.labels.bincount().tolist() == expected
    assert sub_images.labels.tolist() == sorted(sub_images.labels.tolist())
    assert max(expected) == 25


def test_windows_hold_the_pixels_of_their_picture(pictures):
    sub_images = extract_sub_images(pictures, 48, 40)
    for label, image in enumerate(pictures.images):
        corners = [(y, x) for y in window_starts(image.shape[1], 48, 40) for x in window_starts(image.shape[2], 48, 40)]
        expected = torch.stack([image[:, y : y + 48, x : x + 48] for y, x in corners])
        assert torch.equal(sub_images.of(label), expected)


def test_windows_cover_every_pixel(pictures):
    sub_images = extract_sub_images(pictures, 32, 28)
    for label, image in enumerate(pictures.images):
        seen = torch.zeros(image.shape[1:], dtype=torch.bool)
        for index in (sub_images.labels == label).nonzero().flatten().tolist():
            y, x = int(sub_images.top[index]), int(sub_images.left[index])
            seen[y : y + 32, x : x + 32] = True
        assert seen.all()


def test_picture_smaller_than_a_window_is_named(pictures):
    with pytest.raises(PictureError, match="motorcycle_left: 104 x 72 px is smaller than the sub-image size 80"):
        extract_sub_images(pictures, 80, 40)


def test_picture_of_exactly_one_window():
    one = Pictures((torch.ones(3, 20, 20, dtype=torch.uint8),), ("one",))
    sub_images = extract_sub_images(one, 20, 10)
    assert len(sub_images) == 1 and sub_images.of(0).shape == (1, 3, 20, 20)
