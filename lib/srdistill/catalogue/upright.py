"""Reading pictures of people's own: held as their EXIF data ask, and refused with a reason where no memory would hold them,
or nothing here reads their kind."""

import warnings
from pathlib import Path

from PIL import Image
from torch import Tensor

from srdistill.images.pictures import PictureError, read_picture

# Pictures, too, but of kinds that are not read: moving, raw, or without a decoder here.
UNREAD = (".gif", ".apng", ".heic", ".heif", ".avif", ".jxl", ".jp2", ".svg", ".dng", ".cr2", ".nef", ".arw")
# Beyond this a picture takes gigabytes on its way; no camera makes one.
MOST_PIXELS = 150_000_000
_ORIENTATION = 0x0112
# From stored to upright, by the value of the EXIF tag; sides change places from 5 on.
_UPRIGHT = {
    2: lambda image: image.flip(2),
    3: lambda image: image.flip(1, 2),
    4: lambda image: image.flip(1),
    5: lambda image: image.transpose(1, 2),
    6: lambda image: image.rot90(-1, (1, 2)),
    7: lambda image: image.transpose(1, 2).flip(1, 2),
    8: lambda image: image.rot90(1, (1, 2)),
}


def read_upright(path: Path) -> Tensor:
    """The picture, ``uint8`` (3, height, width), turned as its EXIF data ask.

    Raises PictureError: it cannot be read, or has more than ``MOST_PIXELS``.
    """
    size_of(path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        image = read_picture(path)
        turn = _UPRIGHT.get(orientation(path))
    return turn(image).contiguous() if turn else image


def size_of(path: Path) -> tuple[int, int]:
    """Height and width, px, of a picture that is held upright, from its header: damage behind it shows when it is read.

    Raises PictureError: the header cannot be read, or says more than ``MOST_PIXELS``.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with Image.open(path) as file:
                width, height = file.size
    except Image.DecompressionBombError as error:
        raise PictureError(f"{path}: has too many pixels to be read ({error}); shrink it or cut it up") from None
    except (OSError, SyntaxError, ValueError, TypeError, EOFError):
        read_picture(path)  # says what is wrong
        raise PictureError(f"{path}: its size cannot be read; fetch the file again or remove it") from None
    if width * height > MOST_PIXELS:
        raise PictureError(
            f"{path}: {width} x {height} px are more than the {MOST_PIXELS // 10**6} megapixels that one picture may have; "
            "shrink it or cut it up"
        )
    return (width, height) if orientation(path) >= 5 else (height, width)


def orientation(path: Path) -> int:
    """1 to 8; 1 where nothing is said, or nothing that can be read. Pillow turns TIFF files by itself."""
    try:
        with Image.open(path) as file:
            return 1 if file.format == "TIFF" else int(file.getexif().get(_ORIENTATION, 1))
    except Exception:  # a damaged note on how to hold it does not make a picture unreadable
        return 1
