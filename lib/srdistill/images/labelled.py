"""Pictures of one size with a class each: what a classifier is trained and tested on."""

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from srdistill.images.picture_files import PictureFiles
from srdistill.images.pictures import PictureError


class LabelError(PictureError):
    """Labels, classes or class folders that do not fit; the message names them and the remedy."""


@dataclass(frozen=True)
class LabelledPictures:
    """``images``: ``uint8`` (N, 3, S, S), in memory or in files. ``labels``: int64 (N,), indices into ``classes``, the names of
    all classes in their canonical order. ``name``: of the collection, for captions and provenance.

    A class may be without pictures (a part of a collection often is); the loaders never return such a collection.
    """

    images: Tensor | PictureFiles
    labels: Tensor
    classes: tuple[str, ...]
    name: str = ""

    def __post_init__(self):
        object.__setattr__(self, "classes", tuple(self.classes))
        images, labels = self.images, self.labels
        if images.dtype != torch.uint8 or images.ndim != 4 or images.shape[1] != 3 or images.shape[2] != images.shape[3]:
            raise LabelError(
                f"{self.name}: expected uint8 pictures (N, 3, S, S), got {images.dtype} {tuple(images.shape)}; "
                "cut them square with square_picture, convert floats in [0, 1] with to_uint8"
            )
        if labels.dtype != torch.int64 or labels.shape != images.shape[:1]:
            raise LabelError(
                f"{self.name}: {len(images)} pictures need {len(images)} int64 labels, got {labels.dtype} {tuple(labels.shape)}"
            )
        if not len(images):
            raise LabelError(f"{self.name}: no pictures")
        doubles = sorted({name for name in self.classes if self.classes.count(name) > 1})
        if doubles:
            raise LabelError(f"{self.name}: two classes are called {doubles[0]!r}; class names must differ")
        lowest, highest = int(labels.min()), int(labels.max())
        if lowest < 0 or highest >= len(self.classes):
            raise LabelError(
                f"{self.name}: label {lowest if lowest < 0 else highest} is outside 0..{len(self.classes) - 1}, "
                f"the {len(self.classes)} classes"
            )

    def __len__(self) -> int:
        return len(self.images)

    @property
    def size(self) -> int:
        """Side of the pictures in px."""
        return self.images.shape[-1]

    @cached_property
    def digest(self) -> str:
        """SHA-256 over class names, labels and pixels: the identity of the data, as ``Pictures.digest``.

        Of pictures in files their size, names and contents take the place of pixels: nothing is decoded for it.
        """
        digest = hashlib.sha256(f"{self.classes}{tuple(self.images.shape)}".encode())
        digest.update(self.labels.cpu().contiguous().numpy())
        if isinstance(self.images, PictureFiles):
            digest.update(self.images.digest.encode())
        else:
            digest.update(self.images.cpu().contiguous().numpy())
        return digest.hexdigest()

    @cached_property
    def statistics(self) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """Mean and standard deviation of each colour channel over all pixels, in [0, 1]: a network's normalisation."""
        levels = torch.arange(256, dtype=torch.float64) / 255.0
        # Exact, and without a float copy of all pictures: from the histogram of the 256 levels.
        counts = torch.zeros(3, 256, dtype=torch.float64)
        for part in self.images.split(1024):
            counts += torch.stack([torch.bincount(part[:, c].reshape(-1).cpu().int(), minlength=256) for c in range(3)])
        means = [float((count * levels).sum() / count.sum()) for count in counts]
        variances = [
            float((count * (levels - mean) ** 2).sum() / count.sum()) for count, mean in zip(counts, means, strict=True)
        ]
        return tuple(means), tuple(math.sqrt(variance) for variance in variances)

    def labelled(self) -> tuple[Tensor, Tensor]:
        """``images``, (N, 3, S, S), and ``labels``, (N,); see ``PatchPool.labelled``."""
        return self.images, self.labels

    def of_class(self, label: int) -> Tensor:
        """The pictures of one class, ``uint8`` (n, 3, S, S), in their order. Raises LabelError: no such class."""
        if not 0 <= label < len(self.classes):
            raise LabelError(f"{self.name}: no class {label}; there are {len(self.classes)}, counted from 0")
        return self.images[self.labels == label]

    def select(self, index: Tensor | Sequence[int], name: str | None = None) -> "LabelledPictures":
        """Some of the pictures, by positions (n,), in that order, with all classes."""
        index = torch.as_tensor(index, dtype=torch.int64, device=self.labels.device)
        chosen = self.images.at(index) if isinstance(self.images, PictureFiles) else self.images[index]
        return LabelledPictures(chosen, self.labels[index], self.classes, self.name if name is None else name)

    def per_class(self, count: int, generator: torch.Generator | None = None) -> "LabelledPictures":
        """``count`` pictures of each class: the first ones, or drawn without replacement with ``generator``.

        Raises:
            LabelError: a class has fewer; the message names it.
        """
        chosen = []
        for label, name in enumerate(self.classes):
            places = torch.nonzero(self.labels == label)[:, 0]
            chosen.append(places[choose(len(places), count, generator, f"{self.name}: class {name!r}")])
        return self.select(torch.cat(chosen))


def choose(available: int, count: int, generator: torch.Generator | None, what: str) -> Tensor:
    """``count`` of ``available`` positions in rising order: the first ones, or drawn with ``generator``.

    Returns int64 (count,). Raises LabelError: fewer than one are asked for, or more than there are.
    """
    if count < 1:
        raise LabelError(f"{what}: {count} pictures asked for; ask for 1 or more")
    if available < count:
        raise LabelError(f"{what} has {available} pictures, {count} are asked for; ask for {available} or fewer per class")
    if generator is None:
        return torch.arange(count)
    return torch.randperm(available, generator=generator)[:count].sort().values
