"""Sentences of the papers, and questions of our own, answered by numbers.

A claim compares two numbers. It is decided twice: in the paper's own table, where one is printed, and here, from the
differences over seeds and test pictures, by their 95 % interval (``intervals``). What the gates of ``gates`` stop has no power,
whatever the interval says. A difference that is seen to be smaller than a fifth of the room that a student must have at least
counts as none: better by nothing is not better.
"""

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field

import pandas as pd
from pandas.io.formats.style import Styler

from srdistill.study.pages.describe import readable

_DECIMALS = {"dB": 2, "points": 1}
REPRODUCED, NOT_REPRODUCED, UNDECIDED = "reproduced", "not reproduced", "undecided"
YES, NO, OPEN = "yes", "no", "open"
NO_POWER = "no power"
VERDICTS = {True: (REPRODUCED, NOT_REPRODUCED, UNDECIDED, NO_POWER), False: (YES, NO, OPEN, NO_POWER)}


@dataclass
class Claim:
    """``sentence``: the paper's, empty for a question of ours. ``statement``: what is checked: the difference of the two rows
    in ``compared`` (and their metric) is more than ``line``, and less than ``upper`` if there is one, in ``unit``.

    ``values``: the difference for each seed, a mean over the ``pictures``. ``interval``, ``p``: see ``intervals``; None and NaN
    for fewer than two seeds. ``margin``: differences below it count as none, so that an interval within it and around zero
    answers "more than zero" with no, as two one-sided tests would (Schuirmann 1987). ``no_power``: why the numbers cannot
    decide. ``printed``: the same difference in the paper's table, None if it cannot be formed; ``void`` says why a printed
    difference means nothing.
    """

    name: str
    table: str
    sentence: str
    statement: str
    network: str = ""
    compared: tuple[str, str, str] = ("", "", "")
    values: Sequence[float] = field(default_factory=list)
    pictures: int = 0
    interval: tuple[float, float] | None = None
    p: float = math.nan
    line: float = 0.0
    upper: float | None = None
    margin: float = 0.0
    unit: str = "dB"
    no_power: str = ""
    printed: float | None = None
    void: str = ""

    @property
    def verdict(self) -> str:
        """One of ``VERDICTS``: of a paper's sentence, or of a question of ours."""
        yes, no, undecided, no_power = VERDICTS[bool(self.sentence)]
        if self.no_power:
            return no_power
        if self.interval is None:
            return undecided
        low, high = self.interval
        upper = math.inf if self.upper is None else self.upper
        if low > self.line and high < upper:
            return yes
        return no if high <= self.line or low >= upper or self.equal else undecided

    @property
    def equal(self) -> bool:
        """Whether it is the margin that decides: the interval holds zero and nothing beyond the margin."""
        if self.interval is None or self.line or self.upper is not None:
            return False
        low, high = self.interval
        return -self.margin < low <= 0 < high < self.margin

    @property
    def reason(self) -> str:
        """Why the verdict is not what the interval alone says; empty if it is."""
        if self.no_power or not self.equal:
            return self.no_power
        return f"no difference beyond {self.margin:.{_DECIMALS.get(self.unit, 4)}f} {self.unit}"

    @property
    def in_print(self) -> str:
        """What the paper's own table says about the sentence."""
        if self.printed is None:
            return "not printed"
        if self.void:
            return f"void, {self.void}"
        holds = self.line < self.printed < (math.inf if self.upper is None else self.upper)
        return f"{'holds' if holds else 'contradicted'} ({self._number(self.printed)} {self.unit})"

    def _number(self, value: float) -> str:
        return f"{value:+.{_DECIMALS.get(self.unit, 4)}f}"

    @property
    def measured(self) -> str:
        """Mean and interval in words, and why they decide nothing if so."""
        values = [value for value in self.values if math.isfinite(value)]
        if not values:
            return "not run"
        mean = f"{self._number(sum(values) / len(values))} {self.unit}"
        many = f"{len(values)} seeds, {self.pictures} pictures" if self.pictures else f"{len(values)} seeds"
        if self.interval is None:
            return f"{mean} (one seed)" if len(self.values) == 1 else f"{mean} ({len(self.values)} seeds, not all finite)"
        low, high = (self._number(bound) for bound in self.interval)
        return f"{mean} [{low}, {high}], {many}"

    @property
    def identity(self) -> str:
        """Two claims with one identity are one: the same comparison, also where two tables share its rows."""
        return json.dumps([self.network, self.compared[2], [round(v, 9) for v in self.values], self.line, self.upper,
                           bool(self.sentence)])  # fmt: skip

    def to_json(self) -> str:
        """With the derived verdicts, so that a reader of the file needs no code."""
        derived = {"verdict": self.verdict, "reason": self.reason, "in_print": self.in_print, "measured": self.measured,
                   "identity": self.identity}  # fmt: skip
        plain = asdict(self) | {"p": None if math.isnan(self.p) else self.p}
        return json.dumps(plain | derived, ensure_ascii=False)


def claims_table(claims: Sequence[Claim]) -> Styler:
    """What a notebook shows of its claims."""
    lines = [
        {
            "claim": c.statement, "in the paper's own table": c.in_print, "here": c.measured,
            "verdict": c.verdict + (f" ({c.reason})" if c.reason else ""),
        }
        for c in claims
    ]  # fmt: skip
    return readable(pd.DataFrame(lines)).hide()
