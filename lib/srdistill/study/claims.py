"""Sentences of the papers as statements that numbers decide.

A claim compares two numbers. It is decided twice: in the paper's own table, where one is printed, and here, from the
differences over seeds. Verdicts from seeds use the two-sided 95 % interval of Student's t; an interval that
crosses the line, or a single seed, decides nothing.
"""

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field

import pandas as pd
from pandas.io.formats.style import Styler
from scipy import stats

from srdistill.study.describe import readable
from srdistill.study.rows import BICUBIC
from srdistill.study.study import Study
from srdistill.training.evaluate import COLLAPSE_TOLERANCE

# Plain bicubic on Set5 x2, which is what the paper prints for its untrained VDSR (see 00_protocol).
_SET5_BICUBIC_DB = 32.0620
_BICUBIC_NOTE = "the printed network did not train: its number is that of bicubic"
_DECIMALS = {"dB": 2, "points": 1}
REPRODUCED, NOT_REPRODUCED, INCONCLUSIVE = "reproduced", "not reproduced", "inconclusive"


@dataclass
class Claim:
    """``sentence``: the paper's, empty for a question of ours. ``statement``: what is checked, difference > line in ``unit``.

    ``values``: the difference for each seed. ``printed``: the same difference in the paper's table, None if it cannot be
    formed; ``void`` says why a printed difference means nothing.
    """

    name: str
    table: str
    sentence: str
    statement: str
    values: Sequence[float] = field(default_factory=list)
    line: float = 0.0
    unit: str = "dB"
    printed: float | None = None
    void: str = ""

    @property
    def interval(self) -> tuple[float, float] | None:
        """The 95 % interval of the mean difference, None for fewer than two seeds."""
        values = [float(value) for value in self.values]
        if len(values) < 2 or not all(math.isfinite(value) for value in values):
            return None
        mean = sum(values) / len(values)
        error = stats.sem(values)
        if error == 0:
            return (mean, mean)
        low, high = stats.t.interval(0.95, len(values) - 1, loc=mean, scale=error)
        return (float(low), float(high))

    @property
    def verdict(self) -> str:
        """``reproduced``, ``not reproduced`` or ``inconclusive``."""
        if self.interval is None:
            return INCONCLUSIVE
        low, high = self.interval
        return REPRODUCED if low > self.line else NOT_REPRODUCED if high <= self.line else INCONCLUSIVE

    @property
    def in_print(self) -> str:
        """What the paper's own table says about the sentence."""
        if self.printed is None:
            return "not printed"
        if self.void:
            return f"void, {self.void}"
        word = "holds" if self.printed > self.line else "contradicted"
        return f"{word} ({self._number(self.printed)} {self.unit})"

    def _number(self, value: float) -> str:
        return f"{value:+.{_DECIMALS.get(self.unit, 4)}f}"

    @property
    def measured(self) -> str:
        """Mean and interval in words."""
        values = [value for value in self.values if math.isfinite(value)]
        if not values:
            return "not run"
        mean = f"{self._number(sum(values) / len(values))} {self.unit}"
        if self.interval is None:
            return f"{mean} (one seed)" if len(self.values) == 1 else f"{mean} ({len(self.values)} seeds, not all finite)"
        low, high = (self._number(bound) for bound in self.interval)
        return f"{mean} [{low}, {high}], {len(values)} seeds"

    def to_json(self) -> str:
        """With the derived verdicts, so that a reader of the file needs no code."""
        derived = {"verdict": self.verdict, "in_print": self.in_print, "measured": self.measured}
        return json.dumps(asdict(self) | derived, ensure_ascii=False)


@dataclass(frozen=True)
class Question:
    """What is to be checked: row ``first`` minus row ``second`` is more than ``line``, on the study's first test set.

    ``name``, ``statement``: ``{network}`` stands for the student. ``sentence``: the paper's, empty for a question of ours.
    ``metric``, ``unit``: what is compared. ``printed_first``, ``printed_second``: (table, row) of the same two in print, where
    they stand in another table or under another label than here. ``printed_metric``: the metric's name in print if it differs:
    a paper's own LPIPS, of an unnamed backbone, decides about the paper's own sentence. ``printed_network``: the student in
    print, where a profile has a smaller one. A row that no paper prints leaves that side open.
    """

    name: str
    statement: str
    first: str
    second: str
    sentence: str = ""
    metric: str = "psnr"
    unit: str = "dB"
    line: float = 0.0
    printed_first: tuple[str, str] | None = None
    printed_second: tuple[str, str] | None = None
    printed_metric: str = ""
    printed_network: str = ""


def check(study: Study, values: pd.DataFrame, questions: Sequence[Question], networks: Sequence[str]) -> list[Claim]:
    """Every question for every student, seed by seed; ``values``: from ``tables.per_seed``."""
    return [_checked(study, values, question, network) for network in networks for question in questions]


def _checked(study: Study, values: pd.DataFrame, question: Question, network: str) -> Claim:
    q, testset = question, next(iter(study.tests))
    ours = values[(values.metric == q.metric) & (values.testset == testset)]
    gaps = _by_seed(ours, q.first, network) - _by_seed(ours, q.second, network)
    theirs = [
        _in_print(study, *(place or (study.name, row)), q.printed_network or network, q.printed_metric or q.metric)
        for place, row in ((q.printed_first, q.first), (q.printed_second, q.second))
    ]
    return Claim(
        name=q.name.format(network=network.lower()),
        table=study.name,
        sentence=q.sentence,
        statement=q.statement.format(network=network),
        values=[float(gap) for gap in gaps.dropna()],
        line=q.line,
        unit=q.unit,
        printed=None if None in theirs else theirs[0] - theirs[1],
        void=_BICUBIC_NOTE if q.metric == "psnr" and any(map(_is_bicubic, theirs)) else "",
    )


def _is_bicubic(number: float | None) -> bool:
    return number is not None and abs(number - _SET5_BICUBIC_DB) < COLLAPSE_TOLERANCE


def _in_print(study: Study, table: str, row: str, network: str, metric: str) -> float | None:
    """One printed number, None if there is none."""
    lines = study.paper.printed(table)
    deciding = lines.testset.isin(study.paper.printed_on)
    found = lines[(lines.row == row) & (lines.network == network) & (lines.metric == metric) & deciding]["value"]
    return None if found.empty or found.isna().any() else float(found.iloc[0])


def _by_seed(values: pd.DataFrame, row: str, network: str) -> pd.Series | float:
    """The values of a row by seed; bicubic has no seed and is one number for all of them. A row that failed has none."""
    if row == BICUBIC:
        return float(values[values.row == BICUBIC]["value"].iloc[0])
    return values[(values.row == row) & (values.network == network)].set_index("seed")["value"]


def claims_table(claims: Sequence[Claim]) -> Styler:
    """What a notebook shows of its claims."""
    lines = [
        {"claim": c.statement, "in the paper's own table": c.in_print, "here": c.measured, "verdict": c.verdict}
        for c in claims
    ]
    return readable(pd.DataFrame(lines)).hide()
