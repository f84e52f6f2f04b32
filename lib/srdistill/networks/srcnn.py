"""SRCNN (Dong et al. 2014) in RGB, with torch's bicubic enlargement inside the network.

Three convolutions on the enlarged picture. 9-5-5 with widths 64 and 32 has 69,251 parameters, 9-1-5 has 20,099.
Dietz et al. build theirs inside BasicSR, which has none; the in-network bicubic follows from their VDSR row.
"""

from collections.abc import Sequence

from torch import Tensor, nn

from srdistill.images.convention import bicubic


class SRCNN(nn.Module):
    """``kernels`` are the three filter sizes (odd), ``widths`` the two hidden widths.

    LR (N, 3, h, w) in [0, 1] to SR (N, 3, scale * h, scale * w), not clamped.

    ``identity`` starts as bicubic: the first three channels of every layer pass the picture on (a Dirac filter each), all
    others start as usual and reach the output through weights of zero. From the usual start, the few hundred steps that a
    laptop has time for end below bicubic. What the other filters add to the output must be nothing at first: else it is noise,
    and Adam is rid of it soonest by switching the filters off for good (see ``training.evaluate.Firing``).
    """

    def __init__(
        self,
        scale: int = 2,
        kernels: Sequence[int] = (9, 5, 5),
        widths: Sequence[int] = (64, 32),
        identity: bool = False,
    ):
        super().__init__()
        if len(kernels) != 3 or any(k % 2 == 0 for k in kernels):
            raise ValueError(f"SRCNN takes three odd kernel sizes, got {tuple(kernels)}")
        self.scale = scale
        (k1, k2, k3), (w1, w2) = kernels, widths
        self.body = nn.Sequential(
            nn.Conv2d(3, w1, k1, padding=k1 // 2),
            nn.ReLU(),
            nn.Conv2d(w1, w2, k2, padding=k2 // 2),
            nn.ReLU(),
            nn.Conv2d(w2, 3, k3, padding=k3 // 2),
        )
        if identity:
            for layer in self.body:
                if isinstance(layer, nn.Conv2d):
                    nn.init.dirac_(layer.weight.data[:3])
                    nn.init.zeros_(layer.bias)

    def forward(self, lr: Tensor) -> Tensor:
        return self.body(bicubic(lr, self.scale))
