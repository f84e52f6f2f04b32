"""G-VBSM's data densification (Shao et al., CVPR 2024): pictures of one class that are alike cost something."""

import torch
import torch.nn.functional as F
from torch import Tensor

# Side to which pictures are pooled first, in px.
SIDE = 32


def densification(pictures: Tensor, labels: Tensor, temperature: float = 4.0) -> Tensor:
    """Summed over classes, KL(softmax(l / temperature) || softmax(l)), with l the eigenvalues of the Gram matrix of a class.

    The more alike the pictures, the more one eigenvalue outweighs the others; the divergence is lowered by making them more
    equal. As published (recover/data_synthesis_with_svd_with_db_with_all_statistic.py) the first distribution has no gradient.
    Zero for one picture of a class, so at IPC 1 always. Eigenvalues of normalised pictures mostly lie tens to thousands apart,
    where both distributions name the largest one alone: of unit noise, ten pictures, it is below 1e-6.

    ``pictures``: float (N, C, S, S), in normalised units, pooled to 32 x 32 px, smaller ones by repetition: eigenvalues then
    are of one order whatever S is. ``labels``: (N,).

    Raises torch.linalg.LinAlgError for pictures that are not finite.
    """
    flat = _pooled(pictures).flatten(1)
    total = pictures.new_zeros(())
    for label in labels.unique().tolist():
        same = flat[labels == label]
        if len(same) > 1:
            values = torch.linalg.eigvalsh(same @ same.T)
            wanted = F.softmax(values.detach() / temperature, 0)
            total = total + F.kl_div(F.log_softmax(values, 0), wanted, reduction="sum")
    return total


def _pooled(pictures: Tensor) -> Tensor:
    size = pictures.shape[-1]
    if size == SIDE:
        return pictures
    # As products with a matrix: on a GPU the gradient of ``adaptive_avg_pool2d`` is not the same twice.
    weights = F.adaptive_avg_pool1d(torch.eye(size, dtype=pictures.dtype, device=pictures.device)[None], SIDE)[0]
    return weights.mT @ pictures @ weights
