"""A reader's own folder of pictures: upright, and nothing passed over in silence."""

import warnings
from pathlib import Path

from srdistill.images.pictures import SUFFIXES, PictureError, Pictures
from srdistill.images.upright import read_upright

# Pictures, too, but of kinds that are not read: moving, raw, or without a decoder here.
_OTHER = (".gif", ".apng", ".heic", ".heif", ".avif", ".jxl", ".jp2", ".svg", ".dng", ".cr2", ".nef", ".arw")
_NAMED = 3


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
    others = [path.name for path in files if path.suffix.lower() in _OTHER]
    if others:
        more = f" and {len(others) - _NAMED} more" if len(others) > _NAMED else ""
        warnings.warn(
            f"{place}: {', '.join(others[:_NAMED])}{more} not read; save them as one of {', '.join(SUFFIXES)}", stacklevel=2
        )
    if not paths:
        raise PictureError(f"{place}: holds no pictures; it needs files ending in {', '.join(SUFFIXES)}")
    return Pictures(tuple(read_upright(path) for path in paths), tuple(path.stem for path in paths), folder)
