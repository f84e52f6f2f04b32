"""What can be said of sets, and of the models that make them, before any student is trained on them, as notebooks show it."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import pandas as pd
import torch
from torch import Tensor

from srdistill.images.pictures import to_float
from srdistill.measures.detail import recovered_psnr
from srdistill.measures.spectrum import upper_octave
from srdistill.sets.distilled_set import DistilledSet
from srdistill.study.rows import Row
from srdistill.study.sr import SRStudy
from srdistill.study.study import Study


def histories(study: Study, rows: Iterable[Row], name: str = "distance") -> dict[str, list[list[float]]]:
    """What the rows' sets have recorded of their making under ``name``, seed by seed, for ``figures.distance_curves``."""
    rows = list(rows)
    study.execution.start([study.set_task(row, seed) for row in rows for seed in study.seeds])
    return {row.label: [study.make_set(row, seed).history[name] for seed in study.seeds] for row in rows}


def learning_curves(
    study: SRStudy, row: Row, networks: Iterable[str], testset: str, shares: Sequence[float] = (0.25, 0.5, 1, 2)
) -> pd.DataFrame:
    """What students of the first seed gain over bicubic on a test set after ``shares`` of their steps, each in a schedule of
    its own that ends there: ``network``, ``steps``, ``PSNR over bicubic, dB``. Where the last two differ much, the plan is
    short."""
    found = {}
    for name in networks:
        whole = study.student(row, name, study.seeds[0])
        recipe = whole.settings["recipe"]
        for steps in (max(1, round(share * recipe.iterations)) for share in shares):
            settings = dict(whole.settings) | {"recipe": replace(recipe, iterations=steps)}
            found[name, steps] = study.scoring(replace(whole, settings=settings, label=f"{whole.label}, {steps} steps"))
    study.execution.start(list(found.values()))
    psnr = {key: pd.DataFrame(study.entry(task).value["scores"][testset]).psnr.mean() for key, task in found.items()}
    start = pd.DataFrame(study.bicubic()[testset]).psnr.mean()
    lines = [(name, steps, value - start) for (name, steps), value in psnr.items()]
    return pd.DataFrame(lines, columns=["network", "steps", "PSNR over bicubic, dB"])


def levels_moved(start: DistilledSet, end: DistilledSet) -> float:
    """Root mean square difference of two sets with the same shape of images, in 8-bit levels."""
    return (end.images.float() - start.images.float()).square().mean().sqrt().item()


def pixel_range(images: Iterable[Tensor]) -> dict[str, float]:
    """Smallest, mean and largest value of all ``uint8`` images (3, H, W) together, in [0, 1]."""
    values = torch.cat([to_float(image).flatten() for image in images])
    return {"min pixel": values.min().item(), "mean pixel": values.mean().item(), "max pixel": values.max().item()}


def detail_table(sets: Mapping[str, DistilledSet | Tensor], scale: int = 2) -> pd.DataFrame:
    """How much of each set, or of images ``uint8`` (N, 3, H, W), survives scaling down and up: the higher, the less there is
    for super-resolution to learn."""
    images = {label: made.images if isinstance(made, DistilledSet) else made for label, made in sets.items()}
    found = {label: recovered_psnr(to_float(those).double(), scale).mean().item() for label, those in images.items()}
    return pd.DataFrame({"PSNR(y, U D y), dB": found}).round(2)


def octave_table(real: Tensor, copies: Mapping[str, Tensor]) -> pd.DataFrame:
    """The numbers of ``figures.spectrum_figure``: what copies keep of the upper octave of real pictures, ``uint8``
    (N, 3, S, S) each."""
    octaves = {label: upper_octave(images, real) for label, images in copies.items()}
    lines = {
        label: {
            "upper octave kept, median %": 100 * found.kept.median().item(),
            "explained, median %": 100 * found.explained.median().item(),
            "PSNR(y, U D y), dB": found.smoothness.mean().item(),
            "of the real crops, dB": found.smoothness_real.mean().item(),
        }
        for label, found in octaves.items()
    }
    return pd.DataFrame(lines).T.round(1)
