"""ResNet-18 (He et al. 2016) by torchvision, with the stem for small pictures, instance norm and a width as options."""

from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils import skip_init

from srdistill.images.torchvision_import import import_torchvision
from srdistill.networks.convnet import NORMS
from srdistill.networks.widths import scaled


def resnet18(classes: int, size: int, small_stem: bool = False, norm: str = "batch", width_factor: float = 1.0) -> nn.Module:
    """Torchvision's network without weights: pictures (N, 3, H, W) to logits (N, classes), its own names of the weights.

    ``small_stem``: a 3x3 convolution of stride 1 and no max-pooling, so that pictures of 32 or 64 px are not shrunk to
    nothing at once; what RDED calls "modified" and uses on CIFAR and Tiny-ImageNet. 11,689,512 parameters for 1000 classes.
    ``norm``: ``batch``, or ``instance`` with torch's own start of the convolutions, as in VICO-UoE/DatasetCondensation and
    GLaD, there always with the small stem. ``width_factor``: of all channels.

    Raises ValueError: an unknown norm, or pictures too small for the stem.
    """
    if norm not in NORMS:
        raise ValueError(f"ResNet-18: unknown norm {norm!r}; there are: {', '.join(NORMS)}")
    # Of a map of a single value instance norm leaves nothing.
    least = (8 if small_stem else 32) * (2 if norm == "instance" else 1)
    if size < least:
        remedy = "use larger pictures" if small_stem else "use small_stem=True or larger pictures"
        raise ValueError(f"ResNet-18 halves the sides {3 if small_stem else 5} times: {size} px is below {least} px; {remedy}")
    import_torchvision()
    from torchvision.models import resnet18 as build

    network = build(weights=None, num_classes=classes, norm_layer=NORMS[norm])
    if width_factor != 1:
        _scale(network, width_factor)
    if small_stem:
        network.conv1 = nn.Conv2d(3, network.conv1.out_channels, 3, padding=1, bias=False)
        _start_as_torchvision(network.conv1)
        network.maxpool = nn.Identity()
    if norm == "instance":
        for module in network.modules():
            if isinstance(module, nn.Conv2d):
                module.reset_parameters()
    for stage in (network.layer2, network.layer3, network.layer4):
        stage[0].downsample[0] = _Shortcut.of(stage[0].downsample[0])
    return network


class _Shortcut(nn.Conv2d):
    """A 1x1 convolution with a stride, as one without on every second pixel: the same values.

    Channels last, oneDNN's gradient of the weights of the former writes beyond its memory where there are fewer channels than a
    vector has (8 with AVX2, 16 with AVX-512; uxlfoundation/oneDNN, issue 6035; seen with torch 2.13.0): narrow networks end in
    a crash, or in numbers that something else has written.
    """

    def forward(self, x: Tensor) -> Tensor:
        down, right = self.stride
        return F.conv2d(x[:, :, ::down, ::right], self.weight, self.bias)

    @classmethod
    def of(cls, layer: nn.Conv2d) -> "_Shortcut":
        """With the weights of ``layer``, 1x1 and without a bias; draws no random numbers."""
        shortcut = skip_init(cls, layer.in_channels, layer.out_channels, 1, stride=layer.stride, bias=False)
        shortcut.weight = layer.weight
        return shortcut


def _scale(network: nn.Module, factor: float) -> None:
    """Replace all layers by those with ``factor`` times the channels."""
    from torchvision.models.resnet import BasicBlock

    widths = [scaled(width, factor) for width in (64, 128, 256, 512)]
    network.inplanes = widths[0]
    network.conv1 = nn.Conv2d(3, widths[0], 7, stride=2, padding=3, bias=False)
    network.bn1 = network._norm_layer(widths[0])
    for number, width in enumerate(widths, 1):
        setattr(network, f"layer{number}", network._make_layer(BasicBlock, width, 2, stride=1 if number == 1 else 2))
    network.fc = nn.Linear(widths[-1], network.fc.out_features)
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            _start_as_torchvision(module)


def _start_as_torchvision(layer: nn.Conv2d) -> None:
    nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
