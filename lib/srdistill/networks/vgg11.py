"""VGG11 with instance norm, a student of the distillation literature (VICO-UoE/DatasetCondensation, networks.py)."""

from torch import Tensor, nn

from srdistill.networks.convnet import NORMS
from srdistill.networks.widths import scaled

# Channels of the convolutions of each stage, which ends with 2x2 max-pooling.
_STAGES = ((64,), (128,), (256, 256), (512, 512), (512, 512))


class VGG11(nn.Module):
    """Pictures (N, 3, size, size) to logits (N, classes). 10 classes: 9,231,114 parameters at 32 px.

    One linear layer, on what the last stage leaves, 1 x 1 at 32 px; ``pooled``: on that brought to ``pooled`` x ``pooled`` by
    adaptive max-pooling, which repeats values where there are fewer. GLaD has 7 at 128 px: 9,476,874 parameters.
    ``width_factor``: of all channels.

    Raises ValueError: a ``size`` below 32 px, ``pooled`` below 1; pictures of another size than ``size``.
    """

    def __init__(self, classes: int, size: int, pooled: int | None = None, width_factor: float = 1.0):
        super().__init__()
        if size < 32:
            raise ValueError(f"VGG11 halves the sides five times: {size} px is below 32 px; use larger pictures")
        if pooled is not None and pooled < 1:
            raise ValueError(f"VGG11: pooled must be 1 or more, or None, got {pooled}")
        self.size, channels = size, 3
        layers: list[nn.Module] = []
        for stage in _STAGES:
            for width in stage:
                width = scaled(width, width_factor)
                layers += [nn.Conv2d(channels, width, 3, padding=1), NORMS["instance"](width), nn.ReLU()]
                channels = width
            layers.append(nn.MaxPool2d(2))
        if pooled is not None:
            layers.append(nn.AdaptiveMaxPool2d(pooled))
        self.features = nn.Sequential(*layers)
        self.classifier = nn.Linear(channels * (pooled or size // 32) ** 2, classes)

    def forward(self, images: Tensor) -> Tensor:
        if images.shape[-2:] != (self.size, self.size):
            raise ValueError(f"this VGG11 takes pictures of {self.size} px, got {tuple(images.shape)}; resize them first")
        return self.classifier(self.features(images).flatten(1))
