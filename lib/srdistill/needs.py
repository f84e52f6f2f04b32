"""What a run needs beside its code: data sets and weights, said without loading them, for a plan."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Need:
    """A data set, or a file or folder of weights.

    ``found``: the files and folders that it is read from, empty if it is not at hand. ``source``: where it would come from;
    ``size``: of that in bytes, about; 0 if nobody says. ``fetched``: a run fetches it if there is a network. ``optional``:
    without it something is left out. ``remedy``: where to put it.
    """

    name: str
    found: tuple[Path, ...] = ()
    source: str = ""
    size: int = 0
    fetched: bool = False
    optional: bool = False
    remedy: str = ""


def needing(describe: Callable[..., list[Need]]) -> Callable[[Callable], Callable]:
    """Mark a loader with what says, of the same settings, what it needs: ``loader.needs(**settings)``."""

    def mark(loader: Callable) -> Callable:
        loader.needs = describe
        return loader

    return mark
