"""A teacher is tested before it is used.

A teacher at chance, or one that knows the classes in another order, still gives labels, and students still train on them:
that is how RDED's users got 23 instead of 50 percent (its issues 3 and 4). Here such a teacher stops the run.
"""

import json
import math
from collections.abc import Sequence
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from srdistill.images.labelled import LabelledPictures
from srdistill.networks.classifiers import IMAGENET_MEAN, IMAGENET_STD, Classifier, build_classifier
from srdistill.training.accuracy import confusion
from srdistill.training.teacher_logits import TeacherError


def check_teacher(
    network: Classifier,
    data: LabelledPictures,
    *,
    at_least: float,
    device: torch.device | str = "cpu",
    batch: int | None = None,
) -> float:
    """The teacher's accuracy in percent on pictures it was not trained on, if it is ``at_least`` that (0: whatever it is).

    Raises:
        TeacherError: other classes, or the same in another order, by name; or too low an accuracy: the message tells a
            teacher at chance from one whose outputs only have to be put into another order. ValueError: ``at_least`` is not
            between chance and 100.
    """
    count = len(data.classes)
    counts = data.labels.bincount(minlength=count)
    # Always naming the largest class: 100 / K where classes are equally large.
    chance = 100.0 * counts.max().item() / len(data)
    if at_least and not chance < at_least <= 100:
        raise ValueError(f"at_least is {at_least} percent; give a value above chance ({chance:.1f}) and up to 100")
    _check_classes(network.classes, data.classes, f"the teacher ({network.architecture})", data.name)
    table = confusion(network, data, device=device, batch=batch)
    reached = 100.0 * table.diagonal().sum().item() / len(data)
    if reached >= at_least:
        return reached
    found = f"the teacher ({network.architecture}) has an accuracy of {reached:.1f} % on {data.name}, {at_least:g} % are needed"
    found += f" (chance: {chance:.1f} %)"
    order, repaired = best_order(table)
    if repaired >= at_least:
        wrong = next(label for label in range(count) if order[label] != label)
        raise TeacherError(
            f"{found}; its outputs are in another order than the labels: put right, they reach {repaired:.1f} %, e.g. output "
            f"{order[wrong]} answers to class {wrong} ({data.classes[wrong]!r}). "
            "Sort the class folders as for its training, or reorder its last layer by training.teacher.best_order"
        )
    # Three standard deviations of a guess at chance level.
    if reached <= chance + 300.0 * math.sqrt(chance / 100 * (1 - chance / 100) / len(data)):
        raise TeacherError(
            f"{found}; it is at chance, whatever the order of the labels (best order: {repaired:.1f} %). Either it was not "
            "trained, or its weights are another network's, or it needs another normalisation (mean, std) or size"
        )
    raise TeacherError(f"{found}; train it longer or on more pictures, check its normalisation and size, or ask for less")


def best_order(table: Tensor) -> tuple[list[int], float]:
    """For a confusion matrix (K, K): which output to read for each class, and the accuracy in percent that this gives."""
    from scipy.optimize import linear_sum_assignment

    rows, columns = linear_sum_assignment(table.numpy(), maximize=True)
    return columns.tolist(), 100.0 * table[rows, columns].sum().item() / table.sum().item()


def load_teacher(
    path: str | Path,
    *,
    classes: Sequence[str],
    size: int,
    architecture: str | None = None,
    mean: Sequence[float] = IMAGENET_MEAN,
    std: Sequence[float] = IMAGENET_STD,
    **settings,
) -> Classifier:
    """Read a classifier for ``classes``, in this order, and pictures of ``size`` px; frozen, in eval mode.

    A file of ``Classifier.save`` says itself what it is. Any other is a checkpoint of torch (weights only; also under
    ``model`` or ``state_dict``, and with ``module.`` before the names) and needs ``architecture`` and its ``settings``, and
    ``mean`` and ``std`` if they are not ImageNet's. Such a checkpoint does not name its classes: test it with
    ``check_teacher``.

    Raises:
        TeacherError: no such file, damaged, other weights, classes or size.
    """
    path, classes = Path(path), tuple(classes)
    if not path.is_file():
        raise TeacherError(f"{path}: no such file; train a teacher first (train_classifier) or give its checkpoint")
    try:
        with safe_open(path, "pt") as file:
            about = json.loads((file.metadata() or {}).get("classifier", "null"))
            weights = {name: file.get_tensor(name) for name in file.keys()}
    except SafetensorError:
        about, weights = None, _torch_weights(path)
    if about is not None:
        _check_classes(about["classes"], classes, f"the teacher in {path}", "the data")
        if about["size"] != size:
            raise TeacherError(
                f"{path}: a teacher for pictures of {about['size']} px, not {size} px; load the data with that size"
            )
        if architecture not in (None, about["architecture"]):
            raise TeacherError(f"{path}: a {about['architecture']}, not a {architecture}; leave architecture out")
        network = build_classifier(
            about["architecture"], classes=classes, size=size, seed=0, mean=about["mean"], std=about["std"], **about["settings"]
        )  # fmt: skip
    elif architecture is None:
        raise TeacherError(f"{path}: does not say which network it is; give architecture and its settings")
    else:
        network = build_classifier(architecture, classes=classes, size=size, seed=0, mean=mean, std=std, **settings)
    wanted = network.body.state_dict()
    wrong = sorted(wanted.keys() ^ weights.keys())
    wrong += [name for name in wanted if name in weights and wanted[name].shape != weights[name].shape]
    if wrong:
        name = wrong[0]
        there, needed = (tuple(part[name].shape) if name in part else "absent" for part in (weights, wanted))
        raise TeacherError(
            f"{path}: not the weights of this {network.architecture} with {len(classes)} classes at {size} px: {len(wrong)} "
            f"differ, first {name} (in the file {there}, needed {needed}); check architecture, settings, classes and size"
        )
    network.body.load_state_dict(weights)
    return network.eval().requires_grad_(False)


def _torch_weights(path: Path) -> dict[str, Tensor]:
    try:
        weights = torch.load(path, map_location="cpu", weights_only=True)
        for key in ("model", "state_dict"):
            if isinstance(weights.get(key), dict):
                weights = weights[key]
        return {
            name.removeprefix("module."): tensor.float() if tensor.is_floating_point() else tensor
            for name, tensor in weights.items()
        }
    except Exception as error:  # torch.load raises many kinds for a damaged file
        raise TeacherError(f"{path}: no weights in it, or damaged ({type(error).__name__}); fetch or train it again") from error


def _check_classes(known: Sequence[str], wanted: Sequence[str], who: str, where: str) -> None:
    known, wanted = tuple(known), tuple(wanted)
    if known == wanted:
        return
    if len(known) != len(wanted):
        raise TeacherError(
            f"{who} knows {len(known)} classes, {where} has {len(wanted)}; use a teacher trained on these classes"
        )
    if set(known) == set(wanted):
        place = next(k for k in range(len(known)) if known[k] != wanted[k])
        raise TeacherError(
            f"{who} knows the classes in another order than {where}: class {place} is {known[place]!r} there and "
            f"{wanted[place]!r} here; sort the class folders as for its training"
        )
    foreign = next(name for name in wanted if name not in known)
    raise TeacherError(f"{who} does not know class {foreign!r} of {where}; use a teacher trained on these classes")
