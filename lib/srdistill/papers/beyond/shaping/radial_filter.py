"""A filter of eight numbers that gives small pictures the spectrum of others: a gain for each ring of frequencies.

It works on the cosine transform of a whole picture, which is the Fourier transform of the picture mirrored at its borders: no
border makes frequencies. Pictures of the world have a power that falls as a power of the frequency, on all scales (Field 1987,
"Relations between the statistics of natural images and the response properties of cortical cells"). Near one cycle per two
pixels lenses and shrinking bend that law down; noise, JPEG and the sharpening in cameras bend it up. Full-size pictures as they
are, or the law, can be the target.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

from srdistill.images.pictures import PictureError, to_float

BANDS = 8
TARGETS = ("pictures", "power law")
# Whatever the spectra say: a filter that does more than this would be seen, or lift noise.
_LEAST, _MOST = 0.5, 2.0
# Cycles per pixel between which the power law is read off: not the picture's frame, not yet the lens.
_LAW = (1 / 32, 1 / 8)
# The ring whose power the others' is measured against: below it a picture is too small to say anything.
_REFERENCE = 1
_ROUNDS = 12


@lru_cache(maxsize=64)
def _cosines(size: int) -> Tensor:
    """The orthonormal cosine transform (DCT-II) of one axis, float64 (size, size)."""
    with torch.inference_mode(False), torch.device("cpu"):
        places = torch.arange(size, dtype=torch.float64)
        matrix = torch.cos(math.pi / size * places[:, None] * (places + 0.5)) * math.sqrt(2 / size)
        matrix[0] /= math.sqrt(2)
        return matrix


def _frequencies(height: int, width: int) -> Tensor:
    """Cycles per pixel of each coefficient, over all directions: float64 (height, width), 0 to 0.71."""
    down, across = (torch.arange(side, dtype=torch.float64) / (2 * side) for side in (height, width))
    return (down[:, None] ** 2 + across**2).sqrt()


def _power(images: Tensor) -> Tensor:
    """Mean power of each coefficient over images and channels, float64 (H, W), of ``uint8`` or float (N, 3, H, W)."""
    if images.ndim != 4 or not len(images):
        raise PictureError(f"a spectrum needs one or more images (N, 3, H, W), got {tuple(images.shape)}")
    values = (to_float(images) if images.dtype == torch.uint8 else images).detach().double().cpu()
    height, width = values.shape[-2:]
    return (_cosines(height) @ values @ _cosines(width).T).square().mean((0, 1))


def _bands(height: int, width: int) -> Tensor:
    """The ring of each coefficient, int64 (height, width): ``BANDS`` of equal width up to 1/2 cycle per pixel, the corners
    with the last; -1 for the mean."""
    rings = (_frequencies(height, width) * 2 * BANDS).long().clamp(max=BANDS - 1)
    rings[0, 0] = -1
    return rings


def _over_bands(power: Tensor) -> Tensor:
    """The mean of (H, W) in every ring, (BANDS,)."""
    rings = _bands(*power.shape)
    empty = [ring for ring in range(BANDS) if not (rings == ring).any()]
    if empty:
        raise PictureError(
            f"pictures of {power.shape[0]} x {power.shape[1]} px have no frequency in ring {empty[0] + 1} of {BANDS}; "
            f"use pictures of {BANDS} px or more"
        )
    return torch.stack([power[rings == ring].mean() for ring in range(BANDS)])


def band_powers(images: Tensor) -> Tensor:
    """Mean power in each ring of frequencies, float64 (BANDS,), of images (N, 3, H, W), ``uint8`` or float in [0, 1].

    Ring k reaches from k/16 to (k + 1)/16 cycles per pixel, the last one into the corners; the mean colour is in none. White
    noise of variance v has power v in all. Raises PictureError for pictures below 8 px, and for none.
    """
    return _over_bands(_power(images))


@dataclass(frozen=True)
class RadialFilter:
    """``gains``: of the amplitude in the middle of each ring, 0.5 to 2; between them they change geometrically."""

    gains: tuple[float, ...]

    def __post_init__(self):
        object.__setattr__(self, "gains", tuple(map(float, self.gains)))
        if len(self.gains) != BANDS or not all(_LEAST <= gain <= _MOST for gain in self.gains):
            raise PictureError(
                f"a radial filter has {BANDS} gains from {_LEAST:g} to {_MOST:g}, got {self.gains}; make it with "
                "fit_radial_filter"
            )

    def response(self, height: int, width: int) -> Tensor:
        """The gain of each coefficient of the cosine transform, float64 (height, width); 1 for the mean."""
        response = _interpolated(torch.tensor(self.gains, dtype=torch.float64).log(), _frequencies(height, width)).exp()
        response[0, 0] = 1
        return response

    def __call__(self, images: Tensor) -> Tensor:
        """Float images (..., H, W) to the same, not clamped; borders are mirrored, the mean stays."""
        if all(gain == 1 for gain in self.gains):
            return images
        height, width = images.shape[-2:]
        down, across = _cosines(height).to(images.device), _cosines(width).to(images.device)
        coefficients = down @ images.double() @ across.T * self.response(height, width).to(images.device)
        return (down.T @ coefficients @ across).to(images.dtype)


def _interpolated(logs: Sequence[float] | Tensor, frequencies: Tensor) -> Tensor:
    """Values at the middles of the rings, linear between them, constant outside."""
    place = (frequencies * 2 * BANDS - 0.5).clamp(0, BANDS - 1)
    below = place.long().clamp(max=BANDS - 2)
    return torch.lerp(logs[below], logs[below + 1], place - below)


def _law(power: Tensor) -> Tensor:
    """The power law through (H, W) between the frequencies ``_LAW``, at every coefficient."""
    frequencies = _frequencies(*power.shape)
    frequencies[0, 0] = frequencies[0, 1]  # the mean is in no ring; any number does
    inside = (frequencies >= _LAW[0]) & (frequencies <= _LAW[1])
    if int(inside.sum()) < 8:
        raise PictureError(
            f"pictures of {power.shape[0]} x {power.shape[1]} px have too few low frequencies for a power law; "
            "use 24 px or more"
        )
    x, y = frequencies[inside].log(), power[inside].clamp(min=1e-12).log()
    slope = ((x - x.mean()) * (y - y.mean())).sum() / (x - x.mean()).square().sum()
    return (y.mean() + slope * (frequencies.log() - x.mean())).exp()


def fit_radial_filter(images: Tensor, like: Tensor, amount: float, target: str = "pictures") -> RadialFilter:
    """The filter that gives ``images`` the shape of spectrum that ``like`` has, both (N, 3, S, S), ``uint8`` or in [0, 1].

    Shape alone: the two lowest rings, up to 1/8 cycle per pixel, have a gain of 1, so that contrast stays; the others are
    matched in proportion to the second. ``amount`` from 0 (nothing) to 1 (all of it) is the power that the gains are raised
    to. ``target``: ``pictures`` is the spectrum of ``like`` as it is; ``power law`` the straight line through its low
    frequencies in a log-log plot, continued: what pictures equal on all scales would have. Gains are bounded by 0.5 and 2,
    beyond which the target is missed; rings without power stay.

    Raises PictureError for images of two sizes, or an amount or target that there is not.
    """
    if target not in TARGETS:
        raise PictureError(f"unknown target {target!r} of a radial filter; there are: {', '.join(TARGETS)}")
    if not 0 <= amount <= 1:
        raise PictureError(f"the amount of a radial filter is 0 to 1, got {amount}")
    if images.shape[-2:] != like.shape[-2:]:
        raise PictureError(
            f"images of {tuple(images.shape[-2:])} and {tuple(like.shape[-2:])} px have other frequencies; cut both to one size"
        )
    power, wanted = _power(images), _power(like)
    goal = _over_bands(_law(wanted) if target == "power law" else wanted)
    frequencies = _frequencies(*power.shape)
    logs = torch.zeros(BANDS, dtype=torch.float64)
    for _ in range(_ROUNDS):  # gains change within a ring, power too: a few rounds settle what one division leaves
        have = _over_bands(power * (2 * _interpolated(logs, frequencies)).exp())
        missing = (goal.clamp(min=1e-12) / have.clamp(min=1e-12)).log() / 2
        missing = torch.where(have > 1e-12, missing - missing[_REFERENCE], 0.0)
        logs = (logs + missing).clamp(math.log(_LEAST), math.log(_MOST))
        logs[: _REFERENCE + 1] = 0
    gains = (amount * logs).exp().clamp(_LEAST, _MOST)
    return RadialFilter(tuple(gains.tolist()))
