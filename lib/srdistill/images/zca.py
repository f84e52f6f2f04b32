"""ZCA whitening: pixels are made all but uncorrelated, and pictures still look like pictures (Krizhevsky 2009, appendix A).

Trajectory matching distils some of its sets in this space, by kornia's transform with eps 0.1, of [0, 1] pixels without the
usual mean and deviation of colours (GeorgeCazenavette/mtt-distillation, utils.py).
"""

import torch
from torch import Tensor, nn

from srdistill.images.labelled import LabelledPictures
from srdistill.images.pictures import PictureError, to_float

EPS = 0.1
_PART = 1024  # pictures at a time


class ZCA(nn.Module):
    """x -> (x - mean) T, T = U diag((S + eps)^-1/2) U', where U diag(S) U' is the covariance of the pictures it was fitted to.

    What it makes of those pictures has the covariance U diag(S / (S + eps)) U'. Like any module it is moved by ``to``; its
    numbers are no weights, and in no ``state_dict``.

    Args:
        mean: (D,), D = 3 * size * size values of a picture. covariance: (D, D), float64. size: side of the pictures in px.
    """

    def __init__(self, mean: Tensor, covariance: Tensor, size: int, eps: float = EPS):
        super().__init__()
        if not eps > 0:
            raise ValueError(f"whitening: eps must be positive, got {eps}; directions without variance would be divided by it")
        self.size, self.eps = size, eps
        values, vectors = torch.linalg.eigh(covariance)
        # Rounding can make a zero negative.
        spread = (values.clamp(min=0) + eps).sqrt()
        for name, tensor in {
            "mean": mean, "forth": vectors / spread @ vectors.T, "back": vectors * spread @ vectors.T
        }.items():  # fmt: skip
            self.register_buffer(name, tensor.float(), persistent=False)

    def transform(self, images: Tensor) -> Tensor:
        """Float pictures (N, 3, size, size) in [0, 1] to whitened ones of the same shape; differentiable."""
        return ((self._flat(images) - self.mean) @ self.forth).view(images.shape)

    def inverse(self, images: Tensor) -> Tensor:
        """Whitened pictures (N, 3, size, size) to float ones of the same shape, not clamped; differentiable."""
        return (self._flat(images) @ self.back + self.mean).view(images.shape)

    def _flat(self, images: Tensor) -> Tensor:
        if not images.is_floating_point() or tuple(images.shape[1:]) != (3, self.size, self.size):
            raise PictureError(
                f"this whitening takes float pictures (N, 3, {self.size}, {self.size}), got {images.dtype} "
                f"{tuple(images.shape)}; fit one to pictures of their size"
            )
        return images.flatten(1)


def fit_zca(real: LabelledPictures, *, eps: float = EPS, device: torch.device | str = "cpu") -> ZCA:
    """The whitening of pictures like ``real``, in [0, 1], on the CPU; ``device``: where it is computed, in float64.

    It takes a D x D matrix, D = 3 * size * size: 75 MB at 32 px, 1.2 GB at 64 px.

    Raises PictureError: fewer than two pictures, which have no covariance.
    """
    if len(real) < 2:
        raise PictureError(f"{real.name}: whitening needs two or more pictures, got {len(real)}")
    values = 3 * real.size**2
    total = torch.zeros(values, dtype=torch.float64, device=device)
    for part in real.images.split(_PART):
        total += _values(part, device).sum(0)
    mean = total / len(real)
    products = torch.zeros(values, values, dtype=torch.float64, device=device)
    # Centred before it is squared: the other way round loses digits.
    for part in real.images.split(_PART):
        centred = _values(part, device) - mean
        products.addmm_(centred.T, centred)
    return ZCA(mean, products / (len(real) - 1), real.size, eps).cpu()


def _values(images: Tensor, device: torch.device | str) -> Tensor:
    return to_float(images.to(device)).flatten(1).double()
