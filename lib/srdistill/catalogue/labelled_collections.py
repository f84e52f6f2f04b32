"""Labelled collections by name: the embedded photographs, class folders on disk, CIFAR through torchvision.

Class folders are looked for under ``SRDISTILL_DATA``. The order of the classes is fixed here, by WordNet id as in
ImageNet, and a folder that does not hold exactly these classes is refused: with another order a teacher's labels mean
other things, and nothing looks wrong but the accuracy.
"""

import re
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import torch

from srdistill.catalogue.collections import CollectionError
from srdistill.catalogue.downloads import Archive, DownloadError, data_folders, download_folder, fetch
from srdistill.catalogue.photo_classes import photo_classes
from srdistill.images.labelled import LabelError, LabelledPictures, choose
from srdistill.images.picture_files import PictureFiles, square_picture
from srdistill.images.pictures import SUFFIXES, read_picture
from srdistill.images.torchvision_import import import_torchvision
from srdistill.needs import Need
from srdistill.progress import bar
from srdistill.rehearsing import may_fetch
from srdistill.seeds import generator_for

# WordNet id to name, in the order of the ids; names are torchvision's for ImageNet.
IMAGENETTE = {
    "n01440764": "tench",
    "n02102040": "English springer",
    "n02979186": "cassette player",
    "n03000684": "chain saw",
    "n03028079": "church",
    "n03394916": "French horn",
    "n03417042": "garbage truck",
    "n03425413": "gas pump",
    "n03445777": "golf ball",
    "n03888257": "parachute",
}
# Some public loaders have Border terrier and others swapped; these are ImageNet's own.
IMAGEWOOF = {
    "n02086240": "Shih-Tzu",
    "n02087394": "Rhodesian ridgeback",
    "n02088364": "beagle",
    "n02089973": "English foxhound",
    "n02093754": "Border terrier",
    "n02096294": "Australian terrier",
    "n02099601": "golden retriever",
    "n02105641": "Old English sheepdog",
    "n02111889": "Samoyed",
    "n02115641": "dingo",
}
# Folder names under SRDISTILL_DATA, tried in this order.
FOLDERS = {
    "imagenette": ("imagenette", "imagenette_224", "imagenette2", "imagenette2-320"),
    "imagewoof": ("imagewoof", "imagewoof_224", "imagewoof2", "imagewoof2-320"),
    "tiny-imagenet": ("tiny-imagenet", "tiny-imagenet-200"),
    "imagenet": ("imagenet", "imagenet-1k", "ILSVRC2012"),
}
CIFAR = {"cifar10": "CIFAR10", "cifar100": "CIFAR100"}
_FAST_AI = "https://s3.amazonaws.com/fast-ai-imageclas/"
# What can be fetched; the others are torchvision's, or behind a registration.
ARCHIVES = {
    "imagenette": Archive(
        _FAST_AI + "imagenette2.tgz", "md5:fe2fc210e6bb7c5664d602c3cd71e612", "torchvision", 1_557_161_267, "imagenette2"
    ),
    # Others print another hash, that of an earlier version.
    "imagewoof": Archive(
        _FAST_AI + "imagewoof2.tgz", "md5:9aafe18bcdb1632c4249a76c458465ba", "several public loaders", 1_343_000_000,
        "imagewoof2",
    ),
    "tiny-imagenet": Archive(
        "http://cs231n.stanford.edu/tiny-imagenet-200.zip", "md5:90528d7ca1a48142e341f4ef8d21d0de", "several public loaders",
        248_100_043, "tiny-imagenet-200",
    ),
}  # fmt: skip
# Address, bytes of the archive (about), whether it is fetched by itself.
_ELSEWHERE = {
    "imagenet": ("https://image-net.org, ILSVRC2012, after registration", 154_642_401_280, False),
    "cifar10": ("https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz", 170_498_071, True),
    "cifar100": ("https://www.cs.toronto.edu/~kriz/cifar-100-python.tar.gz", 169_001_437, True),
}
_CIFAR_FOLDERS = {"cifar10": "cifar-10-batches-py", "cifar100": "cifar-100-python"}
CLASS_COUNTS = {
    "imagenette": 10, "imagewoof": 10, "tiny-imagenet": 200, "imagenet": 1000, "cifar10": 10, "cifar100": 100,
}  # fmt: skip
NAMES = ("photos", *FOLDERS, *CIFAR)
# Bytes of pixels up to which class folders are read at once; what is larger stays in its files.
HELD = 4 * 2**30
_SPLITS = {"train": ("train",), "test": ("val", "test")}


def load_labelled(
    name: str, split: str, *, size: int, per_class: int | None = None, seed: int | None = None, download: bool = False
) -> LabelledPictures:
    """A named collection, or any folder ``<name>/<split>/<class>/*``, as squares of ``size`` px (see ``square_picture``).

    ``name``: ``photos``, ``imagenette``, ``imagewoof``, ``tiny-imagenet``, ``imagenet``, ``cifar10``, ``cifar100``, or a
    folder, whose classes are then its class folders sorted by name. ``split``: ``train`` or ``test`` (the folder ``val`` or
    ``test``).

    Args:
        per_class: how many pictures of each class, None for all (of ``photos`` 100 for training, 50 for testing). Class
            folders of more than 4 GiB of pixels (ImageNet) are not held in memory but read as they are needed, every time.
        seed: draws them; None takes the first ones by file name. (``photos`` are always drawn, None is 0.)
        download: all but ``imagenet`` can be fetched; their MD5 are checked.

    Raises:
        CollectionError: not at hand. LabelError: a class folder is missing, empty, or one too many, or has fewer pictures than
        asked for. PictureError: a picture cannot be read. ValueError: unknown split.
    """
    if split not in _SPLITS:
        raise ValueError(f"unknown split {split!r} of {name}; there are: {', '.join(_SPLITS)}")
    if name == "photos":
        count = per_class or (100 if split == "train" else 50)
        return photo_classes(split, size=size, per_class=count, seed=seed or 0)
    if name in CIFAR:
        return _cifar(name, split, size, per_class, seed, download)
    folder = _folder(name, download)
    part = _split_folder(name, folder, split)
    if name == "tiny-imagenet":
        return _tiny(folder, part, split, size, per_class, seed)
    known = {"imagenette": IMAGENETTE, "imagewoof": IMAGEWOOF}.get(name)
    if name == "imagenet":
        known = _imagenet_classes(part)
    return read_class_folders(part, known, size=size, per_class=per_class, seed=seed, name=f"{name}/{split}")


def read_class_folders(
    folder: str | Path,
    classes: dict[str, str] | None = None,
    *,
    size: int,
    per_class: int | None = None,
    seed: int | None = None,
    name: str = "",
) -> LabelledPictures:
    """Read ``<folder>/<class>/*``; ``classes``: folder to class name, in the order of the labels; None: all, sorted by name.

    Squares of ``size`` px (see ``square_picture``). Pictures may also lie one folder deeper, in ``images``, as in
    Tiny-ImageNet. Raises as ``load_labelled``.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise CollectionError(f"{folder}: no such folder; give a folder that holds one folder of pictures per class")
    name = name or folder.name
    there = sorted(entry.name for entry in folder.iterdir() if entry.is_dir() and not entry.name.startswith("."))
    if classes is None:
        classes = {entry: entry for entry in there}
    _check_folders(folder, list(classes), there)
    paths = {entry: _pictures_in(folder / entry) for entry in classes}
    return _read(paths, classes, size, per_class, seed, name)


def _read(
    paths: dict[str, list[Path]], classes: dict[str, str], size: int, per_class: int | None, seed: int | None, name: str
) -> LabelledPictures:
    chosen, labels = [], []
    for label, (entry, files) in enumerate(paths.items()):
        if not files:
            raise LabelError(f"{name}: class {entry} ({classes[entry]}) holds no pictures; it needs {', '.join(SUFFIXES)}")
        for place in _drawn(len(files), per_class, seed, label, f"{name}: class {entry} ({classes[entry]})"):
            chosen.append(files[place])
            labels.append(label)
    files = PictureFiles(chosen, size)
    if files.shape.numel() > HELD:
        return LabelledPictures(files, torch.tensor(labels), tuple(classes.values()), name)
    with ThreadPoolExecutor() as pool:
        read = pool.map(lambda path: square_picture(read_picture(path), size), chosen)
        images = torch.stack(list(bar(read, f"reading {name}", total=len(chosen))))
    return LabelledPictures(images, torch.tensor(labels), tuple(classes.values()), name)


def _drawn(available: int, per_class: int | None, seed: int | None, label: int, what: str) -> Sequence[int]:
    if per_class is None:
        return range(available)
    generator = None if seed is None else generator_for(seed, "pictures of a class", label)
    return choose(available, per_class, generator, what).tolist()


def _check_folders(folder: Path, wanted: list[str], there: list[str]) -> None:
    if not wanted:
        raise LabelError(f"{folder}: holds no class folders; it needs one folder of pictures per class")
    missing, foreign = sorted(set(wanted) - set(there)), sorted(set(there) - set(wanted))
    if missing:
        raise LabelError(
            f"{folder}: no folder for class {missing[0]}, {len(missing)} of {len(wanted)} are missing"
            + (f" (and {foreign[0]} is none of the classes)" if foreign else "")
            + "; folders are called by WordNet id, as the archive has them: unpack it again"
        )
    if foreign:
        raise LabelError(
            f"{folder}: folder {foreign[0]} is none of the {len(wanted)} classes; move it elsewhere, or give the folder's path "
            "to use all of its classes"
        )


def _pictures_in(folder: Path) -> list[Path]:
    inner = folder / "images"
    return sorted(path for path in (inner if inner.is_dir() else folder).iterdir() if path.suffix.lower() in SUFFIXES)


def _folder(name: str, download: bool) -> Path:
    if name not in FOLDERS:
        for folder in (Path(name).expanduser(), *(root / name for root in data_folders())):
            if folder.is_dir():
                return folder
        raise CollectionError(f"{name!r} is neither a folder nor a known labelled collection; known: {', '.join(NAMES)}")
    for entry in _places(name):
        if entry.is_dir():
            return entry
    if not may_fetch(download) or name not in ARCHIVES:
        raise CollectionError(
            f"{name}: not at hand{', and no download is known' if may_fetch(download) else ', and not to be downloaded here'}; "
            + _remedy(name)
        )
    try:
        return fetch(name, ARCHIVES[name])
    except DownloadError as error:
        raise CollectionError(f"{error}; {_remedy(name)}") from error


def _places(name: str) -> list[Path]:
    return [root / entry for root in data_folders() for entry in FOLDERS[name]]


def _remedy(name: str) -> str:
    root = download_folder()
    return f"put its class folders into {root / name}/train/<class> and .../val/<class>, and set SRDISTILL_DATA={root}"


def labelled_needs(name: str, split: str) -> list[Need]:
    """What ``load_labelled`` reads, without loading it; empty for the embedded photographs, which are always there."""
    if name == "photos":
        return []
    if name in CIFAR:
        places = [_cifar_root(name) / _CIFAR_FOLDERS[name]]
    else:
        own = [Path(name).expanduser(), *(root / name for root in data_folders())]
        folders = _places(name) if name in FOLDERS else own
        places = [folder / entry for folder in folders for entry in _SPLITS.get(split, ())]
    found = tuple(place for place in places if place.is_dir())[:1]
    if name in ARCHIVES:
        return [Need(name, found, ARCHIVES[name].url, ARCHIVES[name].size, fetched=True, remedy=_remedy(name))]
    source, size, fetched = _ELSEWHERE.get(name, ("no such folder", 0, False))
    return [Need(name, found, source, size, fetched, remedy=_remedy(name))]


def _split_folder(name: str, folder: Path, split: str) -> Path:
    for entry in _SPLITS[split]:
        if (folder / entry).is_dir():
            return folder / entry
    raise CollectionError(f"{name}: {folder} has no folder {' or '.join(_SPLITS[split])}; it holds one folder per class")


def _imagenet_classes(folder: Path) -> dict[str, str]:
    """The 1000 ids are ImageNet's when sorted; names are those that torchvision's weights were trained with."""
    there = sorted(entry.name for entry in folder.iterdir() if entry.is_dir())
    named = [entry for entry in there if re.fullmatch(r"n\d{8}", entry)]
    if len(named) != 1000 or len(there) != 1000:
        odd = next((entry for entry in there if entry not in named), None)
        raise LabelError(
            f"{folder}: ImageNet-1k has 1000 class folders called by WordNet id, here are {len(named)}"
            + (f" and others, e.g. {odd}" if odd else "")
            + "; unpack the archive again, or give the folder's path to use the classes that it has"
        )
    import_torchvision()
    from torchvision.models import ResNet18_Weights

    return dict(zip(named, ResNet18_Weights.IMAGENET1K_V1.meta["categories"], strict=True))


def _tiny(folder: Path, part: Path, split: str, size: int, per_class: int | None, seed: int | None) -> LabelledPictures:
    """Tiny-ImageNet as its archive has it: ``wnids.txt``, ``words.txt``, and a ``val`` whose labels are in a list."""
    try:
        ids = sorted((folder / "wnids.txt").read_text().split())
        lines = (line.split("\t", 1) for line in (folder / "words.txt").read_text().splitlines() if "\t" in line)
        words = {entry: text.split(",")[0].strip() for entry, text in lines}
    except FileNotFoundError as error:
        raise LabelError(f"tiny-imagenet: no {error.filename}; it is in the archive, beside train and val") from None
    classes = {entry: words.get(entry, entry) for entry in ids}
    counts = Counter(classes.values())
    classes = {entry: f"{word} ({entry})" if counts[word] > 1 else word for entry, word in classes.items()}
    name, annotations = f"tiny-imagenet/{split}", part / "val_annotations.txt"
    if not annotations.is_file():
        return read_class_folders(part, classes, size=size, per_class=per_class, seed=seed, name=name)
    paths: dict[str, list[Path]] = {entry: [] for entry in classes}
    for line in annotations.read_text().splitlines():
        file, entry = line.split("\t")[:2]
        if entry not in paths:
            raise LabelError(f"{annotations}: class {entry} of {file} is not in wnids.txt; unpack the archive again")
        paths[entry].append(part / "images" / file)
    return _read({entry: sorted(files) for entry, files in paths.items()}, classes, size, per_class, seed, name)


def _cifar_root(name: str) -> Path:
    """The folder that its own folder lies in, or would be unpacked in."""
    there = (root for root in data_folders() if (root / _CIFAR_FOLDERS[name]).is_dir())
    return next(there, download_folder())


def _cifar(name: str, split: str, size: int, per_class: int | None, seed: int | None, download: bool) -> LabelledPictures:
    import_torchvision()
    from torchvision import datasets

    root = _cifar_root(name)
    try:
        raw = getattr(datasets, CIFAR[name])(root, train=split == "train", download=may_fetch(download))
    except (OSError, RuntimeError) as error:
        raise CollectionError(
            f"{name}: not at hand or damaged in {root} ({error}); unpack the Python version of its archive there and set "
            f"SRDISTILL_DATA={root}, or load it with download=True"
        ) from error
    labels = torch.tensor(raw.targets)
    places = []
    for label, title in enumerate(raw.classes):
        of_class = torch.nonzero(labels == label)[:, 0]
        if not len(of_class):
            raise LabelError(f"{name}/{split}: class {title} holds no pictures; unpack the archive again")
        places.append(of_class[torch.tensor(_drawn(len(of_class), per_class, seed, label, f"{name}/{split}: class {title}"))])
    chosen = torch.cat(places)
    images = torch.from_numpy(raw.data)[chosen].permute(0, 3, 1, 2).contiguous()
    if size != images.shape[-1]:
        images = torch.stack([square_picture(image, size) for image in images])
    return LabelledPictures(images, labels[chosen], tuple(raw.classes), f"{name}/{split}")
