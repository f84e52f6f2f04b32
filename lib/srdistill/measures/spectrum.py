"""How much of the finest detail a copy of a picture keeps: the octave that an SR network at x2 has to learn.

Bicubic halving and doubling, U2 D2, loses the upper octave; what is left of a picture after that is taken away is the
detail that x2 super-resolution is about. A generator that looks right may lack it, or make up another one.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from srdistill.images.pictures import PictureError, to_float
from srdistill.measures.detail import lost_detail, recovered_psnr


def high_pass(images: Tensor) -> Tensor:
    """x - U2 D2 x of float images (..., H, W) with even sides: linear, differentiable, zero mean up to the borders."""
    return lost_detail(images, 2)


def power_spectrum(images: Tensor) -> tuple[Tensor, Tensor]:
    """Radial power spectrum of square images (N, 3, S, S), mean over images, channels and directions.

    Each channel loses its mean and is faded out at the borders (Hann), so that the wrap-around makes no frequencies.

    Returns:
        Frequencies (S // 2,) in cycles per pixel, 1/S to 1/2 (the upper octave is above 1/4), and the power at each (S // 2,),
        float64; white noise of variance v has power v.

    Raises PictureError: images that are not square.
    """
    if images.ndim != 4 or images.shape[-1] != images.shape[-2]:
        raise PictureError(f"a spectrum needs square images (N, 3, S, S), got {tuple(images.shape)}")
    side = images.shape[-1]
    values = (to_float(images) if images.dtype == torch.uint8 else images).detach().double()
    window = torch.hann_window(side, periodic=False, dtype=torch.float64, device=values.device)
    window = window[:, None] * window
    values = (values - values.mean((-2, -1), keepdim=True)) * window
    power = torch.fft.fft2(values).abs().square().flatten(0, -3).mean(0) / window.square().sum()
    axis = torch.fft.fftfreq(side, device=values.device, dtype=torch.float64) * side
    ring = (axis[:, None] ** 2 + axis**2).sqrt().round().long().clamp(max=side // 2 + 1).flatten()
    total = torch.zeros(side // 2 + 2, dtype=torch.float64, device=values.device).index_add_(0, ring, power.flatten())
    rings = slice(1, side // 2 + 1)
    frequencies = torch.arange(side // 2 + 2, dtype=torch.float64)[rings] / side
    return frequencies, (total / ring.bincount(minlength=side // 2 + 2))[rings].cpu()


@dataclass(frozen=True)
class UpperOctave:
    """What N copies keep of the upper octave of N real pictures.

    ``kept``: (N,) energy of the copy's high pass as a share of the real one's; 1 is right, 0 is smooth, above 1 too much.
    ``explained``: (N,) 1 - |H(copy) - H(real)|^2 / |H(real)|^2; 1 is the same detail, 0 no better than none, below 0
    detail of its own. ``smoothness``, ``smoothness_real``: (N,) ``recovered_psnr`` at x2, in dB: the higher, the less there
    is for x2 super-resolution to learn.
    """

    kept: Tensor
    explained: Tensor
    smoothness: Tensor
    smoothness_real: Tensor


def upper_octave(images: Tensor, real: Tensor) -> UpperOctave:
    """Compare copies with the real pictures, both (N, 3, H, W), ``uint8`` or float in [0, 1], sides even.

    The spectrum check of the study's protocol (section 4.3): inversions are fitted to pictures seen at half size, so
    nothing there holds on to this band. Raises PictureError if the shapes differ.
    """
    if images.shape != real.shape or images.ndim != 4:
        raise PictureError(f"copies {tuple(images.shape)} and real pictures {tuple(real.shape)} must both be (N, 3, H, W)")
    found = []
    for pictures in (images, real):
        values = (to_float(pictures) if pictures.dtype == torch.uint8 else pictures.detach()).double()
        found.append((high_pass(values), recovered_psnr(values, 2)))
    (ours, smoothness), (theirs, smoothness_real) = found
    energy = theirs.square().sum((1, 2, 3)).clamp(min=math.ulp(0.0))
    return UpperOctave(
        ours.square().sum((1, 2, 3)) / energy,
        1 - (ours - theirs).square().sum((1, 2, 3)) / energy,
        smoothness,
        smoothness_real,
    )
