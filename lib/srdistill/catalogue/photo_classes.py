"""A classification task without a download: which of the embedded photographs is this crop from?

Training and test pictures never share a pixel: each photograph is divided into a grid of cells, every third one along
the diagonals is kept for testing, and a picture is cut from inside one cell. Each cell is shrunk by itself, so that the
antialiasing does not carry pixels over its border either.
"""

import torch
from torch import Tensor

from srdistill.catalogue.photos import photos
from srdistill.images.labelled import LabelError, LabelledPictures
from srdistill.images.pictures import Pictures, to_float, to_uint8
from srdistill.images.resize import resize
from srdistill.seeds import generator_for

# The grid is this many cells on each side; of its 16 cells 5 are for testing.
GRID = 4
SPLITS = ("train", "test")


def cells(height: int, width: int, split: str) -> list[tuple[int, int, int, int]]:
    """(top, left, height, width) of the cells of one split in a photograph of ``height`` x ``width`` px.

    Raises ValueError: an unknown split.
    """
    if split not in SPLITS:
        raise ValueError(f"unknown split {split!r}; there are: {', '.join(SPLITS)}")
    rows = [height * k // GRID for k in range(GRID + 1)]
    columns = [width * k // GRID for k in range(GRID + 1)]
    return [
        (rows[i], columns[j], rows[i + 1] - rows[i], columns[j + 1] - columns[j])
        for i in range(GRID)
        for j in range(GRID)
        if ((i + j) % 3 == 1) == (split == "test")
    ]


def picture_classes(
    pictures: Pictures, split: str, *, size: int, per_class: int, seed: int, shorter_side: int = 256
) -> LabelledPictures:
    """Crops of ``size`` px, ``per_class`` of each picture, whose name is the class.

    A crop lies at a uniform place of a cell of its split, cells in turn. ``shorter_side``: to which side, in px, the
    picture is shrunk or enlarged first, cell by cell (MATLAB-style antialiased bicubic); it sets how much a crop shows.

    Raises:
        LabelError: a crop does not fit a cell, or ``per_class`` is not 1 or more. ValueError: unknown split.
    """
    if per_class < 1:
        raise LabelError(f"{per_class} pictures per class asked for; ask for 1 or more")
    images = []
    for label, (name, picture) in enumerate(pictures):
        scale = shorter_side / min(picture.shape[1:])
        places = cells(*picture.shape[1:], split)
        small = [_shrink(picture[:, y : y + h, x : x + w], scale) for y, x, h, w in places]
        smallest = min(min(cell.shape[1:]) for cell in small)
        if smallest < size:
            raise LabelError(
                f"{name}: a crop of {size} px does not fit a cell of {smallest} px; use a smaller size or a shorter_side "
                f"of {GRID * (size + 1)} px or more"
            )
        draws = generator_for(seed, f"crops of {split}", label)
        for index in range(per_class):
            cell = small[index % len(small)]
            top, left = (int(torch.randint(side - size + 1, (), generator=draws)) for side in cell.shape[1:])
            images.append(cell[:, top : top + size, left : left + size])
    labels = torch.arange(len(pictures)).repeat_interleave(per_class)
    return LabelledPictures(torch.stack(images), labels, pictures.names, f"{pictures.origin}/{split}")


def photo_classes(
    split: str, *, size: int = 32, per_class: int = 100, seed: int = 0, shorter_side: int = 256
) -> LabelledPictures:
    """The task on all eleven embedded photographs; see ``picture_classes``. A crop of 32 px shows 1/8 of the shorter side.

    The split here is one of places within each photograph, not that of ``photos``.
    """
    parts = [photos(part) for part in ("train", "test")]
    pictures = Pictures(
        tuple(image for part in parts for image in part.images),
        tuple(name for part in parts for name in part.names),
        "photo classes",
    )
    return picture_classes(pictures, split, size=size, per_class=per_class, seed=seed, shorter_side=shorter_side)


def _shrink(image: Tensor, scale: float) -> Tensor:
    height, width = (max(1, round(side * scale)) for side in image.shape[1:])
    return to_uint8(resize(to_float(image), (height, width)))
