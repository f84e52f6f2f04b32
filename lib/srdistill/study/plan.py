"""What a run would compute, and what it needs, before any work: ``python -m srdistill.study.plan``, or ``make plan``.

Tasks are declared as a notebook declares them, and looked for in the store. Nothing is computed. A data set that is not at
hand, or too large to be read for a plan, has no digest: what depends on its pictures counts as still to be computed.
"""

import sys
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, fields, is_dataclass
from functools import cached_property
from statistics import median

import torch

from srdistill.needs import Need
from srdistill.rehearsing import rehearsing
from srdistill.study.engine.cluster import default_workers
from srdistill.study.engine.digests import digest_of
from srdistill.study.engine.seconds import alike, stored_seconds
from srdistill.study.engine.store import Store
from srdistill.study.engine.tasks import Resource, Task, graph
from srdistill.study.options import UsageError, checked, parser, resolve
from srdistill.study.paper import papers
from srdistill.study.profiles import get_profile
from srdistill.study.run_line import Expected, in_words
from srdistill.study.study import Study

# Seconds within which the host of a download must answer.
_ANSWERS_WITHIN = 4.0


@dataclass(frozen=True)
class Share:
    """The tasks of one kind in one notebook. ``computed``: those that this notebook would compute, and none before it."""

    notebook: str
    kind: str
    tasks: int
    at_hand: int
    computed: tuple[Task, ...]


@dataclass(frozen=True)
class Plan:
    """``expected``: tasks to be computed, by key. ``timed``: notebooks with printed seconds. ``remarks``: what was not looked
    at, or what this machine lacks."""

    profile: str
    shares: list[Share]
    needs: list[Need]
    expected: dict[str, Expected]
    timed: set[str] = field(default_factory=set)
    remarks: list[str] = field(default_factory=list)

    @property
    def missing(self) -> list[Need]:
        """What is not at hand, and cannot be left out."""
        return [need for need in self.needs if not need.found and not need.optional]

    @cached_property
    def unobtainable(self) -> list[Need]:
        """What is not at hand and cannot be fetched from here: nobody offers it, or its host does not answer."""
        with ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(lambda need: need.fetched and _answers(need.source), self.missing))
        return [need for need, answer in zip(self.missing, answers, strict=True) if not answer]

    def seconds(self, workers: int) -> float | None:
        """How long ``workers`` take, from what the store has seen; None if it has seen none of it. What is not known counts as
        the mean of the rest."""
        tasks = [task for share in self.shares for task in share.computed]
        known = {task.key: s for task in tasks if (s := self.expected[task.key].seconds) is not None}
        if tasks and not known:
            return None
        mean = sum(known.values()) / len(known) if known else 0.0
        took = {task.key: known.get(task.key, mean) for task in tasks}
        alone = sum(took[task.key] for task in tasks if task.alone)
        return max((sum(took.values()) - alone) / workers, _longest_chain(tasks, took)) + alone

    def summary(self, workers: int) -> str:
        """All of it, in words."""
        lines = [f"Plan of profile {self.profile}: {len(self.expected)} tasks to compute."]
        if self.shares:
            lines += [*_columns(self.shares, self.expected), "  (What several notebooks need is computed once, for the first.)"]
        if self.needs:
            lines += ["", "Data sets and weights:", *(f"  {_said(need)}" for need in self.needs)]
        lines += ["", *(f"Note: {remark}" for remark in self.remarks)] if self.remarks else []
        return "\n".join([*lines, "", self._duration(workers)])

    def _duration(self, workers: int) -> str:
        if not self.shares:
            return "These notebooks have no table of a paper; what they compute is not known before."
        if not self.expected:
            return "Nothing is left to compute; notebooks draw their figures anew."
        unknown = sum(task.seconds is None for task in self.expected.values())
        if unknown == len(self.expected):
            return "How long it takes is not known: the store has seen no such task. A run says so after its first minutes."
        several = f", {workers} workers about {in_words(self.seconds(workers))}" if workers > 1 else ""
        rest = f" ({unknown} of {len(self.expected)} are like none that the store has seen, and taken as the mean)"
        return (
            f"By the seconds that the store has seen, one worker takes about {in_words(self.seconds(1))}{several}, figures "
            f"not counted{rest if unknown else ''}."
        )

    def refusal(self) -> str:
        """Why a run does not begin."""
        lines = [f"  {_said(need)}" for need in self.unobtainable]
        return "\n".join([f"{len(lines)} of the data sets and weights that this run needs cannot be had here:", *lines])


def make_plan(notebooks: Sequence[str], profile: str = "", seeds: int = 0, data: str = "") -> Plan:
    """What a run of these notebooks would do. ``profile``, ``seeds``, ``data``: a notebook's parameters.

    Raises ValueError for an unknown profile, or a folder of pictures that does not suit the notebooks.
    """
    looking = _Looking(profile, seeds, data)
    for paper in papers():
        for table in paper.tables:
            if table.notebook in notebooks:
                looking.add(paper.open(table.name, profile, seeds, data))
    return looking.plan()


class _Looking:
    """Table after table, what is known so far."""

    def __init__(self, profile: str, seeds: int, data: str):
        self.profile = get_profile(profile)
        self.needs: dict[str, Need] = {}
        self.remarks: dict[str, None] = {}
        self.timed: set[str] = set()
        self.tasks: dict[str, dict[str, Task]] = {}
        self.store: Store | None = None
        self._digests: dict[str, str] = {}

    def add(self, study: Study) -> None:
        """The tasks behind a table's cells and sets."""
        self.store = study.store
        self._without_loading_lpips(study)
        rows = list(study.table.rows(study))
        wanted = [cell.task for cell in study.cells(rows)]
        wanted += [task for row in rows if row.method is not None for _, _, task in study.set_tasks(row)]
        self._look_into(wanted, set())
        known = self.tasks.setdefault(study.table.notebook, {})
        known |= {task.key: task for task in graph(wanted)}
        if study.table.timed:
            self.timed.add(study.table.notebook)

    def _without_loading_lpips(self, study: Study) -> None:
        """A study loads the metric to see whether it can; where its weights are not at hand that would fetch them."""
        if study.lpips_declared is None:
            return
        (need,) = study.lpips_declared.loader.needs(**study.lpips_declared.settings)
        if not need.found:
            self._note(Need(**vars(need) | {"optional": not need.fetched}))
            vars(study)["lpips"] = study.lpips_declared if need.fetched else None

    def _note(self, need: Need) -> None:
        # In a rehearsal something stands in for all that is missing.
        need = Need(**vars(need) | {"optional": need.optional or rehearsing()})
        self.needs.setdefault(f"{need.name} {need.found}", need)

    def _look_into(self, value: object, seen: set[int]) -> None:
        """Note what the resources inside need, and let those that are pictures have a digest without being loaded twice."""
        if id(value) in seen:
            return
        seen.add(id(value))
        if isinstance(value, Task | Resource):
            function = value.function if isinstance(value, Task) else value.loader
            described = getattr(function, "needs", lambda **_: [])(**value.settings)
            for need in described:
                self._note(need)
            if isinstance(value, Resource) and value.hashed:
                vars(value)["digest"] = self._digest(value, described)
            self._look_into(value.settings, seen)
        for entry in _entries(value):
            self._look_into(entry, seen)

    def _digest(self, pictures: Resource, described: Sequence[Need]) -> str:
        place = f"{pictures.loader.__qualname__}{sorted(pictures.settings.items())}"
        if place not in self._digests:
            if any(not need.found for need in described):
                found = None
            else:
                found = digest_of(pictures, [path for need in described for path in need.found], self.store.root)
                if found is None:
                    names = ", ".join(need.name for need in described)
                    remark = f"{names}: too large to be read for a plan, so what depends on it counts as not at hand"
                    self.remarks[remark] = None
            # No key that begins from it is in any store.
            self._digests[place] = found or f"not known: {place}"
        return self._digests[place]

    def plan(self) -> Plan:
        """All that was found."""
        shares, computed, expected = [], set(), {}
        finished = lambda task: self.store.has(task.kind, task.key)  # noqa: E731
        everything = {key: task for tasks in self.tasks.values() for key, task in tasks.items()}
        seconds = stored_seconds(self.store, {task.kind for task in everything.values()}) if self.store else {}
        for notebook, tasks in self.tasks.items():
            missing = {task.key for task in graph(_wanted(tasks), finished)} - computed
            computed |= missing
            for kind in dict.fromkeys(task.kind for task in tasks.values()):
                mine = [task for task in tasks.values() if task.kind == kind]
                new = tuple(task for task in mine if task.key in missing)
                shares.append(Share(notebook, kind, len(mine), sum(finished(task) for task in mine), new))
                for task in new:
                    took = seconds.get(alike(task.spec))
                    expected[task.key] = Expected(alike(task.spec), median(took) if took else None)
        if "GPU" in self.profile.where and not torch.cuda.is_available():
            self.remarks[f"this profile is made for {self.profile.where}, and there is none here"] = None
        return Plan(self.profile.name, shares, list(self.needs.values()), expected, self.timed, list(self.remarks))


def _wanted(tasks: Mapping[str, Task]) -> list[Task]:
    """Those that no other of them needs, and all sets, whose sizes are shown."""
    needed = {need.key for task in tasks.values() for need in task.needs}
    return [task for key, task in tasks.items() if key not in needed or task.kind == "sets"]


def _entries(value: object) -> Iterator[object]:
    if isinstance(value, Mapping):
        yield from value.values()
    elif isinstance(value, list | tuple):
        yield from value
    elif is_dataclass(value) and not isinstance(value, type | Task | Resource):
        yield from (getattr(value, f.name) for f in fields(value))


def _longest_chain(tasks: Sequence[Task], took: Mapping[str, float]) -> float:
    """Seconds of the longest chain of tasks of which each needs the one before, in the order of ``tasks``; without those that
    run alone."""
    ends: dict[str, float] = {}

    def end(task: Task) -> float:
        if task.key not in ends:
            before = max((end(need) for need in task.needs if need.key in took), default=0.0)
            ends[task.key] = before + (0.0 if task.alone else took[task.key])
        return ends[task.key]

    return max(map(end, tasks), default=0.0)


def _columns(shares: Sequence[Share], expected: Mapping[str, Expected]) -> list[str]:
    lines = [f"  {'notebook':<28}{'kind':<14}{'tasks':>7}{'at hand':>9}{'to compute':>12}  one worker"]
    last = ""
    for share in shares:
        seconds = [expected[task.key].seconds for task in share.computed]
        known = [s for s in seconds if s is not None]
        took = "" if not seconds else in_words(sum(known)) if len(known) == len(seconds) else "not known"
        took = f"more than {in_words(sum(known))}" if known and len(known) < len(seconds) else took
        name, last = (share.notebook if share.notebook != last else ""), share.notebook
        counts = f"{share.tasks:>7}{share.at_hand:>9}{len(share.computed):>12}"
        lines.append(f"  {name:<28}{share.kind:<14}{counts}  {took}".rstrip())
    return lines


def _said(need: Need) -> str:
    if need.found:
        return f"{need.name}: {', '.join(map(str, need.found))}"
    size = f", {_bytes(need.size)}" if need.size else ""
    how = "; a run fetches it" if need.fetched else ""
    what = "not here, and left out" if need.optional else "MISSING"
    return f"{need.name}: {what} ({need.source}{size}{how}); {need.remedy}"


def _bytes(count: int) -> str:
    for unit, power in (("GB", 9), ("MB", 6), ("kB", 3)):
        if count >= 10**power:
            return f"{count / 10**power:.{0 if count >= 10 ** (power + 1) else 1}f} {unit}"
    return f"{count} bytes"


def _answers(address: str) -> bool:
    """Whether the host of a download can be reached."""
    try:
        with urllib.request.urlopen(urllib.request.Request(address.split(",")[0], method="HEAD"), timeout=_ANSWERS_WITHIN):
            return True
    except urllib.error.HTTPError:
        return True  # it answers, if only that it wants to be asked otherwise
    except (OSError, ValueError):
        return False


def main(arguments: list[str] | None = None) -> int:
    """The command line; exit status 2 if data or weights are missing."""
    options = parser(
        "python -m srdistill.study.plan",
        "Say what a run would compute, what it needs, and how long it takes; nothing is computed.",
    )
    given = options.parse_args(arguments)
    try:
        shared = checked(given)
        plan = make_plan(resolve(given.notebooks), given.profile, **shared)
        workers = default_workers(given.workers or 0)
    except (UsageError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(plan.summary(workers))
    if plan.missing:
        print(f"\n{len(plan.missing)} missing: {', '.join(need.name for need in plan.missing)}")
    return 2 if plan.missing else 0


if __name__ == "__main__":
    sys.exit(main())
