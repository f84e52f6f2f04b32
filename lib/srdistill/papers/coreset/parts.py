"""What rows leave open until data set and student are known: the parts that a ``FromCell`` names."""

from dataclasses import replace

from srdistill.papers.coreset.baselines import Settings
from srdistill.papers.coreset.expanding.engines import engine, models
from srdistill.papers.coreset.matching.untrained_prior import untrained_prior
from srdistill.papers.coreset.trajectories.experts import train_expert
from srdistill.papers.coreset.trajectories.steps import EXPERT
from srdistill.study.classification import ClassificationStudy
from srdistill.study.engine.tasks import Resource, Task
from srdistill.study.generators import generator
from srdistill.study.rows import Cell
from srdistill.training.classification_recipe import ClassificationRecipe
from srdistill.training.hard_label_recipe import HardLabelRecipe


def teacher(study: ClassificationStudy, cell: Cell) -> Task:
    """The checked teacher of the cell's student."""
    return study.teacher(cell.dataset, cell.network)


def engine_of(study: ClassificationStudy, cell: Cell) -> Resource:
    """The diffusion model of the data set."""
    return engine(study, cell.dataset)


def rded_factor(study: ClassificationStudy, cell: Cell) -> int:
    """RDED's r on the data set."""
    return study.planned[cell.dataset].rded_factor


def views(
    study: ClassificationStudy, cell: Cell, ipc: int, collage: int | None = None, longer: int = 1, **training
) -> ClassificationRecipe:  # fmt: skip
    """How students see pictures, and are trained: RDED's way. ``collage``: cells in a row of its collages, 0 for its own r;
    None: no collages. ``longer``: by what the epochs are multiplied, so that a set of few pictures is trained on for as many
    steps as one of many."""
    cells = {}
    if collage is not None:
        r = collage or rded_factor(study, cell)
        cells = {"collage": r, "crop_scale": (1 / r, 1.0)}
    recipe = study.plan.student(ipc, study.planned[cell.dataset], cell.network)
    return replace(recipe, **({"epochs": recipe.epochs * longer} | cells | training))


def training(study: ClassificationStudy, cell: Cell, **given) -> ClassificationRecipe:
    """The same of pictures that come shuffled and augmented from a source."""
    return replace(
        views(study, cell, **given), shuffle=False, crop_scale=(1.0, 1.0), flip=False, cutmix=False, collage=1
    )  # fmt: skip


def own_training(study: ClassificationStudy, cell: Cell) -> HardLabelRecipe:
    """How students learn a set with labels of its own: GLaD's way, each student at its rate."""
    plan = study.plan.baselines
    return replace(plan.students, lr=plan.rates.get(cell.network, plan.students.lr))


def experts(study: ClassificationStudy, cell: Cell, method: str, ipc: int) -> list[Task]:
    """The networks whose trajectories the method matches on the data set, each a task of its own."""
    plan = study.plan.baselines
    recipe = plan.expert_for(method, study.name, cell.dataset, ipc)
    settings = {"real": study.real(cell.dataset), "network": network(study, cell), "recipe": recipe}
    kind = "whitening expert" if recipe.zca else "expert"
    return [
        Task(EXPERT, train_expert, settings, number, study.device, label=f"{kind} {number} of {cell.dataset}")
        for number in range(plan.experts)
    ]


def datm_start(study: ClassificationStudy, cell: Cell) -> str:
    """The pictures that DATM starts from."""
    return study.plan.baselines.datm_start


def whitening(study: ClassificationStudy, cell: Cell, method: str, ipc: int) -> dict:
    """What students of a whitened set are built with: they whiten, too."""
    return {"whitened": True} if settings_of(study, cell, method, ipc).zca else {}


def network(study: ClassificationStudy, cell: Cell) -> dict:
    """Settings of the network that pictures are distilled with: as deep as leaves a last map of 4 px a side, or some more."""
    depth = max(1, study.planned[cell.dataset].size.bit_length() - 3)
    return study.plan.baselines.network | {"depth": depth}


def backbones(study: ClassificationStudy, cell: Cell) -> list[Task]:
    """The networks that G-VBSM recovers pictures from, each checked as a teacher."""
    return [study.teacher(cell.dataset, name) for name in study.plan.baselines.backbones]


def settings_of(study: ClassificationStudy, cell: Cell, method: str, ipc: int, **changes) -> Settings:
    """A baseline's settings for the data set and so many pictures a class, some of them changed."""
    return replace(study.plan.baselines.chosen(method, study.name, cell.dataset, ipc), **changes)


def prior(study: ClassificationStudy, cell: Cell) -> Task | Resource:
    """The generator whose codes are matched in place of pixels."""
    kind = study.plan.baselines.prior
    return generator(kind, None, study.real(cell.dataset), study.device) if kind else models(study, cell.dataset)["prior"]


def nobodys_prior(study: ClassificationStudy, cell: Cell) -> Resource:
    """One that nobody trained, other for every seed."""
    return Resource(untrained_prior, {"recipe": study.plan.baselines.untrained, "seed": cell.seed})


PARTS = {
    "teacher": teacher, "engine": engine_of, "data set": rded_factor, "views": views, "training": training,
    "own training": own_training, "network": network, "experts": experts, "backbones": backbones, "settings": settings_of,
    "DATM start": datm_start, "whitening": whitening, "prior": prior, "untrained prior": nobodys_prior,
}  # fmt: skip
