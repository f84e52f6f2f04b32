"""A decoder that nobody trained, as a control: is it the generator's knowledge that helps, or that pictures are codes at all?

GLaD's own code has it as ``--rand_gan_con``; the coreset paper's tables leave it out.
"""

import torch

from srdistill.priors.autoencoder import AutoencoderPrior, AutoencoderRecipe, tiny_networks
from srdistill.seeds import derive_seed


def untrained_prior(recipe: AutoencoderRecipe, seed: int = 0) -> AutoencoderPrior:
    """The networks of ``recipe`` with torch's own initial weights, which depend on ``seed`` alone; its training does not count.

    Torch's global generator is left as it was.
    """
    levels = recipe.factor.bit_length() - 1
    stages = (*[0] * levels, recipe.blocks)
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(derive_seed(seed, "untrained prior"))
        networks = tiny_networks(recipe.channels, recipe.width, stages, stages[::-1])
    return AutoencoderPrior(
        networks.encoder, networks.decoder, name=f"untrained AE /{recipe.factor} x{recipe.channels}",
        channels=recipe.channels, factor=recipe.factor, signed=True,
    )  # fmt: skip
