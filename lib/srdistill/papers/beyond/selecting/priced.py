"""Candidate B, bytes: as much of a set as fits into the bytes that another one takes.

Sets of equal pixels differ in bytes, which are what storing and sending costs. Every set is coded as well as it can be, in
mosaics, each image at its cheapest coding (``sets.coded_set``).
"""

from dataclasses import replace

import torch
from torch import Tensor

from srdistill.images.pictures import Pictures
from srdistill.sets.coded_set import coded, encoded_bytes, within_bytes
from srdistill.sets.coding import Coding, encode
from srdistill.sets.distilled_set import DistilledSet, SelectionError


def lossless_bytes(tiles: Tensor) -> Tensor:
    """Bytes of each of ``uint8`` (N, 3, t, t) tiles as a file of its own, lossless WebP: float64 (N,)."""
    return torch.tensor([len(encode(tile, Coding("webp"))) for tile in tiles], dtype=torch.float64)


def priced(
    real: Pictures,
    *,
    source: DistilledSet,
    like: DistilledSet,
    scale: int,
    share: float,
    generator: torch.Generator,
    ordered: bool = False,
) -> DistilledSet:
    """As many images of ``source`` as fit into the bytes that ``like`` takes without loss, as they come back from their coding.

    ``source``: square images, ``uint8`` (N, 3, S, S), more than can fit; their size and settings stay. ``ordered``: the first
    ones, where these are the most useful; else random ones. ``share``: of the energy of the residual of bicubic x``scale``, the
    largest that the error of an image may have; 0 is lossless. Added to the settings: ``price``, the bytes of ``like``, and
    what ``coded`` adds. Of ``real`` nothing is taken.

    Raises:
        SelectionError: all images fit. SetError: not even one does. CodingError: a share below 0.
    """
    price = encoded_bytes(like.images, scale=scale, share=0.0)
    order = torch.arange(len(source)) if ordered else torch.randperm(len(source), generator=generator)
    count = within_bytes(source.images[order], price, scale=scale, share=share)
    if count == len(source):
        raise SelectionError(
            f"all {count} images of {source.method} fit into {price:,} bytes; give it a larger budget, so that none is wasted"
        )
    kept = order[:count]
    some = replace(source, images=source.images[kept], labels=source.labels[kept], snapshots={}, latents={})
    made, _ = coded(some, scale=scale, share=share)
    return replace(made, settings=made.settings | {"price": price})
