"""What 1e-6 does in the gradient distance of super-resolution: the data of two pictures.

Dataset Condensation adds it to the product of two norms (see ``distances``). The pictures: how large those products are, layer
by layer, and where the images are pulled with it and without it.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from srdistill.images.pictures import Pictures, to_float
from srdistill.papers.dietz.class_gradients import match, matched_weights, real_gradients
from srdistill.papers.dietz.held_out import sub_images
from srdistill.papers.dietz.settings import Matching
from srdistill.sets.distilled_set import DistilledSet
from srdistill.training.gradient_distances import DISTANCES


@dataclass(frozen=True)
class Epsilon:
    """``products``: by weight, the norm of each row's real gradient times that of the synthetic one, (classes, rows).

    ``distances``: by name of the distance, the mean over classes. ``pulls``: likewise, the derivative with respect to the
    images (classes, ipc, 3, H, W): matching moves them against it. ``cosine``: between the two pulls, (classes,).
    """

    products: dict[str, Tensor]
    distances: dict[str, float]
    pulls: dict[str, Tensor]
    cosine: Tensor

    def below(self, epsilon: float = 1e-6) -> dict[str, float]:
        """By weight, the share of products that are smaller."""
        return {name: float((values < epsilon).double().mean()) for name, values in self.products.items()}


def epsilon_at_work(
    real: Pictures,
    images: DistilledSet,
    network: nn.Module,
    *,
    matching: Matching = Matching(),
    device: torch.device | str = "cpu",
) -> Epsilon:
    """What ``rows`` and ``rows-literal`` say of a set (of ``sets.downscaled``, say) on one network."""
    device = torch.device(device)
    network = network.to(device).eval()
    weights = matched_weights(network, "rows")
    windows = [to_float(part).to(device) for part in sub_images(real, matching, images.images.shape[-1])]
    theirs = real_gradients(network, weights, windows, matching.scale)
    synthetic = to_float(images.images).unflatten(0, (len(real), -1)).to(device)
    ours = real_gradients(network, weights, list(synthetic), matching.scale)
    products = {
        name: (s.flatten(2).norm(dim=-1) * r.flatten(2).norm(dim=-1)).cpu()
        for name, s, r in zip(weights[0], ours, theirs, strict=True)
    }
    pulls = {
        name: match(network, weights, synthetic, theirs, matching.scale, name)[1].cpu() for name in ("rows", "rows-literal")
    }
    found = {name: float(DISTANCES[name](ours, theirs).mean()) for name in pulls}
    cosine = F.cosine_similarity(*(pull.flatten(1) for pull in pulls.values()))
    return Epsilon(products, found, pulls, cosine)
