"""FSRCNN (Dong et al. 2016) in RGB: everything happens on the small picture, and one transposed convolution enlarges it.

FSRCNN(56, 12, 4), the default, has 12,464 weights for a single channel at every scale, as table 1 of the paper prints; with
the biases and PReLU slopes that it does not count 12,809, and in RGB 24,683. The authors train the last layer at a tenth of
the rate of the others; here one rate serves all.
"""

from torch import Tensor, nn

from srdistill.images.convention import bicubic

# Side of the filters that enlarge: 9, whatever the scale (section 3.2).
_DECONVOLUTION = 9


class FSRCNN(nn.Module):
    """``width`` (the paper's d) features of the picture, shrunk to ``narrow`` (s) for ``depth`` (m) mapping layers of 3 x 3.

    LR (N, channels, h, w) in [0, 1] to SR (N, channels, scale * h, scale * w), not clamped. ``channels``: 3, as
    everything here; the paper's network sees luma alone, 1. ``over_bicubic``: what the last layer makes is added to bicubic
    enlargement, and starts as nothing (see ``edsr.start_from_bicubic``).

    Raises ValueError for a scale other than 2, 3 and 4, and for sizes below 1.
    """

    def __init__(
        self,
        scale: int = 2,
        width: int = 56,
        narrow: int = 12,
        depth: int = 4,
        channels: int = 3,
        over_bicubic: bool = False,
    ):
        super().__init__()
        if scale not in (2, 3, 4):
            raise ValueError(f"FSRCNN enlarges by 2, 3 or 4, got {scale}")
        if min(width, narrow, depth, channels) < 1:
            raise ValueError(
                f"FSRCNN's width, narrow, depth and channels must be 1 or more, got {width}, {narrow}, {depth}, {channels}"
            )
        self.scale, self.over_bicubic = scale, over_bicubic
        sizes = [(channels, width, 5), (width, narrow, 1), *[(narrow, narrow, 3)] * depth, (narrow, width, 1)]
        layers: list[nn.Module] = []
        for inward, outward, side in sizes:
            layers += [nn.Conv2d(inward, outward, side, padding=side // 2), nn.PReLU(outward)]
        self.body = nn.Sequential(*layers)
        # The additional pixels at the end make the output exactly ``scale`` times as large.
        self.tail = nn.ConvTranspose2d(
            width, channels, _DECONVOLUTION, stride=scale, padding=_DECONVOLUTION // 2, output_padding=scale - 1
        )  # fmt: skip
        for layer in self.body:
            if isinstance(layer, nn.Conv2d):  # made for rectifiers with a slope (section 3.2); PReLU starts at 0.25
                nn.init.kaiming_normal_(layer.weight, a=0.25)
                nn.init.zeros_(layer.bias)
        nn.init.normal_(self.tail.weight, std=0.0 if over_bicubic else 0.001)
        nn.init.zeros_(self.tail.bias)

    def forward(self, lr: Tensor) -> Tensor:
        enlarged = self.tail(self.body(lr))
        return enlarged + bicubic(lr, self.scale) if self.over_bicubic else enlarged
