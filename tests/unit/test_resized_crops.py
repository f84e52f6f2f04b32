"""Random resized crops: against interpolate, crop by crop, and torchvision's rule for the boxes."""

import pytest
import torch
import torch.nn.functional as F

from srdistill.images.pictures import PictureError, to_float
from srdistill.images.resized_crops import draw_boxes, resized_crops


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.fixture(scope="module")
def images(pictures):
    return to_float(torch.stack([image[:, :64, :64] for image in pictures.images]))


@pytest.mark.parametrize("size", [8, 32, 64, 97])
def test_is_interpolate_of_each_crop(images, size):
    boxes = draw_boxes(15, 64, generator(), ratio=(3 / 4, 4 / 3))
    ours = resized_crops(images, boxes, size)
    for index, (top, left, height, width) in enumerate(boxes.tolist()):
        crop = images[index // 5][None, :, top : top + height, left : left + width]
        plain = F.interpolate(crop, (size, size), mode="bilinear", antialias=True)[0]
        assert (ours[index] - plain).abs().max() < 1e-5


def test_is_differentiable(images):
    leaf = images[:1, :, :9, :9].double().clone().requires_grad_()
    boxes = torch.tensor([[1, 2, 5, 6], [0, 0, 9, 9]])
    assert torch.autograd.gradcheck(lambda x: resized_crops(x, boxes, 4), (leaf,))


def test_boxes_follow_the_rule():
    boxes = draw_boxes(4000, 50, generator(), scale=(0.08, 1), ratio=(3 / 4, 4 / 3)).double()
    top, left, height, width = boxes.unbind(1)
    assert bool(((top >= 0) & (left >= 0) & (top + height <= 50) & (left + width <= 50)).all())
    shares, aspects = height * width / 2500, width / height
    assert 0.07 < float(shares.min()) and float(shares.max()) <= 1
    assert 0.7 < float(aspects.min()) and float(aspects.max()) < 1.45
    square = draw_boxes(4000, 50, generator())  # always fits, so nothing is drawn again
    assert abs(float((square[:, 2] * square[:, 3]).double().mean()) / 2500 - 0.54) < 0.02
    assert torch.equal(square[:, 2], square[:, 3]) and len(set(square[:, 2].tolist())) > 20
    assert torch.equal(square, draw_boxes(4000, 50, generator()))


def test_a_shape_that_never_fits_is_the_whole_picture():
    assert draw_boxes(3, 20, generator(), scale=(0.9, 1), ratio=(4, 4)).tolist() == [[0, 0, 20, 20]] * 3


@pytest.mark.parametrize(
    "settings, message",
    [
        ({"scale": (0, 1)}, r"range of shares of the area in \(0, 1\], got \(0, 1\)"),
        ({"scale": (0.5, 0.2)}, "got .0.5, 0.2."),
        ({"ratio": (-1, 1)}, "above 0, got .-1, 1."),
    ],
)
def test_impossible_boxes_are_refused(settings, message):
    with pytest.raises(PictureError, match=message):
        draw_boxes(1, 20, generator(), **settings)
    with pytest.raises(PictureError, match="got side 0 and count 1"):
        draw_boxes(1, 0, generator())


def test_impossible_crops_are_refused(images):
    with pytest.raises(PictureError, match=r"box 1 \[60, 0, 8, 8\] .* leaves its picture of 64 px"):
        resized_crops(images[:1], torch.tensor([[0, 0, 8, 8], [60, 0, 8, 8]]), 4)
    with pytest.raises(PictureError, match=r"3 images need boxes \(N \* P, 4\) .* got \(4, 4\)"):
        resized_crops(images, draw_boxes(4, 64, generator()), 4)
    with pytest.raises(PictureError, match=r"square float images .* got torch.uint8"):
        resized_crops(images.byte(), draw_boxes(3, 64, generator()), 4)
