"""The training loop of classifiers: a teacher on hard labels, a student on pictures that are made anew every epoch.

Batch b of epoch e draws from its own generator, so a run that is resumed from a checkpoint equals an uninterrupted one
bit for bit. Students follow RDED's evaluation (validation/main.py), which the coreset paper builds on.
"""

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from srdistill.images.labelled import LabelledPictures
from srdistill.images.pictures import to_float
from srdistill.networks.classifiers import Classifier
from srdistill.seeds import generator_for
from srdistill.training.accuracy import correct, share_correct
from srdistill.training.augmentation import augment
from srdistill.training.checkpoint import Checkpoint
from srdistill.training.classification_recipe import ClassificationRecipe
from srdistill.training.layer_draws import layer_draws
from srdistill.training.loop import Diverged, require_finite_weights, set_rate
from srdistill.training.resumable import resumable
from srdistill.training.soft_labels import Source

# RDED tests every ten epochs of the last fifth of a training and reports the best.
TEST_EVERY = 10
TEST_SHARE = 0.2


def train_classifier(
    network: Classifier,
    data: LabelledPictures,
    recipe: ClassificationRecipe,
    *,
    generator: torch.Generator,
    test: LabelledPictures | None = None,
    device: torch.device | str = "cpu",
    checkpoint: Checkpoint | None = None,
    label: str = "classifier",
) -> dict[str, list[float] | str]:
    """Train ``network`` in place on pictures with their own labels, by cross entropy; it ends in eval mode.

    A teacher's recipe is usually one without CutMix and with ``full cosine``.

    Args, returns, raises: as ``train_student``. ValueError also: the classes are not the network's.
    """
    if data.classes != network.classes:
        raise ValueError(
            f"{label}: the classes of {data.name} are not the network's, or in another order; "
            "build the network with classes=data.classes"
        )
    images, labels = data.images.to(device), data.labels.to(device)
    return train_student(
        network, lambda epoch: (images, labels), recipe, generator=generator, test=test, device=device,
        checkpoint=checkpoint, label=label,
    )  # fmt: skip


def train_student(
    network: Classifier,
    source: Source,
    recipe: ClassificationRecipe,
    *,
    generator: torch.Generator,
    teacher: Classifier | None = None,
    test: LabelledPictures | None = None,
    device: torch.device | str = "cpu",
    checkpoint: Checkpoint | None = None,
    label: str = "student",
) -> dict[str, list[float] | str]:
    """Train ``network`` in place on ``source(epoch)``; it ends in eval mode.

    Labels are, in this order: what ``teacher`` says of the augmented batch (RDED); else the source's soft labels, logits
    for the pictures before augmentation (the coreset paper), or its hard labels. The source's labels are mixed by area
    where CutMix mixes pictures; cropping and flipping leave them as they are. Soft labels enter as the recipe's ``soft_loss``
    says, hard ones by cross entropy. A recipe with ``hard_weight`` needs hard labels beside the soft ones: from the source, in
    the place of its labels where the teacher gives the soft ones, else as a third part.

    Args:
        source: called once for each epoch, from 0; gives pictures ``uint8``, or float in [0, 1], (N, 3, S, S), and labels
            (see ``soft_labels.Source``).
        generator: only its ``initial_seed()`` counts.
        teacher: put on ``device`` and into eval mode; its classes must be the network's.
        test: pictures to test on every ten epochs of the last fifth, and after the last epoch.
        checkpoint: saved after epochs, ``every`` counts them.

    Returns:
        ``loss``: the mean of each epoch. With ``test``: ``tested epochs`` (counted from 1) and ``accuracy``, in percent. The
        last accuracy is the result; the largest is what others report, chosen on the test pictures. ``correct``: the last test
        picture by picture, as ``accuracy.correct`` has it.

    Raises:
        Diverged: a loss or weight became NaN or infinite. ValueError: pictures or labels that do not fit the network.
    """
    if teacher is not None and teacher.classes != network.classes:
        raise ValueError(f"{label}: the teacher's classes are not the student's, or in another order")
    run = _Student(network, source, recipe, generator.initial_seed(), teacher, test, torch.device(device), label)
    for epoch in resumable(recipe.epochs, label, checkpoint, run.state, run.restore):
        run.epoch(epoch)
    require_finite_weights(network, label, run.remedy)
    network.eval()
    return run.history


class _Student:
    """What the epochs of one training change, and how."""

    def __init__(
        self,
        network: Classifier,
        source: Source,
        recipe: ClassificationRecipe,
        seed: int,
        teacher: Classifier | None,
        test: LabelledPictures | None,
        device: torch.device,
        label: str,
    ):
        self.source, self.recipe, self.seed, self.test, self.device, self.label = source, recipe, seed, test, device, label
        self.memory_format = torch.channels_last if recipe.channels_last else torch.contiguous_format
        self.network = network.to(device, memory_format=self.memory_format)
        self.teacher = teacher.to(device).eval() if teacher is not None else None
        self.optimizer = _adamw(network, recipe)
        self.history: dict[str, list[float] | str] = {"loss": []}
        if test is not None:
            self.history |= {"tested epochs": [], "accuracy": []}
        self.remedy = f"lower the learning rate ({recipe.lr})"

    def epoch(self, epoch: int) -> None:
        recipe = self.recipe
        images, labels, *others = self.source(epoch)
        targets = _targets(labels, images, self.network, recipe, self.teacher, self.label)
        soft = targets is None or labels.is_floating_point()
        classes = _classes([labels, *others], len(images), self.network, recipe, soft, self.label)
        self.network.train()
        set_rate(self.optimizer, recipe.learning_rate(epoch))
        draws = generator_for(self.seed, "order", epoch)
        order = torch.randperm(len(images), generator=draws) if recipe.shuffle else torch.arange(len(images))
        losses = []
        for number, index in enumerate(recipe.batches(order)):
            draws = generator_for(self.seed, "augmentation", epoch, number)
            loss = self._loss(images, targets, classes, index, soft, draws)
            self.optimizer.zero_grad(set_to_none=True)
            loss.backward()
            self.optimizer.step()
            losses.append(loss.detach())
        mean = torch.stack(losses).mean().item()
        if not math.isfinite(mean):
            raise Diverged(f"{self.label}: the loss became {mean} in epoch {epoch + 1}; {self.remedy}")
        self.history["loss"].append(mean)
        if self.test is not None and _tested(epoch, recipe.epochs):
            # The loss is from before the last step: broken weights are to be called that.
            require_finite_weights(self.network, self.label, self.remedy)
            self.history["tested epochs"].append(epoch + 1)
            self.history["correct"] = correct(self.network, self.test, device=self.device)
            self.history["accuracy"].append(share_correct(self.history["correct"]))

    def _loss(
        self, images: Tensor, targets: Tensor | None, classes: Tensor | None, index: Tensor, soft: bool, draws: torch.Generator
    ) -> Tensor:
        """Of the pictures at ``index``, augmented; ``targets``: of all pictures, None where the teacher labels; ``classes``: of
        all pictures, None where they do not enter beside soft labels."""
        recipe = self.recipe
        index = index.to(images.device)
        real = images[index].to(self.device)
        real = to_float(real) if real.dtype == torch.uint8 else real.float()
        batch = augment(real, recipe, draws)
        seen = batch.images.contiguous(memory_format=self.memory_format)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=recipe.precision == "bf16"):
            with layer_draws(self.device, draws.initial_seed()):
                logits = self.network(seen).float()
            if targets is None:
                with torch.no_grad():
                    wanted = _wanted(self.teacher(seen), recipe)
        if targets is not None:
            wanted = batch.mix(targets[index.to(targets.device)].to(self.device))
        if not soft:
            return F.cross_entropy(logits, wanted)
        squares = recipe.soft_loss == "squares"
        loss = F.mse_loss(logits, wanted) if squares else soft_label_loss(logits, wanted, recipe.temperature)
        if classes is not None:
            own = classes[index.to(classes.device)].to(self.device)
            loss = loss + recipe.hard_weight * F.cross_entropy(logits, own)
        return loss

    def state(self) -> dict:
        return {
            "network": self.network.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "history": self.history,
        }

    def restore(self, state: dict) -> None:
        self.network.load_state_dict(state["network"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.history = state["history"]


def soft_label_loss(logits: Tensor, wanted: Tensor, temperature: float) -> Tensor:
    """KL(wanted || softmax(logits / T)), mean over the batch, without the factor T^2 of Hinton et al. 2015, as RDED.

    ``logits``: (N, K). ``wanted``: probabilities (N, K), the teacher's at the same temperature.
    """
    return F.kl_div(F.log_softmax(logits / temperature, 1), wanted, reduction="batchmean")


def _tested(epoch: int, epochs: int) -> bool:
    return epoch + 1 == epochs or (epoch + 1 > (1 - TEST_SHARE) * epochs and (epoch + 1) % TEST_EVERY == 0)


def _adamw(network: Classifier, recipe: ClassificationRecipe) -> torch.optim.AdamW:
    weights = list(network.parameters())
    groups = [
        {"params": [weight for weight in weights if weight.ndim > 1], "weight_decay": recipe.weight_decay},
        {"params": [weight for weight in weights if weight.ndim <= 1], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=recipe.lr, betas=recipe.betas)


def _targets(
    labels: Tensor | None,
    images: Tensor,
    network: Classifier,
    recipe: ClassificationRecipe,
    teacher: Classifier | None,
    name: str,
) -> Tensor | None:
    """What students are to say (N, K), by the source's labels, after checking an epoch; None where the teacher labels."""
    size, count, classes = network.size, len(images), len(network.classes)
    if images.ndim != 4 or tuple(images.shape[1:]) != (3, size, size) or not count:
        raise ValueError(f"{name}: the network takes pictures (N, 3, {size}, {size}), the source gave {tuple(images.shape)}")
    if images.dtype != torch.uint8 and not (images.is_floating_point() and _in_range(images)):
        raise ValueError(
            f"{name}: pictures are uint8, or float in [0, 1], the source gave {images.dtype} {_range(images)}; "
            "do not normalise them: the network does"
        )
    if labels is None or teacher is not None:
        if teacher is None:
            raise ValueError(f"{name}: the source gave no labels and there is no teacher; give one of them")
        if labels is not None and labels.is_floating_point():
            raise ValueError(f"{name}: both soft labels and a teacher; leave one of them out")
        return None
    if labels.dtype == torch.int64 and labels.shape == (count,):
        _check_range(labels, classes, name)
        return F.one_hot(labels, classes).float()
    if labels.is_floating_point() and labels.shape == (count, classes):
        return _wanted(labels, recipe)
    raise ValueError(
        f"{name}: {count} pictures of {classes} classes need int64 labels ({count},) or float logits ({count}, {classes}), "
        f"got {labels.dtype} {tuple(labels.shape)}"
    )


def _wanted(logits: Tensor, recipe: ClassificationRecipe) -> Tensor:
    """Logits (N, K) of a teacher as the recipe's loss takes them."""
    return logits.float() if recipe.soft_loss == "squares" else F.softmax(logits.float() / recipe.temperature, 1)


def _classes(
    labels: Sequence[Tensor | None], count: int, network: Classifier, recipe: ClassificationRecipe, soft: bool, name: str
) -> Tensor | None:
    """Hard labels (N,) that enter beside soft ones; None where the recipe gives them no weight."""
    if not recipe.hard_weight:
        return None
    for found in labels:
        if soft and found is not None and found.dtype == torch.int64 and found.shape == (count,):
            _check_range(found, len(network.classes), name)
            return found
    raise ValueError(
        f"{name}: hard_weight is {recipe.hard_weight}, which needs int64 labels ({count},) beside soft ones or a teacher; give "
        "both, or set hard_weight to 0"
    )


def _check_range(labels: Tensor, classes: int, name: str) -> None:
    if not 0 <= int(labels.min()) <= int(labels.max()) < classes:
        raise ValueError(f"{name}: labels must lie in 0..{classes - 1}, got {int(labels.min())}..{int(labels.max())}")


def _in_range(images: Tensor) -> bool:
    # What a decoder makes may reach a little beyond; normalised pictures reach beyond -1.
    return bool(((images > -0.5) & (images < 1.5)).all())


def _range(images: Tensor) -> Sequence[float]:
    return [round(float(images.min()), 3), round(float(images.max()), 3)]
