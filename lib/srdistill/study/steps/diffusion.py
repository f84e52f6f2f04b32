"""A diffusion transformer, trained or fine-tuned on the codes of labelled patches."""

from pathlib import Path

from srdistill.diffusion.dit import LatentDiT, load_dit
from srdistill.diffusion.encoded_patches import encode_patches
from srdistill.seeds import generator_for
from srdistill.study.engine.store import Entry
from srdistill.study.engine.tasks import Step, Task
from srdistill.study.engine.work import Work


def train_diffusion(task: Task, work: Work):
    """``task.function(data=codes, generator=..., **settings)``: ``pretrain``, or a wing's fine-tuning.

    ``settings["patches"]`` opens to what has ``labelled()``; ``settings["prior"]`` encodes it, and is handed on as ``prior`` if
    ``settings["with_prior"]`` says so.
    """
    given = {name: work.opened(value) for name, value in task.settings.items()}
    patches, prior = given.pop("patches"), given.pop("prior")
    if given.pop("with_prior", False):
        given["prior"] = prior
    data = encode_patches(prior, *patches.labelled(), device=work.device)
    model, history = task.function(
        data=data, generator=generator_for(task.seed, "diffusion"), device=work.device, checkpoint=work.checkpoint, **given
    )
    return {"history": history}, lambda path: model.save(Path(path))


def _read(entry: Entry, task: Task, work: Work) -> LatentDiT:
    return load_dit(entry.tensors)


DIFFUSION = Step("diffusion", train_diffusion, _read)
