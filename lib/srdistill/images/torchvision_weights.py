"""Where the ImageNet weights of torchvision's networks are found: the project's folder, then torch's own downloads."""

from pathlib import Path

import torch

from srdistill.images.torchvision_import import import_torchvision
from srdistill.needs import Need
from srdistill.weights import VARIABLE, WeightsMissing, weights_folder


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
    import_torchvision()
    from torchvision.models import get_weight

    weights = get_weight(weights_name)
    cached = Path(torch.hub.get_dir(), "checkpoints", weights.url.rsplit("/", 1)[-1])
    if not cached.is_file() and download:
        try:
            weights.get_state_dict(progress=True, check_hash=True)
        except (OSError, RuntimeError) as error:  # RuntimeError: the downloaded file has a wrong hash
            where = root / place if root else f"${VARIABLE}/{place}"
            raise WeightsMissing(f"{user}: could not download {weights.url} ({error}); put it at {where}") from error
    if not cached.is_file():
        folder, file = place.rsplit("/", 1)
        raise WeightsMissing(
            f"{user}: no backbone weights; put {file} under ${VARIABLE}/{folder} ({root / folder if root else 'not set'}) or "
            f"{cached.name} into {cached.parent}, or call with download=True where there is a network (from {weights.url})"
        )
    return cached


def torchvision_need(user: str, place: str, weights_name: str, download: bool) -> Need:
    """What ``find_torchvision_weights`` would find, without fetching it."""
    root = weights_folder()
    import_torchvision()
    from torchvision.models import get_weight

    weights = get_weight(weights_name)
    cached = Path(torch.hub.get_dir(), "checkpoints", weights.url.rsplit("/", 1)[-1])
    places = [path for path in (root and root / place, cached) if path and path.is_file()]
    return Need(
        user, tuple(places[:1]), weights.url, round(weights.meta["_file_size"] * 2**20), download,
        remedy=f"put it at {root or '$' + VARIABLE}/{place}",
    )  # fmt: skip
