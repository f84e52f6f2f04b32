"""Pictures as resources of tasks: loaders with JSON settings, which every worker can call for itself."""

from collections.abc import Sequence
from pathlib import Path

from srdistill.catalogue.collections import collection_needs, load_collection
from srdistill.catalogue.labelled_collections import CLASS_COUNTS, labelled_needs, load_labelled
from srdistill.catalogue.photo_classes import picture_classes
from srdistill.images.labelled import LabelledPictures
from srdistill.images.pictures import Pictures
from srdistill.images.shrunk_copies import shrunk_copies
from srdistill.measures.perceptual import Lpips, backbone_need
from srdistill.needs import Need, needing
from srdistill.rehearsing import rehearsing
from srdistill.study.engine.tasks import Resource
from srdistill.study.own_pictures import own_folder
from srdistill.study.rehearsal import handful, handful_of_classes

# How many crops of each of one's own pictures there are to train on, and to test on.
_CROPS = {"train": 100, "test": 50}


def _load(collection: str, split: str) -> Pictures:
    """A path is a reader's own folder; a name is a collection's, whose pictures are all upright."""
    if Path(collection).is_absolute() and Path(collection).is_dir():
        return own_folder(collection)
    return load_collection(collection, split)


@needing(lambda collection, **_: collection_needs(collection))
def cut_collection(
    collection: str, split: str, side: int, least: int, most: int = 0, scales: Sequence[float] = ()
) -> Pictures:
    """A named collection, or a folder; the central ``side`` px of each picture (0: whole); none smaller than ``least`` px.

    ``most``: no more than so many pictures, spread evenly over the list (0: all). ``scales``: besides every picture these
    smaller copies of it, as far as they have ``least`` px.
    """
    pictures = _load(collection, split)
    pictures = pictures.center_crop(side) if side else pictures
    pictures = pictures.at_least(least) if least else pictures
    pictures = pictures.spread(most) if most else pictures
    return shrunk_copies(pictures, scales, least) if scales else pictures


def pictures(
    collection: str, split: str, side: int = 0, least: int = 0, most: int = 0, scales: Sequence[float] = ()
) -> Resource:
    """``cut_collection`` as a resource; in a rehearsal a handful of them. ``side``, ``least``: in px, 0: whole, any."""
    settings = {"collection": collection, "split": split, "side": side, "least": least}
    if rehearsing():
        return Resource(handful, settings, hashed=True)
    return Resource(cut_collection, settings | {"most": most, "scales": tuple(scales)}, hashed=True)


def _class_needs(collection: str, split: str, **_) -> list[Need]:
    if Path(collection).is_absolute() and not Path(collection, "train").is_dir():
        return collection_needs(collection)
    return labelled_needs(collection, split)


@needing(_class_needs)
def classes(collection: str, split: str, size: int, per_class: int | None) -> LabelledPictures:
    """A labelled collection, squares of ``size`` px; of a folder without ``train`` in it, every picture is a class, that of its
    crops.

    Raises what ``load_labelled`` raises.
    """
    if Path(collection).is_absolute() and not Path(collection, "train").is_dir():
        return picture_classes(_load(collection, split), split, size=size, per_class=_CROPS[split], seed=0)
    return load_labelled(collection, split, size=size, per_class=per_class, download=True)


def labelled(collection: str, split: str, size: int, per_class: int | None) -> Resource:
    """``classes``, of ``size`` px, as a resource; in a rehearsal with pieces of photographs where it is not at hand."""
    settings = {"collection": collection, "split": split, "size": size, "per_class": per_class}
    few = rehearsing() and collection in CLASS_COUNTS
    return Resource(handful_of_classes if few else classes, settings, hashed=True)


@needing(lambda backbone, download: [backbone_need(backbone, download)])
def lpips_model(backbone: str, download: bool) -> Lpips:
    """The metric; its ``digest`` is that of the backbone's weights. Raises WeightsMissing."""
    return Lpips(backbone, download=download)


@needing(lambda backbone, download: [backbone_need(backbone, download)])
def perceptual_distance(backbone: str, download: bool, device: str = "cpu"):
    """A differentiable distance of two float batches in [-1, 1]: LPIPS, with gradients. Raises WeightsMissing."""
    return Lpips(backbone, download=download).model.to(device)
