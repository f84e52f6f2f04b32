"""Whether matching matches: the gradient distance of a set to the real pictures, on networks that matching never saw.

The distance that matching reports is that of the network of the moment, on random crops, and of images that were moved for
just this network. Here the networks are the same for every set, whatever its seed, and so are the real pictures: whole
sub-images, not random crops of them.
"""

import hashlib
from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor, nn

from srdistill.images.pictures import Pictures, to_float
from srdistill.images.subimages import extract_sub_images
from srdistill.networks import build_network
from srdistill.papers.dietz.class_gradients import distances, matched_weights, real_gradients
from srdistill.papers.dietz.real_gradients import network_digest
from srdistill.papers.dietz.settings import LatentMatching, Matching
from srdistill.seeds import derive_seed
from srdistill.sets.distilled_set import DistilledSet

# How many are drawn at random.
COUNT = 8
# Numbers that are kept of the real gradients, a quarter of a gigabyte.
_ROOM = 2**26
_targets: dict[tuple, list[Tensor]] = {}
# Of the seeds of runs, which the networks must not depend on: what matching draws comes from those.
_OWN = 0


def held_out_networks(network: dict, scale: int, count: int = COUNT) -> list[nn.Module]:
    """Fresh networks of the matching architecture: always the same, and none that any run of matching draws."""
    seeds = [derive_seed(_OWN, "held-out network", k) for k in range(count)]
    return [build_network(scale=scale, seed=seed, **network) for seed in seeds]


def set_distances(
    real: Pictures,
    sets: Sequence[DistilledSet],
    *,
    networks: Sequence[nn.Module],
    matching: Matching | LatentMatching,
    device: torch.device | str = "cpu",
) -> Tensor:
    """The distance of each set to the real pictures on each network, mean over the classes: (sets, networks), float64.

    ``matching`` says the distance, the scale and the sub-images. Of what was matched to the letter of the reference code
    ``rows`` is measured as well, so that the rows of a table can be compared.
    """
    device = torch.device(device)
    kind = matching.distance.removesuffix("-literal")
    networks = [network.to(device).eval() for network in networks]
    known = [network_digest(network) for network in networks]
    found = torch.zeros(len(sets), len(networks), len(real), dtype=torch.float64)
    # Class by class, so that the pixels of all real images are never in memory at once.
    for label, windows in enumerate(sub_images(real, matching, max(made.images.shape[-1] for made in sets))):
        images = [to_float(made.images).unflatten(0, (len(real), -1))[label].to(device) for made in sets]
        windows = windows.to(device)
        where = (matching.scale, kind, device, hashlib.sha256(windows.cpu().numpy().tobytes()).digest())
        for column, network in enumerate(networks):
            weights = matched_weights(network, kind)
            target = _kept((known[column], *where), lambda net=network, own=weights, hr=windows: real_gradients(
                net, own, [to_float(hr)], matching.scale
            ))  # fmt: skip
            for row, mine in enumerate(images):
                found[row, column, label] = distances(network, weights, mine[None], target, matching.scale, kind)[0]
    return found.mean(2)


def sub_images(real: Pictures, matching: Matching | LatentMatching, size: int) -> Iterator[Tensor]:
    """All sub-images of each picture, ``uint8`` (n, 3, crop, crop), of ``size`` px at least."""
    windows = extract_sub_images(real, max(matching.crop, size), matching.step)
    for label in range(len(real)):
        yield windows.of(label)


def _kept(key: tuple, compute: Callable[[], list[Tensor]]) -> list[Tensor]:
    """Real gradients, which all sets of a table share: computed once in a process, as long as they are few."""
    if key not in _targets:
        made = compute()
        held = sum(tensor.numel() for tensors in _targets.values() for tensor in tensors)
        if held + sum(tensor.numel() for tensor in made) > _ROOM:
            return made
        _targets[key] = made
    return _targets[key]
