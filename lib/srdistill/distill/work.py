"""A loop over pictures that remembers what is finished, so that an interrupted run goes on."""

import hashlib
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from torch import Tensor

from srdistill.distill.sources import Source, reason
from srdistill.files import UNREADABLE, read_tensors, write_tensors
from srdistill.images.pictures import PictureError
from srdistill.images.resize_memory import forget_matrices
from srdistill.progress import bar

_KIND = "work_on_a_picture"
# Resizing matrices are kept for so many pixels of pictures: hundreds of small pictures, or two large ones.
_FORGET = 4_000_000


class Work:
    """Work on pictures, kept picture by picture in ``folder``.

    ``workers``: threads, each with a picture of its own (decoding and matrix products run beside each other). ``unreadable``:
    by name, what is wrong with the pictures that turned out to be damaged. ``resumed``: how many answers an earlier run left.
    """

    def __init__(self, folder: Path, workers: int = 1):
        self.folder, self.workers = folder, workers
        self.unreadable: dict[str, str] = {}
        self.resumed = 0
        self._seen: set[str] = set()

    def each(
        self,
        label: str,
        jobs: Sequence[tuple[Source, str]],
        function: Callable[[Source, str], dict[str, Tensor]],
    ) -> Iterator[tuple[Source, dict[str, Tensor]]]:
        """``function(source, stage)`` of every job, in their order; pictures that cannot be read are left out and noted.

        ``label``: of the progress bar. ``stage``: what is done, with all that it depends on beside the picture and the settings
        of the run; a picture that was changed is worked on anew. Answers do not depend on the workers. A few of them at most
        are in memory.
        """

        def one(job: tuple[Source, str]) -> tuple[dict[str, Tensor], dict, bool]:
            source, stage = job
            key = hashlib.sha256(f"{stage}\n{source.identity}".encode()).hexdigest()[:24]
            place = self.folder / f"{key}.safetensors"
            known = key not in self._seen
            self._seen.add(key)
            try:
                return *read_tensors(place, _KIND), known
            except (FileNotFoundError, *UNREADABLE):  # not finished, or half of a file that a crash left
                pass
            try:
                tensors, about = function(source, stage), {}
            except PictureError as error:
                tensors, about = {}, {"error": reason(error, source.path)}
            write_tensors(place, _KIND, {name: tensor.contiguous() for name, tensor in tensors.items()}, about)
            return tensors, about, False

        since = 0
        for (source, _), (tensors, about, known) in bar(self._ahead(one, jobs), label, total=len(jobs)):
            self.resumed += known
            since += source.pixels
            if since > _FORGET:
                forget_matrices()
                since = 0
            if "error" in about:
                self.unreadable[source.name] = about["error"]
            else:
                yield source, tensors

    def _ahead(self, function: Callable, jobs: Sequence) -> Iterator[tuple]:
        """Jobs with their answers, in order, so many ahead that every worker has one."""
        if self.workers == 1:
            # Nothing runs ahead, and an interruption ends at once.
            yield from ((job, function(job)) for job in jobs)
            return
        with ThreadPoolExecutor(self.workers) as pool:
            waiting: deque = deque()
            try:
                for job in jobs:
                    waiting.append((job, pool.submit(function, job)))
                    if len(waiting) > 2 * self.workers:
                        job, answer = waiting.popleft()
                        yield job, answer.result()
                while waiting:
                    job, answer = waiting.popleft()
                    yield job, answer.result()
            finally:
                for _, answer in waiting:
                    answer.cancel()
