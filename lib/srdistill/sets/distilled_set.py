"""The artefact that people take away: synthetic images, where they come from, how large they are."""

import hashlib
import io
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor

from srdistill.files import UNREADABLE, atomic_path, read_tensors, write_tensors, write_text

# Bytes of one stored label: a 32-bit integer.
_LABEL_BYTES = 4


class SetError(ValueError):
    """A distilled set that is malformed or cannot be read; the message says why."""


class SelectionError(ValueError):
    """A selection of patches that leaves too few, or means nothing; the message names the numbers and the remedy."""


def png_bytes(image: Tensor) -> bytes:
    """One ``uint8`` (3, H, W) image as a PNG file."""
    buffer = io.BytesIO()
    Image.fromarray(image.permute(1, 2, 0).contiguous().numpy()).save(buffer, "PNG")
    return buffer.getvalue()


@dataclass(frozen=True)
class Sizes:
    """The four sizes of a set: images, HR pixels, bytes as PNG, and those plus labels and whatever decodes them."""

    images: int
    pixels: int
    lossless_bytes: int
    total_bytes: int


def sizes_of(images: Iterable[Tensor], labels: int = 0, generator_bytes: int = 0) -> Sizes:
    """The sizes of ``uint8`` images (3, H, W) with ``labels`` stored labels and a decoder of ``generator_bytes``.

    Images without pixels, the places of those that something else makes, do not count.
    """
    count = pixels = lossless = 0
    for image in images:
        if image.numel():
            count, pixels = count + 1, pixels + image.shape[-1] * image.shape[-2]
            lossless += len(png_bytes(image.cpu()))
    return Sizes(count, pixels, lossless, lossless + labels * _LABEL_BYTES + generator_bytes)


@dataclass
class DistilledSet:
    """A small training set made from a large one.

    ``images``: ``uint8`` (N, 3, H, W). ``labels``: int64 (N,), the source picture of each, an index into ``names``.
    ``method`` and ``settings`` (JSON values) say how it was made. ``history``: named curves over iterations.
    ``snapshots``: the first few images at some iterations, ``uint8`` (k, 3, H, W). ``generator_bytes``: size of a model
    without which the images could not be rebuilt; 0 when the images themselves are what is kept. ``latents``: what a method
    may go on from, no part of the training set: the ``codes`` behind the images, and the weights of a tuned generator.
    """

    images: Tensor
    labels: Tensor
    names: tuple[str, ...]
    method: str
    settings: dict = field(default_factory=dict)
    history: dict[str, list[float]] = field(default_factory=dict)
    snapshots: dict[int, Tensor] = field(default_factory=dict)
    generator_bytes: int = 0
    latents: dict[str, Tensor] = field(default_factory=dict)

    def __post_init__(self):
        if self.images.dtype != torch.uint8 or self.images.ndim != 4 or self.images.shape[1] != 3:
            raise SetError(
                f"images must be uint8 (N, 3, H, W), got {self.images.dtype} {tuple(self.images.shape)}; "
                "convert floats in [0, 1] with to_uint8"
            )
        if self.labels.shape != self.images.shape[:1]:
            raise SetError(f"{len(self.images)} images need {len(self.images)} labels, got {tuple(self.labels.shape)}")
        if len(self.labels) and not 0 <= int(self.labels.min()) <= int(self.labels.max()) < len(self.names):
            raise SetError(f"labels must lie in 0..{len(self.names) - 1}, one per source picture")

    def __len__(self) -> int:
        return len(self.images)

    @property
    def sizes(self) -> Sizes:
        """Its four sizes."""
        return sizes_of(list(self.images), len(self.labels), self.generator_bytes)

    @property
    def digest(self) -> str:
        """SHA-256 over images and labels."""
        return hashlib.sha256(self.images.numpy().tobytes() + self.labels.numpy().tobytes()).hexdigest()

    def save(self, path: str | Path) -> None:
        """Write one safetensors file, atomically."""
        tensors = {"images": self.images.contiguous(), "labels": self.labels.contiguous()}
        # safetensors refuses tensors that share memory, as a snapshot of the images themselves would.
        tensors |= {f"snapshot.{step}": images.clone().contiguous() for step, images in self.snapshots.items()}
        tensors |= {f"latent.{name}": tensor.cpu().clone().contiguous() for name, tensor in self.latents.items()}
        about = {
            "names": list(self.names),
            "method": self.method,
            "settings": self.settings,
            "history": self.history,
            "generator_bytes": self.generator_bytes,
        }
        write_tensors(path, "distilled_set", tensors, about)

    @classmethod
    def load(cls, path: str | Path) -> "DistilledSet":
        """Read what ``save`` wrote. Raises SetError if the file is damaged or something else."""
        try:
            tensors, about = read_tensors(path, "distilled_set")
            snapshots = {int(name.split(".")[1]): t for name, t in tensors.items() if name.startswith("snapshot.")}
            latents = {name.removeprefix("latent."): t for name, t in tensors.items() if name.startswith("latent.")}
            return cls(
                images=tensors["images"],
                labels=tensors["labels"],
                names=tuple(about["names"]),
                method=about["method"],
                settings=about["settings"],
                history=about["history"],
                snapshots=snapshots,
                generator_bytes=about["generator_bytes"],
                latents=latents,
            )
        except UNREADABLE as error:
            raise SetError(f"{path}: not a distilled set, or damaged ({error})") from error

    def export(self, folder: str | Path, use: str = "") -> Path:
        """Write the images as PNG files that any trainer reads, with a README that says how they were made, and their ``use``.

        Images of an earlier export into the same folder are removed: they would join the training set.
        """
        folder = Path(folder)
        for old in folder.glob("[0-9][0-9][0-9][0-9][0-9]_*.png"):
            old.unlink()
        for index, (image, label) in enumerate(zip(self.images, self.labels.tolist(), strict=True)):
            if not image.numel():
                continue
            with atomic_path(folder / f"{index:05d}_{self.names[label].replace('/', '_')}.png") as temporary:
                temporary.write_bytes(png_bytes(image))
        sizes = self.sizes
        settings = "\n".join(f"- {name}: {value}" for name, value in sorted(self.settings.items()))
        write_text(
            folder / "README.md",
            f"# A distilled training set\n\n"
            f"{self.sizes.images} images of {self.images.shape[-1]} x {self.images.shape[-2]} px from "
            f"{len(set(self.labels.tolist()))} source pictures or classes ({sizes.pixels:,} pixels, "
            f"{sizes.lossless_bytes:,} bytes as PNG). File names: index, source picture or class.\n{use}\n\n"
            f"Method: {self.method}\n\n{settings}\n",
        )
        return folder
