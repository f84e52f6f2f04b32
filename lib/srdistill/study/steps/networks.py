"""A super-resolution network, trained on a set or on pictures."""

from collections.abc import Callable, Sequence

import torch
from safetensors.torch import load_file, save

from srdistill.networks import ARCHITECTURES, build_network
from srdistill.seeds import derive_seed
from srdistill.study.engine.store import Entry
from srdistill.study.engine.tasks import Step, Task
from srdistill.study.engine.work import Work


def train_network(task: Task, work: Work):
    """``task.function`` (``train`` or ``train_adversarial``) on a network that starts from the task's seed."""
    given = task.settings
    images = work.opened(given["images"]).images
    fresh = build_network(given["architecture"], given["scale"], derive_seed(task.seed, "student"), **given["sizes"])
    best, history = task.function(
        fresh, list(images), given["recipe"], scale=given["scale"], seed=task.seed, device=work.device,
        checkpoint=work.checkpoint, label=task.label,
    )  # fmt: skip
    weights = {name: tensor.cpu().contiguous() for name, tensor in best.state_dict().items()}
    return {"history": history}, lambda path: path.write_bytes(save(weights))


def _read(entry: Entry, task: Task, work: Work) -> torch.nn.Module:
    given = task.settings
    network = build_network(given["architecture"], given["scale"], 0, **given["sizes"])
    network.load_state_dict(load_file(entry.tensors))
    return network.eval()


def _code(task: Task) -> Sequence[Callable]:
    return build_network, ARCHITECTURES[task.settings["architecture"]]


NETWORK = Step("networks", train_network, _read, _code)
