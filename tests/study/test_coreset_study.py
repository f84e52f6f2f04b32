"""The coreset paper's tables in a study: data sets, teachers behind a gate, coresets, expansion, students."""

from dataclasses import fields, replace

import pytest
import torch
from PIL import Image
from srdistill.diffusion.strength import denoising_steps
from srdistill.study.cells import CellsFailed
from srdistill.study.coreset_study import ALL_PICTURES, CoresetRow, CoresetStudy, OfCell

from srdistill.images.labelled_collections import NAMES
from srdistill.images.pictures import PictureError
from srdistill.networks.classifiers import build_classifier
from srdistill.papers.coreset.collages import collages
from srdistill.papers.coreset.coreset_patches import coreset_patches, random_coreset
from srdistill.papers.coreset.expansion import ABLATION, Expansion
from srdistill.papers.coreset.figures import factor_figure, storage_table
from srdistill.papers.coreset.plan import CORESET, TABLES
from srdistill.papers.coreset.sre2l import sre2l
from srdistill.study.describe import describe, sizes_frame
from srdistill.study.export import export_table
from srdistill.study.profiles import PROFILES
from srdistill.study.save import save_table
from srdistill.study.tables import long_table, notes, per_seed, wide_table
from srdistill.training.teacher import TeacherError
from srdistill.weights import WeightsMissing

every_plan = pytest.mark.parametrize(("name", "plan"), CORESET.items(), ids=CORESET)


def smoke(table="coreset_t1", **parameters) -> CoresetStudy:
    return CoresetStudy(table, profile="smoke", **parameters)


def ours(study, **expansion) -> CoresetRow:
    plan = replace(ABLATION["superres+aug+mixup"], **expansion)
    return study.coreset_row(1, "Ours, IPC 1", coreset_patches, expansion=plan, **study.selected(1))


def control(study, label="Random patches, IPC 1") -> CoresetRow:
    return study.coreset_row(1, label, random_coreset, ipc=1, factor=2)


def test_every_profile_has_a_plan():
    assert list(CORESET) == list(PROFILES)


@every_plan
def test_plans_fit_together(name, plan):
    assert all("about" in item.metadata for item in fields(plan))
    for table in TABLES:
        of_table = plan.of_table(table)
        for task in of_table.tasks[table]:
            assert task.collection in NAMES
        for network in of_table.networks[table]:
            settings = of_table.classifiers[network]
            with torch.device("meta"):
                build_classifier(classes=("a", "b"), size=of_table.tasks[table][0].size, seed=0, **settings)
        for ipc in of_table.ipcs.get(table, (1,)):
            assert plan.student(ipc).epochs >= 1
    for expansion in ABLATION.values():
        assert denoising_steps(plan.engine["steps"], expansion.rho) >= 1
    with pytest.raises(ValueError, match="no recipe for 7 pictures per class; there are: 1"):
        plan.student(7)


def test_only_the_paper_departs_in_nothing():
    assert all(CORESET["paper"].of_table(table).deviations(table) == [] for table in TABLES)
    lines = CORESET["laptop"].of_table("coreset_t1").deviations("coreset_t1")
    wanted = "data sets: coreset_t1 photos at 32 px, 100 a class to train, 50 a class to test"
    assert any(line.startswith(wanted) for line in lines)
    assert not any("values of r" in line for line in lines)


def test_students_are_trained_scored_and_found_again():
    study = smoke()
    r, size = study.plan.factor, OfCell(lambda task, network: task.train.size)
    selected = study.coreset_row(1, "Selected patches, IPC 1", coreset_patches, **study.selected(1))
    rows = [
        CoresetRow(ALL_PICTURES),
        study.coreset_row(1, "RDED, IPC 1", collages, patches=selected, size=size,
                          training={"collage": r, "crop_scale": (1 / r, 1.0)}),
        ours(study), selected, control(study),
        study.coreset_row(1, "SRe2L, IPC 1", sre2l, **study.recovered(1)),
    ]  # fmt: skip
    results = study.run(rows)
    assert results.failures == [] and results.computed == 6
    assert results.scores.accuracy.between(0, 100).all() and (results.scores.best_accuracy >= results.scores.accuracy).all()
    assert smoke().run(rows).computed == 0
    assert [len(study.make_set(row, 0)) for row in rows[1:]] == [11, 44, 44, 44, 11]
    long = long_table(study, results)
    wide = wide_table(long, study.table)
    assert wide.loc[("RDED, IPC 1", "ResNet-18"), ("ImageNette", "top-1 %", "printed")] == "35.8"
    assert wide.loc[("RDED, IPC 1", "ConvNet"), ("photographs", "top-1 %", "here")]
    assert any("Top-1 accuracy in percent after the last epoch" in line for line in notes(study, results, long))
    assert "ConvNet architecture ConvNet" in describe(study).to_html()
    assert save_table(study, results, long, "Coreset, table 1")
    folder = export_table(study.table, "smoke")
    assert len(list(folder.glob("ours-ipc-1*/seed0/*.png"))) == 44
    text = (folder / "README.md").read_text()
    assert "Training pictures of a classifier" in text and "super-resolution" not in text


def test_another_rho_or_recipe_is_another_cell_and_the_label_is_not():
    study = smoke()
    assert study.run([ours(study)]).computed == 1
    assert study.run([replace(ours(study), label="by another name")]).computed == 0
    assert study.run([ours(study, rho=0.4)]).computed == 1
    assert study.run([ours(study, rho=0.4, mix="slerp")]).computed == 1
    assert study.run([replace(ours(study), training={"epochs": 1})]).computed == 1


def test_teacher_below_the_gate_stops_its_students_only(monkeypatch):
    study = smoke()
    study.plan = replace(study.plan, gate=99.0)
    results = study.run([CoresetRow(ALL_PICTURES), ours(study), control(study)])
    assert list(results.scores.row) == [ALL_PICTURES] and len(results.failures) == 2
    assert "TeacherError: the teacher (ConvNet) has an accuracy of" in results.failures[0]
    with pytest.raises(TeacherError, match="99 % are needed"):
        study.teacher(study.tasks[0], "ConvNet")
    with pytest.raises(CellsFailed, match="2 part"):
        save_table(study, results, long_table(study, results), "x")


def test_too_large_a_coreset_is_named_and_nothing_else_is_lost():
    study = smoke()
    study.plan = replace(study.plan, students=study.plan.students | {5: study.plan.students[1]})
    results = study.run([study.coreset_row(5, "IPC 5", coreset_patches, **study.selected(5)), control(study)])
    assert len(results.scores) == 1
    assert "ipc times factor squared is 20 patches" in results.failures[0] and "only 16 pictures" in results.failures[0]


def test_source_gives_augmented_pictures_with_the_teachers_labels():
    study = smoke()
    source = study.source(ours(study), 0)
    (pictures, logits), (again, _) = source(1), source(1)
    assert pictures.shape == (44, 3, 32, 32) and logits.shape == (44, 11) and logits.dtype == torch.float16
    assert torch.equal(pictures, again) and not torch.equal(pictures, source(0)[0])
    assert not torch.equal(pictures, study.source(ours(study), 1)(1)[0])
    assert source.views == study.plan.student(1)


def test_soft_labels_and_the_diffusion_model_count():
    study = smoke()
    rows = [ours(study), control(study)]
    assert study.soft_label_bytes(rows[0]) == 2 * 44 * 11 * 2  # epochs, patches, classes, bytes
    assert study.soft_label_bytes(CoresetRow(ALL_PICTURES)) == 0
    sizes = sizes_frame(study, [CoresetRow(ALL_PICTURES), *rows])
    total = sizes["bytes with labels and decoder"]
    labels = 44 * 4 + study.soft_label_bytes(rows[0])
    assert total["Random patches, IPC 1"] == sizes["bytes as PNG"]["Random patches, IPC 1"] + labels
    assert total["Ours, IPC 1"] - sizes["bytes as PNG"]["Ours, IPC 1"] == labels + study.engine(study.tasks[0]).bytes
    results = study.run(rows)
    html = storage_table(study, rows, per_seed(study, results)).to_html()
    assert f"{study.soft_label_bytes(rows[0]):,}" in html and "top-1 accuracy" in html


def test_finer_patches_are_more_pictures():
    study = smoke("coreset_t3")
    rows = [
        study.coreset_row(1, f"r = {r}", coreset_patches, expansion=Expansion(0.8), **study.selected(1, r))
        for r in study.plan.factors
    ]
    results = study.run(rows)
    assert results.failures == [] and [len(study.make_set(row, 0)) for row in rows] == [44, 99]
    figure = factor_figure(per_seed(study, results), study.plan.factors, {"ours": "r = {}"}, "ConvNet", 32)
    assert [label.get_text() for label in figure.axes[0].get_xticklabels()] == ["2\n(16 px)", "3\n(10 px)"]
    assert (results.scores.seconds_per_epoch > 0).all()


def test_own_pictures(tmp_path, train_photos):
    for split in ("train", "val"):
        for name, picture in zip(("cats", "cups"), train_photos.images[:2], strict=True):
            folder = tmp_path / "mine" / split / name
            folder.mkdir(parents=True)
            for k in range(8):
                part = picture[:, 20 * k : 20 * k + 48, 20 * k : 20 * k + 48]
                Image.fromarray(part.permute(1, 2, 0).numpy()).save(folder / f"{k}.png")
    study = smoke(data=str(tmp_path / "mine"))
    study.plan = replace(study.plan, gate=51.0)
    assert study.label == "own-mine" and study.tasks[0].train.classes == ("cats", "cups")
    results = study.run([CoresetRow(ALL_PICTURES)])
    assert results.failures == [] and list(results.scores.testset) == ["own"]


def test_own_pictures_without_classes_are_told_apart_by_their_crops(tmp_path, train_photos):
    folder = tmp_path / "garden"
    folder.mkdir()
    for name, picture in zip(("one", "two", "three"), train_photos.images, strict=False):
        Image.fromarray(picture.permute(1, 2, 0).numpy()).save(folder / f"{name}.png")
    task = smoke(data=str(folder)).tasks[0]
    assert set(task.train.classes) == {"one", "two", "three"} and len(task.train) == 300 and len(task.test) == 150
    (tmp_path / "empty").mkdir()
    with pytest.raises(PictureError, match="empty: holds no pictures"):
        smoke(data=str(tmp_path / "empty"))


def test_low_resolution_pictures_are_expanded_by_a_model_of_larger_ones():
    study = smoke("coreset_t2")
    task = study.tasks[0]
    assert task.train.size == 16 and study.engine(task).working_size == 32
    assert study.source(ours(study), 0)(0)[0].shape[-1] == 16


def test_missing_model_and_no_network_is_named(monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    study = smoke()
    study.plan = replace(study.plan, pretraining={}, engine={"steps": 5})
    results = study.run([ours(study), control(study)])
    assert len(results.scores) == 1 and "WeightsMissing" in results.failures[0]
    with pytest.raises(WeightsMissing, match="stabilityai/sdxl-turbo"):
        study.engine(study.tasks[0]).encode(torch.zeros(1, 3, 16, 16, dtype=torch.uint8))
