"""The next epoch's pictures, made while a student trains on this one's."""

from concurrent.futures import Future, ThreadPoolExecutor

from torch import Tensor

from srdistill.training.soft_labels import Source


class MadeAhead:
    """``source`` with the following epoch made in a thread: a student waits no longer than making takes.

    Worth it where pictures are made on a GPU; on a CPU the two share the cores. The pictures are the same: whatever is drawn
    is drawn from seeds of the epoch. An error in the thread is raised by the call that asks for that epoch. Use it in a
    ``with`` statement, or call ``close``.

    ``epochs``: how many there are; nothing is made beyond the last.
    """

    def __init__(self, source: Source, epochs: int):
        if epochs < 1:
            raise ValueError(f"epochs must be 1 or more, got {epochs}")
        self.source, self.epochs = source, epochs
        self._thread = ThreadPoolExecutor(1, "next epoch")
        self._next: tuple[int, Future] | None = None

    def __enter__(self) -> "MadeAhead":
        return self

    def __exit__(self, *error) -> None:
        self.close()

    def close(self) -> None:
        """Stop the thread; what it is at is finished and dropped."""
        self._next = None
        self._thread.shutdown(wait=True, cancel_futures=True)

    def __call__(self, epoch: int) -> tuple[Tensor, Tensor | None]:
        """What ``source(epoch)`` returns. The first epoch, and one out of turn, is waited for."""
        if self._next is None or self._next[0] != epoch:
            # In the same thread, after whatever it is at: an engine need not stand two callers at a time.
            self._next = epoch, self._thread.submit(self.source, epoch)
        future, self._next = self._next[1], None
        made = future.result()
        if epoch + 1 < self.epochs:
            self._next = epoch + 1, self._thread.submit(self.source, epoch + 1)
        return made
