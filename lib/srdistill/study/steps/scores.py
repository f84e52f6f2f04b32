"""Scores of a super-resolution network on every test picture; without a network, of bicubic."""

from srdistill.study.engine.store import Entry
from srdistill.study.engine.tasks import Step, Task
from srdistill.study.engine.work import Work
from srdistill.training.evaluate import Firing


def score_network(task: Task, work: Work):
    """``task.function`` (``evaluate``) of the opened network on each of the test sets, and its share of dead channels."""
    given = {name: work.opened(value) for name, value in task.settings.items()}
    network, scale, found, dead = given["network"], given["scale"], {}, {}
    for name, pictures in given["tests"].items():
        with Firing(network) as firing:
            found[name] = task.function(network, pictures, scale, device=work.device, lpips=given["lpips"])
        dead[name] = firing.dead
    return {"scores": found, "dead": dead}, None


def _read(entry: Entry, task: Task, work: Work) -> dict[str, list[dict]]:
    return entry.value["scores"]


SCORES = Step("scores", score_network, _read)
