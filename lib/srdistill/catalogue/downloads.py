"""Public data sets, fetched once: an archive with a published hash, or a repository's files one by one, each with its own.

A data set takes its place under its own name only when all of it is there and verified; an interrupted download goes on with
what it has. Live addresses change: the hash decides, never the address.
"""

import os
import shutil
import tarfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path, PurePosixPath

import pooch
from filelock import FileLock

from srdistill.files import writable
from srdistill.progress import bar

VARIABLE = "SRDISTILL_DATA"
# pooch waits a second longer after every failed attempt: hosts slow down those who ask for many small files.
_ATTEMPTS = 5


class DownloadError(OSError):
    """A download that failed, or is not what it should be; the message says which and why."""


@dataclass(frozen=True)
class Archive:
    """A tar or zip file. ``known_hash``: as pooch writes it; ``stated_by``: who states it. ``size``: in bytes, about.

    ``member``: the folder inside that is wanted.
    """

    url: str
    known_hash: str
    stated_by: str
    size: int
    member: str

    def fill(self, name: str, part: Path) -> Path:
        """Fetch and unpack it into ``part``; returns the wanted folder there.

        Raises DownloadError: not to be had, another content than the hash says, or no such folder inside.
        """
        file = PurePosixPath(self.url).name
        packed = _fetch(name, file, self.url, self.known_hash, part, progressbar=True)
        unpacked = part / "unpacked"
        shutil.rmtree(unpacked, ignore_errors=True)
        _unpack(packed, self.member, unpacked)
        if not (unpacked / self.member).is_dir():
            raise DownloadError(f"{name}: {file} holds no folder {self.member}")
        return unpacked / self.member


@dataclass(frozen=True)
class FileList:
    """Files of a public repository at a commit. ``url``: what their paths follow; ``size``: of all in bytes, about.

    ``registry``: names the list of SHA-256 and paths in ``catalogue/registries``. ``dropped``: a part of the
    files' names that says nothing and is left out.
    """

    url: str
    registry: str
    size: int
    dropped: str = ""

    @property
    def hashes(self) -> dict[str, str]:
        """SHA-256 by path."""
        text = files("srdistill.catalogue").joinpath("registries", f"{self.registry}.txt").read_text()
        return {path: digest for digest, path in (line.split() for line in text.splitlines())}

    def fill(self, name: str, part: Path) -> Path:
        """Fetch what ``part`` does not hold yet; returns the folder there."""
        for path, digest in bar(list(self.hashes.items()), f"fetching {name}"):
            local = PurePosixPath(path).name.replace(self.dropped, "") if self.dropped else PurePosixPath(path).name
            _fetch(name, local, self.url + path, f"sha256:{digest}", part / "files")
        return part / "files"


def data_folders() -> list[Path]:
    """Where data sets are looked for: the folder that ``SRDISTILL_DATA`` names, then that of downloads."""
    named = os.environ.get(VARIABLE)
    return ([Path(named).expanduser()] if named else []) + [Path(pooch.os_cache("srdistill"))]


def download_folder() -> Path:
    """Where data sets are fetched to: the first of ``data_folders`` that can be written to."""
    return next((folder for folder in data_folders() if writable(folder)), data_folders()[-1])


def fetch(name: str, source: Archive | FileList) -> Path:
    """The folder ``name`` of downloads, fetched if it is not there. A second process waits for the first.

    Raises:
        DownloadError: no network, no room, or another content than the hashes say. What was verified is kept.
    """
    root = download_folder()
    place, part = root / name, root / f".{name}.part"
    with _as_download(name, source.url):
        root.mkdir(parents=True, exist_ok=True)
        with FileLock(root / f".{name}.lock"):
            if not place.is_dir():
                os.replace(source.fill(name, part), place)
                shutil.rmtree(part, ignore_errors=True)
    return place


def _fetch(name: str, file: str, url: str, known_hash: str, folder: Path, progressbar: bool = False) -> Path:
    fetcher = pooch.create(
        path=folder, base_url="", registry={file: known_hash}, urls={file: url}, retry_if_failed=_ATTEMPTS,
    )  # fmt: skip
    with _as_download(name, url):
        return Path(fetcher.fetch(file, progressbar=progressbar))


@contextmanager
def _as_download(name: str, url: str) -> Iterator[None]:
    try:
        yield
    except DownloadError:
        raise
    except ValueError as error:  # what pooch raises for a wrong hash; it keeps nothing then
        raise DownloadError(f"{name}: {url} does not have the published hash, and was not kept ({error})") from error
    except (OSError, tarfile.TarError, zipfile.BadZipFile) as error:
        raise DownloadError(f"{name}: could not download {url} ({error})") from error


def _unpack(packed: Path, member: str, into: Path) -> None:
    """Only what lies in the folder ``member``."""
    into.mkdir(parents=True)
    if zipfile.is_zipfile(packed):
        with zipfile.ZipFile(packed) as archive:
            archive.extractall(into, [name for name in archive.namelist() if name.startswith(f"{member}/")])
        return
    with tarfile.open(packed) as archive:
        chosen = [entry for entry in archive if f"{entry.name.removeprefix('./')}/".startswith(f"{member}/")]
        # Python 3.11 has filters from 3.11.4 on; what is unpacked has the published hash.
        archive.extractall(into, chosen, **({"filter": "data"} if hasattr(tarfile, "data_filter") else {}))
