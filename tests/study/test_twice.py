"""Tables that two machines have made: which numbers and verdicts are the same."""

import json

import pytest

from srdistill.study.overviews.twice import AGAIN, how_alike, write_twice
from srdistill.study.verdicts.board import write_board

FIRST = {"A": (30.0, 0.1), "B": (31.0, 0.1), "C": (32.0, 0.1), "D": (33.0, 0.1)}
# The same; to 0.004 dB, which two digits do not show; within a spread; beyond it.
SECOND = {"A": (30.0, 0.1), "B": (31.004, 0.1), "C": (32.09, 0.1), "D": (33.11, 0.1)}


def write(folder, table, numbers, instructions, verdicts):
    folder.mkdir(parents=True, exist_ok=True)
    lines = [f"{row},EDSR,set5,psnr,{mean},{std},3,\n" for row, (mean, std) in numbers.items()]
    (folder / f"{table}.csv").write_text("row,network,testset,metric,mean,std,n,published\n" + "".join(lines))
    machine = {"processor": "Brand", "instructions": instructions}
    (folder / f"{table}.provenance.json").write_text(json.dumps({"machine": machine, "table": table, "seeds": [0, 1, 2]}))
    claims = [
        {
            "name": f"{table} {name}", "table": table, "statement": f"{name} | more", "sentence": "", "verdict": verdict,
            "measured": f"{instructions} {verdict}", "identity": f"{instructions} {name}", "in_print": "", "reason": "",
            "no_power": "", "p": None, "interval": None,
        }
        for name, verdict in verdicts.items()
    ]  # fmt: skip
    (folder / f"{table}.claims.jsonl").write_text("".join(json.dumps(claim) + "\n" for claim in claims))


@pytest.fixture
def root(tmp_path):
    verdicts = {"a": "yes", "b": "open", "c": "no", "d": "no power"}
    write(tmp_path / "desktop", "dietz_t1", FIRST, "AVX512", verdicts)
    write(tmp_path / "desktop" / AGAIN, "dietz_t1", SECOND, "AVX2", {"a": "yes", "b": "no", "c": "yes", "d": "open"})
    write(tmp_path / "desktop", "dietz_t2", FIRST, "AVX512", {"a": "yes", "e": "no"})
    return tmp_path


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        ("yes", "yes", "the same"), ("open", "open", "the same"), ("no power", "no power", "the same"),
        ("open", "no", "decided on one side only"), ("reproduced", "undecided", "decided on one side only"),
        ("no", "yes", "turned round"), ("reproduced", "not reproduced", "turned round"),
        ("no power", "no", "with power on one side only"), ("open", "no power", "with power on one side only"),
    ],
)  # fmt: skip
def test_two_verdicts_are_compared_in_words(first, second, expected):
    assert how_alike(first, second) == expected


def test_the_page_counts_numbers_and_verdicts(root):
    text = write_twice(root, "desktop").read_text()
    assert "| dietz table 1 | Brand, AVX512 | Brand, AVX2 | 4 | 1 | 1 | 1 | 1 |" in text
    assert "| all | | | 4 | 1 | 1 | 1 | 1 |" in text and "dietz table 2" not in text
    counts = "1 the same, 1 decided on one side only, 1 with power on one side only, 1 turned round"
    assert f"Of 4 verdicts: {counts}." in text
    assert "| dietz table 1 | c \\| more | AVX512 no | no | AVX2 yes | yes | **turned round** |" in text


def test_a_comparison_that_two_tables_share_counts_once(root):
    write(root / "desktop" / AGAIN, "dietz_t2", SECOND, "AVX2", {"a": "yes", "e": "no"})
    text = write_twice(root, "desktop").read_text()
    assert "Of 5 verdicts: 2 the same" in text and text.count("a \\| more") == 1
    assert "| all | | | 8 | 2 | 2 | 2 | 2 |" in text


def test_the_board_leads_to_it_only_where_there_is_one(root, tmp_path):
    assert "TWICE.md" not in write_board(root).read_text()
    write_twice(root, "desktop")
    assert "[What another kind of processor says](desktop/TWICE.md)" in write_board(root).read_text()
    assert "Made twice" not in (root / "desktop" / "TABLES.md").read_text()


def test_without_a_second_machine_nothing_is_written(tmp_path):
    write(tmp_path / "desktop", "dietz_t1", FIRST, "AVX512", {"a": "yes"})
    assert write_twice(tmp_path, "desktop") is None and not (tmp_path / "desktop" / "TWICE.md").exists()


def test_a_table_that_the_profile_lacks_is_named(root):
    (root / "desktop" / "dietz_t1.csv").unlink()
    with pytest.raises(FileNotFoundError, match="dietz_t1.csv"):
        write_twice(root, "desktop")
