"""ConvNet-D, the small network of the distillation literature (Zhao and Bilen 2021; Gidaris and Komodakis 2018).

``depth`` blocks of a 3x3 convolution, a norm, ReLU and 2x2 average pooling, then one linear layer. Widths of 128 and batch
norm are RDED's; instance norm is the choice of the gradient matching papers. Layers are named and ordered as in
VICO-UoE/DatasetCondensation (``features.N``, ``classifier``), so that its weights and RDED's can be loaded.
"""

from collections.abc import Callable

from torch import Tensor, nn

NORMS: dict[str, Callable[[int], nn.Module]] = {
    "batch": nn.BatchNorm2d,
    # One group per channel: instance norm with scale and shift.
    "instance": lambda width: nn.GroupNorm(width, width),
}


class ConvNet(nn.Module):
    """Pictures (N, 3, size, size) to logits (N, classes). 10 classes at depth 3 and 32 px: 320,010 parameters.

    Raises ValueError: ``depth`` or ``width`` below 1, an unknown ``norm``, a ``size`` below 2**depth px; pictures of another
    size than ``size``.
    """

    def __init__(self, classes: int, size: int, depth: int = 3, width: int = 128, norm: str = "batch"):
        super().__init__()
        if depth < 1 or width < 1:
            raise ValueError(f"ConvNet: depth and width must be 1 or more, got {depth} and {width}")
        if norm not in NORMS:
            raise ValueError(f"ConvNet: unknown norm {norm!r}; there are: {', '.join(NORMS)}")
        side = size // 2**depth
        if side < 1:
            raise ValueError(
                f"ConvNet of depth {depth} needs pictures of {2**depth} px or more, got {size} px; lower the depth"
            )
        self.size = size
        layers: list[nn.Module] = []
        for block in range(depth):
            layers += [nn.Conv2d(width if block else 3, width, 3, padding=1), NORMS[norm](width), nn.ReLU(), nn.AvgPool2d(2)]
        self.features = nn.Sequential(*layers)
        self.classifier = nn.Linear(width * side**2, classes)

    def forward(self, images: Tensor) -> Tensor:
        if images.shape[-2:] != (self.size, self.size):
            raise ValueError(f"this ConvNet takes pictures of {self.size} px, got {tuple(images.shape)}; resize them first")
        return self.classifier(self.features(images).flatten(1))
