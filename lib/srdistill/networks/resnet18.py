"""ResNet-18 (He et al. 2016) by torchvision, with the stem for small pictures as an option."""

from torch import nn

from srdistill.images.torchvision_import import import_torchvision


def resnet18(classes: int, size: int, small_stem: bool = False) -> nn.Module:
    """Torchvision's network without weights: pictures (N, 3, H, W) to logits (N, classes), its own names of the weights.

    ``small_stem``: a 3x3 convolution of stride 1 and no max-pooling, so that pictures of 32 or 64 px are not shrunk to
    nothing at once; what RDED calls "modified" and uses on CIFAR and Tiny-ImageNet. 11,689,512 parameters for 1000 classes.
    """
    least = 8 if small_stem else 32
    if size < least:
        remedy = "use larger pictures" if small_stem else "use small_stem=True or larger pictures"
        raise ValueError(f"ResNet-18 halves the sides {3 if small_stem else 5} times: {size} px is below {least} px; {remedy}")
    import_torchvision()
    from torchvision.models import resnet18 as build

    network = build(weights=None, num_classes=classes)
    if small_stem:
        network.conv1 = nn.Conv2d(3, 64, 3, padding=1, bias=False)
        nn.init.kaiming_normal_(network.conv1.weight, mode="fan_out", nonlinearity="relu")  # as torchvision's own
        network.maxpool = nn.Identity()
    return network
