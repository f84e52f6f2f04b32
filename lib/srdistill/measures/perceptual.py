"""LPIPS through the ``lpips`` package, with the backbone named.

Zhang et al. 2018, version 0.1. The learned linear weights ship with the package; the backbone is torchvision's and is
looked for under ``SRDISTILL_WEIGHTS``, then where torch keeps its downloads. Values of different backbones are not
comparable: Dietz et al. most likely print VGG (the default of BasicSR's script), so an AlexNet value is never set
beside theirs.
"""

import warnings
from pathlib import Path

import torch
from torch import Tensor, nn

from srdistill.images.pictures import to_float
from srdistill.images.torchvision_import import import_torchvision
from srdistill.images.torchvision_weights import find_torchvision_weights, torchvision_need, verified_digest
from srdistill.needs import Need
from srdistill.rehearsing import rehearsing
from srdistill.weights import WeightsMissing

__all__ = ["BACKBONES", "Lpips", "WeightsMissing", "find_backbone"]

# Backbone: (file under SRDISTILL_WEIGHTS/lpips_backbones, torchvision weights).
BACKBONES = {
    "alex": ("alexnet_features.pth", "AlexNet_Weights.IMAGENET1K_V1"),
    "vgg": ("vgg16_features.pth", "VGG16_Weights.IMAGENET1K_V1"),
    "squeeze": ("squeezenet1_1_features.pth", "SqueezeNet1_1_Weights.IMAGENET1K_V1"),
}


def find_backbone(backbone: str = "alex", download: bool = False) -> Path:
    """The file with the backbone's weights.

    Raises:
        WeightsMissing: not under ``SRDISTILL_WEIGHTS``, not among torch's downloads, and ``download`` is off or fails.
    """
    if backbone not in BACKBONES:
        raise ValueError(f"unknown LPIPS backbone {backbone!r}; there are: {', '.join(BACKBONES)}")
    file, weights_name = BACKBONES[backbone]
    return find_torchvision_weights(f"LPIPS-{backbone}", f"lpips_backbones/{file}", weights_name, download)


def backbone_need(backbone: str, download: bool) -> Need:
    """The weights that ``Lpips`` reads, without fetching them."""
    file, weights_name = BACKBONES[backbone]
    return torchvision_need(f"LPIPS-{backbone}", f"lpips_backbones/{file}", weights_name, download)


class Lpips(nn.Module):
    """Learned perceptual distance of ``uint8`` images (N, 3, H, W) to (N,) float32; lower is closer.

    ``name`` goes into the column head, ``digest`` (SHA-256 of the weights file) into the provenance. In a rehearsal the
    backbone is a random one where its weights are not at hand.

    Raises WeightsMissing: no weights at hand. ValueError: an unknown backbone; images that are not ``uint8``.
    """

    def __init__(self, backbone: str = "alex", download: bool = False):
        super().__init__()
        try:
            path = find_backbone(backbone, download)
        except WeightsMissing:
            if not rehearsing():
                raise
            path = None
        import_torchvision()
        import lpips

        self.name = f"LPIPS-{backbone}"
        self.digest = verified_digest(path) if path else "random"
        with warnings.catch_warnings():
            # lpips still passes torchvision arguments that were renamed in 0.13.
            warnings.filterwarnings("ignore", category=UserWarning, module="torchvision")
            self.model = lpips.LPIPS(net=backbone, version="0.1", pnet_rand=True, verbose=False).eval()
        if path:
            state = torch.load(path, map_location="cpu", weights_only=True)
            # lpips cuts the backbone into slices and keeps torchvision's numbering: slice2.3.weight is features.3.weight.
            own = self.model.net.state_dict()
            self.model.net.load_state_dict({key: state["features." + key.split(".", 1)[1]] for key in own})
        self.requires_grad_(False)

    @torch.inference_mode()
    def forward(self, prediction: Tensor, truth: Tensor) -> Tensor:
        if prediction.dtype != torch.uint8 or truth.dtype != torch.uint8:
            raise ValueError("Lpips compares uint8 pictures; convert with to_uint8")
        # The package expects [-1, 1]: the most common mistake with LPIPS is to give it [0, 1].
        return self.model(to_float(prediction) * 2 - 1, to_float(truth) * 2 - 1).flatten()
