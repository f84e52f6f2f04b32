"""RCAN (Zhang et al. 2018): residual groups of blocks that weigh their channels by their mean over the whole picture.

The network is spandrel's, between the colour centring that EDSR has, too: spandrel's own would be trained along and
changes its input. As published (10 groups of 20 blocks, width 64): 15,444,643 parameters at x2 and 15,592,355 at x4.
"""

import torch
from torch import Tensor, nn

from srdistill.images.convention import bicubic
from srdistill.images.torchvision_import import import_torchvision
from srdistill.networks.edsr import DIV2K_MEAN, start_from_bicubic


class RCAN(nn.Module):
    """``groups`` of ``depth`` blocks, ``width`` channels of which ``width // reduction`` decide on the weights.

    The means span the whole picture, so that an output pixel depends on all of the input, unlike in training crops.
    LR (N, 3, h, w) in [0, 1] to SR (N, 3, scale * h, scale * w), not clamped. ``over_bicubic``: see ``start_from_bicubic``.
    """

    def __init__(
        self,
        scale: int = 2,
        width: int = 64,
        groups: int = 10,
        depth: int = 20,
        reduction: int = 16,
        over_bicubic: bool = False,
    ):
        super().__init__()
        if scale not in (2, 3, 4):
            raise ValueError(f"RCAN enlarges by 2, 3 or 4, got {scale}")
        if not 1 <= reduction <= width:
            raise ValueError(f"RCAN's reduction must be between 1 and the width {width}, got {reduction}")
        import_torchvision()  # spandrel imports it
        from spandrel.architectures.RCAN import RCAN as Body

        self.scale, self.over_bicubic = scale, over_bicubic
        self.register_buffer("mean", torch.tensor(DIV2K_MEAN).view(1, 3, 1, 1), persistent=False)
        self.body = Body(
            scale=scale, n_feats=width, n_resgroups=groups, n_resblocks=depth, reduction=reduction, norm=False
        )  # fmt: skip
        if over_bicubic:
            start_from_bicubic(self.body.tail[-1])

    def forward(self, lr: Tensor) -> Tensor:
        base = bicubic(lr, self.scale) if self.over_bicubic else self.mean
        return self.body((lr - self.mean) * 255.0) / 255.0 + base
