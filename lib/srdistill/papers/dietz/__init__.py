"""Dietz et al., *dataset distillation for image super-resolution* (tables 1 to 5, figures 3 and 4).

The method, in reading order:

``class_gradients``     gradients of a network, class by class: on real images, on synthetic ones, and the step between
``real_gradients``      the networks that are drawn, and their gradients on sub-images of real pictures
``gradient_matching``   images moved until their gradients match (tables 1 to 3)
``latent_matching``     codes of a generator moved instead of pixels (table 4)
``settings``, ``plan``, ``tables``   how the methods are set, how large a run is, and what is run for each table

How far two gradients are apart stands in ``training.gradient_distances``; what images start from on the shelves below, too:
noise, downscaled pictures and crops in ``sets``, inversion in ``priors``.
"""

from srdistill.papers.dietz.gradient_matching import gradient_matching
from srdistill.papers.dietz.latent_matching import latent_matching
from srdistill.papers.dietz.plan import PLANS
from srdistill.papers.dietz.settings import LatentMatching, Matching
from srdistill.papers.dietz.tables import TABLES, inverting, latent, matching, pretrained, prior
from srdistill.priors.inversion import gan_inversion
from srdistill.study.paper import Paper
from srdistill.study.sr import SRStudy

__all__ = [
    "PAPER", "LatentMatching", "Matching", "gan_inversion", "gradient_matching", "inverting", "latent", "latent_matching",
    "matching", "pretrained", "prior",
]  # fmt: skip

PAPER = Paper("dietz", "Dietz et al.", SRStudy, PLANS, TABLES, printed_on=("set5",))
