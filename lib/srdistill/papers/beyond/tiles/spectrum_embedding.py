"""Tiles by their spectrum: how much energy lies at which frequency in which direction.

Of the luma, which says what the tile shows, and of what bicubic does not bring back of it, which says what a network learns
from it. It costs two small Fourier transforms a tile and needs no network.
"""

import math
from functools import lru_cache, partial

import torch
from torch import Tensor

from srdistill.measures.detail import lost_detail
from srdistill.papers.beyond.tiles.tile_embedding import Embedding
from srdistill.sets.distilled_set import SelectionError

# Rec. 601, the weights of red, green and blue.
_LUMA = (0.299, 0.587, 0.114)
# Squared levels per pixel: below the noise of rounding to 8 bits (1/12), so that flat bands do not tell tiles apart.
_FLOOR = 0.01


def luma(tiles: Tensor) -> Tensor:
    """``uint8`` (N, 3, h, w) to float32 (N, h, w) in 0..255, Rec. 601."""
    return (tiles.float() * torch.tensor(_LUMA).view(3, 1, 1)).sum(1)


def band_energies(values: Tensor, rings: int = 8, sectors: int = 4) -> Tensor:
    """Energy per pixel of float (N, t, t) in ``rings`` x ``sectors`` bands of its Fourier transform: (N, rings * sectors).

    Each tile loses its mean and is faded out at its borders (Hann). Rings have equal width between 0 and 1/2 cycles a pixel;
    the corners of the spectrum, beyond 1/2, belong to the last one. Sectors are equal angles of half a turn, the first around
    horizontal frequencies (vertical stripes). White noise of variance v has v in all bands together.
    """
    side = values.shape[-1]
    window = torch.hann_window(side, periodic=False)
    window = window[:, None] * window
    values = (values - values.mean((-2, -1), keepdim=True)) * window
    power = torch.fft.rfft2(values).abs().square() / (window.square().sum() * side**2)
    return power.flatten(1) @ _bands(side, rings, sectors)


@lru_cache(maxsize=16)
def _bands(side: int, rings: int, sectors: int) -> Tensor:
    """(side * (side // 2 + 1), rings * sectors): how often each bin of ``rfft2`` counts in each band."""
    with torch.inference_mode(False):
        down, across = torch.fft.fftfreq(side), torch.fft.rfftfreq(side)
        radius = (down[:, None] ** 2 + across**2).sqrt()
        ring = (radius * 2 * rings).long().clamp(max=rings - 1)
        # Half a sector before the first, so that stripes along the axes lie in the middle of one.
        angle = torch.atan2(down[:, None], across[None]) + math.pi / (2 * sectors)
        sector = (angle % math.pi * sectors / math.pi).long().clamp(max=sectors - 1)
        # Columns between the first and, for even sides, the last stand for their mirror images, too.
        twice = torch.full_like(radius, 2.0)
        twice[:, 0] = 1
        if side % 2 == 0:
            twice[:, -1] = 1
        twice[0, 0] = 0
        place = (ring * sectors + sector).flatten()
        return torch.zeros(len(place), rings * sectors).scatter_(1, place[:, None], twice.flatten()[:, None])


def _features(tiles: Tensor, scale: int, rings: int, sectors: int) -> Tensor:
    values = luma(tiles)
    parts = [band_energies(part, rings, sectors) for part in (values, lost_detail(values, scale))]
    return torch.log10(torch.cat(parts, 1) + _FLOOR)


def spectrum_embedding(scale: int, rings: int = 8, sectors: int = 4) -> Embedding:
    """Logarithms of ``band_energies`` of the luma and of its bicubic residual at ``scale``: 2 * rings * sectors features.

    Tiles must have sides that ``scale`` divides (ScaleError). Raises SelectionError for less than one ring or sector.
    """
    if rings < 1 or sectors < 1:
        raise SelectionError(f"rings and sectors must be 1 or more, got {rings} and {sectors}")
    return Embedding("spectrum", partial(_features, scale=scale, rings=rings, sectors=sectors), standardise=True)
