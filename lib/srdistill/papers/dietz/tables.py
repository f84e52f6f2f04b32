"""What is run for each of Dietz et al.'s tables: the printed rows, and the controls that they lack."""

from dataclasses import replace

from srdistill.papers.dietz.gradient_matching import gradient_matching
from srdistill.papers.dietz.latent_matching import latent_matching
from srdistill.priors.inversion import gan_inversion
from srdistill.sets.cut import cut
from srdistill.sets.downscaled import downscaled
from srdistill.sets.noise import noise
from srdistill.sets.random_crops import random_crops
from srdistill.study.engine.tasks import Resource, Task
from srdistill.study.generators import generator
from srdistill.study.paper import Table
from srdistill.study.pictures import perceptual_distance
from srdistill.study.rows import ORIGINAL, Row
from srdistill.study.sr import SRStudy

STUDENTS = ("SRCNN", "VDSR", "EDSR")
# The strongest training on full data that no row of the paper has.
MULTI_SCALE = "Full data, several scales"
SCALES = (0.9, 0.8, 0.7, 0.6)


# --- settings of the methods, as the plan has them ---------------------------------------------------------------------


# What one row each changes of the others' settings: the optimiser and rate of the code that the papers build on (GLaD; DC has
# 0.1, of images that are divided by their standard deviation), and its distance to the letter.
PUBLISHED = {"optimizer": "sgd", "lr": 1.0, "momentum": 0.5}
LITERAL = {"distance": "rows-literal"}


def matching(study: SRStudy, ipc: int, start: str, network: Task | None = None, **changes) -> dict:
    """The plan's settings of ``gradient_matching``; ``changes`` to its ``Matching``. ``network``: a trained one, which stays,
    and sees whole sub-images: as far apart as those of the codes' matching, which does the same.

    The task loss is a mean over the class's images, so each of ten gets a tenth of the gradient: the rate of SGD grows with IPC
    to make up for it. IPC 10 is matched at initialisation only, like IPC 1: DC goes through 10 x 50 loops with a network that
    learns meanwhile, for which ``steps_along`` stands on a small scale.
    """
    plan = study.plan
    iterations = plan.matching.iterations if ipc == 1 else plan.iterations_ipc10
    rate = plan.rate("trained" if network else start)
    given = {"iterations": iterations, "optimizer": rate.optimizer, "lr": rate.lr}
    given |= {"step": plan.latent.step} if network else {}
    settings = replace(plan.matching, **(given | changes))
    if settings.optimizer == "sgd":
        settings = replace(settings, lr=settings.lr * ipc)
    return {"ipc": ipc, "start": start, "network": network or plan.matching_network, "matching": settings}


def prior(study: SRStudy) -> Task | Resource:
    """The generator that the plan names."""
    return generator(study.plan.prior, study.plan.prior_recipe, study.real(), study.device)


def inverting(study: SRStudy, loss: str) -> dict:
    """The plan's settings of ``gan_inversion``, one crop per picture, with one of ``inversion_recipe.LOSSES``.

    Where the plan names a perceptual distance, ``published`` gets it, as in the published inversions.
    """
    plan = study.plan
    settings = {"ipc": 1, "size": plan.latent_size, "prior": prior(study), "recipe": replace(plan.inversion, loss=loss)}
    if plan.perceptual and loss == "published":
        given = {"backbone": plan.perceptual, "download": study.profile.lpips_download}
        settings["perceptual"] = Resource(perceptual_distance, given)
    return settings


def latent(study: SRStudy, start: Row, network: Task, **changes) -> dict:
    """The plan's settings of ``latent_matching``, from the row ``start`` of ``gan_inversion``; ``changes`` to its
    ``LatentMatching``."""
    plan = study.plan
    return {
        "ipc": 1, "size": plan.latent_size, "prior": prior(study), "start": start, "network": network,
        "matching": replace(plan.latent, **changes),
    }  # fmt: skip


# --- the tables --------------------------------------------------------------------------------------------------------


def table_1(study: SRStudy) -> list[Row]:
    """From noise."""
    return [
        study.row(ORIGINAL),
        study.row("Noise, IPC=1, undistilled", noise, ipc=1),
        study.row("Syn. IPC=1", gradient_matching, **matching(study, 1, "noise")),
        study.row("Noise, IPC=10, undistilled", noise, ipc=10),
        study.row("Syn. IPC=10", gradient_matching, **matching(study, 10, "noise")),
        study.row("Random real crops, IPC=1", random_crops, ipc=1),
        study.at_scales(MULTI_SCALE, SCALES),
    ]


def table_2(study: SRStudy) -> list[Row]:
    """From downscaled pictures."""
    along = {"steps_along": 3, "iterations": max(1, study.plan.matching.iterations // 3)}
    return [
        study.row(ORIGINAL),
        study.row("Baseline (downscaled)", downscaled, ipc=1),
        study.row("Syn. IPC=1", gradient_matching, **matching(study, 1, "downscaled")),
        study.row("Syn. IPC=1, published SGD", gradient_matching, **matching(study, 1, "downscaled", **PUBLISHED)),
        study.row("Syn. IPC=1, literal epsilon", gradient_matching, **matching(study, 1, "downscaled", **LITERAL)),
        study.row("Syn. IPC=1, matched along 3 steps", gradient_matching, **matching(study, 1, "downscaled", **along)),
        study.row("Syn. IPC=1, from noise (table 1)", gradient_matching, **matching(study, 1, "noise")),
        study.row("Random real crops, IPC=1", random_crops, ipc=1),
    ]


def pretrained(study: SRStudy) -> Task:
    """The SRCNN that table 1 trains on the full data, of seed 0, for all seeds of distillation."""
    return study.student(study.row(ORIGINAL), "SRCNN", seed=0, scale=2)


def table_3(study: SRStudy) -> list[Row]:
    """With a trained network."""
    trained = matching(study, 1, "downscaled", pretrained(study))
    literal = matching(study, 1, "downscaled", pretrained(study), **LITERAL)
    return [
        study.row(ORIGINAL),
        study.row("Syn. IPC=1 (random)", gradient_matching, **matching(study, 1, "downscaled")),
        study.row("Syn. IPC=1 (pre-trained)", gradient_matching, **trained),
        study.row("Syn. IPC=1 (pre-trained), literal epsilon", gradient_matching, **literal),
        study.row("Downscaled, undistilled", downscaled, ipc=1),
        study.row("Random real crops, IPC=1", random_crops, ipc=1),
    ]


def table_4(study: SRStudy) -> list[Row]:
    """In latent space: beside the printed rows a better inversion, and both pixel budgets of real and of downscaled
    pictures."""
    small, side, network = study.plan.size, study.plan.latent_size, pretrained(study)
    inverted = study.row("Baseline (GAN inversion)", gan_inversion, **inverting(study, "published"))
    made = study.row("Latent Distillation", latent_matching, **latent(study, inverted, network))
    sharp = study.row("Inversion, high-pass loss", gan_inversion, **inverting(study, "highpass"))
    return [
        study.row(ORIGINAL),
        inverted,
        made,
        sharp,
        study.row("Latent, high-pass start", latent_matching, **latent(study, sharp, network)),
        study.row(f"Real crops, {side} px", random_crops, ipc=1, size=side),
        study.row(f"Downscaled, {side} px", downscaled, ipc=1, size=side),
        study.row(f"Latent, cut to {small} px", cut, source=made),
        study.row(f"Syn. IPC=1 (pre-trained), {small} px", gradient_matching, **matching(study, 1, "downscaled", network)),
        study.row(f"Real crops, {small} px", random_crops, ipc=1),
        study.row(f"Downscaled, {small} px", downscaled, ipc=1),
    ]


def table_5(study: SRStudy) -> list[Row]:
    """The sets of tables 2 to 4, which the store knows, at twice the scale."""
    small, side, network = study.plan.size, study.plan.latent_size, pretrained(study)
    inverted = study.row("Baseline (GAN inversion)", gan_inversion, **inverting(study, "published"))
    made = study.row("Syn. IPC=1 (latent)", latent_matching, **latent(study, inverted, network))
    return [
        study.row(ORIGINAL),
        study.row("Baseline (downscaled)", downscaled, ipc=1),
        inverted,
        study.row("Syn. IPC=1 (downscaled)", gradient_matching, **matching(study, 1, "downscaled")),
        study.row("Syn. IPC=1 (pre-trained)", gradient_matching, **matching(study, 1, "downscaled", network)),
        made,
        study.row(f"Latent, cut to {small} px", cut, source=made),
        study.row(f"Real crops, {small} px", random_crops, ipc=1),
        study.row(f"Real crops, {side} px", random_crops, ipc=1, size=side),
        study.at_scales(MULTI_SCALE, SCALES),
    ]


def protocol(study: SRStudy) -> list[Row]:
    """Notebook 00 measures the convention itself, and compares no sets."""
    return []


TABLES = (
    Table("protocol", "How a number is made", "00_protocol", protocol, STUDENTS),
    Table("dietz_t1", "Dietz et al., table 1: distillation from noise, ×2", "01_random_init", table_1, STUDENTS),
    Table("dietz_t2", "Dietz et al., table 2: distillation from downscaled pictures, ×2", "02_downscaled_init", table_2,
          STUDENTS),
    Table("dietz_t3", "Dietz et al., table 3: a pre-trained network during distillation, ×2", "03_pretrained_srcnn", table_3,
          STUDENTS),
    Table("dietz_t4", "Dietz et al., table 4: distillation in latent space, ×2", "04_latent", table_4, STUDENTS),
    Table("dietz_t5", "Dietz et al., table 5: EDSR at ×4 on sets distilled at ×2", "05_x4_transfer", table_5, ("EDSR",),
          scale=4),
)  # fmt: skip
