"""What a row of a table costs in time: the seconds of its pieces of work, each done once more with nothing beside it.

Work that runs beside other work is slower than alone, by how much is chance. So every piece that is shown here has a twin that
runs when nothing else does (``Task.timed``); the seconds are the twin's, its answer is not used.
"""

from collections.abc import Mapping

import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from srdistill.study.engine.tasks import Resource, Task, graph
from srdistill.study.pages.drawing import one_axis
from srdistill.study.rows import Row
from srdistill.study.sr import SRStudy

STAGES = ("pre-training", "fine-tuning", "making the set", "training the student")
_STAGE_OF_KIND = {"priors": STAGES[0], "networks": STAGES[0], "diffusion": STAGES[0], "sets": STAGES[2]}


def stages(study: SRStudy, row: Row, network: str, seed: int = 0) -> list[tuple[str, Task]]:
    """All that it takes to train ``network`` on the row's set, from the pictures on: (one of ``STAGES``, task).

    Any other network, prior or diffusion model on the way is pre-training, but for one that another was given to:
    fine-tuning. Selecting patches is not counted, nor is what comes ready-made, or stands in for that: a model of other
    pictures than the study's.
    """
    student = study.student(row, network, seed)
    found = [(_stage(task), task) for task in graph([student]) if task.key != student.key and _sees(task, study.real().digest)]
    return [(stage, task) for stage, task in found if stage] + [(STAGES[3], student)]


def _sees(task: Task, digest: str) -> bool:
    """Whether the pictures of this digest are among what the task learns from; what its generator has seen is that one's."""
    chosen = [value for name, value in task.settings.items() if name != "prior"]
    direct = any(isinstance(value, Resource) and value.hashed and value.digest == digest for value in chosen)
    return direct or any(isinstance(value, Task) and _sees(value, digest) for value in chosen)


def _stage(task: Task) -> str | None:
    return STAGES[1] if task.kind == "diffusion" and "model" in task.settings else _STAGE_OF_KIND.get(task.kind)


def costs(study: SRStudy, rows: Mapping[str, Row], network: str, seed: int = 0) -> pd.DataFrame:
    """Seconds of each stage for one seed: index the keys of ``rows``, columns ``STAGES``.

    Work that several rows share is timed once, and counts in each. Raises RuntimeError with the reason if some of it failed.
    """
    needed = {name: stages(study, row, network, seed) for name, row in rows.items()}
    study.execution.wait([task.timed() for found in needed.values() for _, task in found], f"{study.name}: seconds")
    seconds = pd.DataFrame(0.0, index=list(rows), columns=list(STAGES))
    for name, found in needed.items():
        for stage, task in found:
            seconds.loc[name, stage] += study.entry(task.timed()).seconds
    return seconds


def cost_figure(seconds: pd.DataFrame) -> Figure:
    """``costs`` as stacked bars, a row each, its total at the end; in minutes or hours where seconds are many."""
    total = seconds.sum(axis=1).max()
    unit, divisor = next((u, d) for u, d, limit in (("seconds", 1, 300), ("minutes", 60, 18_000), ("hours", 3600, 1e12))
                         if total < limit)  # fmt: skip
    caption = f"What each row costs, in {unit} of one core, stage by stage; the number at the end is all of it."
    figure, axis = one_axis(9, 0.9 + 0.42 * len(seconds), caption)
    for position, line in enumerate(seconds.itertuples(index=False)):
        left = 0.0
        for color, value in zip(sns.color_palette("muted"), line, strict=False):
            axis.barh(position, value / divisor, left=left, color=color, height=0.62)
            left += value / divisor
        axis.text(left, position, f" {left:.1f}", va="center")
    handles = [Patch(color=color) for color in sns.color_palette("muted", len(STAGES))]
    axis.legend(handles, STAGES, frameon=False, loc="center left", bbox_to_anchor=(1, 0.5))
    axis.set_yticks(range(len(seconds)), list(seconds.index))
    axis.set(ylim=(len(seconds) - 0.5, -0.5), xlabel=unit)
    return figure
