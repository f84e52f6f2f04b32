"""PSNR and SSIM per image, batched on the device, as BasicSR defines them.

All functions take ``uint8`` or float-in-[0, 1] images (N, 3, H, W), round floats to 8 bits as a saved picture would be,
cut ``shave`` pixels off each border, and return float64 (N,).
"""

import math

import torch
from torch import Tensor

from srdistill.images.blur import blur, gaussian
from srdistill.images.pictures import to_uint8


def _levels(images: Tensor, shave: int, luma: bool) -> Tensor:
    """Float64 values on the 0..255 scale, shaved; Y of ITU-R BT.601 (MATLAB rgb2ycbcr, 16..235) if ``luma``."""
    if images.ndim != 4 or images.shape[1] != 3:
        raise ValueError(f"expected images of shape (N, 3, H, W), got {tuple(images.shape)}")
    if images.dtype != torch.uint8:
        images = to_uint8(images)
    if shave:
        images = images[..., shave:-shave, shave:-shave]
    images = images.to(torch.float64)
    if luma:
        weights = images.new_tensor([65.481, 128.553, 24.966]) / 255.0
        images = (images * weights[:, None, None]).sum(1, keepdim=True) + 16.0
    return images


def psnr(prediction: Tensor, truth: Tensor, shave: int = 0, luma: bool = False) -> Tensor:
    """Peak signal-to-noise ratio in dB; infinite for equal images.

    Of (N, 3, H, W), ``uint8`` or float in [0, 1], to float64 (N,). Raises ValueError: images of another shape.
    """
    error = _levels(prediction, shave, luma) - _levels(truth, shave, luma)
    return 20.0 * math.log10(255.0) - 10.0 * torch.log10(error.square().mean((1, 2, 3)))


SSIM_WINDOW = 11


def _blur(images: Tensor) -> Tensor:
    return blur(images, gaussian(SSIM_WINDOW // 2, 1.5))


def ssim(prediction: Tensor, truth: Tensor, shave: int = 0, luma: bool = False) -> Tensor:
    """Structural similarity: 11 x 11 Gaussian window, sigma 1.5, valid region, per channel, then the mean.

    Of (N, 3, H, W), ``uint8`` or float in [0, 1], to float64 (N,). Raises ValueError: images of another shape, or smaller than
    the window after shaving.
    """
    x, y = _levels(prediction, shave, luma), _levels(truth, shave, luma)
    if min(x.shape[-2:]) < SSIM_WINDOW:
        raise ValueError(f"SSIM needs {SSIM_WINDOW} px on each side after shaving, got {tuple(x.shape[-2:])}")
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    mean_x, mean_y = _blur(x), _blur(y)
    var_x = _blur(x * x) - mean_x**2
    var_y = _blur(y * y) - mean_y**2
    covariance = _blur(x * y) - mean_x * mean_y
    luminance = (2 * mean_x * mean_y + c1) / (mean_x**2 + mean_y**2 + c1)
    structure = (2 * covariance + c2) / (var_x + var_y + c2)
    return (luminance * structure).mean((1, 2, 3))
