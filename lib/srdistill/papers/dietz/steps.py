"""What these tables need beside sets, students and scores: how far each distilled set is from the real pictures, by gradients,
before matching and after it."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import pandas as pd

from srdistill.papers.dietz.gradient_matching import gradient_matching
from srdistill.papers.dietz.held_out import held_out_networks, set_distances
from srdistill.papers.dietz.latent_matching import latent_matching
from srdistill.seeds import generator_for
from srdistill.sets.distilled_set import DistilledSet
from srdistill.sets.starts import start_set
from srdistill.study.engine.store import Entry
from srdistill.study.engine.tasks import Step, Task
from srdistill.study.engine.work import Work
from srdistill.study.rows import Row
from srdistill.study.sr import SRStudy

MATCHINGS = (gradient_matching, latent_matching)
# Where a trained network is matched: the same training from these seeds is what matching has not seen.
_OTHER_SEEDS = (1, 2)


def measure(task: Task, work: Work):
    """``task.function`` (``set_distances``) of a set and of what it started from, on networks that matching did not see; where
    one stays fixed while it matches, on that as well. ``moved``: mean absolute change of the images, in grey levels."""
    given = {name: work.opened(value) for name, value in task.settings.items()}
    real, made, start, network = (given[name] for name in ("real", "made", "start", "network"))
    matching, others = given["matching"], given["others"]
    if not isinstance(start, DistilledSet):
        made_from = {"ipc": given["ipc"], "size": made.images.shape[-1], "generator": generator_for(task.seed, "set")}
        start = start_set(real, start, **made_from)
    drawn = not others
    networks = held_out_networks(network, matching.scale) if drawn else [network, *others]
    found = task.function(real, [start, made], networks=networks, matching=matching, device=work.device)
    moved = (made.images.float() - start.images.float()).abs().mean().item()
    before, after = (values.tolist() for values in found)
    answer = {"moved": moved} if drawn else {"moved": moved, "matched before": before.pop(0), "matched after": after.pop(0)}
    return answer | {"before": sum(before) / len(before), "after": sum(after) / len(after)}, None


def _read(entry: Entry, task: Task, work: Work) -> dict[str, float]:
    return entry.value


DISTANCES = Step("distances", measure, _read)


def distance_task(study: SRStudy, row: Row, seed: int = 0) -> Task:
    """The task that measures a row of ``gradient_matching`` or ``latent_matching``. Raises ValueError for another."""
    if row.method not in MATCHINGS:
        raise ValueError(f"{row.label} matches no gradients; ask about a row of gradient_matching or latent_matching")
    given, made = row.settings, study.set_task(row, seed)
    network = given.get("network") or {"architecture": "SRCNN"}
    fixed = isinstance(network, Task)
    settings = {
        "real": study.sources(), "made": made, "start": made.settings.get("start", "downscaled"), "ipc": given["ipc"],
        "network": network, "matching": given["matching"],
        "others": [replace(network, seed=other, label=f"{network.label}, but seed {other}") for other in _OTHER_SEEDS]
        if fixed else [],
    }  # fmt: skip
    label = f"gradient distance of {row.label}, seed {seed}"
    return Task(DISTANCES, set_distances, settings, seed, study.device, label=label)


def held_out_distance(study: SRStudy, row: Row, seed: int = 0) -> dict[str, float]:
    """``before`` and ``after`` matching, on networks that it did not see; ``moved``, in grey levels; with a network that stays
    fixed, ``matched before`` and ``matched after`` on that one. Waits for it."""
    return study.entry(distance_task(study, row, seed)).value


def distance_table(study: SRStudy, rows: Mapping[str, Row] | Sequence[Row]) -> pd.DataFrame:
    """``held_out_distance`` of every row that matches gradients, means over the seeds; ``change %``, and in how many seeds the
    distance ``fell``."""
    rows = list(rows.values()) if isinstance(rows, Mapping) else list(rows)
    chosen = [row for row in rows if row.method in MATCHINGS]
    study.execution.start([distance_task(study, row, seed) for row in chosen for seed in study.seeds])
    lines = {}
    for row in chosen:
        found = pd.DataFrame([held_out_distance(study, row, seed) for seed in study.seeds])
        mean = found.mean()
        lines[row.label] = {
            "before": mean["before"], "after": mean["after"], "change %": 100 * (mean["after"] / mean["before"] - 1),
            "fell": f"{int((found.after < found.before).sum())} of {len(found)}", "moved": mean["moved"],
        } | {name: mean[name] for name in ("matched before", "matched after") if name in mean}  # fmt: skip
    table = pd.DataFrame.from_dict(lines, orient="index").rename_axis("training set").round(2)
    for name in table.columns[table.isna().any()]:  # only a network that stays has a distance on the matched one
        table[name] = table[name].astype(object).where(table[name].notna(), "")
    return table
