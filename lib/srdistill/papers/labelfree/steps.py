"""The pool of patches as a task, and the models of the method as tasks: what the tables' rows refer to."""

from collections.abc import Callable, Sequence
from pathlib import Path

from srdistill.diffusion.dit import DIT_XL, LatentDiT, pretrained_dit
from srdistill.diffusion.pretraining import pretrain
from srdistill.needs import needing
from srdistill.papers.labelfree.fine_tuning import fine_tune
from srdistill.papers.labelfree.patch_pool import PatchPool
from srdistill.papers.labelfree.pseudo_labels import pseudo_labelled_patches
from srdistill.seeds import generator_for
from srdistill.study.generators import generator
from srdistill.study.sr import SRStudy
from srdistill.study.steps.diffusion import DIFFUSION
from srdistill.study.store import Entry
from srdistill.study.tasks import Resource, Step, Task
from srdistill.study.work import Work


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


@needing(lambda: [DIT_XL.need(download=True)])
def dit_xl() -> LatentDiT:
    """DiT-XL/2, fetched if need be."""
    return pretrained_dit(download=True)


def patches(study: SRStudy) -> Task:
    """The informative patches of the training pictures with their pseudo-classes, the same for all seeds."""
    settings = {"real": study.real(), "size": study.plan.size, "selection": study.plan.selection}
    return Task(PATCHES, pseudo_labelled_patches, settings, 0, study.device, label="patches and pseudo-labels")


def prior(study: SRStudy) -> Task | Resource:
    """The autoencoder of the diffusion model."""
    return generator(study.plan.prior, study.plan.prior_recipe, study.real(), study.device)


def diffusion(study: SRStudy) -> Task | Resource:
    """The diffusion model before fine-tuning, the same for all seeds: trained on the patches, or DiT-XL/2."""
    plan = study.plan
    if plan.pretraining is None:
        return Resource(dit_xl)
    settings = {
        "patches": patches(study), "prior": prior(study), "recipe": plan.pretraining, "architecture": plan.transformer,
    }  # fmt: skip
    return Task(DIFFUSION, pretrain, settings, 0, study.device, label="the diffusion model")


def fine_tuned(study: SRStudy, seed: int) -> Task:
    """The diffusion model fine-tuned with this seed."""
    settings = {
        "patches": patches(study), "prior": prior(study), "model": diffusion(study), "tuning": study.plan.fine_tuning,
        "with_prior": study.plan.fine_tuning.detail > 0,
    }  # fmt: skip
    return Task(DIFFUSION, fine_tune, settings, seed, study.device, label=f"fine-tuning, seed {seed}")
