"""Where the ImageNet weights of torchvision's networks are found: the project's folder, then torch's own downloads.

Nothing here imports torchvision, which takes seconds.
"""

import re
from pathlib import Path

import torch

from srdistill.files import sha256_of
from srdistill.needs import Need
from srdistill.rehearsing import may_fetch
from srdistill.weights import VARIABLE, WeightsMissing, weights_folder

_AT = "https://download.pytorch.org/models/"
# torchvision's name: its file, which ends in the first digits of its SHA-256, and bytes.
FILES = {
    "AlexNet_Weights.IMAGENET1K_V1": ("alexnet-owt-7be5be79.pth", 244_408_911),
    "VGG16_Weights.IMAGENET1K_V1": ("vgg16-397923af.pth", 553_433_881),
    "VGG19_Weights.IMAGENET1K_V1": ("vgg19-dcbb9e9d.pth", 574_673_361),
    "SqueezeNet1_1_Weights.IMAGENET1K_V1": ("squeezenet1_1-b8a52dc0.pth", 4_966_400),
    "MobileNet_V2_Weights.IMAGENET1K_V2": ("mobilenet_v2-7ebf99e0.pth", 14_212_972),
}


def find_torchvision_weights(user: str, place: str, weights_name: str, download: bool = False) -> Path:
    """The file with the weights of one network.

    Args:
        user: what needs them, for messages. place: the file's path under ``SRDISTILL_WEIGHTS``.
        weights_name: torchvision's name of the weights; its file and its hash follow from it.

    Raises:
        WeightsMissing: not under ``SRDISTILL_WEIGHTS``, not among torch's downloads, and ``download`` is off or fails.
    """
    root = weights_folder()
    if root and (root / place).is_file():
        return root / place
    name, _ = FILES[weights_name]
    cached = _cached(name)
    if not cached.is_file() and may_fetch(download):
        _fetch(user, name, cached, root / place if root else f"${VARIABLE}/{place}")
    if not cached.is_file():
        folder, file = place.rsplit("/", 1)
        raise WeightsMissing(
            f"{user}: no backbone weights; put {file} under ${VARIABLE}/{folder} ({root / folder if root else 'not set'}) or "
            f"{cached.name} into {cached.parent}, or call with download=True where there is a network (from {_AT}{name})"
        )
    return cached


def torchvision_need(user: str, place: str, weights_name: str, download: bool) -> Need:
    """What ``find_torchvision_weights`` would find, without fetching it."""
    root = weights_folder()
    name, size = FILES[weights_name]
    places = [path for path in (root and root / place, _cached(name)) if path and path.is_file()]
    return Need(user, tuple(places[:1]), _AT + name, size, download, remedy=f"put it at {root or '$' + VARIABLE}/{place}")


def verified_digest(path: Path) -> str:
    """SHA-256 of the file, 64 digits. Raises ValueError unless it begins as a name of torch's says, e.g. ``-b8a52dc0.pth``."""
    digest = sha256_of(path)
    named = re.search(r"-([0-9a-f]{8})\.pth$", path.name)
    if named and not digest.startswith(named[1]):
        raise ValueError(f"{path}: its SHA-256 begins with {digest[:8]}, not as its name says: damaged, fetch it again")
    return digest


def _cached(name: str) -> Path:
    return Path(torch.hub.get_dir(), "checkpoints", name)


def _fetch(user: str, name: str, cached: Path, place: Path | str) -> None:
    cached.parent.mkdir(parents=True, exist_ok=True)
    known = name.rsplit("-", 1)[1].removesuffix(".pth")
    try:
        torch.hub.download_url_to_file(_AT + name, str(cached), hash_prefix=known, progress=True)
    except (OSError, RuntimeError) as error:  # RuntimeError: the downloaded file has a wrong hash; it is not kept
        raise WeightsMissing(f"{user}: could not download {_AT}{name} ({error}); put it at {place}") from error
