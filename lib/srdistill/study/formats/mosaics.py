"""Mosaics of tiles in lossless WebP with a list of where each lies (``sets.mosaics``): the smallest form, to store and send."""

from pathlib import Path

from srdistill.files import write_text
from srdistill.sets.distilled_set import DistilledSet
from srdistill.sets.mosaics import INDEX, write_mosaics
from srdistill.study.formats.problem import FormatError


def write_as_mosaics(made: DistilledSet, folder: Path, about: dict) -> Path:
    """Mosaics, ``index.csv`` and a README; the sources' names are in the index.

    Mosaics of an earlier export into the same folder are removed. Raises FormatError for images that are not square, or a set
    whose images something else makes.
    """
    if not made.images.numel():
        raise FormatError(f"{about['row']}: has no images of its own; export a row that has")
    height, width = made.images.shape[2:]
    if height != width:
        raise FormatError(f"{about['row']}: images of {width} x {height} px are not square; export them as pictures")
    for old in folder.glob("mosaic_*"):
        old.unlink()
    tiles = zip(made.images, (made.names[label] for label in made.labels.tolist()), strict=True)
    written = write_mosaics(folder, tiles)
    settings = "\n".join(f"- {name}: {value}" for name, value in sorted(made.settings.items()))
    write_text(
        folder / "README.md",
        f"# {about['row']}, {about['table']}, seed {about['seed']}\n\n"
        f"{written.tiles} tiles of {width} x {height} px in {written.files} mosaics, {written.bytes:,} bytes of lossless WebP. "
        f"`{INDEX}` says where each tile lies and which picture it comes from; "
        "`srdistill.sets.mosaics.read_mosaics(folder)` gives all of them as one tensor. Crops for training must not cross "
        f"tiles.\n\n{about['use']}\n\nMethod: {made.method}\n\n{settings}\n",
    )
    return folder
