"""``images.pt`` and ``labels.pt`` as DD-Ranking loads them (its documentation, "Evaluate your own distilled dataset"): a float
tensor, normalised per channel, and class labels."""

from pathlib import Path

import torch

from srdistill.files import atomic_path, write_text
from srdistill.sets.distilled_set import DistilledSet
from srdistill.sets.learned_set import LearnedSet, pictures_of
from srdistill.study.formats.problem import FormatError


def write_dd_ranking(made: DistilledSet, folder: Path, about: dict) -> Path:
    """``images.pt``, float32 (N, 3, H, W), less the mean and by the deviation of the training pictures
    (``about["normalisation"]``: two triples); ``labels.pt``, int64 (N,), or float32 (N, classes) where the set learned its own.

    Raises FormatError for a set of super-resolution.
    """
    if not about.get("normalisation"):
        raise FormatError(
            f"{about['row']}: DD-Ranking compares classifiers, and this is no set of classes, or of a run before colours were "
            "noted; run its notebook again"
        )
    mean, deviation = (torch.tensor(values)[:, None, None] for values in about["normalisation"])
    images = pictures_of(made)
    logits = made.label_logits if isinstance(made, LearnedSet) else None
    labels = made.labels if logits is None else logits.softmax(1)
    folder.mkdir(parents=True, exist_ok=True)
    for name, tensor in (("images", (images - mean) / deviation), ("labels", labels)):
        with atomic_path(folder / f"{name}.pt") as temporary:
            torch.save(tensor.contiguous().clone(), temporary)
    text = f"# {about['row']}, {about['table']}, seed {about['seed']}\n\nMean {mean.flatten().tolist()}, deviation "
    write_text(folder / "README.md", f"{text}{deviation.flatten().tolist()} of the training pictures. {about['use']}\n")
    return folder
