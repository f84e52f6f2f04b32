"""VDSR (Kim et al. 2016) in RGB: twenty 3x3 convolutions that predict what bicubic enlargement misses.

667,008 parameters without biases (width 64, depth 20), 668,227 with. The last layer starts at zero, so training
starts from bicubic; with He initialisation by fan-in and Adam it leaves it. The usual recipe (SGD at 0.1) often
stays there for good: the printed VDSR baseline of Dietz et al. equals bicubic in every digit.
"""

from torch import Tensor, nn

from srdistill.images.convention import bicubic


class VDSR(nn.Module):
    """LR (N, 3, h, w) in [0, 1] to SR (N, 3, scale * h, scale * w), not clamped. ``depth`` counts all convolutions."""

    def __init__(self, scale: int = 2, width: int = 64, depth: int = 20, bias: bool = False):
        super().__init__()
        if depth < 2:
            raise ValueError(f"VDSR needs a depth of 2 or more, got {depth}")
        self.scale = scale
        layers: list[nn.Module] = [nn.Conv2d(3, width, 3, padding=1, bias=bias), nn.ReLU()]
        for _ in range(depth - 2):
            layers += [nn.Conv2d(width, width, 3, padding=1, bias=bias), nn.ReLU()]
        layers.append(nn.Conv2d(width, 3, 3, padding=1, bias=bias))
        self.body = nn.Sequential(*layers)
        for layer in self.body:
            if isinstance(layer, nn.Conv2d):
                nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
                if bias:
                    nn.init.zeros_(layer.bias)
        nn.init.zeros_(self.body[-1].weight)

    def forward(self, lr: Tensor) -> Tensor:
        enlarged = bicubic(lr, self.scale)
        return enlarged + self.body(enlarged)
