"""The perceptual loss of ESRGAN and its followers: distances between features of an ImageNet network.

``vgg19`` is Real-ESRGAN's (five layers), ``vgg19-conv5_4`` that of ESRGAN and RealSR. ``alex`` and ``squeeze`` are small
stand-ins for machines without VGG's 548 MB. The name belongs beside every result: LPIPS-alex of a network that was trained
with ``alex`` is measured with the very features that it was trained on (``same_family``).
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from srdistill.images.torchvision_import import import_torchvision
from srdistill.images.torchvision_weights import find_torchvision_weights, torchvision_need, verified_digest
from srdistill.needs import Need
from srdistill.rehearsing import or_random

# Colours of ImageNet, by which torchvision's networks are normalised; values in [0, 1].
_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


@dataclass(frozen=True)
class Backbone:
    """``file``: its place under ``SRDISTILL_WEIGHTS``. ``layers``: weights by index into torchvision's ``features``.

    Convolutions are looked at before their activation. ``smallest``: side of the smallest picture that gets through, px.
    """

    model: str
    file: str
    weights: str
    layers: dict[int, float]
    smallest: int


_VGG19 = ("vgg19", "imagenet_backbones/vgg19_features.pth", "VGG19_Weights.IMAGENET1K_V1")
BACKBONES = {
    # conv1_2, conv2_2, conv3_4, conv4_4, conv5_4
    "vgg19": Backbone(*_VGG19, {2: 0.1, 7: 0.1, 16: 1.0, 25: 1.0, 34: 1.0}, smallest=16),
    "vgg19-conv5_4": Backbone(*_VGG19, {34: 1.0}, smallest=16),
    # The five convolutions.
    "alex": Backbone(
        "alexnet", "lpips_backbones/alexnet_features.pth", "AlexNet_Weights.IMAGENET1K_V1",
        {0: 0.1, 3: 0.1, 6: 1.0, 8: 1.0, 10: 1.0}, smallest=31,
    ),
    # The first convolution and the last module before each change of size, or of width at the end.
    "squeeze": Backbone(
        "squeezenet1_1", "lpips_backbones/squeezenet1_1_features.pth", "SqueezeNet1_1_Weights.IMAGENET1K_V1",
        {0: 0.1, 4: 0.1, 7: 1.0, 10: 1.0, 12: 1.0}, smallest=17,
    ),
}  # fmt: skip


def same_family(name: str, lpips: str) -> bool:
    """Whether LPIPS with the backbone ``lpips`` (alex, vgg or squeeze) looks at the network of the loss ``name``, or at one of
    its family, as VGG16 is of VGG19's."""
    return BACKBONES[name].model.startswith(lpips)


class PerceptualLoss(nn.Module):
    """Weighted sum over layers of the mean absolute difference between the features of two batches in [0, 1].

    ``name`` goes into the results, ``digest`` (SHA-256 of the weights file) into the provenance. The features are frozen,
    gradients go to the prediction only.
    """

    def __init__(self, features: nn.Sequential, layers: dict[int, float], *, name: str, smallest: int = 1, digest: str = ""):
        super().__init__()
        if not layers or max(layers) >= len(features):
            raise ValueError(f"{name}: layers {sorted(layers)} asked for, there are 0 to {len(features) - 1}")
        self.name, self.digest, self.smallest, self.layers = name, digest, smallest, dict(layers)
        self.features = features[: max(layers) + 1]
        for layer in self.features.modules():
            if hasattr(layer, "inplace"):  # it would overwrite the features that are compared
                layer.inplace = False
        self.register_buffer("mean", torch.tensor(_MEAN).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(_STD).view(1, 3, 1, 1), persistent=False)
        self.eval().requires_grad_(False)

    def forward(self, prediction: Tensor, truth: Tensor) -> Tensor:
        """(N, 3, H, W) in [0, 1] both, to a scalar. Raises ValueError if the pictures are too small for the network."""
        if min(prediction.shape[-2:]) < self.smallest:
            raise ValueError(
                f"perceptual loss {self.name}: pictures of {prediction.shape[-2]} x {prediction.shape[-1]} px are too small, "
                f"it needs {self.smallest} px; use a larger patch"
            )
        with torch.no_grad():
            wanted = self._of(truth)
        return sum(
            weight * F.l1_loss(ours, theirs)
            for weight, ours, theirs in zip(self.layers.values(), self._of(prediction), wanted, strict=True)
        )

    def _of(self, images: Tensor) -> list[Tensor]:
        """The features of each layer, in the order of ``layers``."""
        found = {}
        x = (images - self.mean) / self.std
        for index, layer in enumerate(self.features):
            x = layer(x)
            if index in self.layers:
                found[index] = x
        return [found[index] for index in self.layers]


def perceptual_loss_need(name: str, download: bool = False) -> Need:
    """The weights that ``perceptual_loss`` reads, without fetching them."""
    backbone = BACKBONES[name]
    return torchvision_need(f"perceptual loss {name}", backbone.file, backbone.weights, download)


def _random_loss(name: str = "vgg19", download: bool = False) -> PerceptualLoss:
    backbone = BACKBONES[name]
    import_torchvision()
    from torchvision import models

    features = getattr(models, backbone.model)(weights=None).features
    return PerceptualLoss(features, backbone.layers, name=name, smallest=backbone.smallest, digest="random")


@or_random(_random_loss)
def perceptual_loss(name: str = "vgg19", download: bool = False) -> PerceptualLoss:
    """The named loss with ImageNet weights.

    Raises:
        WeightsMissing: the weights are nowhere; the message says where they are looked for. ValueError: unknown name, or
        the file holds something else.
    """
    if name not in BACKBONES:
        raise ValueError(f"unknown perceptual loss {name!r}; there are: {', '.join(BACKBONES)}")
    backbone = BACKBONES[name]
    path = find_torchvision_weights(f"perceptual loss {name}", backbone.file, backbone.weights, download)
    digest = verified_digest(path)
    import_torchvision()
    from torchvision import models

    with torch.device("meta"):  # VGG's linear layers are 120 million numbers that nobody needs
        features = getattr(models, backbone.model)(weights=None).features
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
        features.load_state_dict({key: state[f"features.{key}"].float() for key in features.state_dict()}, assign=True)
    except Exception as error:  # torch.load raises many kinds for a damaged file
        raise ValueError(f"{path}: not the weights of {backbone.model}, or damaged ({type(error).__name__})") from error
    return PerceptualLoss(features, backbone.layers, name=name, smallest=backbone.smallest, digest=digest)
