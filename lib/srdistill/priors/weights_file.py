"""One file of pretrained weights: found or fetched, and never used with another hash than the one that was meant."""

import os
from dataclasses import dataclass
from pathlib import Path

import pooch

from srdistill.files import sha256_of, writable
from srdistill.needs import Need
from srdistill.priors.prior import PriorError
from srdistill.rehearsing import may_fetch
from srdistill.weights import VARIABLE, WeightsMissing, weights_folder


@dataclass(frozen=True)
class WeightsFile:
    """``name``: its path under ``SRDISTILL_WEIGHTS``. ``url``: its address. ``sha256``: None if nobody knows it. ``size``: in
    bytes, about."""

    name: str
    url: str
    sha256: str | None
    size: int = 0

    @property
    def _places(self) -> list[Path]:
        return [place / self.name for place in (weights_folder(), Path(pooch.os_cache("srdistill"))) if place]

    def need(self, download: bool) -> Need:
        """What ``find`` would find, without fetching or checking it."""
        found = tuple(place for place in self._places if place.is_file())[:1]
        return Need(Path(self.name).name, found, self.url, self.size, download, remedy=f"put it at {self._places[0]}")

    def find(self, path: str | Path | None = None, download: bool = False) -> Path:
        """The checked file: ``path`` if given, else under ``SRDISTILL_WEIGHTS``, else among the downloads.

        Raises:
            WeightsMissing: it is nowhere, and ``download`` is off or fails. PriorError: it has another hash.
        """
        places = [Path(path).expanduser()] if path else self._places
        found = next((place for place in places if place.is_file()), None)
        if found is None and path is None and may_fetch(download):
            found = self._download(next((place for place in places if writable(place.parent)), places[-1]))
        if found is None:
            remedy = f"put it there, or set {VARIABLE} to the folder that holds {self.name}"
            how = "" if path else ", or call with download=True where there is a network"
            raise WeightsMissing(
                f"no weights {Path(self.name).name} at {' or '.join(map(str, places))}; {remedy}{how} (from {self.url})"
            )
        self._check(found)
        return found

    def _check(self, path: Path) -> None:
        if self.sha256 is None:
            return
        actual = sha256_of(path)
        if actual != self.sha256.lower():
            raise PriorError(
                f"{path}: SHA-256 {actual} instead of {self.sha256}: another version, or damaged; "
                f"fetch it again from {self.url}"
            )

    def _download(self, place: Path) -> Path:
        try:
            pooch.retrieve(self.url, f"sha256:{self.sha256}", fname=place.name, path=os.fspath(place.parent), progressbar=True)
        except ValueError as error:  # what pooch raises for a wrong hash; it keeps nothing then
            raise PriorError(f"{self.url} does not have the expected SHA-256, nothing was kept ({error})") from error
        except OSError as error:
            raise WeightsMissing(
                f"could not download {self.url} ({error}); fetch it elsewhere and put it at {place}"
            ) from error
        return place
