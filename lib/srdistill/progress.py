"""Progress of long loops: a bar where a person looks on, a small file where the runner does."""

import json
import os
import time
from collections.abc import Iterable, Iterator

from tqdm.auto import tqdm

# The runner sets it: bars then go into its one overall line instead of the executed notebook.
PROGRESS_FILE = "SRDISTILL_PROGRESS_FILE"


def bar(items: Iterable, label: str, total: int | None = None, initial: int = 0) -> Iterator:
    """Iterate over ``items`` under a progress bar that goes away when done."""
    path = os.environ.get(PROGRESS_FILE)
    if path is None:
        yield from tqdm(items, desc=label, total=total, initial=initial, leave=False, mininterval=0.3)
        return
    total = total if total is not None else len(items)
    last = 0.0
    for count, item in enumerate(items, start=initial):
        if time.monotonic() - last > 0.5:
            last = time.monotonic()
            try:
                with open(path, "w") as file:
                    json.dump({"label": label, "done": count, "total": total}, file)
            except OSError:
                pass  # A line of progress is not worth a failed run.
        yield item
