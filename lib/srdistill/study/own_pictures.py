"""A reader's own pictures, in one folder or in class folders: upright, and nothing passed over in silence."""

import warnings
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

from srdistill.catalogue.labelled_collections import labelled_needs, load_labelled
from srdistill.catalogue.upright import UNREAD, orientation, read_upright, size_of
from srdistill.images.labelled import LabelledPictures
from srdistill.images.picture_files import PictureFiles, square_picture
from srdistill.images.pictures import SUFFIXES, PictureError, Pictures
from srdistill.needs import needing

_NAMED = 3
_SPLITS = {"train": ("train",), "test": ("val", "test")}


def own_folder(folder: str) -> Pictures:
    """Every picture of a folder, sorted by name, each turned as its EXIF data ask; what looks like a picture and is not read is
    named in a warning.

    Raises PictureError: no such folder, no picture in it, or one that cannot be read, or is too large.
    """
    place = Path(folder)
    if not place.is_dir():
        raise PictureError(f"{place}: no such folder; give a folder of pictures ({', '.join(SUFFIXES)})")
    files = sorted(path for path in place.iterdir() if path.is_file())
    paths = [path for path in files if path.suffix.lower() in SUFFIXES]
    _name_others(place, files)
    if not paths:
        raise PictureError(f"{place}: holds no pictures; it needs files ending in {', '.join(SUFFIXES)}")
    return Pictures(tuple(read_upright(path) for path in paths), tuple(path.stem for path in paths), folder)


@needing(lambda collection, split, **_: labelled_needs(collection, split))
def own_classes(collection: str, split: str, size: int, per_class: int | None = None) -> LabelledPictures:
    """Every picture of ``<collection>/train/<class>``, a path, or of ``val`` or ``test`` there, as ``load_labelled`` reads
    class folders, but each turned as its EXIF data ask; what looks like a picture and is not read is named in a warning.

    Squares of ``size`` px. Raises what ``load_labelled`` raises. PictureError: one that is too large, or a turned one among so
    many that they stay in their files.
    """
    # Where there is no such folder, ``load_labelled`` says so.
    places = [part for part in (Path(collection, entry) for entry in _SPLITS.get(split, ())) if part.is_dir()][:1]
    paths = []
    for entry in sorted(entry for place in places for entry in place.iterdir() if entry.is_dir() and entry.name[0] != "."):
        files = sorted(path for path in (entry / "images" if (entry / "images").is_dir() else entry).iterdir())
        _name_others(entry, files)
        paths += [path for path in files if path.suffix.lower() in SUFFIXES][:per_class]
    for path in paths:  # not in threads, of which none may set warnings aside as this does
        size_of(path)
    with ThreadPoolExecutor() as pool:
        turned = [k for k, held in enumerate(pool.map(orientation, paths)) if held != 1]
    found = load_labelled(collection, split, size=size, per_class=per_class)
    if not turned:
        return found
    if isinstance(found.images, PictureFiles):
        raise PictureError(
            f"{places[0]}: {len(turned)} pictures, e.g. {paths[turned[0]].name}, are to be turned as their EXIF data ask, "
            f"which is not done with {len(paths)} pictures of {size} px, too many to be held in memory; turn the files, e.g. "
            "with ImageMagick's mogrify -auto-orient"
        )
    images = found.images.clone()
    for k in turned:
        images[k] = square_picture(read_upright(paths[k]), size)
    return replace(found, images=images)


def _name_others(place: Path, files: Sequence[Path]) -> None:
    """A warning that names the pictures that are of no kind that is read."""
    others = [path.name for path in files if path.suffix.lower() in UNREAD]
    if others:
        more = f" and {len(others) - _NAMED} more" if len(others) > _NAMED else ""
        warnings.warn(
            f"{place}: {', '.join(others[:_NAMED])}{more} not read; save them as one of {', '.join(SUFFIXES)}", stacklevel=3
        )
