"""What is asked of a table's numbers, as data, and how it is answered."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import pandas as pd

from srdistill.study.metrics import METRICS
from srdistill.study.rows import BICUBIC, Results
from srdistill.study.study import Study
from srdistill.study.verdicts.claims import Claim
from srdistill.study.verdicts.gates import ABOUT, gate
from srdistill.study.verdicts.intervals import Spread, crossed_interval, usual_spread
from srdistill.training.evaluate import COLLAPSE_TOLERANCE

# Plain bicubic on Set5 x2, which is what a paper prints for its untrained VDSR (see 00_protocol).
_SET5_BICUBIC_DB = 32.0620
_BICUBIC_NOTE = "the printed network did not train: its number is that of bicubic"


@dataclass(frozen=True)
class Question:
    """Whether row ``first`` minus row ``second`` is more than ``line`` (and less than ``upper``), over all test pictures.

    ``name``, ``statement``: ``{network}`` stands for the student. ``sentence``: the paper's, empty for a question of ours.
    ``metric``, ``unit``: what is compared. ``about``: whom the sentence is about, the ``winner`` (what should be better) or the
    ``loser``: of a set that fails it says nothing that bicubic fares better. ``stand_in``: the component that the sentence is
    about, by its name in the plan's ``stand_ins``.

    ``printed_first``, ``printed_second``: (table, row) of the same two in print, where they stand in another table or under
    another label than here. ``printed_metric``: the metric's name in print if it differs: a paper's own LPIPS, of an unnamed
    backbone, decides about the paper's own sentence. ``printed_network``: the student in print, where a profile has a smaller
    one. A row that no paper prints leaves that side open.
    """

    name: str
    statement: str
    first: str
    second: str
    sentence: str = ""
    metric: str = "psnr"
    unit: str = "dB"
    line: float = 0.0
    upper: float | None = None
    about: str = "winner"
    stand_in: str = ""
    printed_first: tuple[str, str] | None = None
    printed_second: tuple[str, str] | None = None
    printed_metric: str = ""
    printed_network: str = ""

    def __post_init__(self):
        if self.about not in ABOUT:
            raise ValueError(f"question {self.name}: about is {self.about!r}; it can be {', '.join(ABOUT)}")


def check(study: Study, results: Results, questions: Sequence[Question], networks: Sequence[str]) -> list[Claim]:
    """Every question for every student, picture by picture and seed by seed."""
    pictures, known = study.per_picture(results), {}
    for network in networks:
        for metric in {_measured(question.metric) for question in questions}:
            known[network, metric] = _usual_spread(pictures, network, metric)
    return [
        _checked(study, pictures, question, network, known[network, _measured(question.metric)])
        for network in networks
        for question in questions
    ]


def _measured(metric: str) -> str:
    """The metric's name in a run, which has one LPIPS."""
    return "lpips" if metric.startswith("lpips") else metric


def _usual_spread(pictures: pd.DataFrame, network: str, metric: str) -> Spread | None:
    """From the differences between all rows of the table: which of them are asked about does not count."""
    values = [values_of(pictures, row, network, metric) for row in dict.fromkeys(pictures.row) if row != BICUBIC]
    values = [found for found in values if not found.empty]
    pairs = [_differences(*pair) for pair in combinations(values, 2)]
    seeds = max(map(len, values), default=0)
    return usual_spread([gaps for gaps in pairs if gaps.size], most=(len(values) - 1) * (seeds - 1))


def values_of(pictures: pd.DataFrame, row: str, network: str, metric: str) -> pd.DataFrame:
    """A row's values as (seeds, pictures); bicubic, which has no seed, as one line; empty if the row failed."""
    chosen = pictures[(pictures.row == row) & (pictures.metric == metric)]
    if row == BICUBIC:
        return chosen.set_index(["testset", "image"])[["value"]].T.reset_index(drop=True)
    chosen = chosen[chosen.network == network]
    return chosen.pivot(index="seed", columns=["testset", "image"], values="value")


def _differences(first: pd.DataFrame, second: pd.DataFrame) -> np.ndarray:
    """Seed by seed and picture by picture; a line without seeds is compared with every seed."""
    if first.empty or second.empty:
        return np.empty((0, 0))
    columns = first.columns.intersection(second.columns, sort=False)
    ours, theirs = first[columns].to_numpy(), second[columns].to_numpy()
    if len(ours) == 1 or len(theirs) == 1:
        return ours - theirs
    seeds = first.index.intersection(second.index)
    return first.loc[seeds, columns].to_numpy() - second.loc[seeds, columns].to_numpy()


def _checked(study: Study, pictures: pd.DataFrame, question: Question, network: str, usual: Spread | None) -> Claim:
    q, metric = question, _measured(question.metric)
    first, second = (values_of(pictures, row, network, metric) for row in (q.first, q.second))
    gaps = _differences(first, second)
    theirs = [
        _in_print(study, *(place or (study.name, row)), q.printed_network or network, q.printed_metric or q.metric)
        for place, row in ((q.printed_first, q.first), (q.printed_second, q.second))
    ]
    found = crossed_interval(gaps, q.line, usual) if gaps.size else None
    room = study.headroom(pictures, metric).get(network)
    claim = Claim(
        name=q.name.format(network=network.lower()),
        table=study.name,
        network=network,
        compared=(q.first, q.second, q.metric),
        sentence=q.sentence,
        statement=q.statement.format(network=network),
        values=[float(gap) for gap in gaps.mean(1)] if gaps.size else [],
        pictures=gaps.shape[1] if gaps.size else 0,
        interval=(found.low, found.high) if found and np.isfinite(found.low) else None,
        p=found.p if found else float("nan"),
        line=q.line,
        upper=q.upper,
        margin=room.margin if room else 0.0,
        unit=q.unit,
        no_power=gate(study, pictures, question, network, first, second) if gaps.size else _unmeasured(pictures, metric),
        printed=None if None in theirs else theirs[0] - theirs[1],
        void=_BICUBIC_NOTE if q.metric == "psnr" and any(map(_is_bicubic, theirs)) else "",
    )
    if claim.equal:  # what has to be ruled out is a difference as large as the margin, either way
        claim.p = max(crossed_interval(gaps, line, usual).p for line in (-claim.margin, claim.margin))
    return claim


def _unmeasured(pictures: pd.DataFrame, metric: str) -> str:
    """Why there are no numbers, if no row has any: a profile may leave a metric out."""
    measured = pictures[pictures.metric == metric].value.notna().any()
    return "" if measured else f"{METRICS[metric].title} is not measured in this profile"


def _is_bicubic(number: float | None) -> bool:
    return number is not None and abs(number - _SET5_BICUBIC_DB) < COLLAPSE_TOLERANCE


def _in_print(study: Study, table: str, row: str, network: str, metric: str) -> float | None:
    """One printed number, None if there is none."""
    lines = study.paper.printed(table)
    deciding = lines.testset.isin(study.paper.printed_on)
    found = lines[(lines.row == row) & (lines.network == network) & (lines.metric == metric) & deciding]["value"]
    return None if found.empty or found.isna().any() else float(found.iloc[0])
