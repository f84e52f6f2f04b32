"""Folders as BasicSR reads them (its ``PairedImageDataset`` with ``meta_info_file``; docs/DatasetPreparation.md): HR pictures
whose sides 12 divides, LR pictures of the same names, a list of names and sizes, and an option file."""

from pathlib import Path

import torch

from srdistill.files import atomic_path, write_text
from srdistill.images.convention import low_resolution
from srdistill.sets.distilled_set import DistilledSet, png_bytes
from srdistill.study.formats.problem import FormatError

# 2, 3 and 4 all divide it.
_MODULUS = 12
_SCALES = (2, 4)
_LIST = "meta_info.txt"


def write_basicsr(made: DistilledSet, folder: Path, about: dict) -> Path:
    """``GTmod12``, ``LRbicx2``, ``LRbicx4``, ``meta_info.txt`` and ``options.yml``; antialiased bicubic, as the study's.

    Raises FormatError for images with a side below 12 px, or a set whose images something else makes.
    """
    if not made.images.numel():
        raise FormatError(f"{about['row']}: has no images of its own; export a row that has")
    height, width = (side - side % _MODULUS for side in made.images.shape[2:])
    if not min(height, width):
        raise FormatError(f"{about['row']}: images of {tuple(made.images.shape[2:])} px have no side of {_MODULUS} px")
    names = [f"{index:05d}.png" for index in range(len(made))]
    hr = made.images[:, :, :height, :width]
    _write(folder / "GTmod12", names, hr)
    for scale in _SCALES:
        _write(folder / f"LRbicx{scale}", names, low_resolution(hr, scale))
    # Without a last line break: BasicSR splits the text into lines, and an empty one would be a file without a name.
    write_text(folder / _LIST, "\n".join(f"{name} ({height},{width},3)" for name in names))
    write_text(folder / "options.yml", _options(folder, min(height, width)))
    return folder


def _write(folder: Path, names: list[str], images: torch.Tensor) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob("*.png"):
        old.unlink()
    for name, image in zip(names, images, strict=True):
        with atomic_path(folder / name) as temporary:
            temporary.write_bytes(png_bytes(image))


def _options(folder: Path, side: int) -> str:
    patch = min(192, side - side % _MODULUS)
    lines = ["# The part of BasicSR's options that names a training set; x4: LRbicx4.", "scale: 2", "datasets:", "  train:",
             f"    name: {folder.name}", "    type: PairedImageDataset", f"    dataroot_gt: {folder.name}/GTmod12",
             f"    dataroot_lq: {folder.name}/LRbicx2", f"    meta_info_file: {folder.name}/{_LIST}",
             "    filename_tmpl: '{}'", "    io_backend:", "      type: disk", f"    gt_size: {patch}", "    use_hflip: true",
             "    use_rot: true"]  # fmt: skip
    return "\n".join(lines) + "\n"
