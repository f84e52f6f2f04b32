"""Named collections of pictures: embedded, local, or downloaded with a checksum.

A name is looked up, in this order, as the embedded photographs, as a folder, as a folder under ``SRDISTILL_DATA`` or among
earlier downloads, and in the catalogue of downloads.
"""

from collections.abc import Sequence
from pathlib import Path

from srdistill.catalogue.downloads import Archive, DownloadError, FileList, data_folders, download_folder, fetch
from srdistill.catalogue.photos import photos
from srdistill.images.pictures import Pictures, read_folder
from srdistill.needs import Need
from srdistill.rehearsing import may_fetch


class CollectionError(FileNotFoundError):
    """A collection that is not at hand; the message says where to put the files."""


_SELF_EX_SR = "https://raw.githubusercontent.com/jbhuang0604/SelfExSR/8f6dd8c1d20cb7e8792a7177b4f6fd677633f598/"
_DCSCN = "https://raw.githubusercontent.com/jiny2001/dcscn-super-resolution/d382bc30d41c94ac72f8cb148d61cc4864b3b380/"
_DIV2K = "https://data.vision.ee.ethz.ch/cvl/DIV2K/"
# Every download is checked against a hash. Those of archives are stated by others; those of single files were computed from
# the files at these commits. None: nobody offers it under a hash.
CATALOGUE: dict[str, Archive | FileList | None] = {
    "set5": FileList(_SELF_EX_SR, "set5", 856_000, "_SRF_2_HR"),
    "set14": FileList(_SELF_EX_SR, "set14", 4_990_000, "_SRF_2_HR"),
    "bsd100": FileList(_SELF_EX_SR, "bsd100", 25_000_000, "_SRF_2_HR"),
    # The HR pictures that lie beside those for x2 are half as large as Urban100's.
    "urban100": FileList(_SELF_EX_SR, "urban100", 130_000_000, "_SRF_4_HR"),
    "t91": FileList(_DCSCN, "t91", 15_000_000),
    "bsds200": Archive(
        "https://www2.eecs.berkeley.edu/Research/Projects/CS/vision/grouping/BSR/BSR_bsds500.tgz",
        "sha256:97e49d31764f3912f0c4122707d53062ac9e783ba0f095e447a4d53c1a41af8e", "several public loaders of BSDS500",
        70_763_455, "BSR/BSDS500/data/images/train",
    ),
    "div2k": Archive(
        _DIV2K + "DIV2K_train_HR.zip", "sha256:9d0b9c463f6e35b6c62cc6a930ee2224f670b34c1df841a57670f9acf0f6c335",
        "tensorflow/datasets, div2k/checksums.tsv", 3_530_603_713, "DIV2K_train_HR",
    ),
    "div2k_valid": Archive(
        _DIV2K + "DIV2K_valid_HR.zip", "sha256:20dd31fd84d777bc1cf5d6b7654a3f569c0aec74458ae094122ad1d0489900fc",
        "tensorflow/datasets, div2k/checksums.tsv", 448_993_893, "DIV2K_valid_HR",
    ),
    "div2k_test16": None,
    "div2k_train16": None,
    "ost": None,
    "ost300": None,
}  # fmt: skip
# Where else under SRDISTILL_DATA a collection may lie: 16 and 16 crops of 512 px from DIV2K, no public collections.
_FOLDERS = {name: (f"div2k_crops512/{name.removeprefix('div2k_')}",) for name in ("div2k_test16", "div2k_train16")}
UNIONS = {"sr291": ("t91", "bsds200")}


def load_collection(name: str, split: str = "train", download: bool = True, limit: int = 0) -> Pictures:
    """The pictures of a named collection or of any local folder.

    ``name``: ``photos`` (``split`` train or test), one of ``CATALOGUE`` or ``UNIONS``, or a folder, absolute or relative to the
    working folder or to ``SRDISTILL_DATA``. ``download``: whether to fetch what is not at hand. ``limit``: read that many
    pictures at most, the first by name (0: all); of a union, of each part.

    Raises:
        CollectionError: not at hand and not to be downloaded. PictureError: a picture cannot be read.
    """
    if name == "photos":
        found = photos(split)
        return found.select(found.names[:limit]) if limit else found
    if name in UNIONS:
        return _union(name, [load_collection(part, split, download, limit) for part in UNIONS[name]])
    folder = _local_folder(name)
    if folder is None and name not in CATALOGUE:
        raise CollectionError(
            f"{name!r} is neither a folder nor a known collection; known: photos, {', '.join([*CATALOGUE, *UNIONS])}"
        )
    pictures = read_folder(folder or _download(name, may_fetch(download)), limit)
    return Pictures(pictures.images, pictures.names, name)


def _local_folder(name: str) -> Path | None:
    # A catalogue name is never taken from the working folder: ./set5 there may be anything.
    places = [] if name in CATALOGUE else [Path(name).expanduser()]
    places += [root / folder for root in data_folders() for folder in (name, *_FOLDERS.get(name, ()))]
    return next((place for place in places if place.is_dir()), None)


def collection_needs(name: str) -> list[Need]:
    """What ``load_collection`` reads for a name; empty for the embedded photographs, which are always there."""
    if name == "photos":
        return []
    if name in UNIONS:
        return [need for part in UNIONS[name] for need in collection_needs(part)]
    found = _local_folder(name)
    if found:
        return [Need(name, (found,))]
    source = CATALOGUE.get(name)
    if source is None:
        return [Need(name, source="no public download is known", remedy=_remedy(name))]
    return [Need(name, (), source.url, source.size, fetched=True, remedy=_remedy(name))]


def _remedy(name: str) -> str:
    where = download_folder()
    return f"put its HR pictures into the folder {where / name} and set SRDISTILL_DATA={where}"


def _union(name: str, parts: Sequence[Pictures]) -> Pictures:
    images = tuple(image for part in parts for image in part.images)
    names = tuple(f"{part.origin}/{n}" for part in parts for n in part.names)
    return Pictures(images, names, name)


def _download(name: str, allowed: bool) -> Path:
    source = CATALOGUE[name]
    if source is None:
        raise CollectionError(f"{name}: no download with a published checksum exists; {_remedy(name)}")
    if not allowed:
        raise CollectionError(f"{name}: not at hand, and not to be downloaded here; {_remedy(name)}")
    try:
        return fetch(name, source)
    except DownloadError as error:
        raise CollectionError(f"{error}; {_remedy(name)}") from error
