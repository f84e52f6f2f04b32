"""What README.md says is so: its example runs, its targets and its links exist."""

import re

import pytest

from srdistill.images.pictures import read_folder
from srdistill.papers import dietz
from srdistill.study.paths import ROOT
from srdistill.study.rows import ORIGINAL

README = (ROOT / "README.md").read_text()


def test_it_begins_with_the_answer_in_a_few_lines_and_the_picture():
    answer, picture = README.split("![", 1)
    assert "**Distilling adds nothing" in answer and "**Use instead:** shrunken pictures" in answer
    assert len(answer.splitlines()) <= 10 and picture.startswith("What every set that EDSR was trained on costs and brings](")


def test_a_method_in_ten_lines_runs(tmp_path, monkeypatch):
    monkeypatch.setenv("SRDISTILL_STORE", str(tmp_path / "store"))
    monkeypatch.chdir(tmp_path)
    (block,) = (block for block in re.findall(r"```python\n(.*?)```", README, re.DOTALL) if "def top_left" in block)
    assert len(block.strip().splitlines()) <= 12
    study = dietz.PAPER.open("dietz_t1", profile="smoke")
    names = {"study": study, "rows": {ORIGINAL: study.row(ORIGINAL)}}
    exec(block, names)
    assert names["results"].failures == []
    assert "Top-left corners" in set(names["results"].scores.row)
    study.make_set(names["rows"]["Top-left corners"]).export("corners")
    assert len(read_folder("corners")) == len(study.train)


@pytest.mark.parametrize("target", sorted(set(re.findall(r"make ([a-z0-9_]+)\b", re.sub(r"[^`\n]*\bto make\b.*", "", README)))))
def test_targets_exist(target):
    makefile = (ROOT / "Makefile").read_text().replace("$(EXPORT):", "export:")
    known = set(re.findall(r"^([a-z]+):", makefile, re.MULTILINE)) | {path.stem for path in ROOT.glob("notebooks/*.py")}
    assert target in known


@pytest.mark.parametrize("link", sorted(set(re.findall(r"\]\((?!https?:)([^)#]+)\)", README))))
def test_links_lead_somewhere(link):
    assert (ROOT / link).exists()
