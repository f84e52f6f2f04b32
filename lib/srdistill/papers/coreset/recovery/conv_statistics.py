"""What the convolutions of a trained network are given: moments of their inputs over the training pictures.

The statistics that G-VBSM (Shao et al., CVPR 2024, generalized statistical matching) knows of layers without BatchNorm, which
keeps its own. As in shaoshitong/G_VBSM_Dataset_Condensation (recover/utils.py).
"""

import math
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from srdistill.images.labelled import LabelledPictures
from srdistill.images.pictures import to_float
from srdistill.networks.classifiers import Classifier
from srdistill.priors.rendering import frozen
from srdistill.progress import bar
from srdistill.seeds import generator_for
from srdistill.training.teacher_logits import TeacherError, ask_teacher

# Side of the patches whose moments are taken, in pixels of a layer's input.
PATCH = 4


def channel_moments(features: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and biased variance of every channel of (N, C, H, W), over pictures and pixels: (C,) and (C,); differentiable."""
    variance, mean = torch.var_mean(features, (0, 2, 3), correction=0)
    return mean, variance


def patch_moments(features: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and biased variance of every patch of (N, C, H, W), over pictures, channels and its 4 x 4 px; differentiable.

    Patches lie side by side; a side that is no multiple of 4 px is stretched to the next one, bilinearly. Returns (P,) and
    (P,), row after row of the ceil(H / 4) * ceil(W / 4) patches.
    """
    height, width = (_stretched(features, side) for side in features.shape[-2:])
    # As products with two matrices: on a GPU the gradient of ``interpolate`` is not the same twice.
    if height is not None:
        features = height @ features
    if width is not None:
        features = features @ width.mT
    cells = features.unflatten(3, (-1, PATCH)).unflatten(2, (-1, PATCH))
    variance, mean = torch.var_mean(cells, (0, 1, 3, 5), correction=0)
    return mean.flatten(), variance.flatten()


def conv_moments(features: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """``channel_moments`` and ``patch_moments``. Of features (N, C, H, W)."""
    return channel_moments(features) + patch_moments(features)


@torch.no_grad()
def conv_statistics(
    network: Classifier,
    real: LabelledPictures,
    *,
    generator: torch.Generator,
    padding: int = 4,
    batch: int = 64,
    device: torch.device | str = "cpu",
) -> dict[str, tuple[Tensor, ...]]:
    """What ``conv_moments`` gives of the input (N, C, H, W) of every ``Conv2d`` that ``network`` runs, by the layer's name.

    One pass over all pictures in random order, each moved by up to ``padding`` px along both sides, with black coming in, and
    flipped half of the time; moments are those of batches, averaged over pictures: a variance over all of them would be larger.
    Float32, on ``device``. The network is used in eval mode and not changed.

    Args:
        generator: only its ``initial_seed()`` counts.
        batch: pictures at a time, of which variances are a matter; 64 as published.

    Raises:
        TeacherError: a network that cannot read the pictures or has other classes, or whose logits or moments are not finite.
        ValueError: no ``batch``, negative ``padding``.
    """
    if batch < 1 or padding < 0:
        raise ValueError(f"batch must be 1 or more and padding 0 or more, got {batch} and {padding}")
    network, seed = network.to(device), generator.initial_seed()
    order = torch.randperm(len(real), generator=generator_for(seed, "order of conv statistics"))
    known: dict[str, tuple[Tensor, ...]] = {}
    finite = torch.ones((), dtype=torch.bool, device=device)

    def add(name: str, layer: nn.Conv2d, inputs: tuple[Tensor, ...]) -> None:
        # In double precision: there may be thousands of batches.
        new = [one.double() * (len(inputs[0]) / len(real)) for one in conv_moments(inputs[0])]
        known[name] = tuple(old + one for old, one in zip(known[name], new, strict=True)) if name in known else tuple(new)

    layers = [(name, layer) for name, layer in network.named_modules() if isinstance(layer, nn.Conv2d)]
    handles = [layer.register_forward_pre_hook(partial(add, name)) for name, layer in layers]
    try:
        with frozen(network):
            parts = order.split(batch)
            for number, index in enumerate(bar(parts, f"statistics of a {network.architecture}", total=len(parts))):
                draws = generator_for(seed, "views of conv statistics", number)
                seen = _moved(real.images[index], padding, draws).to(device)
                logits = ask_teacher(network, to_float(seen), len(real.classes))
                finite &= torch.isfinite(logits).all()
    finally:
        for handle in handles:
            handle.remove()
    if not bool(finite) or not all(bool(torch.isfinite(one).all()) for moments in known.values() for one in moments):
        raise TeacherError(
            f"the {network.architecture} gives NaN or infinity for pictures of {real.name or 'the training set'}; train it "
            "anew with a lower rate, or leave it out"
        )
    return {name: tuple(one.float() for one in moments) for name, moments in known.items()}


def _moved(images: Tensor, padding: int, draws: torch.Generator) -> Tensor:
    """``uint8`` pictures (N, 3, S, S), each cut at a random place out of itself with a black border of ``padding`` px, and
    flipped half of the time."""
    count, size = len(images), images.shape[-1]
    top, left = torch.randint(2 * padding + 1, (2, count, 1), generator=draws)
    flips = torch.rand(count, 1, generator=draws) < 0.5
    rows, columns = top + torch.arange(size), left + torch.arange(size)
    columns = torch.where(flips, columns.flip(1), columns)
    bordered = F.pad(images, (padding,) * 4)
    return bordered[torch.arange(count)[:, None, None], :, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)


def _stretched(features: Tensor, side: int) -> Tensor | None:
    """(next multiple of 4, side): bilinear weights; None where there is nothing to stretch."""
    target = PATCH * math.ceil(side / PATCH)
    if target == side:
        return None
    pixels = torch.eye(side, dtype=features.dtype, device=features.device)
    return F.interpolate(pixels[None], target, mode="linear").squeeze(0).mT
