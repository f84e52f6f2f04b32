"""Stage 2 of the label-free paper: fine-tune a diffusion transformer on selected patches.

Patches and pseudo-labels come from stage 1. The paper fine-tunes DiT-XL/2 (``pretrained_dit``; in its authors' code that for
512 px); where there are no such weights, a small transformer is first trained from scratch on the same latents
(``diffusion.pretraining``). What that one samples without fine-tuning is the control: whatever the fine-tuned set gains over
it is due to the losses, not to the generator.
"""

import copy
from contextlib import nullcontext
from dataclasses import dataclass, replace

import torch

from srdistill.diffusion.dit import ROWS, LatentDiT, use_label_rows
from srdistill.diffusion.encoded_patches import EncodedPatches
from srdistill.diffusion.held_out import held_out_losses
from srdistill.diffusion.recipe import DiffusionRecipe
from srdistill.diffusion.terms import Term
from srdistill.diffusion.training import TRAINED, train_dit
from srdistill.papers.labelfree.high_frequency import HighFrequency, HighFrequencyAsPublished
from srdistill.papers.labelfree.minimax import ClassMemory, Diverse, Representative
from srdistill.priors.prior import Prior
from srdistill.priors.rendering import frozen
from srdistill.seeds import generator_for
from srdistill.training.checkpoint import Checkpoint

DETAIL_TERMS = ("decoded", "published")


@dataclass(frozen=True)
class FineTuning:
    """The losses and what they move; by default as in Minimax Diffusion, without the high-frequency term, whose weight the
    paper's text lost.

    ``recipe``: of the training. ``representative``, ``diverse``, ``detail``: weights of L_r, L_d and the high-frequency term;
    a term with weight 0 is not computed. ``memory``: latents per class in each of the two memories. ``detail_term``:
    ``decoded`` is ``HighFrequency``, which looks at predictions, ``published`` is ``HighFrequencyAsPublished``, which does
    not; ``crop``: window of the former, in latent cells. ``trained``: ``all`` weights, or those of ``diffit``. ``rows``:
    what the label rows of the pseudo-classes start from, see ``use_label_rows``; ``keep`` for a model from ``pretrain``.
    """

    recipe: DiffusionRecipe
    representative: float = 0.002
    diverse: float = 0.008
    memory: int = 64
    detail: float = 0.0
    detail_term: str = "decoded"
    crop: int = 0
    trained: str = "diffit"
    rows: str = "null"

    def __post_init__(self):
        for name, choices in {"trained": TRAINED, "rows": ROWS, "detail_term": DETAIL_TERMS}.items():
            if getattr(self, name) not in choices:
                raise ValueError(f"unknown {name} {getattr(self, name)!r}; there are: {', '.join(choices)}")
        for name in ("representative", "diverse", "detail", "crop"):
            if not getattr(self, name) >= 0:  # false for NaN as well
                raise ValueError(f"{name} must not be negative or NaN, got {getattr(self, name)}")
        if self.memory < 1:
            raise ValueError(f"a memory holds 1 latent per class or more, got {self.memory}")

    @property
    def decodes(self) -> bool:
        """Whether a term looks at decoded pictures, so that the prior is needed."""
        return self.detail > 0 and self.detail_term == "decoded"

    @property
    def as_published(self) -> "FineTuning":
        """The same with the high-frequency term of the authors' code, at its weight there."""
        return replace(self, detail=1.0, detail_term="published")


def fine_tune(
    model: LatentDiT,
    data: EncodedPatches,
    *,
    generator: torch.Generator,
    tuning: FineTuning,
    prior: Prior | None = None,
    device: torch.device | str = "cpu",
    checkpoint: Checkpoint | None = None,
) -> tuple[LatentDiT, dict[str, list[float]]]:
    """A copy of ``model`` fine-tuned with the Minimax losses and the high-frequency one, and its losses.

    ``prior``: the one that made the codes; only the high-frequency term needs it. Raises what ``use_label_rows``,
    ``loss_terms`` and ``train_dit`` raise.
    """
    model, data = copy.deepcopy(model).to(device), data.to(device)
    use_label_rows(model, data.classes, tuning.rows)
    terms = loss_terms(model, data, tuning, prior)
    with frozen(prior) if tuning.decodes else nullcontext():
        history = train_dit(
            model, data, recipe=tuning.recipe, generator=generator_for(generator.initial_seed(), "fine-tuning"),
            trained=tuning.trained, terms=terms, device=device, checkpoint=checkpoint, label=f"fine-tuning {model.name}",
        )  # fmt: skip
    model.name = f"{model.name}, fine-tuned"
    return model, history


def tuning_losses(
    model: LatentDiT,
    data: EncodedPatches,
    *,
    generator: torch.Generator,
    tuning: FineTuning,
    prior: Prior | None = None,
    device: torch.device | str = "cpu",
) -> dict[str, float]:
    """The losses of ``tuning``, at ``model`` as it stands, on draws that no training step has seen: see ``held_out_losses``.

    ``model``: fine-tuned or not; its label rows are taken as they are. ``prior``: as for ``fine_tune``.
    """
    model, data = model.to(device), data.to(device)
    with frozen(prior) if tuning.decodes else nullcontext():
        terms = loss_terms(model, data, tuning, prior)
        return held_out_losses(model, data, recipe=tuning.recipe, generator=generator, terms=terms, device=device)


def loss_terms(model: LatentDiT, data: EncodedPatches, tuning: FineTuning, prior: Prior | None = None) -> list[Term]:
    """The terms of ``tuning`` that have a weight, for ``model`` and ``data`` on one device; each memory is its term's own.

    Raises ValueError if the high-frequency term has no prior, and what ``HighFrequency`` raises.
    """
    width, device = data.codes[0, 0].numel(), data.codes.device
    terms: list[Term] = [
        kind(ClassMemory(data.classes, tuning.memory, width, device), weight=weight)
        for kind, weight in ((Representative, tuning.representative), (Diverse, tuning.diverse))
        if weight
    ]
    if tuning.detail and not tuning.decodes:
        terms.append(HighFrequencyAsPublished(weight=tuning.detail))
    elif tuning.decodes:
        if prior is None:
            raise ValueError("the high-frequency loss looks at decoded pictures: give the prior that encoded the patches")
        terms.append(HighFrequency(model, data, prior, weight=tuning.detail, crop=tuning.crop))
    return terms
