"""AlexNet as in the distillation literature (VICO-UoE/DatasetCondensation, networks.py): no norm, no dropout, no strides."""

from torch import Tensor, nn

from srdistill.networks.widths import scaled


class AlexNet(nn.Module):
    """Pictures (N, 3, size, size) to logits (N, classes). 10 classes: 1,872,202 parameters at 32 px, 2,333,002 at 128 px.

    Five convolutions, 2x2 max-pooling after the first, the second and the last, one linear layer. ``width_factor``: of all
    channels.

    Raises ValueError: a ``size`` below 8 px; pictures of another size than ``size``.
    """

    def __init__(self, classes: int, size: int, width_factor: float = 1.0):
        super().__init__()
        if size < 8:
            raise ValueError(f"AlexNet halves the sides three times: {size} px is below 8 px; use larger pictures")
        self.size, channels = size, 3
        layers: list[nn.Module] = []
        for width, kernel, pooled in ((128, 5, True), (192, 5, True), (256, 3, False), (192, 3, False), (192, 3, True)):
            width = scaled(width, width_factor)
            layers += [nn.Conv2d(channels, width, kernel, padding=kernel // 2), nn.ReLU()]
            layers += [nn.MaxPool2d(2)] if pooled else []
            channels = width
        self.features = nn.Sequential(*layers)
        self.classifier = nn.Linear(channels * (size // 8) ** 2, classes)

    def forward(self, images: Tensor) -> Tensor:
        if images.shape[-2:] != (self.size, self.size):
            raise ValueError(f"this AlexNet takes pictures of {self.size} px, got {tuple(images.shape)}; resize them first")
        return self.classifier(self.features(images).flatten(1))
