import json

import pytest

from srdistill.study.board import profiles_with_tables, write_board
from srdistill.study.claims import Claim


@pytest.fixture
def tables(tmp_path):
    """Two profiles with results, smoke and a reader's own beside them."""
    root = tmp_path / "papers_tables"
    for profile in ("laptop", "gpu", "smoke", "own-holidays"):
        folder = root / profile
        (folder / "figures").mkdir(parents=True)
        for number, values in (("1", [16.0, 16.1, 16.2]), ("2", [5.0])):
            table = f"dietz_t{number}"
            (folder / f"{table}.csv").write_text("row\n")
            (folder / f"{table}.md").write_text(f"### Table {number}, {profile}\n\n| row |\n| --- |\n")
            claim = Claim("drop", table, "drops by more", f"A minus B in {profile}", values, 15.0, printed=16.0)
            (folder / f"{table}.claims.jsonl").write_text(claim.to_json() + "\n")
        (folder / "figures" / "dietz_t1_psnr.png").write_bytes(b"png")
    return root


@pytest.fixture
def board(tables) -> str:
    return write_board(tables).read_text()


def test_only_the_studys_own_profiles_are_shown_the_most_worth_quoting_first(tables, board):
    assert profiles_with_tables(tables) == ["gpu", "laptop"]
    assert board.index("`gpu` profile") < board.index("`laptop` profile")
    assert "smoke" not in board
    assert "holidays" not in board


def test_it_opens_with_the_claims(board):
    assert board.index("## Board of claims, `laptop`") < board.index("## Tables, `gpu`")


def test_claims_are_counted_by_paper_and_verdict(board):
    counts = board[board.index("## Board of claims, `laptop`") :]
    assert "| paper | whose | claims | reproduced | not reproduced | inconclusive |" in counts
    assert "| dietz | the paper's sentences | 2 | 1 | 0 | 1 |" in counts
    assert "| dietz | our questions | 0 | 0 | 0 | 0 |" in counts


def test_a_claim_has_its_sentence_and_both_verdicts(board):
    line = next(line for line in board.splitlines() if "A minus B in laptop" in line and "table 1" in line)
    assert "dietz table 1" in line
    assert "“drops by more”" in line
    assert "holds (+16.00 dB)" in line
    assert "+16.10 dB" in line
    assert line.endswith("**reproduced** |")


def test_an_inconclusive_claim_stays(board):
    assert "**inconclusive**" in board


def test_every_table_is_on_the_page_with_links_that_lead_somewhere(tables, board):
    for profile in ("gpu", "laptop"):
        assert f"### Table 1, {profile}" in board
        assert f"({profile}/dietz_t1.csv)" in board
        assert f"({profile}/figures/dietz_t1_psnr.png)" in board
    assert "dietz_t1.tex" not in board


@pytest.mark.parametrize(
    "field",
    [
        "sentence",
        "statement",
    ],
)
def test_a_bar_in_a_claim_does_not_break_the_table(tables, field):
    path = tables / "laptop" / "dietz_t1.claims.jsonl"
    path.write_text(json.dumps(json.loads(path.read_text()) | {field: "P(a | b) rises"}) + "\n")
    line = next(line for line in write_board(tables).read_text().splitlines() if "rises" in line)
    assert r"P(a \| b) rises" in line


def test_writing_again_gives_the_same_page(tables, board):
    assert write_board(tables).read_text() == board
