"""Whether this is a rehearsal: every step of a large run, two turns of each, before days are spent on it.

In a rehearsal nothing is fetched, and weights that are not at hand are random ones: ``or_random``. What else it cuts short is
in ``study.rehearsal``; this is the one place where the environment is asked.
"""

import functools
import os
from collections.abc import Callable

import torch

from srdistill.weights import WeightsMissing

VARIABLE = "SRDISTILL_REHEARSE"


def rehearsing() -> bool:
    """Whether ``SRDISTILL_REHEARSE`` is set (to anything but 0)."""
    return os.environ.get(VARIABLE, "0") not in ("", "0")


def rehearse(wanted: bool) -> None:
    """Make this process one that rehearses, or one that does not: a worker does what the task that it got was declared for."""
    os.environ[VARIABLE] = "1" if wanted else "0"


def may_fetch(asked: bool) -> bool:
    """Whether something may be downloaded: if it is asked for, and never in a rehearsal."""
    return asked and not rehearsing()


def or_random(make: Callable) -> Callable[[Callable], Callable]:
    """Mark a loader of published weights with what stands in for it in a rehearsal where its weights are nowhere.

    ``make``: is called with the loader's own arguments; it builds the same architecture, or says in its name what it builds
    instead. Its random weights are always the same, and torch's global generator is left as it was.
    """

    def mark(loader: Callable) -> Callable:
        @functools.wraps(loader)
        def load(*arguments, **settings):
            if not rehearsing():
                return loader(*arguments, **settings)
            with torch.random.fork_rng(devices=[]):
                torch.default_generator.manual_seed(0)
                try:
                    return loader(*arguments, **settings)
                except WeightsMissing:
                    torch.default_generator.manual_seed(0)
                    return make(*arguments, **settings)

        return load

    return mark
