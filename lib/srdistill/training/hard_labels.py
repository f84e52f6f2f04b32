"""How GLaD scores a distilled set: a student learns its pictures with the labels that belong to it (Cazenavette et al. 2023).

SGD with momentum, a rate that rises and falls, one augmentation a step, averaged weights (GeorgeCazenavette/glad, utils.py,
``evaluate_synset``). No teacher is asked: labels are classes, or logits that the set learned with its pictures (DATM). Batch b
of epoch e draws from its own generator, so a run that is resumed from a checkpoint equals an uninterrupted one bit for bit.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.optim.swa_utils import get_ema_multi_avg_fn

from srdistill.images.labelled import LabelledPictures
from srdistill.images.pictures import to_float
from srdistill.networks.classifiers import Classifier
from srdistill.seeds import generator_for
from srdistill.training.accuracy import correct, share_correct
from srdistill.training.checkpoint import Checkpoint
from srdistill.training.dsa import draw_dsa
from srdistill.training.hard_label_recipe import HardLabelRecipe
from srdistill.training.layer_draws import layer_draws
from srdistill.training.loop import Diverged, require_finite_weights, set_rate
from srdistill.training.resumable import resumable
from srdistill.training.soft_labels import Source


def train_hard_student(
    network: Classifier,
    source: Source,
    recipe: HardLabelRecipe,
    *,
    generator: torch.Generator,
    test: LabelledPictures | None = None,
    device: torch.device | str = "cpu",
    checkpoint: Checkpoint | None = None,
    label: str = "student",
) -> dict[str, list[float] | str]:
    """Train ``network`` in place on ``source(epoch)``; it ends in eval mode, with the averaged weights.

    Every step augments its pictures by one operation of ``draw_dsa``, with parameters for each, after normalising them. Classes
    enter by cross entropy, logits by cross entropy to their softmax.

    Args:
        source: called once for each epoch, from 0; gives pictures (N, 3, S, S), ``uint8``, or float of which [0, 1] is the
            range of pictures: what was learned may reach beyond, and is not clamped; and labels, int64 (N,) or float logits
            (N, K). For a set this is ``lambda epoch: (pictures, labels)``.
        generator: only its ``initial_seed()`` counts.
        test: pictures to test the averaged weights on, once, after the last epoch.
        checkpoint: saved after epochs, ``every`` counts them.

    Returns:
        ``loss``: the mean of each epoch. With ``test``: ``tested epochs``, the last one, ``accuracy``, in percent, and
        ``correct``, picture by picture, as ``accuracy.correct`` has it.

    Raises:
        Diverged: a loss or weight became NaN or infinite. ValueError: pictures or labels that do not fit the network.
    """
    run = _HardStudent(network, source, recipe, generator.initial_seed(), torch.device(device), label)
    for epoch in resumable(recipe.epochs, label, checkpoint, run.state, run.restore):
        run.epoch(epoch)
    run.finish()
    if test is not None:
        right = correct(network, test, device=run.device)
        run.history |= {"tested epochs": [recipe.epochs], "accuracy": [share_correct(right)], "correct": right}
    return run.history


class _HardStudent:
    """What the epochs of one training change, and how."""

    def __init__(
        self, network: Classifier, source: Source, recipe: HardLabelRecipe, seed: int, device: torch.device, label: str
    ):
        self.source, self.recipe, self.seed, self.device, self.label = source, recipe, seed, device, label
        self.network = network.to(device)
        self.optimizer = torch.optim.SGD(
            network.parameters(), lr=recipe.lr, momentum=recipe.momentum, weight_decay=recipe.weight_decay
        )
        self.average = [weight.detach().clone() for weight in network.parameters()]
        self.history: dict[str, list[float] | str] = {"loss": []}
        self.remedy = f"lower the learning rate ({recipe.lr})"

    def epoch(self, epoch: int) -> None:
        images, labels, *_ = self.source(epoch)
        _check(images, labels, self.network, self.label)
        images, labels = images.to(self.device), labels.to(self.device)
        if labels.is_floating_point():
            labels = F.softmax(labels.float(), 1)
        self.network.train()
        set_rate(self.optimizer, self.recipe.learning_rate(epoch))
        order = torch.randperm(len(images), generator=generator_for(self.seed, "order", epoch))
        losses = []
        for number, index in enumerate(order.to(self.device).split(self.recipe.batch)):
            draws = generator_for(self.seed, "augmentation", epoch, number)
            loss = self._loss(images[index], labels[index], draws)
            self.optimizer.zero_grad(set_to_none=True)
            loss.backward()
            self.optimizer.step()
            losses.append(loss.detach() * len(index))
        mean = torch.stack(losses).sum().item() / len(images)
        if not math.isfinite(mean):
            raise Diverged(f"{self.label}: the loss became {mean} in epoch {epoch + 1}; {self.remedy}")
        self.history["loss"].append(mean)
        get_ema_multi_avg_fn(self.recipe.decay(epoch))(self.average, list(self.network.parameters()), None)

    def _loss(self, images: Tensor, labels: Tensor, draws: torch.Generator) -> Tensor:
        """``labels``: classes (n,), or probabilities (n, K)."""
        images = to_float(images) if images.dtype == torch.uint8 else images.float()
        augment = draw_dsa(draws, self.network.size, len(images))
        with layer_draws(self.device, draws.initial_seed()):
            logits = self.network.body(augment(self.network.normalise(images)))
        return F.cross_entropy(logits, labels)

    @torch.no_grad()
    def finish(self) -> None:
        """Leave the averaged weights in the network."""
        require_finite_weights(self.network, self.label, self.remedy)
        for weight, average in zip(self.network.parameters(), self.average, strict=True):
            weight.copy_(average)
        self.network.eval()

    def state(self) -> dict:
        return {
            "network": self.network.state_dict(),
            "average": self.average,
            "optimizer": self.optimizer.state_dict(),
            "history": self.history,
        }

    def restore(self, state: dict) -> None:
        self.network.load_state_dict(state["network"])
        self.average = [weight.to(self.device) for weight in state["average"]]
        self.optimizer.load_state_dict(state["optimizer"])
        self.history = state["history"]


def _check(images: Tensor, labels: Tensor | None, network: Classifier, name: str) -> None:
    size, count, classes = network.size, len(images), len(network.classes)
    if images.ndim != 4 or tuple(images.shape[1:]) != (3, size, size) or not count:
        raise ValueError(f"{name}: the network takes pictures (N, 3, {size}, {size}), the source gave {tuple(images.shape)}")
    if images.dtype != torch.uint8 and not images.is_floating_point():
        raise ValueError(f"{name}: pictures are uint8, or float of the range [0, 1], the source gave {images.dtype}")
    if labels is None:
        raise ValueError(f"{name}: the source gave no labels, and no teacher is asked here; give classes or logits")
    soft = labels.is_floating_point() and labels.shape == (count, classes)
    if not soft and (labels.dtype != torch.int64 or labels.shape != (count,)):
        raise ValueError(
            f"{name}: {count} pictures of {classes} classes need int64 labels ({count},) or float logits ({count}, {classes}), "
            f"got {labels.dtype} {tuple(labels.shape)}"
        )
    if not soft and not 0 <= int(labels.min()) <= int(labels.max()) < classes:
        raise ValueError(f"{name}: labels must lie in 0..{classes - 1}, got {int(labels.min())}..{int(labels.max())}")
    for what, values in (("pictures", images), ("label logits", labels)):
        if not bool(torch.isfinite(values).all()):
            bad = (~torch.isfinite(values)).flatten(1).any(1).nonzero().flatten().tolist()
            raise ValueError(
                f"{name}: {what} hold NaN or infinity, {len(bad)} of {count}, first number {bad[0]}; the set was learned with "
                "too high a rate: lower it and distil again"
            )
