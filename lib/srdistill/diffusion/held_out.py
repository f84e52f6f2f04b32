"""The losses of a model on draws that no training step has seen, the same for every model that is compared.

The losses that a training reports cannot say whether it helped. Each batch has times and noises of its own, and the loss of
the noise depends on those most of all: for a small model that stood still, twenty means over 50 batches of 8 lay between 0.114
and 0.156, while all that fine-tuning gained or lost was 0.002. They are losses of the moving weights, not of the average that
stays. And terms with memories start at zero, when there is nothing in them. Here the weights stand still, and whatever two
models are compared on is the same.
"""

from collections.abc import Sequence

import torch

from srdistill.diffusion.dit import LatentDiT
from srdistill.diffusion.encoded_patches import EncodedPatches
from srdistill.diffusion.recipe import DiffusionRecipe
from srdistill.diffusion.step_losses import StepLosses
from srdistill.diffusion.terms import Term
from srdistill.progress import bar
from srdistill.seeds import derive_seed


@torch.no_grad()
def held_out_losses(
    model: LatentDiT,
    data: EncodedPatches,
    *,
    recipe: DiffusionRecipe,
    generator: torch.Generator,
    terms: Sequence[Term] = (),
    epochs: int = 2,
    device: torch.device | str = "cpu",
) -> dict[str, float]:
    """Means of the losses of a training by ``recipe`` with ``terms``, if it stood still at ``model``: ``loss`` (the weighted
    sum) and each by its name, unweighted.

    Every patch is asked ``epochs`` times, each time at another time and with another noise. With terms an epoch before that
    fills their memories, which should be empty at first. Of the recipe, its batch (terms compare within one), its share of
    dropped labels and its precision count. The model is left as it was, but for its place on ``device``.

    Args:
        generator: only its ``initial_seed()`` counts; the draws are none of those of a training with the same one.

    Raises:
        DiTError: labels or latents that do not fit the model. ValueError: fewer than one epoch.
    """
    if epochs < 1:
        raise ValueError(f"losses are means over 1 epoch or more, got {epochs}")
    seed, device = derive_seed(generator.initial_seed(), "held-out draws"), torch.device(device)
    losses_of = StepLosses(model.to(device), data, recipe, seed, terms, device)
    epoch = -(-len(data) // recipe.batch)
    skipped = epoch if terms else 0
    found = []
    for step in bar(range(skipped + epochs * epoch), f"held-out losses of {model.name}"):
        losses, view = losses_of(step)
        for term in terms:
            term.after(view)
        if step >= skipped:
            found.append(torch.stack([losses_of.total(losses), *losses.values()]))
    means = torch.stack(found).double().mean(0).tolist()
    return dict(zip(("loss", *losses_of.shares), means, strict=True))
