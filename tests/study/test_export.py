"""Taking sets away: from a finished table to PNG folders, and what happens when something is gone."""

import json

import pytest
import torch

from srdistill.images.pictures import read_folder
from srdistill.study.export import NothingToExport, export_table, main
from srdistill.study.rows import ORIGINAL


def test_every_set_of_every_seed_comes_out_as_it_is(saved_table, tmp_path):
    study, rows = saved_table
    folder = export_table("dietz_t1", "smoke", to=tmp_path / "out")
    assert folder == tmp_path / "out" / "smoke" / "dietz_t1"
    assert sorted(path.name for path in folder.iterdir()) == ["README.md", "noise-ipc-1", "real-crops"]
    for row, name in zip(rows[1:], ("noise-ipc-1", "real-crops"), strict=True):
        for seed in (0, 1):
            made, found = study.make_set(row, seed), read_folder(folder / name / f"seed{seed}")
            assert len(found) == len(made)
            assert torch.equal(torch.stack(list(found.images)), made.images)


def test_readmes_say_how_each_was_made(saved_table, tmp_path):
    folder = export_table("dietz_t1", "smoke", to=tmp_path / "out")
    whole = (folder / "README.md").read_text()
    assert "dietz table 1" in whole and "profile smoke" in whole and "`real-crops/seed1`" in whole
    assert "| Real (crops) | 0 | `real-crops/seed0` | 14 | 32 x 32 | random_crops |" in whole
    assert ORIGINAL not in whole
    one = (folder / "real-crops" / "seed0" / "README.md").read_text()
    assert "Method: random_crops" in one and "- ipc: 2" in one


def test_a_second_export_replaces_the_first(saved_table, tmp_path):
    folder = export_table("dietz_t1", "smoke", to=tmp_path)
    (folder / "noise-ipc-1" / "seed0" / "00099_strange.png").write_bytes(b"")
    (folder / "old-row").mkdir()
    export_table("dietz_t1", "smoke", to=tmp_path)
    assert not (folder / "old-row").exists() and not list(folder.rglob("*strange*"))


def test_a_table_that_was_not_made_is_named_with_those_that_were(saved_table, tmp_path):
    with pytest.raises(NothingToExport, match="no sets of 'dietz_t4' in profile smoke; run its notebook .* here: dietz_t1$"):
        export_table("dietz_t4", "smoke", to=tmp_path)
    with pytest.raises(NothingToExport, match="in profile laptop.*: none"):
        export_table("dietz_t1", "laptop", to=tmp_path)
    with pytest.raises(NothingToExport, match="in profile own-garden"):
        export_table("dietz_t1", "smoke", data="/somewhere/garden", to=tmp_path)


@pytest.mark.parametrize("harm", ["gone", "damaged"])
def test_a_lost_set_is_named_before_the_earlier_export_is_touched(saved_table, tmp_path, harm):
    study, rows = saved_table
    folder = export_table("dietz_t1", "smoke", to=tmp_path)
    before = sorted(path.name for path in folder.rglob("*.png"))
    entry = study.entry(study.set_task(rows[2], 1))
    entry.tensors.unlink() if harm == "gone" else entry.tensors.write_bytes(b"no set")
    message = "'Real .crops.', seed 1, is gone" if harm == "gone" else "not a distilled set, or damaged"
    with pytest.raises(NothingToExport, match=f"{message}.*run the notebook again"):
        export_table("dietz_t1", "smoke", to=tmp_path)
    assert sorted(path.name for path in folder.rglob("*.png")) == before


def test_command_line(saved_table, tmp_path, capsys):
    assert main(["dietz_t1", "--profile", "smoke", "--to", str(tmp_path)]) == 0
    assert f"written to {tmp_path / 'smoke' / 'dietz_t1'}" in capsys.readouterr().out
    assert main(["dietz_t1", "--profile", "huge"]) == 2
    assert "unknown profile 'huge'" in capsys.readouterr().err
    assert main(["dietz_t3", "--profile", "smoke"]) == 2
    assert "run its notebook first" in capsys.readouterr().err


def test_list_of_sets_names_pictures_and_entries(saved_table):
    study, rows = saved_table
    record = json.loads((study.store.root / "tables" / "smoke" / "dietz_t1.json").read_text())
    assert record["pictures"] == study.origin
    keys = {(item["row"], item["seed"]): item["entry"] for item in record["sets"]}
    assert keys == {(row.label, seed): study.set_task(row, seed).key for row in rows[1:] for seed in (0, 1)}


def test_a_name_that_is_a_path_is_compared_and_not_followed(saved_table, tmp_path):
    for name in ("../../etc", "../smoke/dietz_t1", "./dietz_t1", "dietz_t1.json", ""):
        with pytest.raises(NothingToExport, match="Tables with sets here: dietz_t1$"):
            export_table(name, "smoke", to=tmp_path)
