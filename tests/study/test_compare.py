"""Which of the committed numbers a run reproduces."""

import pandas as pd
import pytest

from srdistill.papers import dietz
from srdistill.study.compare import Comparison, Snapshot, said_of
from srdistill.study.pages import save
from srdistill.study.pages.save import save_frame

HEAD = "row,network,testset,metric,mean,std,n,published,status,note\n"


def compared(before: str, after: str) -> Comparison:
    found = Comparison()
    found.add("t", HEAD + before, HEAD + after)
    return found


@pytest.mark.parametrize(
    ("metric", "ours", "exact", "close", "off"),
    [("psnr", 30.0, 1, 0, 0), ("psnr", 30.004, 0, 1, 0), ("psnr", 30.006, 0, 0, 1), ("ssim", 30.004, 0, 0, 1),
     ("seconds_per_epoch", 99.0, 0, 0, 0)],
)  # fmt: skip
def test_exactly_to_the_digits_shown_or_not(metric, ours, exact, close, off):
    found = compared(f"A,B,set5,{metric},30.0,,3,,,\n", f"A,B,set5,{metric},{ours},,3,,,\n")
    assert (found.exact, found.close, len(found.off)) == (exact, close, off)
    assert found.times == (metric == "seconds_per_epoch")


def test_what_another_seed_could_have_given_is_so_named_and_no_more():
    before = "A,B,set5,psnr,30.0,0.2,3,,,\nC,B,set5,psnr,30.0,0.2,3,,,\n"
    found = compared(before, "A,B,set5,psnr,30.19,,3,,,\nC,B,set5,psnr,30.21,,3,,,\n")
    assert (found.exact, found.close, found.alike, len(found.off)) == (0, 0, 1, 1)
    assert "1 within the spread of the committed seeds, and 1 not" in str(found)


def test_what_differs_is_named():
    found = compared("A,B,set5,psnr,30.0,,3,,,\n", "A,B,set5,psnr,31.0,,3,,,\n")
    assert "t: A, B, set5, psnr: 31 instead of 30" in str(found)


def test_rows_come_and_go_and_printed_ones_do_not_count():
    found = compared("A,B,set5,psnr,30.0,,3,,,\nC,B,set5,psnr,,,0,31.0,,\n", "D,B,set5,psnr,30.0,,3,,,\n")
    assert (found.exact, found.new, found.gone) == (0, 1, 1)


def test_facts_are_compared_column_by_column():
    found = Comparison()
    found.add("facts", "reading,size %\nimages,2.45\npixels,1.0\n", "reading,size %\nimages,2.45\npixels,1.5\n")
    assert (found.exact, len(found.off)) == (1, 1)


def test_without_git_what_was_there_before_the_run_counts(tmp_path):
    table = tmp_path / "t.csv"
    table.write_text(HEAD + "A,B,set5,psnr,30.0,,3,,,\n")
    before = Snapshot(tmp_path)
    table.write_text(HEAD + "A,B,set5,psnr,32.0,,3,,,\n")
    assert "reproduces 0 exactly" in said_of(before, [table])
    assert "nothing to compare with" in said_of(before, [tmp_path / "other.csv"])


def test_columns_that_a_run_cannot_measure_stay(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(save, "TABLES", tmp_path / "committed")
    (tmp_path / "committed" / "smoke").mkdir(parents=True)
    (tmp_path / "committed" / "smoke" / "facts.csv").write_text("convention,photos,set5\nours,28.0,32.0620\nother,27.0,31.0\n")
    study = dietz.PAPER.open("protocol", profile="smoke")
    save_frame(study, pd.DataFrame({"convention": ["ours", "new"], "photos": [28.5, 26.0]}), "facts", "Facts")
    written = pd.read_csv(study.output / "facts.csv")
    assert list(written) == ["convention", "photos", "set5"]
    assert written.photos.tolist() == [28.5, 26.0]
    assert written.set5.tolist()[0] == 32.062
    assert written.set5.isna().tolist() == [False, True]
    assert "kept as they were: set5" in capsys.readouterr().out
    save_frame(study, pd.DataFrame({"convention": ["ours"], "photos": [28.5], "set5": [33.0]}), "facts", "Facts")
    assert pd.read_csv(study.output / "facts.csv").set5.tolist() == [33.0]
