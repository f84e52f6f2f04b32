"""Sets with what only some methods learn beside 8-bit pictures: floats, labels, a step size."""

import hashlib
import math
from dataclasses import dataclass, fields, replace
from pathlib import Path

import torch
from torch import Tensor

from srdistill.images.pictures import to_float, to_uint8
from srdistill.sets.distilled_set import DistilledSet, SetError, Sizes

# Bytes of one learned number.
_FLOAT_BYTES = 4
# In a file they lie among what a method may go on from, under names of their own.
_PREFIX = "learned."


@dataclass
class LearnedSet(DistilledSet):
    """A distilled set whose learned numbers are part of the training set, and count in its bytes.

    ``floats``: float32 (N, 3, H, W), the pictures as they were learned, of which [0, 1] is the range of pictures but not a
    bound; ``images`` are the same after 8 bits. ``label_logits``: float32 (N, len(names)), what a student is to say of each.
    ``step_size``: its learning rate. None: not learned.
    """

    floats: Tensor | None = None
    label_logits: Tensor | None = None
    step_size: float | None = None

    def __post_init__(self):
        super().__post_init__()
        for name, wanted in (("floats", tuple(self.images.shape)), ("label_logits", (len(self), len(self.names)))):
            found = getattr(self, name)
            if found is None:
                continue
            if found.dtype != torch.float32 or tuple(found.shape) != wanted:
                raise SetError(f"{name} must be float32 {wanted}, got {found.dtype} {tuple(found.shape)}")
            bad = (~torch.isfinite(found)).flatten(1).any(1).nonzero().flatten().tolist()
            if bad:
                raise SetError(
                    f"{name} hold NaN or infinity, {len(bad)} of {len(self)}, first number {bad[0]}; lower the rate that they "
                    "are learned with"
                )
        if self.floats is not None and not torch.equal(to_uint8(self.floats), self.images):
            raise SetError("images must be the floats after 8 bits; make them with to_uint8")
        if self.step_size is not None and not 0 < self.step_size < math.inf:
            raise SetError(f"step_size must be positive, got {self.step_size}; lower the rate that it is learned with")

    @property
    def sizes(self) -> Sizes:
        """Its four sizes; where pictures are floats, ``total_bytes`` counts these, and not the PNG."""
        found = super().sizes
        learned = sum(_FLOAT_BYTES * tensor.numel() for tensor in self._learned.values())
        unused = 0 if self.floats is None else found.lossless_bytes
        return replace(found, total_bytes=found.total_bytes - unused + learned)

    @property
    def _learned(self) -> dict[str, Tensor]:
        step_size = None if self.step_size is None else torch.tensor(self.step_size, dtype=torch.float64)
        found = {"floats": self.floats, "label_logits": self.label_logits, "step_size": step_size}
        return {name: tensor for name, tensor in found.items() if tensor is not None}

    @property
    def digest(self) -> str:
        """SHA-256 over images and labels, and what was learned beside them."""
        found = hashlib.sha256(super().digest.encode())
        for name, tensor in self._learned.items():
            found.update(name.encode() + tensor.numpy().tobytes())
        return found.hexdigest()

    def save(self, path: str | Path) -> None:
        """Write one safetensors file, atomically, which ``DistilledSet.load`` reads as well, without what was learned."""
        plain = {item.name: getattr(self, item.name) for item in fields(DistilledSet)}
        kept = self.latents | {_PREFIX + name: tensor for name, tensor in self._learned.items()}
        DistilledSet(**(plain | {"latents": kept})).save(path)

    @classmethod
    def load(cls, path: str | Path) -> "LearnedSet":
        """Read what ``save`` wrote. Raises SetError if the file is damaged or something else."""
        made = DistilledSet.load(path)
        plain = {item.name: getattr(made, item.name) for item in fields(DistilledSet)}
        learned = {name.removeprefix(_PREFIX): made.latents[name] for name in _learned_in(made)}
        plain["latents"] = {name: tensor for name, tensor in made.latents.items() if not name.startswith(_PREFIX)}
        step_size = learned.pop("step_size", None)
        try:
            return cls(**plain, **learned, step_size=None if step_size is None else step_size.item())
        except SetError as error:
            raise SetError(f"{path}: not a distilled set, or damaged ({error})") from error

    def export(self, folder: str | Path, use: str = "") -> Path:
        """As ``DistilledSet.export``; the README says what stays behind."""
        learned = ", ".join(self._learned)
        left = f"These are pictures of 8 bits with hard labels. Learned too, and not in this folder: {learned}."
        return super().export(folder, f"{use}\n\n{left}" if self._learned else use)


def _learned_in(made: DistilledSet) -> list[str]:
    return [name for name in made.latents if name.startswith(_PREFIX)]


def load_set(path: str | Path) -> DistilledSet:
    """The set in a file, a ``LearnedSet`` if it is one. Raises SetError if the file is damaged or something else."""
    made = DistilledSet.load(path)
    return LearnedSet.load(path) if _learned_in(made) else made


def pictures_of(made: DistilledSet) -> Tensor:
    """Float32 (N, 3, H, W) to train on: as they were learned where that was in floats, else the images in [0, 1]."""
    floats = made.floats if isinstance(made, LearnedSet) else None
    return to_float(made.images) if floats is None else floats


def targets_of(made: DistilledSet) -> Tensor:
    """What a student is to say: the learned logits (N, len(names)) where there are any, else the labels (N,)."""
    logits = made.label_logits if isinstance(made, LearnedSet) else None
    return made.labels if logits is None else logits


def rounded_set(made: DistilledSet) -> DistilledSet:
    """A set after 8 bits; itself where it has no floats."""
    return replace(made, floats=None) if isinstance(made, LearnedSet) else made
