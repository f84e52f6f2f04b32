"""Progress of long loops: a bar where a person looks on, messages where a runner does."""

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

from tqdm.auto import tqdm

# Of the messages that go through a scheduler.
TOPIC = "srdistill"
_PAUSE = 0.5

_report: Callable[[dict], None] | None = None


def listening() -> bool:
    """Whether messages go to somebody, so that bars are not drawn."""
    return _report is not None


def listen(report: Callable[[dict], None] | None) -> None:
    """From now on bars are no bars but messages, see ``reported``."""
    global _report
    _report = report


@contextmanager
def reported(report: Callable[[dict], None] | None) -> Iterator[None]:
    """Meanwhile bars are no bars but messages ``{"event": "step", "label", "done", "total"}``, two a second at most."""
    before = _report
    listen(report)
    try:
        yield
    finally:
        listen(before)


def bar(items: Iterable, label: str, total: int | None = None, initial: int = 0) -> Iterator:
    """Iterate over ``items`` under a progress bar that goes away when done."""
    if _report is None:
        yield from tqdm(items, desc=label, total=total, initial=initial, leave=False, mininterval=0.3)
        return
    total = total if total is not None else len(items)
    last = 0.0
    for count, item in enumerate(items, start=initial):
        if time.monotonic() - last > _PAUSE:
            last = time.monotonic()
            _report({"event": "step", "label": label, "done": count, "total": total})
        yield item
