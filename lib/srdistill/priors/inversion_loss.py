"""What inversion minimises: ``published`` as Dietz et al. do, or ``highpass``, which sees the upper octave.

``published``: MSE in [-1, 1] units of both pictures area-downsampled to 256 px, or to half their size if that is less
(protocol notes 4.1 and 4.2: PTI, StyleGAN-XL's run_inversion; those use VGG-LPIPS alone in the first stage, so give a
perceptual distance to come near). ``highpass``: at full size, mean |x - y| + mean |H(x - y)| with H = 1 - U2 D2 (4.3).
"""

from collections.abc import Callable

import torch.nn.functional as F
from torch import Tensor

from srdistill.measures.spectrum import high_pass

# The public codes show their losses pictures of this side.
_SEEN = 256

Perceptual = Callable[[Tensor, Tensor], Tensor]


def inversion_loss(loss: str, perceptual: Perceptual | None, weight: float) -> Perceptual:
    """The loss per picture, (n,), of float images (n, 3, size, size) made and wanted.

    ``perceptual``: a differentiable distance of two float batches in [-1, 1], added with its ``weight``; it sees pictures of
    the size that ``loss`` sees.
    """

    def objective(made: Tensor, wanted: Tensor) -> Tensor:
        if loss == "published":
            side = min(_SEEN, made.shape[-1] // 2)
            made, wanted = (F.interpolate(images, (side, side), mode="area") for images in (made, wanted))
            value = 4 * (made - wanted).square().mean((1, 2, 3))
        else:
            difference = made - wanted
            value = difference.abs().mean((1, 2, 3)) + high_pass(difference).abs().mean((1, 2, 3))
        if perceptual is not None:
            value = value + weight * perceptual(made * 2 - 1, wanted * 2 - 1).flatten()
        return value

    return objective
