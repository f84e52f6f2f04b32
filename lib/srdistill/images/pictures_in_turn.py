"""Pictures of any size that stay in their files, one in memory at a time."""

from collections.abc import Sequence
from pathlib import Path

from torch import Tensor

from srdistill.images.pictures import read_picture


class PicturesInTurn(Sequence[Tensor]):
    """Stands for ``Pictures`` where they are asked for one by one: ``images``, ``names`` and ``origin`` are there as well.

    Every access decodes a file, and nothing is kept. Raises PictureError, at access, for a file that cannot be read.
    """

    def __init__(self, paths: Sequence[str | Path], origin: str = ""):
        self.paths = tuple(Path(path) for path in paths)
        self.names = tuple(path.stem for path in self.paths)
        self.origin = origin

    @property
    def images(self) -> "PicturesInTurn":
        """Itself: a sequence of ``uint8`` (3, H, W)."""
        return self

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> Tensor:
        return read_picture(self.paths[index])
