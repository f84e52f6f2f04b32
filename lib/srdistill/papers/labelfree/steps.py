"""The pool of patches as a task, and the models of the method as tasks: what the tables' rows refer to."""

from collections.abc import Callable, Sequence
from pathlib import Path

import torch

from srdistill.diffusion.dit import DIT_XL, LatentDiT, pretrained_dit
from srdistill.diffusion.encoded_patches import encode_patches
from srdistill.diffusion.pretraining import pretrain
from srdistill.needs import needing
from srdistill.papers.labelfree.fine_tuning import fine_tune, tuning_losses
from srdistill.papers.labelfree.patch_pool import PatchPool
from srdistill.papers.labelfree.pseudo_labels import pseudo_labelled_patches
from srdistill.seeds import generator_for
from srdistill.study.engine.store import Entry
from srdistill.study.engine.tasks import Resource, Step, Task
from srdistill.study.engine.work import Work
from srdistill.study.generators import generator
from srdistill.study.pictures import labelled
from srdistill.study.sr import SRStudy
from srdistill.study.steps.diffusion import DIFFUSION

# Patches that losses are asked of at most, at even distances in the pool.
_MOST_ASKED = 512
# Pictures of each class that a diffusion model learns from before it sees the patches: RDED's pool, as in the coreset wing.
_PER_CLASS = 300


def make_patches(task: Task, work: Work):
    """``task.function`` (``pseudo_labelled_patches``) of the pictures."""
    given = {name: work.opened(value) for name, value in task.settings.items()}
    pool = task.function(given.pop("real"), generator=generator_for(task.seed, "patches"), device=work.device, **given)
    return {"patches": len(pool), "settings": pool.settings}, lambda path: pool.save(Path(path))


def _read_patches(entry: Entry, task: Task, work: Work) -> PatchPool:
    return PatchPool.load(entry.tensors, work.opened(task.settings["real"]))


def _code(task: Task) -> Sequence[Callable]:
    # A function of one's own as features.
    chosen = task.settings["selection"].features
    return (chosen,) if callable(chosen) else ()


PATCHES = Step("patches", make_patches, _read_patches, _code)


def measure_losses(task: Task, work: Work):
    """``task.function`` (``tuning_losses``) of each of the models."""
    given = {name: work.opened(value) for name, value in task.settings.items() if name != "models"}
    images, labels = given.pop("patches").labelled()
    some = torch.arange(0, len(labels), -(-len(labels) // _MOST_ASKED))
    data = encode_patches(given["prior"], images[some], labels[some], device=work.device)
    draws = generator_for(task.seed, "losses")
    found = {}
    for name, model in task.settings["models"].items():
        found[name] = task.function(work.opened(model), data, generator=draws, device=work.device, **given)
    return {"losses": found}, None


def _read_losses(entry: Entry, task: Task, work: Work) -> dict[str, dict[str, float]]:
    return entry.value["losses"]


LOSSES = Step("losses", measure_losses, _read_losses)


@needing(lambda size: [DIT_XL[size].need(download=True)])
def dit_xl(size: int) -> LatentDiT:
    """DiT-XL/2 for pictures of ``size`` px, fetched if need be."""
    return pretrained_dit(size=size, download=True)


def patches(study: SRStudy) -> Task:
    """The informative patches of the training pictures with their pseudo-classes, the same for all seeds."""
    settings = {"real": study.real(), "size": study.plan.size, "selection": study.plan.selection}
    return Task(PATCHES, pseudo_labelled_patches, settings, 0, study.device, label="patches and pseudo-labels")


def prior(study: SRStudy) -> Task | Resource:
    """The autoencoder of the diffusion model."""
    return generator(study.plan.prior, study.plan.prior_recipe, study.real(), study.device)


def diffusion(study: SRStudy) -> Task | Resource:
    """The diffusion model before fine-tuning, the same for all seeds: trained on patches or other pictures, or DiT-XL/2."""
    plan = study.plan
    if plan.pretraining is None:
        return Resource(dit_xl, {"size": plan.size})
    other = plan.pretraining_pictures
    settings = {
        "patches": labelled(other, "train", plan.size, _PER_CLASS) if other else patches(study), "prior": prior(study),
        "recipe": plan.pretraining, "architecture": plan.transformer,
    }  # fmt: skip
    return Task(DIFFUSION, pretrain, settings, 0, study.device, label="the diffusion model")


def fine_tuned(study: SRStudy, seed: int, as_published: bool = False) -> Task:
    """The diffusion model fine-tuned with this seed; ``as_published``: with the high-frequency term of the authors' code."""
    tuning, label = study.plan.fine_tuning, f"fine-tuning, seed {seed}"
    if as_published:
        tuning, label = tuning.as_published, f"fine-tuning as in the authors' code, seed {seed}"
    settings = {
        "patches": patches(study), "prior": prior(study), "model": diffusion(study), "tuning": tuning,
        "with_prior": tuning.decodes,
    }  # fmt: skip
    return Task(DIFFUSION, fine_tune, settings, seed, study.device, label=label)


def fixed_losses(study: SRStudy, seed: int = 0) -> Task:
    """The losses of the plan's fine-tuning on draws that are the same for all: of the model before it, and after it with this
    seed, with both high-frequency terms. It opens to a dictionary of dictionaries of numbers."""
    tuned, published = (fine_tuned(study, seed, as_published=flag) for flag in (False, True))
    models = {"not fine-tuned": diffusion(study), "fine-tuned": tuned, "loss as in the authors' code": published}
    settings = {name: tuned.settings[name] for name in ("patches", "prior", "tuning")} | {"models": models}
    return Task(LOSSES, tuning_losses, settings, 0, study.device, label=f"losses on fixed draws, seed {seed}")
