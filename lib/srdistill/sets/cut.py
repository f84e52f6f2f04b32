"""A set at a smaller pixel budget: one window of each of its images."""

import torch

from srdistill.images.pictures import Pictures
from srdistill.seeds import generator_for
from srdistill.sets.distilled_set import DistilledSet
from srdistill.sets.windows import draw_windows


def cut(real: Pictures, *, size: int, generator: torch.Generator, source: DistilledSet) -> DistilledSet:
    """A uniformly placed window of ``size`` x ``size`` px of every image of ``source``, unchanged.

    It puts sets of different image sizes on one budget: Dietz et al. compare 192 px images made in pixel space with 512 px
    images of a generator, which have 7.1 times as many pixels. ``real`` is not looked at.

    Raises PictureError if the images are smaller than ``size``.
    """
    images = Pictures(tuple(source.images), tuple(source.names[label] for label in source.labels.tolist()))
    sides = torch.full((len(images), 1), size)
    windows = draw_windows(images, size, sides, generator_for(generator.initial_seed(), "cut"))
    return DistilledSet(
        torch.stack([window for _, window in windows]),
        source.labels.clone(),
        source.names,
        "cut",
        {"size": size, "source": source.method} | {f"source {name}": value for name, value in source.settings.items()},
    )
