"""The networks that gradient matching draws, and their gradients on real images: shared by pixel and latent space."""

import hashlib
from collections.abc import Iterable, Iterator

import torch
from torch import Tensor, nn

from srdistill.images.crops import CropBank, d4
from srdistill.images.pictures import Pictures, to_float
from srdistill.images.subimages import SubImages, extract_sub_images
from srdistill.networks import build_network
from srdistill.papers.dietz.class_gradients import Weights, matched_weights, real_gradients
from srdistill.papers.dietz.settings import LatentMatching, Matching
from srdistill.seeds import derive_seed, generator_for

# Real images go through in groups of about this many HR pixels.
_GROUP_PIXELS = 2**24
# The gradients that a fixed network was last asked for, by flip, and what they depend on.
_last: dict[str, object] = {}


def network_digest(network: nn.Module) -> bytes:
    """A hash of its layers and weights."""
    found = hashlib.sha256(str(network).encode())
    for name, tensor in network.state_dict().items():
        found.update(name.encode() + tensor.cpu().contiguous().numpy().tobytes())
    return found.digest()


class RealGradients:
    """The networks of the iterations and their gradients on real images.

    ``network``: settings of ``build_network``, for one drawn anew every iteration, which sees random crops of ``size`` px; or
    a module that stays as it is and sees whole sub-images.

    Raises:
        PictureError: a picture is smaller than ``size`` or ``matching.crop``.
    """

    def __init__(
        self,
        real: Pictures,
        network: dict | nn.Module | None,
        matching: Matching | LatentMatching,
        *,
        size: int,
        seed: int,
        device: torch.device,
    ):
        self.settings = {"architecture": "SRCNN"} if network is None else network
        self.fixed = network.to(device).eval() if isinstance(network, nn.Module) else None
        self.matching, self.size, self.seed, self.device = matching, size, seed, device
        self.windows: SubImages = extract_sub_images(real, max(matching.crop, size), matching.step)
        self.names = real.names
        self.bank = CropBank(real.images, device)
        self.per_class = self.windows.labels.bincount(minlength=len(real)).tolist()
        self._kept = self._kept_for(real) if self.fixed is not None else {}

    @property
    def described(self) -> dict | str:
        """The network, for the settings of a set."""
        return self.settings if self.fixed is None else "trained and fixed"

    def flip(self, k: int) -> int:
        """The flip or quarter turn of iteration ``k``, 0 to 7."""
        draws = generator_for(self.seed, "flip", k)
        return int(torch.randint(8, (), generator=draws)) if self.matching.flips else 0

    def network(self, k: int) -> tuple[nn.Module, tuple[Weights, Weights]]:
        """The network of iteration ``k`` and its weights: matched ones, others."""
        net = self.fixed
        if net is None:
            drawn = derive_seed(self.seed, "network", k)
            net = build_network(scale=self.matching.scale, seed=drawn, **self.settings).to(self.device)
        return net, matched_weights(net, self.matching.distance)

    def gradients(self, net: nn.Module, weights, k: int, t: int, element: int) -> list[Tensor]:
        """Of the matched weights, (C, *shape) each, for C classes.

        Computed once per flip if the network never changes, whoever asks.
        """
        if self.fixed is None or t > 0:
            return self._compute(net, weights, self._crops(k, t, element))
        if element not in self._kept:
            labels = range(len(self.per_class))
            whole = (d4(to_float(self.windows.of(label)).to(self.device), element) for label in labels)
            self._kept[element] = self._compute(net, weights, whole)
        return self._kept[element]

    def _kept_for(self, real: Pictures) -> dict[int, list[Tensor]]:
        """The gradients by flip: those of the last instance if all that they depend on is the same.

        They depend on no seed, so the sets of several seeds, and of several starts, share them.
        """
        windows = (real.digest, self.windows.crop, self.matching.step)
        key = (network_digest(self.fixed), windows, self.matching.scale, self.matching.distance, self.device)
        if _last.get("key") != key:
            _last.update(key=key, gradients={})
        return _last["gradients"]

    def _compute(self, net: nn.Module, weights, classes: Iterable[Tensor]) -> list[Tensor]:
        """Group by group, so that the pixels of all real images are never in memory at once."""
        parts, group, pixels = [], [], 0
        for images in classes:
            group.append(images)
            pixels += images.shape[0] * images.shape[-1] ** 2
            if pixels >= _GROUP_PIXELS:
                parts.append(real_gradients(net, weights, group, self.matching.scale))
                group, pixels = [], 0
        if group:
            parts.append(real_gradients(net, weights, group, self.matching.scale))
        return [torch.cat(tensors) for tensors in zip(*parts, strict=True)]

    def _crops(self, k: int, t: int, element: int) -> Iterator[Tensor]:
        """One random crop of ``size`` px in each sub-image, class by class (n, 3, size, size)."""
        draws = generator_for(self.seed, "real", k, t)
        room = self.windows.crop - self.size + 1
        shift = (torch.rand(2, len(self.windows), generator=draws, dtype=torch.float64) * room).long()
        order = torch.rand(len(self.windows), generator=draws)
        start = 0
        for count in self.per_class:
            chosen = start + order[start : start + count].argsort()[: self.matching.batch_real].sort().values
            start += count
            pixels = self.bank.crop(
                self.windows.labels[chosen],
                self.windows.top[chosen] + shift[0, chosen],
                self.windows.left[chosen] + shift[1, chosen],
                self.size,
                torch.full_like(chosen, element),
            )
            yield to_float(pixels).contiguous()
