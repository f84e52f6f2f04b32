"""Whether a run reproduces the numbers that are committed: exactly, to the digits that tables show, within what the seeds of
the committed one differ by, or not.

On another kind of CPU sums are rounded in another order, and training carries that on: a student ends as far from where it was
as another seed does. So that spread is the tolerance between machines.
"""

import io
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from srdistill.study.metrics import METRICS
from srdistill.study.paths import ROOT

_KEYS = ("row", "network", "testset", "metric")
# Of tables of facts, which name no metric.
_TOLERANCE = 1e-4
# Numbers that are different every time.
_TIMES = ("seconds_per_epoch",)
# So many of those that differ are named.
_NAMED = 10


@dataclass
class Comparison:
    """Numbers of tables. ``exact``; ``close``: the same to the digits that tables show; ``alike``: nearer than the standard
    deviation over the committed seeds; ``off``: in words; ``gone``: no longer there; ``new``: not there before; ``times``:
    seconds, which are not compared."""

    exact: int = 0
    close: int = 0
    alike: int = 0
    off: list[str] = field(default_factory=list)
    gone: int = 0
    new: int = 0
    times: int = 0

    def add(self, name: str, before: str, after: str) -> None:
        """Compare two texts of one CSV."""
        old, new = _numbers(before), _numbers(after)
        self.gone += len(old.keys() - new.keys())
        self.new += len(new.keys() - old.keys())
        for key in old.keys() & new.keys():
            (was, spread), (found, _) = old[key], new[key]
            if key[-1] in _TIMES:
                self.times += 1
            elif was == found:
                self.exact += 1
            elif abs(was - found) <= _tolerance(key[-1]):
                self.close += 1
            elif abs(was - found) <= spread:
                self.alike += 1
            else:
                self.off.append(f"{name}: {', '.join(map(str, key))}: {found:g} instead of {was:g}")
        self.off.sort()

    def __str__(self) -> str:
        total = self.exact + self.close + self.alike + len(self.off)
        lines = [f"Of {total} committed numbers this run reproduces {self.exact} exactly, {self.close} more to the digits "
                 f"shown, {self.alike} within the spread of the committed seeds, and {len(self.off)} not."]  # fmt: skip
        lines += [f"  {line}" for line in self.off[:_NAMED]]
        if len(self.off) > _NAMED:
            lines.append(f"  and {len(self.off) - _NAMED} more")
        for count, what in (
            (self.new, "were not there before"), (self.gone, "are no longer there"),
            (self.times, "are seconds, and not compared"),
        ):  # fmt: skip
            if count:
                lines.append(f"  {count} numbers {what}")
        return "\n".join(lines)


class Snapshot:
    """The tables in ``folder`` as they are committed; where git does not know them, as they are now."""

    def __init__(self, folder: Path):
        self.folder = folder
        self._now = {path.name: path.read_text() for path in sorted(folder.glob("*.csv"))} if folder.is_dir() else {}

    def text(self, name: str) -> str | None:
        """A table's CSV; None if there was none."""
        try:
            place = (self.folder / name).relative_to(ROOT)
        except ValueError:
            return self._now.get(name)
        shown = subprocess.run(["git", "-C", str(ROOT), "show", f"HEAD:{place}"], capture_output=True, text=True, check=False)
        return shown.stdout if shown.returncode == 0 else self._now.get(name)


def said_of(before: Snapshot, tables: Sequence[Path]) -> str:
    """How the tables compare with those before, in words."""
    found, compared = Comparison(), 0
    for path in tables:
        text = before.text(path.name)
        if text is not None and not path.name.endswith(".sizes.csv"):
            found.add(path.stem, text, path.read_text())
            compared += 1
    return str(found) if compared else "None of these tables was there before, so there is nothing to compare with."


def _numbers(text: str) -> dict[tuple, tuple[float, float]]:
    """Every number of ours, and its standard deviation over seeds (0: unknown), by what it is about; the last part of a key is
    the metric, or the column."""
    frame = pd.read_csv(io.StringIO(text), keep_default_na=False, na_values=[""])
    if {*_KEYS, "mean"} <= set(frame):
        measured = frame.dropna(subset="mean").fillna({"std": 0.0})
        return {
            tuple(line[key] for key in _KEYS): (float(line["mean"]), float(line["std"])) for line in measured.to_dict("records")
        }
    words = [name for name in frame if not pd.api.types.is_numeric_dtype(frame[name])]
    return {
        (*(line[name] for name in words), column): (float(line[column]), 0.0)
        for line in frame.to_dict("records")
        for column in frame
        if column not in words and not pd.isna(line[column])
    }


def _tolerance(metric: str) -> float:
    """Half a unit of the last digit that tables show."""
    return 0.5 * 10 ** -METRICS[metric].decimals if metric in METRICS else _TOLERANCE
