"""What can be said of sets, and of the models that make them, before any student is trained on them, as notebooks show it."""

from collections.abc import Iterable, Mapping

import pandas as pd
import torch
from torch import Tensor

from srdistill.images.detail import recovered_psnr
from srdistill.images.pictures import to_float
from srdistill.images.spectrum import upper_octave
from srdistill.sets.distilled_set import DistilledSet
from srdistill.study.rows import Row
from srdistill.study.sr import SRStudy
from srdistill.study.study import Study


def histories(study: Study, rows: Iterable[Row], name: str = "distance") -> dict[str, list[list[float]]]:
    """What the rows' sets have recorded of their making under ``name``, seed by seed, for ``figures.distance_curves``."""
    rows = list(rows)
    study.execution.start([study.set_task(row, seed) for row in rows for seed in study.seeds])
    return {row.label: [study.make_set(row, seed).history[name] for seed in study.seeds] for row in rows}


def learning_curves(study: SRStudy, row: Row, networks: Iterable[str]) -> dict[str, list[list[float]]]:
    """The training losses of the row's students, seed by seed, in units of the last: means over 50 steps, for
    ``figures.distance_curves``. A curve that still falls at its end says that the schedule was short."""
    tasks = {name: [study.student(row, name, seed) for seed in study.seeds] for name in networks}
    losses = {name: [study.entry(task).value["history"] for task in found] for name, found in tasks.items()}
    return {name: [[value / found[-1] for value in found] for found in curves] for name, curves in losses.items()}


def levels_moved(start: DistilledSet, end: DistilledSet) -> float:
    """Root mean square difference of two sets with the same shape of images, in 8-bit levels."""
    return (end.images.float() - start.images.float()).square().mean().sqrt().item()


def pixel_range(images: Iterable[Tensor]) -> dict[str, float]:
    """Smallest, mean and largest value of ``uint8`` images, in [0, 1]."""
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
