"""Pictures as bytes: lossless, or lossy as far as little is lost of what super-resolution has to learn.

A pixel of a tile costs 1.0 to 1.7 bytes as lossless WebP, and less than half of it as JPEG of quality 95. What that takes away
matters only beside what a student is to restore, so the error's energy is given as a share of the energy of the residual of
bicubic enlargement (``measures.detail``). The same picture gives the same bytes with the same Pillow.
"""

import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from srdistill.images.convention import mod_crop
from srdistill.measures.detail import restored

LOSSLESS = 0
# What ``cheapest`` tries.
QUALITIES = (LOSSLESS, 95, 90, 85, 80)
FORMATS = ("webp", "jpeg")
_SUFFIXES = {"png": ".png", "webp": ".webp", "jpeg": ".jpg", "avif": ".avif"}


class CodingError(ValueError):
    """A format, quality or share that means nothing, or bytes that are no picture; the message names it and the remedy."""


@dataclass(frozen=True, order=True)
class Coding:
    """How a picture becomes bytes.

    ``format``: png, webp, jpeg or avif. ``quality``: 1 to 100, or ``LOSSLESS``, which only png and webp have; png has nothing
    else. Colour is not subsampled in jpeg and avif; lossy webp knows only half the resolution for it (4:2:0).
    """

    format: str = "png"
    quality: int = LOSSLESS

    def __post_init__(self):
        if self.format not in _SUFFIXES:
            raise CodingError(f"unknown format {self.format!r} of pictures; there are: {', '.join(_SUFFIXES)}")
        if not 0 <= self.quality <= 100:
            raise CodingError(f"quality must be 1 to 100, or 0 for lossless, got {self.quality}")
        if self.format == "png" and self.quality != LOSSLESS:
            raise CodingError(f"png is always lossless, got quality {self.quality}; use quality 0, or webp, jpeg or avif")
        if self.format in ("jpeg", "avif") and self.quality == LOSSLESS:
            raise CodingError(f"{self.format} is not lossless here; give a quality of 1 to 100, or use png or webp")

    @property
    def lossless(self) -> bool:
        """Whether every pixel comes back."""
        return self.quality == LOSSLESS

    @property
    def name(self) -> str:
        """For people: ``webp lossless``, ``jpeg q90``."""
        return f"{self.format} lossless" if self.lossless else f"{self.format} q{self.quality}"

    @property
    def suffix(self) -> str:
        """Of files, with the dot."""
        return _SUFFIXES[self.format]

    @property
    def _options(self) -> dict:
        """What Pillow is told."""
        if self.format == "jpeg":
            # Huffman tables of its own: some percent smaller, the same pixels. Progressive files of tiles are larger.
            return {"quality": self.quality, "subsampling": 0, "optimize": True}
        if self.format == "avif":
            return {"quality": self.quality, "subsampling": "4:4:4", "speed": 6, "max_threads": 1}
        if self.format == "webp" and self.lossless:
            # Measured on photographs: the most effort (method 6, quality 100) takes 60 times as long and saves nothing.
            return {"lossless": True, "method": 4, "quality": 80}
        return {"quality": self.quality, "method": 6} if self.format == "webp" else {}


@dataclass(frozen=True)
class Coded:
    """A picture as bytes, what coded it, and the energy of the error as a share of the residual's (infinite for any error in
    a picture that bicubic restores without one)."""

    data: bytes
    coding: Coding
    error_share: float


def encode(image: Tensor, coding: Coding) -> bytes:
    """The bytes of a ``uint8`` (3, H, W) image. Raises CodingError: a picture too large for its format."""
    buffer = io.BytesIO()
    pixels = np.ascontiguousarray(image.permute(1, 2, 0).numpy())
    try:
        Image.fromarray(pixels).save(buffer, coding.format.upper(), **coding._options)
    except (KeyError, OSError, ValueError) as error:
        raise CodingError(
            f"{pixels.shape[0]} x {pixels.shape[1]} px cannot be coded as {coding.name} ({error}); use a smaller picture or png"
        ) from error
    return buffer.getvalue()


def decode(data: bytes) -> Tensor:
    """The ``uint8`` (3, H, W) image in a file's bytes. Raises CodingError if they are none."""
    try:
        with Image.open(io.BytesIO(data)) as file:
            return torch.from_numpy(np.array(file.convert("RGB"))).permute(2, 0, 1).contiguous()
    except (OSError, SyntaxError, ValueError) as error:
        raise CodingError(f"{len(data)} bytes that are no picture, or a damaged one ({error}); make the file again") from error


def residual_energy(image: Tensor, scale: int) -> float:
    """Mean square of y - U D y over the values of a ``uint8`` (3, H, W) image, in squared levels (0 to 65025): the detail
    that super-resolution by ``scale`` is to learn. Rows and columns beyond a multiple of ``scale`` do not count."""
    whole = mod_crop(image, scale)
    return float((whole.float() - restored(whole, scale).float()).square().mean(dtype=torch.float64))


def error_share(image: Tensor, decoded: Tensor, scale: int) -> float:
    """Energy of ``decoded`` - ``image`` (``uint8`` (3, H, W)) as a share of ``residual_energy``; 0 where they are equal."""
    error = float((image.float() - decoded.float()).square().mean(dtype=torch.float64))
    residual = residual_energy(image, scale)
    return error / residual if residual else (0.0 if not error else float("inf"))


def cheapest(
    image: Tensor,
    scale: int,
    share: float,
    qualities: Sequence[int] = QUALITIES,
    formats: Sequence[str] = FORMATS,
) -> Coded:
    """The smallest coding of a ``uint8`` (3, H, W) image whose error has at most ``share`` of its residual's energy.

    Each of ``formats`` is tried with each of ``qualities`` that it has; lossy webp, whose colour is subsampled, is not tried.
    Lossless is always among them, so there is an answer: for a flat tile, which has no residual, it is the only one.

    Raises:
        CodingError: a ``share`` below 0, or no lossless coding among those asked for.
    """
    if not share >= 0:
        raise CodingError(f"share of the residual's energy must be 0 or more, got {share}; 0 is lossless, 0.05 a usual one")
    codings = _codings(qualities, formats)
    found = [Coded(encode(image, coding), coding, 0.0) for coding in codings if coding.lossless]
    if not found:
        raise CodingError(
            f"no lossless coding in formats {', '.join(formats)} with qualities {', '.join(map(str, qualities))}; "
            f"add png or webp, and quality {LOSSLESS}: no lossy coding suits every picture"
        )
    allowed = share * residual_energy(image, scale)
    for coding in codings if allowed else ():
        if coding.lossless:
            continue
        data = encode(image, coding)
        lost = error_share(image, decode(data), scale)
        if lost <= share:
            found.append(Coded(data, coding, lost))
    return min(found, key=lambda coded: (len(coded.data), coded.error_share))


def _codings(qualities: Sequence[int], formats: Sequence[str]) -> list[Coding]:
    lossy = [Coding(format, quality) for format in formats for quality in qualities
             if quality != LOSSLESS and format not in ("png", "webp")]  # fmt: skip
    lossless = [Coding(format) for format in formats if format in ("png", "webp") and LOSSLESS in qualities]
    unknown = [format for format in formats if format not in _SUFFIXES]
    return [Coding(format) for format in unknown] + lossless + lossy
