"""A rehearsal of a large profile: ``make tables PROFILE=gpu REHEARSE=1``, which sets ``SRDISTILL_REHEARSE``.

Every notebook runs with that profile's own code, classes and sizes of networks, on the CPU, but with two steps of everything, a
handful of pictures, and a crop of the test pictures. Data that are not at hand are pieces of the embedded photographs, and
weights random ones (``rehearsing.or_random``). Two models have smaller stand-ins: SDXL-Turbo, which is too large, and
StyleGAN-XL, whose code cannot be installed with pip. Compilation of networks is left out. The numbers mean nothing; they go to
``papers_tables/rehearsal-<profile>``.

A plan is cut short by the names of its settings (``LIMITS``), and then by its own method ``rehearsed``, if it has one.
"""

from collections.abc import Mapping
from dataclasses import fields, is_dataclass, replace

import torch

from srdistill.catalogue.collections import CollectionError, load_collection
from srdistill.catalogue.labelled_collections import CLASS_COUNTS, IMAGENETTE, IMAGEWOOF, load_labelled
from srdistill.catalogue.photos import photos
from srdistill.images.labelled import LabelledPictures
from srdistill.images.picture_files import square_picture
from srdistill.images.pictures import PictureError, Pictures
from srdistill.rehearsing import rehearsing
from srdistill.seeds import generator_for
from srdistill.study.own_label import own_label
from srdistill.study.profiles import Profile
from srdistill.study.settings import TestSet

# What a setting of this name may be at most, in any plan and recipe; ``steps`` of samplers are theirs to respace.
LIMITS = {
    "iterations": 2, "iterations_ipc10": 2, "warm_up": 1, "tuning_iterations": 1, "epochs": 2, "steps_along": 2,
    "batch": 2, "batch_real": 2, "network_batch": 2, "decode_batch": 2, "code_chunk": 2, "chunk": 2,
    "patch": 64, "steps": 5, "memory": 4, "most_real": 2, "snapshots": 2, "n_init": 1, "gate": 0.0, "compile": False,
}  # fmt: skip
# Batches of classifiers are larger: BatchNorm learns nothing of two pictures, and an epoch of many classes takes long.
_CLASSIFIER_BATCH = 32
# Pictures to train on, and of each test set; side of the central crop of a test picture, px.
TRAIN, TEST, SIDE = 3, 2, 96
# Side of the central crop of a training picture, px, where the plan takes whole ones: twice what it must have, within these.
_SIDES = (192, 512)
# How many files are read to find them.
_READ = 12


def label_of(profile: str, data: str = "") -> str:
    """The folder of a run's tables: its profile, ``own-<folder>`` on one's own pictures, or a rehearsal's."""
    label = own_label(data) if data else profile
    return f"rehearsal-{label}" if rehearsing() else label


def rehearsed(profile: Profile, plan: object) -> tuple[Profile, object]:
    """Profile and plan of a rehearsal; both as they are, unless this is one."""
    if not rehearsing():
        return profile, plan
    where = f"a rehearsal, not a run: two steps of everything on a CPU; made for {profile.where}"
    plan = shortened(plan)
    return replace(profile, seeds=1, where=where), plan.rehearsed() if hasattr(plan, "rehearsed") else plan


def shortened(value: object, name: str = "") -> object:
    """A plan, recipe, or any setting called ``name``, with all that is in it cut to ``LIMITS``."""
    if isinstance(value, TestSet):
        return replace(value, side=min(value.side or SIDE, SIDE))
    if is_dataclass(value) and not isinstance(value, type):
        # A transformer's patch is the side of a token; a classifier's batch is left larger.
        changed = {f.name: shortened(getattr(value, f.name), f.name) for f in fields(value) if f.init}
        if hasattr(value, "epochs"):
            changed["batch"] = min(value.batch, _CLASSIFIER_BATCH)
        return replace(value, **changed)
    if isinstance(value, Mapping):
        # Sizes of networks stay.
        return {key: shortened(entry, name if name in LIMITS else "") for key, entry in value.items()}
    if isinstance(value, tuple):
        return tuple(shortened(entry) for entry in value)
    if name in LIMITS and value is not None:
        return min(value, LIMITS[name])
    return value


# --- pictures -------------------------------------------------------------------------------------------------------------


def handful(collection: str, split: str, side: int, least: int) -> Pictures:
    """The first pictures of a collection that fit, as ``pictures.cut_collection``; of the photographs where there are none.

    ``side``: the central so many px of each; 0: twice ``least``, between 192 and 512 px. ``least``: px that the shorter side
    must have.
    """
    try:
        return _few(load_collection(collection, split, download=False, limit=_READ), split, side, least)
    except (CollectionError, PictureError):
        return _few(photos(split), split, side, least)


def _few(found: Pictures, split: str, side: int, least: int) -> Pictures:
    found = found.at_least(least) if least else found
    found = found.select(found.names[: TRAIN if split == "train" else TEST])
    smallest, largest = _SIDES
    return found.center_crop(side or min(max(2 * least, smallest), largest))


def handful_of_classes(collection: str, split: str, size: int, per_class: int | None) -> LabelledPictures:
    """A few pictures of ``size`` px of every class, as ``pictures.classes``; where there are none, as many classes of pieces of
    photographs."""
    try:
        return load_labelled(collection, split, size=size, per_class=per_class)
    except CollectionError:
        if collection not in CLASS_COUNTS:
            raise
    sources, draws = photos(split).images, generator_for(0, f"pieces for a rehearsal, {collection}, {split}")
    images = []
    for _ in range(CLASS_COUNTS[collection] * (per_class or 1)):
        source = sources[int(torch.randint(len(sources), (), generator=draws))]
        top, left = (int(torch.randint(edge - 63, (), generator=draws)) for edge in source.shape[1:])
        images.append(square_picture(source[:, top : top + 64, left : left + 64], size))
    known = {"imagenette": IMAGENETTE, "imagewoof": IMAGEWOOF}.get(collection, {})
    names = tuple(known.values()) or tuple(f"class {index}" for index in range(CLASS_COUNTS[collection]))
    labels = torch.arange(len(names)).repeat_interleave(per_class or 1)
    return LabelledPictures(torch.stack(images), labels, names, f"{collection}/{split}, of photographs")
