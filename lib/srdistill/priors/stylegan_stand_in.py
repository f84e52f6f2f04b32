"""A small random generator with StyleGAN-XL's parts, for rehearsals: the real one needs code that cannot be installed with pip.

It makes pictures of 512 px from 38 vectors w of 512 values, as StyleGAN-XL for ImageNet does; its layers are 16 channels wide.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from srdistill.priors.stylegan_xl import StyleGANXLPrior

_RESOLUTION, _CHANNELS, _LAYERS, _W = 512, 16, 37, 512


class _Mapping(nn.Module):
    def __init__(self, z_dim: int, c_dim: int):
        super().__init__()
        self.linear = nn.Linear(z_dim + c_dim, _W)

    def forward(self, z: Tensor, c: Tensor) -> Tensor:
        return self.linear(torch.cat([z, c], 1))[:, None].repeat(1, _LAYERS + 1, 1)


class _Input(nn.Module):
    def __init__(self):
        super().__init__()
        self.basis = nn.Parameter(torch.randn(_CHANNELS, 16, 16))
        self.affine = nn.Linear(_W, _CHANNELS)

    def forward(self, w: Tensor) -> Tensor:
        return self.basis * (1 + self.affine(w)[:, :, None, None])


class _Layer(nn.Module):
    def __init__(self, channels: int, side: int):
        super().__init__()
        self.side = side
        self.affine = nn.Linear(_W, _CHANNELS)
        self.conv = nn.Conv2d(_CHANNELS, channels, 1)

    def forward(self, x: Tensor, w: Tensor, force_fp32: bool = False) -> Tensor:
        if x.shape[-1] != self.side:
            x = F.interpolate(x, size=(self.side, self.side))
        return torch.tanh(self.conv(x * (1 + self.affine(w)[:, :, None, None])))


class _Synthesis(nn.Module):
    output_scale = 1.0

    def __init__(self):
        super().__init__()
        self.input, self.layer_names = _Input(), []
        for index in range(_LAYERS):
            # Most layers stay small: the stand-in is about parts and shapes.
            side = 16 if index < _LAYERS - 5 else 32 << (index - _LAYERS + 5)
            self.layer_names.append(f"L{index}_{side}")
            setattr(self, self.layer_names[-1], _Layer(3 if index == _LAYERS - 1 else _CHANNELS, side))


class _Generator(nn.Module):
    z_dim, c_dim, w_dim, num_ws, img_resolution = 64, 1000, _W, _LAYERS + 1, _RESOLUTION

    def __init__(self):
        super().__init__()
        self.mapping, self.synthesis = _Mapping(self.z_dim, self.c_dim), _Synthesis()


def style_stand_in() -> StyleGANXLPrior:
    """The prior over it, in W+."""
    return StyleGANXLPrior(_Generator(), name="stand-in for StyleGAN-XL (16 channels, random)")
