"""Random crops of a whole collection: table 3's first row of "Dataset Distillation for Super-Resolution without Class
Labels and Pre-trained Models", and the control of every method that picks patches."""

import random
from bisect import bisect_right
from itertools import accumulate

import torch

from srdistill.images.pictures import PictureError, Pictures
from srdistill.seeds import derive_seed
from srdistill.sets.distilled_set import DistilledSet, SelectionError


def random_patches(real: Pictures, *, count: int, size: int, generator: torch.Generator) -> DistilledSet:
    """``count`` different crops of ``size`` x ``size`` px from all pictures together, every position equally likely.

    Unlike ``random_crops``, which takes as many from each picture: here a large picture gives more. Labels are source
    pictures.

    Raises:
        SelectionError: ``count`` is less than 1 or more than there are positions. PictureError: a picture is too small.
    """
    if size < 1:
        raise PictureError(f"the patch size must be 1 px or more, got {size}")
    real.require(size, f"the patches of {size} px")
    ends = list(accumulate((image.shape[1] - size + 1) * (image.shape[2] - size + 1) for image in real.images))
    total = ends[-1] if ends else 0
    if not 1 <= count <= total:
        raise SelectionError(f"count must be 1 to {total}, the positions of {size} px crops in the pictures, got {count}")
    # Billions of positions in a large collection: random.sample draws among them without listing them.
    draws = random.Random(derive_seed(generator.initial_seed(), "random patches"))
    images, labels = [], []
    for position in draws.sample(range(total), count):
        label = bisect_right(ends, position)
        image = real.images[label]
        top, left = divmod(position - (ends[label - 1] if label else 0), image.shape[2] - size + 1)
        images.append(image[:, top : top + size, left : left + size])
        labels.append(label)
    return DistilledSet(torch.stack(images), torch.tensor(labels), real.names, "random_patches", {"count": count, "size": size})
