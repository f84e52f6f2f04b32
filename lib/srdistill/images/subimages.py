"""Sub-images: overlapping windows of one picture, which share its label (Dietz et al., section 3.1, figure 2)."""

from dataclasses import dataclass

import torch
from torch import Tensor

from srdistill.images.pictures import PictureError, Pictures


def window_starts(length: int, crop: int, step: int) -> list[int]:
    """Where windows of ``crop`` px begin along one axis: every ``step`` px, and one flush with the far border.

    The rule of BasicSR's extract_subimages script (thresh_size 0). Raises PictureError if the axis is too short.
    """
    if crop < 1 or step < 1:
        raise PictureError(f"sub-image size {crop} and step {step} must be 1 px or more")
    if length < crop:
        raise PictureError(f"{length} px is smaller than the sub-image size {crop}; use a smaller size or leave it out")
    starts = list(range(0, length - crop + 1, step))
    if starts[-1] + crop < length:
        starts.append(length - crop)
    return starts


@dataclass(frozen=True)
class SubImages:
    """Where the sub-images lie; pixels stay in the pictures.

    ``labels``, ``top``, ``left``: int64 (N,), the source picture and the corner of each window, sorted by label.
    """

    pictures: Pictures
    crop: int
    labels: Tensor
    top: Tensor
    left: Tensor

    def __len__(self) -> int:
        return len(self.labels)

    def of(self, label: int) -> Tensor:
        """The sub-images of one picture, ``uint8`` (n, 3, crop, crop)."""
        image = self.pictures.images[label]
        chosen = (self.labels == label).nonzero().flatten().tolist()
        corners = [(int(self.top[i]), int(self.left[i])) for i in chosen]
        return torch.stack([image[:, y : y + self.crop, x : x + self.crop] for y, x in corners])


def extract_sub_images(pictures: Pictures, crop: int = 480, step: int = 240) -> SubImages:
    """Cut every picture into labelled sub-images; 480 px every 240 px is what the field does with DIV2K.

    Raises:
        PictureError: a picture is smaller than ``crop``; the message names it.
    """
    if not len(pictures):
        raise PictureError("no pictures to cut sub-images from")
    pictures.require(crop, f"the sub-image size {crop}")
    labels, corners = [], []
    for label, image in enumerate(pictures.images):
        starts = [torch.tensor(window_starts(side, crop, step)) for side in image.shape[1:]]
        corners.append(torch.cartesian_prod(*starts))
        labels.append(torch.full((len(corners[-1]),), label))
    top, left = torch.cat(corners).T.contiguous()
    return SubImages(pictures, crop, torch.cat(labels), top, left)
