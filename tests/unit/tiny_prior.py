"""Priors of a few hundred weights, so that tests of what stands on a prior need no generator."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from srdistill.priors.prior import PriorError


class TinyPrior(nn.Module):
    """The first three channels of a code, enlarged, and detail by two convolutions: codes (channels, size / 2, size / 2)."""

    def __init__(self, channels: int = 6, seed: int = 0):
        super().__init__()
        self.name, self.channels = "tiny", channels
        draws = torch.Generator().manual_seed(seed)
        self.body = nn.Sequential(nn.Conv2d(channels, 16, 3, padding=1), nn.SiLU(), nn.Conv2d(16, 12, 3, padding=1))
        self.unused = nn.Linear(2, 2)  # as an encoder's weights are: decoding never sees them
        with torch.no_grad():
            for weight in self.parameters():
                weight.copy_(torch.randn(weight.shape, generator=draws) / max(1, weight[0].numel()) ** 0.5)
        self.requires_grad_(False).eval()
        self.bytes = 4 * sum(weight.numel() for weight in self.body.parameters())

    def check_size(self, size: int) -> None:
        if size % 2:
            raise PriorError(f"{self.name} makes pictures of even size, not {size} px")

    def code_shape(self, size: int) -> tuple[int, int, int]:
        self.check_size(size)
        return self.channels, size // 2, size // 2

    def decode(self, codes: Tensor) -> Tensor:
        coarse = F.interpolate(codes[:, :3], scale_factor=2)
        return 0.5 + 0.5 * coarse + 0.1 * F.pixel_shuffle(self.body(codes), 2)

    @torch.no_grad()
    def encode(self, images: Tensor) -> Tensor:
        small = F.avg_pool2d(images, 2) * 2 - 1
        return small.repeat(1, -(-self.channels // 3), 1, 1)[:, : self.channels]


class Shuffle(TinyPrior):
    """Every picture has a code, its pixels; ``encode`` gives that of the blurred picture."""

    def __init__(self):
        super().__init__(channels=12)
        self.name = "shuffle"
        self.gain = nn.Parameter(torch.ones(()), requires_grad=False)

    def decode(self, codes: Tensor) -> Tensor:
        return self.gain * F.pixel_shuffle(codes, 2)

    @torch.no_grad()
    def encode(self, images: Tensor) -> Tensor:
        return F.avg_pool2d(images, 2).repeat_interleave(4, 1)


class Smooth(TinyPrior):
    """Decodes to blurred pictures, with less detail than any patch of a photograph; its codes are those of ``TinyPrior``."""

    def decode(self, codes: Tensor) -> Tensor:
        return 0.5 + 0.1 * F.interpolate(codes[:, :3], scale_factor=2, mode="bicubic")
