import json

import numpy as np
import pytest

from srdistill.study.paths import TABLES
from srdistill.study.verdicts.board import once, profiles_with_tables, read_claims, write_board
from srdistill.study.verdicts.claims import Claim
from srdistill.study.verdicts.headlines import HEADLINES
from srdistill.study.verdicts.intervals import crossed_interval


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
            interval = crossed_interval(np.array(values)[:, None], 15.0)
            claim = Claim(
                "drop", table, "drops by more", f"A minus B in {profile}", "EDSR", ("A", f"B{number}", "psnr"), values, 1,
                None if len(values) < 2 else (interval.low, interval.high), interval.p, 15.0, printed=16.0,
            )  # fmt: skip
            (folder / f"{table}.claims.jsonl").write_text(claim.to_json() + "\n")
            origin = {"table": table, "seeds": [0, 1, 2], "tested_on": {"photos": 4}, "headroom": {"EDSR": "+0.60 ± 0.01 dB"}}
            (folder / f"{table}.provenance.json").write_text(json.dumps(origin))
        for name in ("psnr.png", "psnr.svg", "outputs.png"):
            (folder / "figures" / f"dietz_t1_{name}").write_bytes(b"")
    return root


@pytest.fixture
def board(tables) -> str:
    return write_board(tables).read_text()


@pytest.fixture
def claims(tables, board) -> str:
    return (tables / "laptop" / "CLAIMS.md").read_text()


def test_only_the_studys_own_profiles_are_shown_the_most_worth_quoting_first(tables, board):
    assert profiles_with_tables(tables) == ["gpu", "laptop"]
    assert board.index("## `gpu`") < board.index("## `laptop`")
    assert "smoke" not in board
    assert "holidays" not in board


def test_the_front_page_is_one_screen_a_profile(board):
    screens = board.split("\n## ")[1:]
    assert len(screens) == 2
    assert all(len(screen.splitlines()) < 30 for screen in screens)


def test_it_says_seeds_pictures_and_headroom(board):
    assert "Seeds: 3. Test pictures: photos 4. Full data above bicubic (or chance): EDSR (dietz) +0.60 ± 0.01 dB." in board


def test_claims_are_counted_by_paper_and_verdict(board):
    counts = board[board.index("## `laptop`") :]
    assert "| the paper's sentences | claims | reproduced | not reproduced | undecided | no power |" in counts
    assert "| dietz | 2 | 1 | 0 | 1 | 0 |" in counts
    assert "| our own questions | claims | yes | no | open | no power |" in counts
    assert "| dietz | 0 | 0 | 0 | 0 | 0 |" in counts


def test_a_comparison_that_two_tables_share_counts_once(tables):
    first = (tables / "laptop" / "dietz_t1.claims.jsonl").read_text()
    (tables / "laptop" / "dietz_t2.claims.jsonl").write_text(first.replace("dietz_t1", "dietz_t2"))
    board = write_board(tables).read_text()
    assert "| dietz | 1 | 1 | 0 | 0 | 0 |" in board[board.index("## `laptop`") :]


def test_a_shared_comparison_keeps_the_place_of_its_first_table():
    claims = [{"identity": name, "table": table} for name, table in (("a", "1"), ("b", "1"), ("a", "2"))]
    assert once(claims) == claims[:2]


def test_tables_stand_in_their_own_order_papers_first(tables):
    folder = tables / "laptop"
    rooms = {}
    for name in ("beyond_t2", "beyond_t10", "labelfree_t3"):
        rooms[name] = f"+{len(name)}.00 dB"
        claim = json.loads((folder / "dietz_t1.claims.jsonl").read_text()) | {"table": name, "identity": name}
        (folder / f"{name}.claims.jsonl").write_text(json.dumps(claim) + "\n")
        origin = {"table": name, "seeds": [0], "headroom": {name: rooms[name]}}
        (folder / f"{name}.provenance.json").write_text(json.dumps(origin))
        (folder / f"{name}.md").write_text(f"### {name}\n")
    order = ["dietz_t1", "dietz_t2", "labelfree_t3", "beyond_t2", "beyond_t10"]
    assert [claim["table"] for claim in read_claims(tables, "laptop")] == order
    board = write_board(tables).read_text()
    assert all(f"{name} ({name.partition('_')[0]}) {text}" in board for name, text in rooms.items())
    page = (folder / "TABLES.md").read_text()
    places = [page.index(f"### {name}\n") for name in order[2:]]
    assert places == sorted(places)


def test_it_says_what_holms_correction_would_change(tables, board):
    assert "Under Holm's correction over all of them 0 of the decided verdicts would be open." in board
    path = tables / "laptop" / "dietz_t1.claims.jsonl"
    claim = json.loads(path.read_text())
    lines = [claim | {"p": 0.04, "identity": str(number)} for number in range(3)]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    board = write_board(tables).read_text()
    assert "3 of the decided verdicts would be open" in board[board.index("## `laptop`") :]


def test_a_claim_has_its_sentence_and_both_verdicts(claims):
    line = next(line for line in claims.splitlines() if "A minus B in laptop" in line and "table 1" in line)
    assert "dietz table 1" in line
    assert "“drops by more”" in line
    assert "holds (+16.00 dB)" in line
    assert "+16.10 dB" in line
    assert line.endswith("**reproduced** |")


def test_an_undecided_claim_stays(claims):
    assert "**undecided**" in claims


def test_why_a_claim_has_no_power_is_said(tables):
    path = tables / "laptop" / "dietz_t1.claims.jsonl"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"verdict": "no power", "reason": "no headroom"}) + "\n")
    write_board(tables)
    assert "**no power** (no headroom) |" in (tables / "laptop" / "CLAIMS.md").read_text()


def test_what_matters_most_stands_first_with_the_claims_that_decide_it(tables):
    path = tables / "gpu" / "dietz_t1.claims.jsonl"
    claim = json.loads(path.read_text()) | {"name": "insufficient-edsr", "reason": "so it is"}
    path.write_text(json.dumps(claim) + "\n")
    board = write_board(tables).read_text()
    measured = "+16.10 dB [+15.85, +16.35], 3 seeds, 1 pictures"
    line = f"| Distilled noise loses badly. | A minus B in gpu | {measured} | **reproduced** (so it is) |"
    assert line in board and board.index(line) < board.index("| the paper's sentences |")
    # Once: not again in the next profile, which has none of these claims, nor an empty table there.
    assert board.count("| what matters most |") == 1


def test_what_to_use_instead_is_among_it(tables):
    path = tables / "gpu" / "dietz_t1.claims.jsonl"
    claim = json.loads(path.read_text()) | {"name": "near-edsr", "table": "beyond_t1"}
    (tables / "gpu" / "beyond_t1.claims.jsonl").write_text(json.dumps(claim) + "\n")
    board = write_board(tables).read_text()
    assert "| Use instead: shrunken pictures" in board.split("| what matters most |")[1].split("| the paper's sentences |")[0]


@pytest.mark.parametrize("words", HEADLINES)
def test_every_headline_names_claims_that_the_committed_tables_have(words):
    for table, names in HEADLINES[words]:
        known = [json.loads(line)["name"] for line in (TABLES / "laptop" / f"{table}.claims.jsonl").read_text().splitlines()]
        for name in names:
            assert any(one.startswith(name) for one in known), (table, name)


def test_every_table_is_on_its_page_with_links_that_lead_somewhere(tables, board):
    for profile in ("gpu", "laptop"):
        page = (tables / profile / "TABLES.md").read_text()
        assert f"### Table 1, {profile}" in page
        assert "(dietz_t1.csv)" in page
        assert "(figures/dietz_t1_psnr.png), [dietz_t1_psnr.svg](figures/dietz_t1_psnr.svg)" in page
        assert "(figures/dietz_t1_outputs.png)" in page and "dietz_t1_outputs.svg" not in page
        assert "dietz_t1.tex" not in page
        assert f"({profile}/TABLES.md)" in board and f"({profile}/CLAIMS.md)" in board


def test_open_claims_are_listed_with_what_would_decide_them(tables, board):
    page = (tables / "laptop" / "UNDECIDED.md").read_text()
    assert "dietz table 2" in page and "more than one seed" in page
    assert "dietz table 1" not in page  # decided
    assert "(laptop/UNDECIDED.md)" in board


def test_the_plot_of_all_printed_rows_is_shown_where_there_is_one(tables, board):
    assert "against_print.png" not in board
    (tables / "laptop" / "figures" / "against_print.png").write_bytes(b"png")
    board = write_board(tables).read_text()
    assert board.count("(laptop/figures/against_print.png)") == 1 and "as SVG" not in board
    (tables / "laptop" / "figures" / "against_print.svg").touch()
    board = write_board(tables).read_text()
    assert "(laptop/figures/against_print.png)\n\n[as SVG](laptop/figures/against_print.svg)\n" in board


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
    write_board(tables)
    line = next(line for line in (tables / "laptop" / "CLAIMS.md").read_text().splitlines() if "rises" in line)
    assert r"P(a \| b) rises" in line


def test_writing_again_gives_the_same_pages(tables, board, claims):
    assert write_board(tables).read_text() == board
    assert (tables / "laptop" / "CLAIMS.md").read_text() == claims
