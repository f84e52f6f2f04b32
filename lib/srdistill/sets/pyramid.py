"""The pyramid over a picture: the picture and smaller copies of it, each cut into square tiles on a grid.

The smallest copy is the whole picture in one tile, as the downscaled baseline has it; what lies above it shows less and less
of the picture in more and more detail.
"""

from dataclasses import dataclass

from torch import Tensor

from srdistill.images.pictures import PictureError, to_float, to_uint8
from srdistill.images.resize import resize
from srdistill.images.subimages import window_starts

# The level at which the shorter side of a picture is one tile.
WHOLE = "whole"


@dataclass(frozen=True)
class Pyramid:
    """``tile``: side of the tiles in px. ``stride``: a tile every so many px, and one more flush with the far border.

    ``levels``: factors in (0, 1] that a picture is shrunk by, or ``"whole"``; the largest first. Levels of one picture that
    come out at the same size count once.

    Raises PictureError for impossible values.
    """

    tile: int = 96
    stride: int = 48
    levels: tuple[float | str, ...] = (1.0, 0.7, 0.5, 0.35, 0.25, WHOLE)

    def __post_init__(self):
        object.__setattr__(self, "levels", tuple(self.levels))
        if self.tile < 1 or self.stride < 1:
            raise PictureError(f"tile and stride must be 1 px or more, got {self.tile} and {self.stride}")
        if not self.levels or len(set(self.levels)) < len(self.levels):
            raise PictureError(f"levels must be one or more different ones, got {self.levels}")
        for level in self.levels:
            if level != WHOLE and (isinstance(level, str) or not 0 < level <= 1):
                raise PictureError(f"a level is a factor in (0, 1] or {WHOLE!r}, got {level!r}")

    @property
    def names(self) -> tuple[str, ...]:
        """The levels as text, for settings and tables."""
        return tuple(level if isinstance(level, str) else f"{level:g}" for level in self.levels)

    def size(self, height: int, width: int, level: int) -> tuple[int, int]:
        """Height and width in px of a picture at the level of that position; both rounded, neither below 1."""
        factor = self.levels[level]
        if factor == WHOLE:
            # Of a picture that is too small already, nothing is enlarged.
            factor = min(1.0, self.tile / min(height, width))
        return max(1, round(height * factor)), max(1, round(width * factor))

    def levels_of(self, height: int, width: int) -> list[int]:
        """Positions of the levels at which a picture holds at least one tile, without those that repeat a size."""
        sizes = [self.size(height, width, level) for level in range(len(self.levels))]
        return [i for i, size in enumerate(sizes) if min(size) >= self.tile and size not in sizes[:i]]

    def starts(self, length: int, level: int) -> list[int]:
        """Where tiles begin along one axis of ``length`` px, ascending; at the level ``"whole"`` one of them is central."""
        starts = window_starts(length, self.tile, self.stride)
        if self.levels[level] == WHOLE:
            starts = sorted({*starts, (length - self.tile) // 2})
        return starts

    def shrunk(self, image: Tensor, level: int) -> Tensor:
        """``uint8`` (3, H, W) at a level: MATLAB-style antialiased bicubic, rounded to 8 bits; itself at full size."""
        size = self.size(*image.shape[1:], level)
        return image if size == tuple(image.shape[1:]) else to_uint8(resize(to_float(image), size))
