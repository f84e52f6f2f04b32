"""Diffusion transformers of a few thousand weights, and the patches and codes that they are tried on."""

import torch

from srdistill.diffusion.dit import LatentDiT, new_dit
from srdistill.diffusion.encoded_patches import EncodedPatches, encode_patches

SIZE = 16


def tiny_dit(**changes) -> LatentDiT:
    """For codes (6, 8, 8) of ``TinyPrior``, with weights that are not zero anywhere."""
    sizes = {"channels": 6, "side": 8, "classes": 3, "width": 16, "depth": 2, "heads": 2, "patch": 2} | changes
    model = new_dit(generator=torch.Generator().manual_seed(5), **sizes)
    draws = torch.Generator().manual_seed(6)
    with torch.no_grad():
        for weight in model.parameters():
            weight.add_(0.1 * torch.randn(weight.shape, generator=draws))
    return model


def real_patches(pictures) -> tuple[torch.Tensor, torch.Tensor]:
    """Twelve patches of 16 px from three photographs, uint8, and labels 0, 1, 2 in turn."""
    cuts = [
        image[:, y : y + SIZE, x : x + SIZE] for y, x in ((0, 0), (20, 30), (40, 10), (60, 50)) for image in pictures.images
    ]
    return torch.stack(cuts), torch.arange(12) % 3


def encoded(pictures, prior, **settings) -> EncodedPatches:
    return encode_patches(prior, *real_patches(pictures), **settings)
