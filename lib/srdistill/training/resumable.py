"""The loop that every long computation of the study runs in: a progress bar, checkpoints, and resuming where one was left."""

from collections.abc import Callable, Iterator

from srdistill.progress import bar
from srdistill.training.checkpoint import Checkpoint


def resumable(
    steps: int,
    label: str,
    checkpoint: Checkpoint | None,
    state: Callable[[], dict],
    restore: Callable[[dict], None],
    *,
    keep: bool = False,
) -> Iterator[int]:
    """The steps still to do, ``0 .. steps - 1`` or from where ``checkpoint`` was left, under a bar called ``label``.

    A resumed run equals an uninterrupted one if a step draws from generators of its own and ``state`` holds all it changes.

    Args:
        checkpoint: None: nothing is saved. It is saved after every ``checkpoint.every`` steps, and removed after the last one.
        state: what the steps change, as a checkpoint takes it. restore: takes what ``state`` gave, before the first step.
        keep: save after the last step instead of removing: for a phase that another one follows, which has a ``part`` of the
            same checkpoint. Whoever runs the last phase calls ``clear`` on the whole.
    """
    first = 0
    saved = checkpoint.load() if checkpoint else None
    if saved is not None:
        restore(saved["state"])
        first = saved["step"]
    for step in bar(range(first, steps), label, total=steps, initial=first):
        yield step
        done = step + 1
        if checkpoint and (keep if done == steps else checkpoint.due(done)):
            checkpoint.save({"step": done, "state": state()})
    if checkpoint and not keep:
        checkpoint.clear()
