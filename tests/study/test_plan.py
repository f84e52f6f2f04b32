"""A plan says what a run would do, and what it lacks, without doing it."""

import json
import time

import pytest

from srdistill.images.torchvision_weights import FILES
from srdistill.needs import Need
from srdistill.papers import dietz
from srdistill.study import plan as module
from srdistill.study.engine.digests import digest_of
from srdistill.study.engine.execution import Execution
from srdistill.study.engine.seconds import alike
from srdistill.study.pairs import notebook_names
from srdistill.study.paper import tables
from srdistill.study.pictures import pictures
from srdistill.study.plan import main, make_plan

ONE = ["03_pretrained_srcnn"]


def test_everything_is_to_be_computed_in_an_empty_store():
    plan = make_plan(ONE, "smoke")
    kinds = {share.kind: (share.tasks, share.at_hand, len(share.computed)) for share in plan.shares}
    assert kinds == {"scores": (19, 0, 19), "networks": (18, 0, 18), "sets": (5, 0, 5)}
    assert plan.seconds(1) is None
    assert "not known: the store has seen no such task" in plan.summary(2)


def test_what_a_run_has_left_is_at_hand_and_its_seconds_count():
    study = dietz.PAPER.open("dietz_t3", profile="smoke")
    vars(study)["execution"] = Execution(study.store)
    rows = study.table.rows(study)
    study.run(rows, ["SRCNN"])
    plan = make_plan(ONE, "smoke")
    shares = {share.kind: share for share in plan.shares}
    assert (shares["sets"].at_hand, len(shares["sets"].computed)) == (5, 0)
    assert (shares["networks"].at_hand, len(shares["networks"].computed)) == (6, 12)
    assert not {share.key for share in shares["networks"].computed} & {study.student(row, "SRCNN", 0).key for row in rows}
    # The scores of other students take as long as those that are there.
    assert plan.seconds(2) <= plan.seconds(1)
    assert "By the seconds that the store has seen, one worker takes about" in plan.summary(2)


def test_a_task_that_two_notebooks_need_is_computed_once():
    plan = make_plan(["02_downscaled_init", *ONE], "smoke")
    both = [task.key for share in plan.shares for task in share.computed]
    assert len(both) == len(set(both)) == len(plan.expected)
    second = next(share for share in plan.shares if share.notebook == ONE[0] and share.kind == "networks")
    assert 0 < len(second.computed) < second.tasks


@pytest.mark.parametrize("profile", ["gpu", "paper"])
def test_it_answers_in_seconds_without_data_or_a_gpu(tmp_path, monkeypatch, profile):
    monkeypatch.setenv("SRDISTILL_DATA", str(tmp_path))
    began = time.process_time()
    plan = make_plan(notebook_names(), profile)
    assert time.process_time() - began < 20
    assert {table.notebook for _, table in tables().values()} == {share.notebook for share in plan.shares}
    assert not any(share.at_hand for share in plan.shares)
    names = {need.name: need for need in plan.missing}
    assert "set5" in names
    assert all(need.source and need.remedy for need in names.values())
    if profile == "paper":
        assert {"div2k", "ost", "imagenet", "sdxl-turbo", "DiT-XL-2-512", "sd-vae-ft-ema", "imagenet512.pkl"} <= set(names)
        assert (names["div2k"].size, names["div2k"].fetched) == (3_530_603_713, True)


def test_data_at_hand_is_found_where_it_lies(tmp_path, monkeypatch, shared_data):
    monkeypatch.setenv("SRDISTILL_DATA", str(shared_data))
    found = {need.name: need.found for need in make_plan(ONE, "gpu").needs}
    assert found["set5"] == (shared_data / "set5",)


def test_missing_is_exit_status_2_and_named(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("SRDISTILL_DATA", str(tmp_path))
    assert main(["03", "--profile", "gpu"]) == 2
    out = capsys.readouterr().out
    assert "t91: MISSING (https://raw.githubusercontent.com/jiny2001/dcscn-super-resolution" in out
    assert main(["03", "--profile", "smoke"]) == 0


def test_a_wrong_name_is_an_error(capsys):
    assert main(["77", "--profile", "smoke"]) == 2
    assert "unknown notebook '77'" in capsys.readouterr().err


def test_what_can_be_fetched_is_not_refused(monkeypatch):
    there, gone = Need("a", source="https://a", fetched=True), Need("b", source="https://b", fetched=True)
    monkeypatch.setattr(module, "_answers", lambda address: address == "https://a")
    plan = module.Plan("paper", [], [there, gone, Need("c"), Need("d", optional=True)], {})
    assert [need.name for need in plan.missing] == ["a", "b", "c"]
    assert [need.name for need in plan.unobtainable] == ["b", "c"]


def test_a_digest_is_remembered_until_a_file_changes(tmp_path, test_photos, monkeypatch):
    folder = tmp_path / "own"
    folder.mkdir()
    from PIL import Image

    for index, image in enumerate(test_photos.images[:2]):
        Image.fromarray(image.permute(1, 2, 0).numpy()).crop((0, 0, 96, 96)).save(folder / f"{index}.png")
    found = pictures(str(folder), "train")
    first = digest_of(found, [folder], tmp_path)
    assert first == found.digest
    (kept,) = (tmp_path / "digests").glob("*.json")
    kept.write_text(json.dumps({"digest": "remembered"}))
    assert digest_of(found, [folder], tmp_path) == "remembered"
    (folder / "1.png").unlink()
    assert digest_of(found, [folder], tmp_path) not in (first, "remembered")
    monkeypatch.setattr("srdistill.study.engine.digests._LARGEST", 1)
    (folder / "2.png").write_bytes((folder / "0.png").read_bytes())
    assert digest_of(found, [folder], tmp_path) is None


def test_alike_are_tasks_that_differ_in_data_seed_and_code_only():
    spec = {
        "kind": "networks", "function": "f", "device": "cpu", "seed": 0, "code": {"f": "1"},
        "settings": {"images": {"task": "a"}, "recipe": {"iterations": 3}},
    }  # fmt: skip
    other = spec | {"seed": 1, "code": {"f": "2"}, "settings": spec["settings"] | {"images": {"task": "b"}}}
    assert alike(spec) == alike(other)
    assert alike(spec) != alike(spec | {"settings": spec["settings"] | {"recipe": {"iterations": 4}}})


def test_names_of_torchvisions_files_are_torchvisions():
    from srdistill.images.torchvision_import import import_torchvision

    import_torchvision()
    from torchvision.models import get_weight

    for name, (file, size) in FILES.items():
        weights = get_weight(name)
        assert weights.url == f"https://download.pytorch.org/models/{file}"
        assert size == pytest.approx(weights.meta["_file_size"] * 2**20, rel=0.01)
