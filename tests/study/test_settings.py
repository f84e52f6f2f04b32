"""How a plan departs from the paper's, in words, and where each setting of that is from."""

from dataclasses import dataclass, field, replace

import pytest

from srdistill.papers import coreset, dietz, labelfree
from srdistill.study.settings import CITED, OURS, PRINTED, departures


@dataclass(frozen=True)
class Inner:
    rate: float = 1.0
    steps: int = 5


@dataclass(frozen=True)
class Plan:
    size: int = field(metadata={"about": "side", "source": PRINTED})
    batch: int = field(metadata={"about": "batch"})
    inner: Inner = field(metadata={"about": "inner", "source": {"steps": CITED}})
    other: int = field(default=0, metadata={"about": "other", "tables": ("t2",), "source": OURS})


PAPER = Plan(192, 16, Inner(), 7)


def test_only_what_is_printed_is_called_the_papers():
    lines = departures(replace(PAPER, size=64, batch=4, inner=Inner(2.0, 9)), PAPER, "t1")
    assert lines == [
        "side: 64 (paper: 192)",
        "batch: 4 (our choice for the paper's scale: 16)",
        "inner: rate 2.0 (our choice for the paper's scale: 1.0), steps 9 (code that the paper cites: 5)",
    ]


def test_the_papers_own_plan_says_what_nobody_printed():
    assert departures(PAPER, PAPER, "t1") == [
        "batch: 16 is our choice, the paper does not print it",
        "inner: rate 1.0: our choice, the paper does not print it",
    ]


def test_a_field_counts_for_its_tables_only():
    changed = replace(PAPER, other=1)
    assert departures(changed, PAPER, "t1") != departures(changed, PAPER, "t2")
    assert any(line.startswith("other: 1") for line in departures(changed, PAPER, "t2"))


@pytest.mark.parametrize("paper", [dietz.PAPER, labelfree.PAPER, coreset.PAPER], ids=lambda paper: paper.name)
@pytest.mark.parametrize("profile", ["smoke", "laptop", "desktop", "gpu", "paper"])
def test_every_table_of_every_profile_says_how_it_departs(paper, profile):
    for table in paper.tables:
        if table.name == "protocol":
            continue
        assert paper.plans[profile].of_table(table.name).deviations(table.name)


def test_a_guess_is_not_called_the_papers():
    lines = dietz.PAPER.plans["laptop"].deviations("dietz_t1")
    (matching,) = [line for line in lines if line.startswith("matching: ")]
    assert "(paper: " not in matching and "(code that the paper cites: 1000)" in matching
    (most,) = [line for line in lines if line.startswith("distillation iterations at IPC 10: ")]
    assert "(our choice for the paper's scale: 1000)" in most
