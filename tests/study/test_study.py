"""A table's run: rows to tasks to lines, failures that stay with their own, and a method of one's own."""

from dataclasses import replace
from types import SimpleNamespace

import pandas as pd
import pytest
import torch
from matplotlib.figure import Figure

from srdistill.files import DiskError
from srdistill.papers import dietz
from srdistill.papers.dietz import matching
from srdistill.papers.dietz.tables import PUBLISHED
from srdistill.sets.distilled_set import DistilledSet
from srdistill.sets.noise import noise
from srdistill.study.engine.tasks import Resource
from srdistill.study.metrics import GAIN
from srdistill.study.pages.describe import describe, rows_table, sizes_table
from srdistill.study.pages.presentation import Presentation
from srdistill.study.pages.save import save_table, saved
from srdistill.study.pages.tables import long_table
from srdistill.study.rows import BICUBIC, ORIGINAL, CellsFailed, FromCell, Row

NOISE = "Noise, IPC=1, undistilled"


def two_rows(study):
    return [study.row(ORIGINAL), study.row(NOISE, noise, ipc=1)]


def in_order(scores: pd.DataFrame) -> pd.DataFrame:
    return scores.sort_values(["row", "network", "seed", "image"]).reset_index(drop=True)


def stored(study, kind: str) -> list:
    return sorted((study.store.root / kind).glob("*.json"))


def test_one_line_per_row_network_seed_and_picture(smoke_study):
    study = smoke_study(seeds=2)
    results = study.run(two_rows(study), ["SRCNN"])
    scores = results.scores
    assert len(scores) == 4 * (1 + 2 * 2)
    assert list(scores.columns[:6]) == ["row", "network", "seed", "testset", "collapsed", "dead"]
    assert {"psnr", "ssim", "psnr_y", "ssim_y"} <= set(scores)
    counts = scores.groupby(["row", "network", "seed"], dropna=False).size()
    assert set(counts) == {4}
    assert set(counts.index.droplevel("seed")) == {(BICUBIC, "bicubic"), (ORIGINAL, "SRCNN"), (NOISE, "SRCNN")}
    assert scores.psnr.between(5, 60).all()
    assert (results.computed, results.failures, results.networks) == (4, [], ["SRCNN"])


def test_seeds_differ_and_bicubic_has_none(smoke_study):
    study = smoke_study(seeds=2)
    scores = study.run(two_rows(study), ["SRCNN"]).scores
    by_seed = scores[scores.row == NOISE].groupby("seed").psnr.mean()
    assert by_seed[0] != by_seed[1]
    assert scores[scores.row == BICUBIC].seed.isna().all()


def test_a_second_run_computes_nothing_and_says_the_same(smoke_study, monkeypatch):
    study = smoke_study()
    first = study.run(two_rows(study), ["SRCNN"])

    def never(*_, **__):
        raise AssertionError("computed again")

    again = smoke_study()
    monkeypatch.setattr(again.store, "_put", never)
    monkeypatch.setattr("srdistill.study.engine.execution.perform", never)
    second = again.run(two_rows(again), ["SRCNN"])
    assert (first.computed, second.computed) == (2, 0)
    assert second.failures == []
    pd.testing.assert_frame_equal(first.scores, second.scores)
    assert first.seconds == second.seconds > 0


def test_students_are_counted_by_the_run_that_trained_them(smoke_study):
    study = smoke_study()
    rows = two_rows(study)
    assert study.run(rows[:1], ["SRCNN"]).computed == 1
    assert study.run(rows, ["SRCNN"]).computed == 1
    assert study.run(rows, ["SRCNN"]).computed == 0


def test_rows_may_be_a_list_or_come_by_label(smoke_study):
    study = smoke_study()
    rows = two_rows(study)
    results = study.run({row.label: row for row in rows}, ["SRCNN"])
    assert [row.label for row in results.rows] == [ORIGINAL, NOISE]


def test_order_of_rows_and_earlier_runs_do_not_matter(smoke_study, monkeypatch, tmp_path):
    study = smoke_study()
    expected = study.run(two_rows(study), ["SRCNN", "EDSR"]).scores
    monkeypatch.setenv("SRDISTILL_STORE", str(tmp_path / "other"))
    torch.manual_seed(99)
    other = smoke_study()
    other.run([other.row("Noise, IPC=2", noise, ipc=2)], ["EDSR"])
    scores = other.run(two_rows(other)[::-1], ["EDSR", "SRCNN"]).scores
    pd.testing.assert_frame_equal(in_order(scores), in_order(expected))


def test_two_stores_give_the_same_csv_byte_for_byte(smoke_study, monkeypatch, tmp_path):
    def csv(place):
        monkeypatch.setenv("SRDISTILL_STORE", str(tmp_path / place))
        study = smoke_study()
        matched = study.row("Syn. IPC=1", dietz.gradient_matching, **matching(study, 1, "noise"))
        results = study.run([*two_rows(study), matched], ["SRCNN", "EDSR"])
        assert results.computed == 6
        return long_table(study, results).to_csv(index=False)

    assert csv("one") == csv("two")


def test_rows_share_what_is_equal(smoke_study):
    study = smoke_study()
    twice = [study.row("One name", noise, ipc=1), study.row("Another", noise, ipc=1)]
    results = study.run(twice, ["SRCNN"])
    assert results.computed == 1 and set(results.scores.row) == {BICUBIC, "One name", "Another"}


def test_two_rows_of_one_name_are_refused(smoke_study):
    study = smoke_study()
    with pytest.raises(ValueError, match="two rows are called 'Noise'; give each a label of its own"):
        study.run([study.row("Noise", noise, ipc=1), study.row("Noise", noise, ipc=2)])


def with_recipe(study, network, **changes):
    recipes = study.plan.recipes | {network: replace(study.plan.recipes[network], **changes)}
    study.plan = replace(study.plan, recipes=recipes)


@pytest.mark.parametrize("change", [{"iterations": 5}, {"lr": 2e-3}, {"patch": 32}])
def test_another_recipe_is_another_cell(smoke_study, change):
    study = smoke_study()
    rows = [study.row(NOISE, noise, ipc=1)]
    study.run(rows, ["SRCNN"])
    with_recipe(study, "SRCNN", **change)
    assert study.run(rows, ["SRCNN"]).computed == 1


# --- failures ---------------------------------------------------------------------------------------------------------


def refusing(real, *, ipc, size, generator):
    raise RuntimeError("no such luck")


def test_a_failing_method_is_reported_with_all_that_waited_for_it_and_the_others_go_on(smoke_study):
    study = smoke_study()
    rows = [study.row("Refusing", refusing, ipc=1), *two_rows(study)]
    results = study.run(rows, ["SRCNN", "EDSR"])
    assert results.failures == [
        "Refusing, seed 0: RuntimeError: no such luck; not run therefore: SRCNN on Refusing, seed 0; "
        "scores of SRCNN on Refusing, seed 0; EDSR on Refusing, seed 0; scores of EDSR on Refusing, seed 0"
    ]
    assert set(results.scores.row) == {BICUBIC, ORIGINAL, NOISE}
    assert len(stored(study, "sets")) == 1
    assert len(stored(study, "networks")) == 4
    assert "no such luck" in str(results)


def test_a_diverging_training_is_reported_and_the_others_go_on(smoke_study):
    study = smoke_study()
    with_recipe(study, "SRCNN", lr=1e9)
    results = study.run(two_rows(study), ["SRCNN", "EDSR"])
    assert len(results.failures) == 2
    for failure, label in zip(results.failures, (ORIGINAL, NOISE), strict=True):
        assert failure.startswith(f"SRCNN on {label}, seed 0: Diverged:")
        assert "lower the learning rate" in failure
    assert set(results.scores.network) == {"bicubic", "EDSR"}
    assert len(stored(study, "networks")) == 2


def test_a_failed_cell_runs_again_and_the_others_do_not(smoke_study):
    study = smoke_study()
    recipe = study.plan.recipes["SRCNN"]
    with_recipe(study, "SRCNN", lr=1e9)
    study.run(two_rows(study), ["SRCNN", "EDSR"])
    with_recipe(study, "SRCNN", lr=recipe.lr)
    results = study.run(two_rows(study), ["SRCNN", "EDSR"])
    assert (results.computed, results.failures) == (2, [])


luck = SimpleNamespace(there=False)


def lucky(real, *, ipc, size, generator):
    if not luck.there:
        raise RuntimeError("not today")
    return noise(real, ipc=ipc, size=size, generator=generator)


def test_what_failed_by_bad_luck_gets_another_try(smoke_study):
    luck.there = False
    study = smoke_study()
    row = study.row("Lucky", lucky, ipc=1)
    assert len(study.run([row], ["SRCNN"]).failures) == 1
    with pytest.raises(RuntimeError, match="Lucky, seed 0: RuntimeError: not today"):
        study.make_set(row)
    luck.there = True
    results = study.run([row], ["SRCNN"])
    assert (results.computed, results.failures) == (1, []) and len(study.make_set(row)) == 7


def test_a_table_without_any_finished_cell_has_its_columns(smoke_study, monkeypatch):
    study = smoke_study()
    monkeypatch.setattr("srdistill.study.steps.scores.score_network", refusing)
    with_recipe(study, "SRCNN", lr=1e9)
    study.scoring = lambda network, scale=0: study.student(study.row(ORIGINAL), "SRCNN", 0)
    results = study.run([study.row(ORIGINAL)], ["SRCNN"])
    assert results.scores.empty and {"row", "psnr", "collapsed"} <= set(results.scores) and len(results.failures) == 1


def test_nothing_is_written_when_cells_failed(smoke_study):
    study = smoke_study()
    results = study.run([study.row("Refusing", refusing, ipc=1), *two_rows(study)], ["SRCNN"])
    with pytest.raises(
        CellsFailed, match="(?s)1 part.* of dietz_t1 failed.*- Refusing, seed 0: RuntimeError: no such luck"
    ):
        save_table(study, results, long_table(study, results))
    assert not list(study.output.glob("dietz_t1*"))


def nothing(real, *, ipc, size, generator):
    return DistilledSet(
        torch.zeros(0, 3, size, size, dtype=torch.uint8), torch.zeros(0, dtype=torch.int64), real.names, "nothing"
    )


def test_an_empty_set_is_a_failure_and_never_the_original_pictures(smoke_study):
    study = smoke_study()
    results = study.run([study.row("Nothing", nothing, ipc=1)], ["SRCNN"])
    assert "Nothing" not in set(results.scores.row)
    assert len(results.failures) == 1
    assert "Nothing, seed 0: SetError: Nothing, seed 0: the method returned a set without images" in results.failures[0]


def bare_images(real, *, ipc, size, generator):
    return torch.zeros(7, 3, size, size, dtype=torch.uint8)


def test_a_method_that_returns_no_set_is_told_what_to_return(smoke_study):
    study = smoke_study()
    results = study.run([study.row("Bare", bare_images, ipc=1)], ["SRCNN"])
    assert "it must return a DistilledSet" in results.failures[0]


def test_a_full_disk_ends_the_run_at_once(smoke_study, monkeypatch):
    study = smoke_study()
    study.bicubic()

    def full(*_, **__):
        raise DiskError(28, "no room to write")

    monkeypatch.setattr("srdistill.study.engine.store.Store._put", full)
    with pytest.raises(DiskError):
        study.run(two_rows(study), ["SRCNN"])


def test_an_entry_that_is_damaged_while_the_notebook_is_open_is_made_again(smoke_study):
    study = smoke_study()
    row = two_rows(study)[1]
    digest = study.make_set(row).digest
    path = study.store.path("sets", study.set_task(row, 0).key)
    path.write_text(path.read_text().replace(digest, "0" * len(digest)))
    with pytest.warns(UserWarning, match="stored sets .* is damaged"):
        assert study.make_set(row).digest == digest
    path.unlink()
    assert study.entry(study.set_task(row, 0)).value["digest"] == digest


# --- a method of one's own --------------------------------------------------------------------------------------------


# What a reader adds for an idea of their own: one function, and one row below.
def brightest_windows(real, *, ipc, size, generator):
    images, labels = [], []
    for label, picture in enumerate(real.images):
        windows = picture.unfold(1, size, size).unfold(2, size, size).permute(1, 2, 0, 3, 4).flatten(0, 1)
        brightest = windows.float().mean((1, 2, 3)).argsort(descending=True)[:ipc]
        images.append(windows[brightest])
        labels += [label] * ipc
    return DistilledSet(torch.cat(images), torch.tensor(labels), real.names, "brightest windows", {"ipc": ipc})


def test_a_method_of_ones_own_needs_ten_lines(smoke_study):
    study = smoke_study()
    row = study.row("Brightest", brightest_windows, ipc=2)
    results = study.run([study.row(ORIGINAL), row], ["SRCNN"])
    assert results.failures == []
    assert len(results.scores[results.scores.row == "Brightest"]) == 4
    long = long_table(study, results)
    files = save_table(study, results, long)
    assert sorted(path.name for path in study.output.iterdir()) == sorted(files)
    sizes = sizes_table(study, [study.row(ORIGINAL), row]).data
    assert list(sizes.index) == ["training pictures", "Brightest"]
    assert sizes.loc["Brightest", "images"] == "14 (200.00 %)"
    stored = pd.read_csv(study.output / "dietz_t1.sizes.csv", index_col=0).loc["Brightest"]
    assert stored.to_dict() == {
        "images": 14, "HR pixels": 14 * 32 * 32, "bytes as PNG": study.make_set(row, 0).sizes.lossless_bytes,
        "bytes with labels and decoder": study.make_set(row, 0).sizes.lossless_bytes + 14 * 4,
    }  # fmt: skip
    assert "| Brightest         | 14 (200.00 %)" in (study.output / "dietz_t1.md").read_text()


def test_a_method_is_told_where_to_compute_and_where_to_save_if_it_asks(smoke_study):
    seen = {}

    study = smoke_study()
    row = study.row("Asking", asking)
    study.make_set(row)
    seen = study.make_set(row).settings
    assert seen == {"device": "cpu", "checkpoint": "Checkpoint", "size": 32}


def asking(real, *, size, generator, device, checkpoint):
    settings = {"device": device, "checkpoint": type(checkpoint).__name__, "size": size}
    return DistilledSet(torch.zeros(1, 3, size, size, dtype=torch.uint8), torch.tensor([0]), real.names, "asking", settings)


def test_settings_reach_the_method_and_make_other_sets(smoke_study):
    study = smoke_study()
    one, two = (study.make_set(study.row("Noise", noise, ipc=ipc), 0) for ipc in (1, 2))
    assert (len(one), len(two)) == (7, 14)
    assert one.images.shape[-1] == study.plan.size
    assert study.make_set(study.row("Noise", noise, ipc=1, size=48), 0).images.shape[-1] == 48


def test_sets_of_several_rows_come_by_label(smoke_study):
    study = smoke_study()
    found = study.sets(two_rows(study))
    assert list(found) == [NOISE] and found[NOISE].digest == study.make_set(two_rows(study)[1]).digest


def test_matching_settings_come_from_the_plan_and_can_be_replaced(smoke_study):
    study = smoke_study()
    plan = study.plan
    one, ten = matching(study, 1, "noise"), matching(study, 10, "noise")
    moved = replace(plan.matching, optimizer=plan.rate("noise").optimizer, lr=plan.rate("noise").lr)
    assert one["matching"] == moved and one["network"] == plan.matching_network
    assert ten["matching"] == replace(moved, iterations=plan.iterations_ipc10)
    assert matching(study, 1, "noise", crop=64)["matching"] == replace(moved, crop=64)
    assert matching(study, 10, "noise", **PUBLISHED)["matching"].lr == 10 * PUBLISHED["lr"]
    task = study.student(study.row(ORIGINAL), "SRCNN", 0)
    assert matching(study, 1, "downscaled", task)["network"] is task


def test_the_trained_network_can_be_had_again(smoke_study):
    study = smoke_study()
    row = two_rows(study)[1]
    study.run([row], ["EDSR"])
    before = stored(study, "networks")
    model, losses, seconds = study.trained(row, "EDSR", 0)
    assert stored(study, "networks") == before
    assert len(losses) == 1
    assert seconds > 0
    assert model(torch.zeros(1, 3, 8, 8)).shape == (1, 3, 16, 16) and not model.training


def test_unknown_network_is_refused_with_the_known_ones(smoke_study):
    study = smoke_study()
    with pytest.raises(ValueError, match="unknown network 'ESPCN'; there are: SRCNN"):
        study.run([study.row(NOISE, noise, ipc=1)], ["ESPCN"])


def test_unknown_part_is_refused_with_the_known_ones(smoke_study):
    study = smoke_study("labelfree_t3")
    with pytest.raises(ValueError, match="unknown part 'tuned'; the labelfree paper has: fine-tuned"):
        study.make_set(study.row("x", noise, start=FromCell("tuned")))


def test_the_original_pictures_are_no_set(smoke_study):
    study = smoke_study()
    with pytest.raises(ValueError, match="not a distilled set"):
        study.make_set(study.row(ORIGINAL), 0)


def test_another_scale_is_another_run(smoke_study):
    study = smoke_study()
    x2, x4 = (study.run([study.row(NOISE, noise, ipc=1)], ["EDSR"], scale=scale) for scale in (2, 4))
    assert x4.computed == 1
    assert x4.scores.psnr.mean() < x2.scores.psnr.mean()


def test_an_unknown_table_is_refused_with_the_known_ones():
    with pytest.raises(ValueError, match="unknown table 'dietz_t9' of Dietz et al.; there are: protocol, dietz_t1, dietz_t2"):
        dietz.PAPER.open("dietz_t9")


# --- what is shown ----------------------------------------------------------------------------------------------------


def test_a_figure_is_saved_beside_the_tables_and_shown(smoke_study):
    study, figure = smoke_study(), Figure()
    assert saved(study, figure, "psnr") is figure
    assert (study.output / "figures" / "dietz_t1_psnr.png").read_bytes().startswith(b"\x89PNG")


def test_what_is_loaded_without_settings_is_a_name_alone():
    words = rows_table({"a": Row("a", noise, {"prior": Resource(load_nothing), "size": (4, {"width": 8})})}).data
    assert words.loc["a", "settings"] == "prior load_nothing, size (4, (width 8))"


def load_nothing():
    """A loader that is asked for nothing."""


def test_describe_names_profile_pictures_students_and_machine(smoke_study):
    lines = describe(smoke_study(seeds=2)).data["this run"]
    assert lines["profile"].startswith("smoke") and lines["profile"].endswith(", 2 seeds")
    assert "7 pictures" in lines["training pictures"]
    assert lines["test pictures"] == "photos: 4"
    assert "EDSR (width 8" in lines["students"]
    assert lines["LPIPS"].endswith("no backbone weights") or "LPIPS" in lines["LPIPS"]
    assert "torch" in lines["versions"]


def test_rows_are_shown_with_what_makes_them(smoke_study):
    study = smoke_study("dietz_t3")
    shown = rows_table(study.rows()).data
    assert shown.loc[ORIGINAL, "made by"] == "all pictures"
    assert shown.loc["Syn. IPC=1 (pre-trained)", "made by"] == "gradient_matching"
    assert f"network “SRCNN on {ORIGINAL}, seed 0”" in shown.loc["Syn. IPC=1 (pre-trained)", "settings"]
    assert shown.loc["Random real crops, IPC=1", "settings"] == "ipc 1"


def test_a_whole_table_is_presented(finished):
    study, rows = finished("dietz_t1")
    results = study.run(rows)
    assert results.computed == 0 and results.networks == ["SRCNN", "VDSR", "EDSR"]
    shown = Presentation(study, rows, results)
    assert shown.table().data.loc[(ORIGINAL, "EDSR"), ("photographs", "PSNR", "here")]
    assert list(shown.sizes().data.index) == ["training pictures", *(row.label for row in rows.values() if row.method)]
    shown.plot("psnr")
    shown.plot(GAIN)
    shown.zoom(["EDSR"], list(rows)[:2], pictures=(0, 1))
    assert shown.save() == [f"dietz_t1{s}" for s in (".csv", ".sizes.csv", ".md", ".tex", ".claims.jsonl", ".provenance.json")]
    names = sorted(path.name for path in (study.output / "figures").iterdir())
    assert [name.removeprefix("dietz_t1_") for name in names] == ["gain.png", "gain.svg", "outputs.png", "psnr.png", "psnr.svg"]
