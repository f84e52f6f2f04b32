"""Augmentation of a batch against torchvision, picture by picture."""

import torch

from srdistill.catalogue.photo_classes import photo_classes
from srdistill.images.pictures import to_float
from srdistill.images.torchvision_import import import_torchvision
from srdistill.training.augmentation import random_boxes, resized_crops


def test_random_resized_crops_and_flips(ratio):
    """A batch of 99 pictures of 32 px: one gather against crop, resize and flip of each, as the usual loaders do."""
    import_torchvision()
    from torchvision.transforms.functional import hflip, resized_crop

    images = to_float(photo_classes("train", per_class=9).images)
    draws = torch.Generator().manual_seed(0)
    boxes = random_boxes(len(images), 32, (0.5, 1.0), draws)
    flips = torch.rand(len(images), generator=draws) < 0.5

    def one_by_one():
        made = []
        for image, box, flip in zip(images, boxes.tolist(), flips.tolist(), strict=True):
            crop = resized_crop(image, *box, [32, 32], antialias=True)
            made.append(hflip(crop) if flip else crop)
        return torch.stack(made)

    assert torch.allclose(resized_crops(images, boxes, flips), one_by_one(), atol=1e-5)
    ratio(one_by_one, lambda: resized_crops(images, boxes, flips), rounds=20)
