"""The kind of task that this wing adds: an expert. Each is a task of its own, so that workers train several at a time."""

from pathlib import Path

from srdistill.papers.coreset.trajectories.experts import Expert
from srdistill.seeds import generator_for
from srdistill.study.engine.store import Entry
from srdistill.study.engine.tasks import Step, Task
from srdistill.study.engine.work import Work


def make_expert(task: Task, work: Work):
    """``task.function`` (``train_expert``) of the opened settings; the task's seed is the expert's."""
    given = {name: work.opened(value) for name, value in task.settings.items()}
    expert = task.function(
        given.pop("real"), generator=generator_for(task.seed, "expert"), device=work.device, checkpoint=work.checkpoint,
        label=task.label, **given,
    )  # fmt: skip
    return {"history": expert.history, "epochs": expert.epochs}, lambda path: expert.save(Path(path))


def _read(entry: Entry, task: Task, work: Work) -> Expert:
    return Expert.load(entry.tensors)


EXPERT = Step("experts", make_expert, _read)
