"""The networks that classify: pictures in [0, 1] in, logits out, with the normalisation inside.

Whoever holds a ``Classifier`` gives it pictures as they are. The mean and standard deviation that it was trained with are
part of it and of its file, so they can neither be forgotten nor applied twice, nor be another's.
"""

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from safetensors.torch import save
from torch import Tensor, nn

from srdistill.files import atomic_path
from srdistill.images.zca import ZCA
from srdistill.networks.alexnet import AlexNet
from srdistill.networks.convnet import ConvNet
from srdistill.networks.resnet18 import resnet18
from srdistill.networks.vgg11 import VGG11
from srdistill.networks.vit import ViT
from srdistill.seeds import derive_seed

CLASSIFIERS: dict[str, Callable[..., nn.Module]] = {
    "ConvNet": ConvNet,
    "ResNet18": resnet18,
    "AlexNet": AlexNet,
    "VGG11": VGG11,
    "ViT": ViT,
}
IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


class Classifier(nn.Module):
    """Float pictures (N, 3, size, size) in [0, 1] to logits (N, K), one per name in ``classes``, in that order.

    ``size``: side of the pictures in px. ``settings``: what ``build_classifier`` needs to build it again. ``whitening``: takes
    the place of mean and deviation.

    Raises ValueError: other than three means and three positive deviations, or a whitening of another size.
    """

    def __init__(
        self,
        body: nn.Module,
        architecture: str,
        classes: Sequence[str],
        size: int,
        mean: Sequence[float] = IMAGENET_MEAN,
        std: Sequence[float] = IMAGENET_STD,
        settings: dict | None = None,
        whitening: ZCA | None = None,
    ):
        super().__init__()
        if len(mean) != 3 or len(std) != 3 or min(std) <= 0:
            raise ValueError(
                f"normalisation takes three means and three positive deviations, got {tuple(mean)} and {tuple(std)}"
            )
        if whitening is not None and whitening.size != size:
            raise ValueError(
                f"the whitening is of pictures of {whitening.size} px, the classifier of {size} px; fit one to its pictures"
            )
        self.whitening = whitening
        self.body, self.architecture, self.classes, self.size = body, architecture, tuple(classes), size
        self.settings = dict(settings or {})
        self.register_buffer("mean", torch.tensor(tuple(mean)).view(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor(tuple(std)).view(1, 3, 1, 1))

    def forward(self, images: Tensor) -> Tensor:
        return self.body(self.normalise(images))

    def embed(self, images: Tensor) -> Tensor:
        """What the last linear layer is given, (N, F), of pictures as ``forward`` takes them."""
        return embed(self.body, self.normalise(images))

    def normalise(self, images: Tensor) -> Tensor:
        """Pictures to what ``body`` takes, of the same shape: (x - mean) / std, or whitened.

        Raises ValueError: no float pictures (N, 3, H, W). PictureError: of another size than the whitening.
        """
        if not images.is_floating_point() or images.ndim != 4 or images.shape[1] != 3:
            raise ValueError(
                f"a classifier takes float pictures (N, 3, H, W) in [0, 1], got {images.dtype} {tuple(images.shape)}; "
                "convert uint8 with to_float, and do not normalise: the network does"
            )
        return (images - self.mean) / self.std if self.whitening is None else self.whitening.transform(images)

    def about(self) -> dict:
        """Everything but the weights, as JSON values."""
        return {
            "architecture": self.architecture,
            "classes": list(self.classes),
            "size": self.size,
            "mean": self.mean.flatten().tolist(),
            "std": self.std.flatten().tolist(),
            "settings": self.settings,
        }

    def save(self, path: str | Path) -> None:
        """Write one safetensors file, atomically; ``training.teacher.load_teacher`` reads it.

        Raises ValueError for one that whitens.
        """
        if self.whitening is not None:
            raise ValueError(f"this {self.architecture} whitens its pictures, which its file would not hold; train it anew")
        tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in self.body.state_dict().items()}
        with atomic_path(path) as temporary:
            # Through memory: save_file hides a full disk behind an error of its own.
            temporary.write_bytes(save(tensors, metadata={"classifier": json.dumps(self.about())}))


def embed(body: nn.Module, inputs: Tensor) -> Tensor:
    """What the last linear layer of a classifier's ``body`` is given, (N, F), with the graph; ``inputs``: normalised.

    Distribution matching compares these (Zhao and Bilen, WACV 2023).
    """
    head = [module for module in body.modules() if isinstance(module, nn.Linear)][-1]
    given: list[Tensor] = []
    handle = head.register_forward_pre_hook(lambda module, inputs: given.append(inputs[0]))
    try:
        body(inputs)
    finally:
        handle.remove()
    return given[-1]


def build_classifier(
    architecture: str,
    *,
    classes: Sequence[str],
    size: int,
    seed: int,
    mean: Sequence[float] = IMAGENET_MEAN,
    std: Sequence[float] = IMAGENET_STD,
    whitening: ZCA | None = None,
    **settings,
) -> Classifier:
    """A freshly initialised classifier of pictures of ``size`` px; its weights depend on ``seed`` alone.

    ``classes``: the class names in the order of the labels (``LabelledPictures.classes``). ``mean``, ``std``: of the colour
    channels in [0, 1]; ImageNet's unless given (``LabelledPictures.statistics``). ``whitening``: instead of these.
    ``settings``: the architecture's own arguments (depth, width, norm; small_stem, width_factor). Torch's global generator is
    left as it was.

    Raises ValueError: an unknown architecture, or fewer than two different class names.
    """
    if architecture not in CLASSIFIERS:
        raise ValueError(f"unknown classifier {architecture!r}; there are: {', '.join(CLASSIFIERS)}")
    if isinstance(classes, str) or len(classes) < 2 or len(set(classes)) < len(classes):
        raise ValueError(f"a classifier needs two or more different class names, got {classes!r}")
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(derive_seed(seed, "classifier"))
        body = CLASSIFIERS[architecture](classes=len(classes), size=size, **settings)
    return Classifier(body, architecture, classes, size, mean, std, settings, whitening)
