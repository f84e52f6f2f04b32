"""The units in which pictures are learned and published rates are given: a picture minus the mean over the spread, or
whitened.

Inside a method real and learned pictures alike are in these units, and its networks take them as they are; whoever trains on
the result gives pictures to a ``Classifier``, which normalises inside.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from srdistill.images.labelled import LabelledPictures
from srdistill.images.zca import fit_zca
from srdistill.networks.classifiers import Classifier, build_classifier


class ChannelUnits:
    """(x - mean) / std of each colour channel."""

    def __init__(self, mean: Sequence[float], std: Sequence[float]):
        self.mean, self.std = (torch.tensor(tuple(values)).view(3, 1, 1) for values in (mean, std))

    def to(self, device: torch.device) -> "ChannelUnits":
        """Itself, with its numbers on ``device``."""
        self.mean, self.std = self.mean.to(device), self.std.to(device)
        return self

    def normalised(self, pictures: Tensor) -> Tensor:
        """Float pictures (N, 3, S, S) in [0, 1] to units; differentiable."""
        return (pictures - self.mean) / self.std

    def pictures(self, units: Tensor) -> Tensor:
        """The inverse, (N, 3, S, S) in and out, not clamped."""
        return self.mean + self.std * units

    def about(self) -> dict:
        """What tells one from another, as JSON values."""
        return {"kind": "channels", "mean": self.mean.flatten().tolist(), "std": self.std.flatten().tolist()}


class WhitenedUnits:
    """Whitened pictures, by the transform of ``real``: see ``images.zca``."""

    def __init__(self, real: LabelledPictures, device: torch.device | str = "cpu"):
        self.zca, self.digest = fit_zca(real, device=device), real.digest

    def to(self, device: torch.device) -> "WhitenedUnits":
        """Itself, with its numbers on ``device``."""
        self.zca.to(device)
        return self

    def normalised(self, pictures: Tensor) -> Tensor:
        """Float pictures (N, 3, S, S) in [0, 1] to units; differentiable."""
        return self.zca.transform(pictures)

    def pictures(self, units: Tensor) -> Tensor:
        """The inverse, (N, 3, S, S) in and out, not clamped."""
        return self.zca.inverse(units)

    def about(self) -> dict:
        """What tells one from another, as JSON values."""
        return {"kind": "zca", "eps": self.zca.eps, "pictures": self.digest}


Units = ChannelUnits | WhitenedUnits


def units_of(real: LabelledPictures, zca: bool, device: torch.device) -> Units:
    """Whitened units or those of ``channel_units``, on ``device``."""
    return (WhitenedUnits(real, device) if zca else channel_units(real)).to(device)


def channel_units(real: LabelledPictures) -> ChannelUnits:
    """Those of the collection's own mean and spread, which students trained here normalise with, too."""
    return ChannelUnits(*real.statistics)


def unit_network(settings: dict, real: LabelledPictures, seed: int, device: torch.device | str = "cpu") -> Classifier:
    """A classifier of pictures in units, freshly initialised, in eval mode, without gradients of its own weights.

    ``settings``: of ``build_classifier``. Its ``mean`` is 0 and its ``std`` 1; weights depend on ``seed`` alone.

    Raises:
        ValueError: BatchNorm, whose statistics would be those of ten pictures here and of 256 there, and which a stored
        trajectory of weights does not hold. What ``build_classifier`` raises.
    """
    network = build_classifier(
        classes=real.classes, size=real.size, seed=seed, mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0), **settings
    )  # fmt: skip
    if any(isinstance(module, nn.modules.batchnorm._BatchNorm) for module in network.modules()):
        raise ValueError(
            f"matching takes networks without BatchNorm, got {settings}; give norm='instance', as the published networks have"
        )
    return network.to(device).eval().requires_grad_(False)
