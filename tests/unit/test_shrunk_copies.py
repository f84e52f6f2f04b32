"""Full data at several scales: every picture, and its smaller copies as far as they are large enough."""

import pytest
import torch

from srdistill.images.pictures import PictureError, Pictures, to_float, to_uint8
from srdistill.images.resize import resize
from srdistill.images.shrunk_copies import shrunk_copies


@pytest.fixture
def two():
    draws = torch.Generator().manual_seed(0)
    images = [torch.randint(256, (3, *size), dtype=torch.uint8, generator=draws) for size in ((40, 60), (20, 30))]
    return Pictures(tuple(images), ("large", "small"), "two")


def test_pictures_stay_and_their_copies_follow_scale_by_scale(two):
    made = shrunk_copies(two, (0.9, 0.5), least=1)
    assert made.names == ("large", "small", "large at 0.9", "small at 0.9", "large at 0.5", "small at 0.5")
    assert [tuple(image.shape[1:]) for image in made.images[2:]] == [(36, 54), (18, 27), (20, 30), (10, 15)]
    assert torch.equal(made.images[0], two.images[0])
    assert torch.equal(made.images[4], to_uint8(resize(to_float(two.images[0]), (20, 30))))
    assert made.origin == "two, and copies at 0.9, 0.5" and made.digest != two.digest


def test_copies_that_are_too_small_are_left_out_and_pictures_are_not(two):
    assert shrunk_copies(two, (0.6,), least=20).names == ("large", "small", "large at 0.6")


@pytest.mark.parametrize("scale", [0, 1, 1.5, -0.5])
def test_a_scale_that_does_not_shrink_is_refused(two, scale):
    with pytest.raises(PictureError, match=f"between 0 and 1, got {scale}"):
        shrunk_copies(two, (scale,), least=1)
