"""A decoder that nobody trained, as a control: is it the generator's knowledge that helps, or that pictures are codes at all?

GLaD's own code has it as ``--rand_gan_con``; the coreset paper's tables leave it out.
"""

import torch
from torch import nn

from srdistill.priors.autoencoder import AutoencoderPrior, AutoencoderRecipe, tiny_networks
from srdistill.seeds import derive_seed

# Of pictures of random codes: spread about middle grey.
_CONTRAST = 0.25
# Side in cells, and number, of the random codes that the contrast is set with.
_CELLS, _CODES = 8, 16


def untrained_prior(recipe: AutoencoderRecipe, seed: int = 0) -> AutoencoderPrior:
    """The networks of ``recipe`` with random weights, which depend on ``seed`` alone; its training does not count.

    As in an untrained StyleGAN signals keep their size from layer to layer (He et al. 2015), and pictures vary about middle
    grey: random codes give them a spread of 0.25. With torch's own initial weights they would all be next to black.

    Torch's global generator is left as it was.
    """
    levels = recipe.factor.bit_length() - 1
    stages = (*[0] * levels, recipe.blocks)
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.default_generator.manual_seed(derive_seed(seed, "untrained prior"))
        networks = tiny_networks(recipe.channels, recipe.width, stages, stages[::-1])
        for module in networks.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
                if module.bias is not None:
                    module.bias.zero_()
        prior = AutoencoderPrior(
            networks.encoder, networks.decoder, name=f"untrained AE /{recipe.factor} x{recipe.channels}",
            channels=recipe.channels, factor=recipe.factor, signed=True,
        )  # fmt: skip
        pictures = prior.decode(torch.randn(_CODES, recipe.channels, _CELLS, _CELLS))
        last = next(module for module in reversed(list(networks.decoder.modules())) if isinstance(module, nn.Conv2d))
        last.weight *= _CONTRAST / pictures.std()
        last.bias.fill_(0.5)
    return prior
