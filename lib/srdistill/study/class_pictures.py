"""Pictures with classes as a resource: a named collection, photographs told apart by their crops, or a reader's own folders."""

from pathlib import Path

from srdistill.study.engine.tasks import Resource
from srdistill.study.own_pictures import own_classes
from srdistill.study.pictures import labelled


def class_pictures(collection: str, split: str, size: int, per_class: int | None) -> Resource:
    """``own_classes`` of a path with a folder ``train`` in it, else ``labelled``: squares of ``size`` px."""
    if Path(collection).is_absolute() and Path(collection, "train").is_dir():
        settings = {"collection": collection, "split": split, "size": size, "per_class": per_class}
        return Resource(own_classes, settings, hashed=True)
    return labelled(collection, split, size, per_class)
