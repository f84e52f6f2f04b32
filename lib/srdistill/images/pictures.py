"""Named pictures, read from files whatever their format."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from PIL import Image, UnidentifiedImageError
from torch import Tensor

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp")


class PictureError(ValueError):
    """A picture, or a folder of pictures, that cannot be used; the message names it and the remedy."""


def to_float(images: Tensor) -> Tensor:
    """``uint8`` 0..255 to ``float32`` in [0, 1], any shape."""
    return images.to(torch.float32) / 255.0


def to_uint8(images: Tensor) -> Tensor:
    """Float in [0, 1] to ``uint8``: clamped, rounded to the nearest level, any shape."""
    return images.detach().clamp(0, 1).mul(255.0).round_().to(torch.uint8)


def check_patches(patches: Tensor, labels: Tensor | None = None) -> None:
    """Raise PictureError unless ``patches`` are square ``uint8`` (N, 3, h, h); given ``labels``, also unless N > 0 and these
    are integers >= 0, (N,)."""
    if patches.dtype != torch.uint8 or patches.ndim != 4 or patches.shape[1] != 3 or patches.shape[2] != patches.shape[3]:
        raise PictureError(
            f"patches are square uint8 (N, 3, h, h), got {patches.dtype} {tuple(patches.shape)}; convert floats with to_uint8"
        )
    if labels is None:
        return
    if not len(patches):
        raise PictureError("no patches; select some first, raise the threshold of their selection, or use more pictures")
    if labels.shape != patches.shape[:1] or labels.is_floating_point() or labels.dtype == torch.bool:
        raise PictureError(
            f"{len(patches)} patches need {len(patches)} integer labels, got {labels.dtype} {tuple(labels.shape)}"
        )
    if int(labels.min()) < 0:
        raise PictureError(f"labels must be 0 or more, got {int(labels.min())}; number the classes from 0")


@dataclass(frozen=True)
class Pictures:
    """HR pictures with their names; the label of a picture is its position.

    ``images``: ``uint8`` tensors (3, H, W), sizes may differ. ``names``: one per picture. ``origin``: where they
    come from, for captions and provenance.
    """

    images: tuple[Tensor, ...]
    names: tuple[str, ...]
    origin: str = ""

    def __post_init__(self):
        object.__setattr__(self, "images", tuple(self.images))
        object.__setattr__(self, "names", tuple(self.names))
        if len(self.images) != len(self.names):
            raise PictureError(f"{len(self.images)} pictures but {len(self.names)} names")
        for image, name in zip(self.images, self.names, strict=True):
            if image.dtype != torch.uint8 or image.ndim != 3 or image.shape[0] != 3:
                raise PictureError(
                    f"{name}: expected a uint8 tensor of shape (3, H, W), got {image.dtype} {tuple(image.shape)}; "
                    "read files with read_picture, convert floats with to_uint8"
                )

    def __len__(self) -> int:
        return len(self.images)

    def __iter__(self) -> Iterator[tuple[str, Tensor]]:
        return iter(zip(self.names, self.images, strict=True))

    @property
    def pixels(self) -> int:
        """HR pixels in all pictures together."""
        return sum(image.shape[1] * image.shape[2] for image in self.images)

    @cached_property
    def digest(self) -> str:
        """SHA-256 over names, sizes and pixels: the identity of the data in cell keys."""
        digest = hashlib.sha256()
        for name, image in self:
            digest.update(f"{name}{tuple(image.shape)}".encode())
            digest.update(image.contiguous().numpy())
        return digest.hexdigest()

    def select(self, names: Sequence[str]) -> "Pictures":
        """The named pictures, in the order asked for. Raises PictureError: no picture of such a name."""
        known = dict(self)
        missing = [name for name in names if name not in known]
        if missing:
            raise PictureError(f"no picture named {missing[0]!r} in {self.origin}; there are: {', '.join(self.names)}")
        return Pictures(tuple(known[name] for name in names), tuple(names), self.origin)

    def at_least(self, side: int) -> "Pictures":
        """Only the pictures whose shorter side has ``side`` px or more. Raises PictureError: none has."""
        kept = [(name, image) for name, image in self if min(image.shape[1:]) >= side]
        if not kept:
            raise PictureError(
                f"none of the {len(self)} pictures of {self.origin} has {side} px on its shorter side; "
                "use larger pictures or a smaller sub-image size"
            )
        return Pictures(tuple(i for _, i in kept), tuple(n for n, _ in kept), self.origin)

    def spread(self, most: int) -> "Pictures":
        """At most so many pictures, at even distances in the list, the first among them."""
        names = [self.names[index * len(self) // most] for index in range(most)] if most < len(self) else self.names
        return self.select(names)

    def require(self, side: int, what: str) -> None:
        """Raise PictureError if a picture's shorter side has less than ``side`` px: it names the first, and ``what`` is too
        large for it."""
        for name, image in self:
            if min(image.shape[1:]) < side:
                raise PictureError(
                    f"{name}: {image.shape[1]} x {image.shape[2]} px is smaller than {what}; "
                    "leave it out (Pictures.at_least) or use a smaller size"
                )

    def center_crop(self, side: int) -> "Pictures":
        """The central ``side`` x ``side`` px of each picture; shorter sides stay as they are."""
        crops = []
        for image in self.images:
            height, width = image.shape[1:]
            top, left = max(0, (height - side) // 2), max(0, (width - side) // 2)
            crops.append(image[:, top : top + side, left : left + side].contiguous())
        return Pictures(tuple(crops), self.names, self.origin)


def read_picture(path: str | Path) -> Tensor:
    """Read one picture file as ``uint8`` (3, H, W) RGB.

    Grey pictures are replicated to three channels; palettes are looked up; an alpha channel is dropped (as
    BasicSR's reader does); 16-bit values are scaled to 8 bits with rounding.

    Raises:
        PictureError: the file is missing, is no picture, or ends early.
    """
    path = Path(path)
    try:
        with Image.open(path) as file:
            file.load()
            if file.mode in ("I;16", "I;16B", "I;16L", "I"):
                deep = np.asarray(file).astype(np.float64)
                picture = np.round(deep / 257.0).clip(0, 255).astype(np.uint8)
                picture = np.stack([picture] * 3, axis=-1)
            else:
                # Palettes with transparency become RGBA first, as Pillow advises.
                picture = np.asarray(file.convert("RGBA").convert("RGB") if file.mode == "P" else file.convert("RGB"))
    except FileNotFoundError:
        raise PictureError(f"{path}: no such file") from None
    except UnidentifiedImageError:
        raise PictureError(f"{path}: not a picture that Pillow can read; remove it from the folder") from None
    except Image.DecompressionBombError as error:
        raise PictureError(f"{path}: too large to open safely ({error}); cut it or leave it out") from error
    except (OSError, SyntaxError, ValueError, TypeError, EOFError) as error:
        raise PictureError(f"{path}: damaged or cut off ({error}); fetch the file again or remove it") from error
    return torch.from_numpy(np.ascontiguousarray(picture.transpose(2, 0, 1)))


def read_folder(folder: str | Path, limit: int = 0) -> Pictures:
    """Read every picture of a folder, sorted by name, or the first ``limit`` ones; files with other suffixes are passed over.

    Raises:
        PictureError: the folder is missing or holds no picture, or one of its pictures cannot be read.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise PictureError(f"{folder}: no such folder; give a folder of pictures ({', '.join(SUFFIXES)})")
    paths = sorted(path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES)
    if not paths:
        raise PictureError(f"{folder}: holds no pictures; it needs files ending in {', '.join(SUFFIXES)}")
    paths = paths[:limit] if limit else paths
    return Pictures(tuple(read_picture(path) for path in paths), tuple(path.stem for path in paths), folder.name)
