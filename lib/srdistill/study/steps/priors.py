"""A generator of latent space that is trained here, on pictures."""

from pathlib import Path

from srdistill.images.pictures import Pictures
from srdistill.priors.autoencoder import load_autoencoder
from srdistill.priors.prior import Prior
from srdistill.seeds import generator_for
from srdistill.study.engine.store import Entry
from srdistill.study.engine.tasks import Step, Task
from srdistill.study.engine.work import Work


def train_prior(task: Task, work: Work):
    """``task.function`` (``train_autoencoder``) on the pictures; labels, where there are any, are not looked at."""
    found = work.opened(task.settings["pictures"])
    if not isinstance(found, Pictures):
        found = Pictures(tuple(found.images), tuple(f"picture {index}" for index in range(len(found))), found.name)
    made = task.function(
        found, generator=generator_for(task.seed, "prior"), recipe=task.settings["recipe"], device=work.device,
        checkpoint=work.checkpoint, label=task.label,
    )  # fmt: skip
    return {"history": made.history}, lambda path: made.save(Path(path))


def _read(entry: Entry, task: Task, work: Work) -> Prior:
    return load_autoencoder(entry.tensors)


PRIOR = Step("priors", train_prior, _read)
