"""A distilled set: what a method makes of pictures."""

import inspect

from srdistill.seeds import generator_for
from srdistill.sets.distilled_set import DistilledSet, SetError
from srdistill.sets.learned_set import load_set
from srdistill.study.engine.store import Entry
from srdistill.study.engine.tasks import Step, Task
from srdistill.study.engine.work import Work


def make_set(task: Task, work: Work):
    """``task.function(real, generator=..., **settings)``, with the device and a checkpoint if the method takes them.

    Raises TypeError: it returned something else than a set. SetError: a set without images.
    """
    given = {name: work.opened(value) for name, value in task.settings.items()}
    real = given.pop("real")
    accepted = inspect.signature(task.function).parameters
    given |= {name: value for name, value in (("device", work.device), ("checkpoint", work.checkpoint)) if name in accepted}
    made = task.function(real, generator=generator_for(task.seed, "set"), **given)
    if not isinstance(made, DistilledSet):
        raise TypeError(f"{task.label}: the method returned a {type(made).__name__}; it must return a DistilledSet")
    if not len(made):
        raise SetError(f"{task.label}: the method returned a set without images")
    return {"digest": made.digest, "sizes": vars(made.sizes)}, made.save


def _read(entry: Entry, task: Task, work: Work) -> DistilledSet:
    return load_set(entry.tensors)


SET = Step("sets", make_set, _read)
