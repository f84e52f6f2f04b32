"""Named collections of pictures: embedded, local, or downloaded with a checksum.

A name is looked up, in this order, as the embedded photographs, as a folder, as a folder under ``SRDISTILL_DATA``,
and in the catalogue of downloads (through pooch: progress bar, SHA-256 or MD5 checked before use, retries).
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pooch

from srdistill.images.photos import photos
from srdistill.images.pictures import PictureError, Pictures, read_folder
from srdistill.needs import Need


class CollectionError(FileNotFoundError):
    """A collection that is not at hand; the message says where to put the files."""


@dataclass(frozen=True)
class Archive:
    """A downloadable archive: its address, its hash as pooch writes them, who states that hash, and its bytes, about."""

    url: str
    known_hash: str
    stated_by: str
    size: int


# The addresses and hashes as others publish them; every download is checked against the hash.
ARCHIVES = {
    "DIV2K_train_HR.zip": Archive(
        "https://data.vision.ee.ethz.ch/cvl/DIV2K/DIV2K_train_HR.zip",
        "sha256:9d0b9c463f6e35b6c62cc6a930ee2224f670b34c1df841a57670f9acf0f6c335",
        "tensorflow/datasets, div2k/checksums.tsv",
        3_530_603_713,
    ),
    "DIV2K_valid_HR.zip": Archive(
        "https://data.vision.ee.ethz.ch/cvl/DIV2K/DIV2K_valid_HR.zip",
        "sha256:20dd31fd84d777bc1cf5d6b7654a3f569c0aec74458ae094122ad1d0489900fc",
        "tensorflow/datasets, div2k/checksums.tsv",
        448_993_893,
    ),
    "benchmark.tar": Archive(
        "https://cv.snu.ac.kr/research/EDSR/benchmark.tar",
        "md5:4ace41d33c2384b97e6b320cd0afd6ba",
        "Coloquinte/torchSR, datasets/benchmarks.py",
        250_000_000,
    ),
    "BSR_bsds500.tgz": Archive(
        "https://www2.eecs.berkeley.edu/Research/Projects/CS/vision/grouping/BSR/BSR_bsds500.tgz",
        "sha256:97e49d31764f3912f0c4122707d53062ac9e783ba0f095e447a4d53c1a41af8e",
        "several public loaders of BSDS500",
        70_763_455,
    ),
}

# Name: (archive, folder inside it). None: no archive with a published checksum exists.
CATALOGUE: dict[str, tuple[str, str] | None] = {
    "set5": ("benchmark.tar", "benchmark/Set5/HR"),
    "set14": ("benchmark.tar", "benchmark/Set14/HR"),
    "bsd100": ("benchmark.tar", "benchmark/B100/HR"),
    "urban100": ("benchmark.tar", "benchmark/Urban100/HR"),
    "div2k": ("DIV2K_train_HR.zip", "DIV2K_train_HR"),
    "div2k_valid": ("DIV2K_valid_HR.zip", "DIV2K_valid_HR"),
    "bsds200": ("BSR_bsds500.tgz", "BSR/BSDS500/data/images/train"),
    "t91": None,
    "ost": None,
    "ost300": None,
}
# Where pictures without an archive can be had one by one.
_ONE_BY_ONE = {
    "t91": ("github.com/jiny2001/dcscn-super-resolution, commit d382bc30, 91 files in data/yang91", 9_800_000),
}
UNIONS = {"sr291": ("t91", "bsds200")}


def load_collection(name: str, split: str = "train", download: bool = True) -> Pictures:
    """The pictures of a named collection or of any local folder.

    ``name``: ``photos`` (``split`` train or test), ``set5 set14 bsd100 urban100 div2k div2k_valid t91 bsds200
    sr291``, or a folder, absolute or relative to the working folder or to ``SRDISTILL_DATA``. ``download``: whether to
    fetch what is not at hand.

    Raises:
        CollectionError: not at hand and not to be downloaded. PictureError: a picture cannot be read.
    """
    if name == "photos":
        return photos(split)
    if name in UNIONS:
        return _union(name, [load_collection(part, split, download) for part in UNIONS[name]])
    for folder in _local_folders(name):
        if folder.is_dir():
            pictures = read_folder(folder)
            return Pictures(pictures.images, pictures.names, name)
    if name not in CATALOGUE:
        raise CollectionError(
            f"{name!r} is neither a folder nor a known collection; known: photos, {', '.join([*CATALOGUE, *UNIONS])}"
        )
    pictures = read_folder(_download(name, download))
    return Pictures(pictures.images, pictures.names, name)


def _local_folders(name: str) -> list[Path]:
    root = os.environ.get("SRDISTILL_DATA")
    # A catalogue name is never taken from the working folder: ./set5 there may be anything.
    places = [] if name in CATALOGUE else [Path(name).expanduser()]
    return places + ([Path(root, name)] if root else [])


def collection_needs(name: str) -> list[Need]:
    """What ``load_collection`` reads for a name; empty for the embedded photographs, which are always there."""
    if name == "photos":
        return []
    if name in UNIONS:
        return [need for part in UNIONS[name] for need in collection_needs(part)]
    found = next((folder for folder in _local_folders(name) if folder.is_dir()), None)
    if found:
        return [Need(name, (found,))]
    where = _downloads()
    remedy = f"put its HR pictures into {where / name} and set SRDISTILL_DATA={where}"
    entry = CATALOGUE.get(name)
    if entry is None:
        source, size = _ONE_BY_ONE.get(name, ("no public download is known", 0))
        return [Need(name, source=source, size=size, remedy=remedy)]
    file, member = entry
    places = (where / file.split(".")[0] / member, where / file)
    archive = ARCHIVES[file]
    return [Need(name, tuple(p for p in places if p.exists())[:1], archive.url, archive.size, fetched=True, remedy=remedy)]


def _downloads() -> Path:
    return Path(os.environ.get("SRDISTILL_DATA") or pooch.os_cache("srdistill")).expanduser()


def _union(name: str, parts: Sequence[Pictures]) -> Pictures:
    images = tuple(image for part in parts for image in part.images)
    names = tuple(f"{part.origin}/{n}" for part in parts for n in part.names)
    return Pictures(images, names, name)


def _download(name: str, allowed: bool) -> Path:
    entry = CATALOGUE[name]
    where = _downloads()
    remedy = f"put its HR pictures into the folder {where / name} and set SRDISTILL_DATA={where}"
    if entry is None:
        raise CollectionError(f"{name}: no download with a published checksum exists; {remedy}")
    if not allowed:
        raise CollectionError(f"{name}: not at hand, and not to be downloaded here; {remedy}")
    file, member = entry
    archive = ARCHIVES[file]
    fetcher = pooch.create(
        path=where,
        base_url="",
        registry={file: archive.known_hash},
        urls={file: archive.url},
        retry_if_failed=2,
    )
    folder = Path(file).name.split(".")[0]
    unpack = pooch.Unzip(extract_dir=folder) if file.endswith(".zip") else pooch.Untar(extract_dir=folder)
    try:
        fetcher.fetch(file, processor=unpack, progressbar=True)
    except ValueError as error:
        raise CollectionError(
            f"{name}: {archive.url} does not have the published checksum, nothing was kept ({error}); {remedy}"
        ) from error
    except OSError as error:
        raise CollectionError(f"{name}: could not download {archive.url} ({error}); {remedy}") from error
    found = where / folder / member
    if not found.is_dir():
        raise PictureError(f"{name}: {file} holds no folder {member}; {remedy}")
    return found
