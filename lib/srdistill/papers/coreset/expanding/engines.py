"""The engine of a data set as a resource, and sources of pictures as rows bring them."""

import torch

from srdistill.diffusion.dit import LatentDiT
from srdistill.diffusion.engine import Engine
from srdistill.diffusion.latent_engine import LatentDiffusionEngine
from srdistill.diffusion.pretraining import pretrain
from srdistill.diffusion.sdxl_turbo import REVISION, SDXLTurboEngine, turbo_need
from srdistill.images.labelled import LabelledPictures
from srdistill.needs import needing
from srdistill.networks.classifiers import Classifier
from srdistill.papers.coreset.expanding.expanded_source import ExpandedSource, PlainSource
from srdistill.papers.coreset.expanding.expansion import Expansion
from srdistill.priors.prior import Prior
from srdistill.sets.distilled_set import DistilledSet
from srdistill.study.classification import ClassificationStudy
from srdistill.study.engine.store import Entry
from srdistill.study.engine.tasks import Resource, Step, Task
from srdistill.study.engine.work import Work
from srdistill.study.generators import generator
from srdistill.study.steps.diffusion import DIFFUSION
from srdistill.training.classification_recipe import ClassificationRecipe

# Patches that are expanded and labelled at a time.
_BATCH = 64


def latent_engine(model: LatentDiT, prior: Prior, device: str = "cpu", **settings) -> LatentDiffusionEngine:
    """The engine that was trained here."""
    return LatentDiffusionEngine(model, prior, device=device, **settings)


@needing(lambda **_: [turbo_need(download=True)])
def turbo_engine(real: LabelledPictures, revision: str, device: str = "cpu", **settings) -> SDXLTurboEngine:
    """SDXL-Turbo at its pinned ``revision``, which counts in keys; fetched if need be."""
    return SDXLTurboEngine(real.classes, download=True, device=device, **settings)


def models(study: ClassificationStudy, dataset: str) -> dict[str, Task | Resource]:
    """The diffusion model of a data set and its autoencoder, trained on its pictures at the size that the engine works at."""
    plan, larger = study.plan, study.larger(dataset, study.plan.engine["working_size"])
    prior = generator(plan.prior, plan.prior_recipe, larger, study.device)
    settings = {"patches": larger, "prior": prior, "recipe": plan.pretraining, "architecture": plan.transformer}
    label = f"the diffusion model of {dataset}"
    return {"model": Task(DIFFUSION, pretrain, settings, 0, study.device, label=label), "prior": prior}


def engine(study: ClassificationStudy, dataset: str) -> Resource:
    """What expands patches of this data set: SDXL-Turbo, or a small diffusion model trained on its pictures."""
    if study.plan.pretraining is None:
        return Resource(turbo_engine, {"real": study.real(dataset), "revision": REVISION} | study.plan.engine)
    return Resource(latent_engine, models(study, dataset) | study.plan.engine)


def measure_engine(task: Task, work: Work):
    """What the engine takes, so that saying it again loads no model."""
    return {"bytes": work.opened(task.settings["engine"]).bytes}, None


def _read_bytes(entry: Entry, task: Task, work: Work) -> int:
    return entry.value["bytes"]


ENGINE_SIZE = Step("engines", measure_engine, _read_bytes)


def engine_size(study: ClassificationStudy, dataset: str) -> Task:
    """The bytes of the engine of a data set."""
    settings, label = {"engine": engine(study, dataset)}, f"size of the engine of {dataset}"
    return Task(ENGINE_SIZE, None, settings, 0, study.device, label=label)


def expanded(
    made: DistilledSet, teacher: Classifier, real: LabelledPictures, seed: int, engine: Engine, expansion: Expansion,
    views: ClassificationRecipe | None, batch: int = _BATCH, device: str = "cpu",
) -> ExpandedSource:  # fmt: skip
    """Patches expanded anew in every epoch, augmented as ``views`` says (None: not at all), and labelled."""
    return ExpandedSource(
        engine, teacher, made.images, made.labels, classes=len(real.classes), size=real.size, seed=seed, expansion=expansion,
        views=views, batch=batch, device=torch.device(device),
    )  # fmt: skip


def unexpanded(
    made: DistilledSet, teacher: Classifier, real: LabelledPictures, seed: int, views: ClassificationRecipe | None,
    device: str = "cpu",
) -> PlainSource:  # fmt: skip
    """The images as they are, or enlarged patches, augmented as ``views`` says (None: not at all), and labelled."""
    return PlainSource(
        teacher, made.images, made.labels, classes=len(real.classes), size=real.size, seed=seed, views=views,
        device=torch.device(device),
    )  # fmt: skip
