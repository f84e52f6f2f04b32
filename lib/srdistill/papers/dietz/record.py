"""What is kept of a run of matching besides its result: curves, and stages of the first images."""

from collections.abc import Callable

from torch import Tensor

from srdistill.images.pictures import to_uint8

# Enough for a figure.
_SHOWN = 8


class Record:
    """``history``: one curve per quantity. ``snapshots``: by step, the first image of the first eight classes, ``uint8``."""

    def __init__(self, iterations: int, snapshots: int):
        self.history: dict[str, list[float]] = {}
        self.snapshots: dict[int, Tensor] = {}
        stages = range(snapshots) if snapshots > 1 else ()
        self._kept = {round(k * iterations / (snapshots - 1)) for k in stages} or {iterations}

    def add(self, **values: Tensor) -> None:
        """One more point of every curve."""
        for name, value in values.items():
            self.history.setdefault(name, []).append(float(value))

    def look(self, step: int, first_images: Callable[[int], Tensor]) -> None:
        """Keep what ``first_images(count)`` renders, float (n, 3, H, W), if this is a stage: after ``step`` steps."""
        if step in self._kept:
            self.snapshots[step] = to_uint8(first_images(_SHOWN)).cpu()

    def state(self) -> dict:
        """For a checkpoint."""
        return {"history": self.history, "snapshots": self.snapshots}

    def restore(self, saved: dict) -> None:
        """Go on from what ``state`` gave."""
        self.history, self.snapshots = saved["history"], saved["snapshots"]
