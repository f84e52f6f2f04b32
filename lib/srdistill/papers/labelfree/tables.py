"""What is run for each of the labelfree paper's tables: the printed rows, and the controls that they lack."""

from dataclasses import asdict, replace

from srdistill.papers.labelfree.dit_samples import dit_samples
from srdistill.papers.labelfree.gsdd import gsdd
from srdistill.papers.labelfree.plan import STUDENTS
from srdistill.papers.labelfree.printed import DISTILLED, RANDOM, SELECTED
from srdistill.papers.labelfree.selected_patches import selected_patches
from srdistill.papers.labelfree.steps import diffusion, fine_tuned, patches, prior
from srdistill.sets.random_patches import random_patches
from srdistill.study.engine.tasks import Task
from srdistill.study.paper import Table
from srdistill.study.rows import ORIGINAL, Cell, FromCell, Row
from srdistill.study.sr import SRStudy

UNTUNED = "Samples, not fine-tuned"
AS_PUBLISHED = f"{DISTILLED}, loss as in the authors' code"


def _fine_tuned(study: SRStudy, cell: Cell) -> Task:
    return fine_tuned(study, cell.seed)


def _as_published(study: SRStudy, cell: Cell) -> Task:
    return fine_tuned(study, cell.seed, as_published=True)


# What differs from seed to seed.
PARTS = {"fine-tuned": _fine_tuned, "fine-tuned as published": _as_published}


def sampled(study: SRStudy, count: int, tuned: bool, as_published: bool = False) -> dict:
    """The settings of ``dit_samples`` for ``count`` pictures, of the diffusion model as it is or fine-tuned; ``as_published``:
    with the high-frequency term of the authors' code."""
    plan, model = study.plan, diffusion(study)
    training = {"pretraining": asdict(plan.pretraining) if plan.pretraining else {}}
    if tuned:
        model = FromCell("fine-tuned as published" if as_published else "fine-tuned")
        training["fine_tuning"] = asdict(plan.fine_tuning.as_published if as_published else plan.fine_tuning)
    return {"count": count, "model": model, "prior": prior(study), "sampling": plan.sampling, "training": training}


def inverted(study: SRStudy, count: int) -> dict:
    """The plan's settings of ``gsdd`` for ``count`` pictures, matched in the features of the first student on full data."""
    network = study.student(study.row(ORIGINAL), next(iter(study.plan.networks)), seed=0)
    return {"count": count, "pool": patches(study), "prior": prior(study), "network": network, "matching": study.plan.gsdd}


def _controls(study: SRStudy, count: int) -> list[Row]:
    return [
        study.row(f"{UNTUNED}, {count}", dit_samples, **sampled(study, count, tuned=False)),
        study.row(f"{RANDOM}, {count}", random_patches, count=count),
    ]


def _distilled(study: SRStudy, count: int) -> list[Row]:
    """With the high-frequency term as the paper says, and as the authors' code has it."""
    return [
        study.row(f"{DISTILLED}, {count}", dit_samples, **sampled(study, count, tuned=True)),
        study.row(f"{AS_PUBLISHED}, {count}", dit_samples, **sampled(study, count, tuned=True, as_published=True)),
    ]


def table_1(study: SRStudy) -> list[Row]:
    """Fine-tuned diffusion against GSDD."""
    rows = [study.row(ORIGINAL)]
    for count in study.plan.counts:
        rows.append(study.row(f"GSDD, {count}", gsdd, **inverted(study, count)))
        rows += _distilled(study, count)
    return rows + [row for count in study.plan.control_counts for row in _controls(study, count)]


def table_2(study: SRStudy) -> list[Row]:
    """The same sets for four other students."""
    rows = [study.row(ORIGINAL)]
    rows += [
        study.row(f"{DISTILLED}, {count}", dit_samples, **sampled(study, count, tuned=True)) for count in study.plan.counts
    ]
    return rows + [row for count in study.plan.control_counts for row in _controls(study, count)]


def table_3(study: SRStudy) -> list[Row]:
    """Random, selected and generated patches. Selected ones by score alone, as the paper describes that row."""
    rows = [study.row(ORIGINAL)]
    chosen = replace(study.plan.selection, clusters=1)
    for count in study.plan.selection_counts:
        untuned, chance = _controls(study, count)
        rows += [
            chance,
            study.row(f"{SELECTED}, {count}", selected_patches, count=count, selection=chosen),
            untuned,
            *_distilled(study, count),
        ]
    return rows


TABLES = (
    Table("labelfree_t1", "Labelfree, table 1: fine-tuned diffusion against GAN inversion, ×4", "06_diffusion_distillation",
          table_1, STUDENTS["labelfree_t1"], scale=4),
    Table("labelfree_t2", "Labelfree, table 2: one distilled set for four architectures, ×4", "07_cross_architecture",
          table_2, STUDENTS["labelfree_t2"], scale=4, shown=("psnr", "psnr_y", "ssim", "ssim_y")),
    Table("labelfree_t3", "Labelfree, table 3: patch selection against generated patches, ×4", "08_patch_selection",
          table_3, STUDENTS["labelfree_t3"], scale=4),
)  # fmt: skip
