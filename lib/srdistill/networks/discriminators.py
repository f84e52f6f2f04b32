"""The networks that tell real from made pictures, for adversarial training only; they return logits.

``UNetDiscriminator`` is Real-ESRGAN's, ``VGGDiscriminator`` that of ESRGAN and RealSR (discriminator_vgg_128).
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from srdistill.seeds import derive_seed


class UNetDiscriminator(nn.Module):
    """A verdict on every pixel: a U-Net of three levels with spectral normalisation (Wang et al. 2021, section 3.3).

    (N, 3, H, W) in [0, 1] to (N, 1, H, W); H and W must be multiples of 8. Width 64 has 4,376,897 parameters. In
    training mode every call moves the estimates of the spectral norms by one power iteration.

    Raises ValueError: a ``size`` that is no multiple of 8 px; pictures with such sides.
    """

    def __init__(self, size: int, width: int = 64):
        super().__init__()
        if size < 8 or size % 8:
            raise ValueError(f"the U-Net discriminator needs pictures of a multiple of 8 px, got {size} px")
        self.head = nn.Conv2d(3, width, 3, padding=1)
        self.down = nn.ModuleList(
            spectral_norm(nn.Conv2d(width * 2**k, width * 2 ** (k + 1), 4, 2, 1, bias=False)) for k in range(3)
        )
        self.up = nn.ModuleList(
            spectral_norm(nn.Conv2d(width * 2 ** (k + 1), width * 2**k, 3, padding=1, bias=False)) for k in (2, 1, 0)
        )
        self.last = nn.ModuleList(spectral_norm(nn.Conv2d(width, width, 3, padding=1, bias=False)) for _ in range(2))
        self.tail = nn.Conv2d(width, 1, 3, padding=1)

    def forward(self, images: Tensor) -> Tensor:
        if any(side % 8 for side in images.shape[-2:]):
            raise ValueError(f"the U-Net discriminator needs sides that are multiples of 8 px, got {tuple(images.shape)}")
        levels = [_leaky(self.head(images))]
        for layer in self.down:
            levels.append(_leaky(layer(levels[-1])))
        features = levels.pop()
        for layer in self.up:
            features = F.interpolate(features, scale_factor=2, mode="bilinear", align_corners=False)
            features = _leaky(layer(features)) + levels.pop()
        for layer in self.last:
            features = _leaky(layer(features))
        return self.tail(features)


class VGGDiscriminator(nn.Module):
    """One verdict per picture: pairs of convolutions with batch norm, each halving the sides, then two linear layers.

    (N, 3, size, size) in [0, 1] to (N, 1). ``stages`` halvings; 128 px, 5 stages and width 64 have 14,499,401 parameters.

    Raises ValueError: a ``size`` that cannot be halved so often, ``stages`` below 1; pictures of another size than ``size``.
    """

    def __init__(self, size: int = 128, width: int = 64, stages: int = 5):
        super().__init__()
        if stages < 1 or size < 2**stages or size % 2**stages:
            raise ValueError(
                f"the VGG discriminator halves {stages} times: {size} px is no multiple of {2 ** max(stages, 1)} px; "
                "change the patch or the number of stages"
            )
        self.size = size
        layers: list[nn.Module] = []
        channels = 3
        for stage in range(stages):
            wide = width * min(2**stage, 8)
            # The very first convolution sees the picture itself and is not normalised.
            layers += [nn.Conv2d(channels, wide, 3, padding=1, bias=stage == 0)]
            layers += [nn.BatchNorm2d(wide)] if stage else []
            layers += [nn.LeakyReLU(0.2), nn.Conv2d(wide, wide, 4, 2, 1, bias=False), nn.BatchNorm2d(wide), nn.LeakyReLU(0.2)]
            channels = wide
        self.features = nn.Sequential(*layers)
        side = size // 2**stages
        self.verdict = nn.Sequential(nn.Flatten(), nn.Linear(channels * side**2, 100), nn.LeakyReLU(0.2), nn.Linear(100, 1))

    def forward(self, images: Tensor) -> Tensor:
        if images.shape[-2:] != (self.size, self.size):
            raise ValueError(f"this VGG discriminator takes pictures of {self.size} px, got {tuple(images.shape)}")
        return self.verdict(self.features(images))


DISCRIMINATORS: dict[str, Callable[..., nn.Module]] = {"UNet": UNetDiscriminator, "VGG": VGGDiscriminator}


def build_discriminator(kind: str, size: int, seed: int, **sizes) -> nn.Module:
    """A freshly initialised discriminator of pictures of ``size`` px; its weights depend on ``seed`` alone.

    ``sizes`` are the architecture's own arguments (width, stages). Torch's global generator is left as it was.

    Raises ValueError: an unknown kind.
    """
    if kind not in DISCRIMINATORS:
        raise ValueError(f"unknown discriminator {kind!r}; there are: {', '.join(DISCRIMINATORS)}")
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(derive_seed(seed, "discriminator"))
        return DISCRIMINATORS[kind](size=size, **sizes)


def _leaky(x: Tensor) -> Tensor:
    return F.leaky_relu(x, 0.2)
