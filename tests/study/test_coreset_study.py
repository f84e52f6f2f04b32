"""The coreset paper's tables in a study: data sets, teachers behind a gate, coresets, expansion, students."""

from dataclasses import replace

import pytest
import torch
from PIL import Image

from srdistill.images.picture_files import square_picture
from srdistill.images.pictures import PictureError
from srdistill.papers import coreset
from srdistill.papers.coreset import (
    ABLATION,
    coreset_patches,
    coreset_row,
    engine,
    factor_figure,
    random_coreset,
    selected,
    storage_table,
)  # fmt: skip
from srdistill.papers.coreset.coreset_rows import soft_label_bytes
from srdistill.sets.distilled_set import DistilledSet
from srdistill.study.classification import ALL_PICTURES
from srdistill.study.export import export_table
from srdistill.study.pages.describe import describe, rows_table, sizes_frame
from srdistill.study.pages.presentation import Presentation
from srdistill.study.pages.save import save_table
from srdistill.study.pages.tables import long_table, notes, per_seed, wide_table
from srdistill.study.rows import CellsFailed, ClassRow, Row


@pytest.fixture
def smoke(smoke_study):
    def make(table="coreset_t1", **parameters):
        return smoke_study(table, **parameters)

    return make


def ours(study, **expansion) -> ClassRow:
    changed = replace(ABLATION["superres+aug+mixup"], **expansion)
    return coreset_row(study, 1, "Ours, IPC 1", coreset_patches, expansion=changed, **selected(study, 1))


def with_gate(study, gate: float) -> None:
    """Teachers of this study's data sets must have so much accuracy, in percent."""
    tasks = {study.name: tuple(replace(task, gate=gate) for task in study.plan.tasks[study.name])}
    study.plan = replace(study.plan, tasks=tasks)


def control(study, label="Random patches, IPC 1") -> ClassRow:
    return coreset_row(study, 1, label, random_coreset, ipc=1, factor=2)


def test_a_whole_table_is_trained_shown_and_exported(finished):
    study, rows = finished("coreset_t1")
    results = study.run(rows)
    assert results.failures == [] and results.computed == 0 and len(results.scores) == len(rows) == 11
    assert results.scores.accuracy.between(0, 100).all() and (results.scores.best_accuracy >= results.scores.accuracy).all()
    counts = {label: len(study.make_set(row, 0)) for label, row in rows.items() if row.method}
    assert counts == {
        "MTT, IPC 1": 11, "G-VBSM, IPC 1": 11, "SRe2L, IPC 1": 11, "RDED, IPC 1": 11, "Ours, IPC 1": 44,
        "RDED, as many pictures, IPC 1": 11,
        "Selected patches, IPC 1": 44, "Random patches, IPC 1": 44, "Random patches, expanded, IPC 1": 44,
        "Whole pictures, IPC 1": 11,
    }  # fmt: skip
    long = long_table(study, results)
    wide = wide_table(long)
    assert wide.loc[("RDED, IPC 1", "ResNet-18"), ("ImageNette", "top-1 %", "printed")] == "35.8"
    assert wide.loc[("RDED, IPC 1", "ConvNet"), ("photographs", "top-1 %", "here")]
    assert any("Top-1 accuracy in percent after the last epoch" in line for line in notes(study, results, long))
    assert "ConvNet (architecture ConvNet, " in describe(study).to_html()
    words = rows_table(rows).data.loc["Ours, IPC 1", "settings"]
    assert "teacher “teacher” of the cell" in words and "{" not in words
    assert Presentation(study, rows, results).save()
    folder = export_table(study.name, "smoke")
    assert len(list(folder.glob("ours-ipc-1*/seed0/*.png"))) == 44
    text = (folder / "README.md").read_text()
    assert "Training pictures of a classifier" in text and "super-resolution" not in text


def test_another_rho_or_recipe_is_another_cell_and_the_label_is_not(smoke):
    study = smoke()
    assert study.run([ours(study)]).computed == 1
    assert study.run([replace(ours(study), label="by another name")]).computed == 0
    assert smoke().run([replace(ours(study), label="by another name")]).computed == 0
    assert study.run([ours(study, rho=0.4)]).computed == 1
    shorter = coreset_row(
        study, 1, "Ours, IPC 1", coreset_patches, expansion=ABLATION["superres+aug+mixup"], training={"epochs": 1},
        **selected(study, 1),
    )  # fmt: skip
    assert study.run([shorter]).computed == 1
    assert len(list((study.store.root / "sets").glob("*.json"))) == 1


def test_teacher_below_the_gate_stops_its_students_only(smoke):
    study = smoke()
    with_gate(study, 99.0)
    results = study.run([Row(ALL_PICTURES), ours(study), control(study)])
    assert list(results.scores.row) == [ALL_PICTURES]
    (failure,) = results.failures
    assert failure.startswith("teacher ConvNet on photos: TeacherError: the teacher (ConvNet) has an accuracy of")
    assert "not run therefore: " in failure and "ConvNet on Random patches, IPC 1, photos, seed 0" in failure
    with pytest.raises(RuntimeError, match="99 % are needed"):
        study.open(study.teacher("photos", "ConvNet"))
    with pytest.raises(CellsFailed, match="1 part"):
        save_table(study, results, long_table(study, results))


def test_too_large_a_coreset_is_named_and_nothing_else_is_lost(smoke):
    study = smoke()
    study.plan = replace(study.plan, students=study.plan.students | {5: study.plan.students[1]})
    results = study.run([coreset_row(study, 5, "IPC 5", coreset_patches, **selected(study, 5)), control(study)])
    assert len(results.scores) == 1
    assert "ipc times factor squared is 20 patches" in results.failures[0] and "only 16 pictures" in results.failures[0]


def test_an_ipc_without_a_recipe_is_refused(smoke):
    study = smoke()
    with pytest.raises(ValueError, match="no recipe for 7 pictures per class; there are: 1"):
        coreset_row(study, 7, "IPC 7", coreset_patches, **selected(study, 7))


def test_source_gives_augmented_pictures_with_the_teachers_labels(finished):
    study, rows = finished("coreset_t1")
    source = study.open(study.source(rows["Ours, IPC 1"], 0))
    (pictures, logits), (again, _) = source(1), source(1)
    assert pictures.shape == (44, 3, 32, 32) and logits.shape == (44, 11) and logits.dtype == torch.float16
    assert torch.equal(pictures, again) and not torch.equal(pictures, source(0)[0])
    assert not torch.equal(pictures, study.open(study.source(rows["Ours, IPC 1"], 1))(1)[0])
    assert source.views == study.plan.student(1)


def test_soft_labels_and_the_diffusion_model_count(finished):
    study, rows = finished("coreset_t1")
    chosen = [rows[label] for label in (ALL_PICTURES, "Ours, IPC 1", "Random patches, IPC 1")]
    labels = soft_label_bytes(study, chosen[1])
    assert labels == 2 * 44 * 11 * 2  # epochs, patches, classes, bytes
    assert soft_label_bytes(study, chosen[0]) == 0
    sizes = sizes_frame(study, chosen)
    extra = (sizes["bytes with labels and decoder"] - sizes["bytes as PNG"]).drop("training pictures")
    assert extra["Random patches, IPC 1"] == 44 * 4 + labels
    assert extra["Ours, IPC 1"] - extra["Random patches, IPC 1"] == study.open(engine(study, "photos")).bytes > 0
    html = storage_table(study, chosen[1:], per_seed(study, study.run(chosen))).to_html()
    assert f"{labels:,}" in html and "top-1 accuracy" in html


def test_seconds_are_of_the_first_seed_and_the_others_share_the_machine(smoke_study):
    study = smoke_study("coreset_t3", seeds=3)
    cells = study.cells(list(study.rows().values()))
    assert {cell.seed for cell in cells if cell.task.alone} == {0}
    assert all(cell.task.alone == (cell.seed == 0) for cell in cells)
    untimed = smoke_study("coreset_t4")
    assert not any(cell.task.alone for cell in untimed.cells(list(untimed.rows().values())))


def test_finer_patches_are_more_pictures_and_students_are_timed_alone(finished):
    study, rows = finished("coreset_t3")
    assert [len(study.make_set(rows[f"r = {r}"], 0)) for r in study.plan.factors] == [44, 99]
    results = study.run(rows)
    assert (results.scores.seconds_per_epoch > 0).all()
    assert all(cell.student.alone for cell in study.cells(list(rows.values())))
    assert not any(need.alone for cell in study.cells(list(rows.values())) for need in cell.task.needs)
    assert study.teacher("photos", "ConvNet").key == study.paper.open("coreset_t1", "smoke").teacher("photos", "ConvNet").key
    figure = factor_figure(per_seed(study, results), study.plan.factors, {"ours": "r = {}"}, "ConvNet", 32)
    assert [label.get_text() for label in figure.axes[0].get_xticklabels()] == ["2\n(16 px)", "3\n(10 px)"]


def corners(real, *, ipc, generator):
    """A method of one's own."""
    of_class = [(real.labels == k).nonzero()[:ipc, 0] for k in range(len(real.classes))]
    chosen = torch.cat(of_class)
    return DistilledSet(real.images[chosen][..., :16, :16].contiguous(), real.labels[chosen], real.classes, "corners")


def test_a_method_of_ones_own_is_a_row(smoke):
    study = smoke()
    row = coreset_row(study, 1, "Corners", corners, ipc=1)
    results = study.run([row])
    assert results.failures == [] and results.scores.row.tolist() == ["Corners"]
    assert study.make_set(row).images.shape == (11, 3, 16, 16)


def test_own_pictures(tmp_path, train_photos, smoke):
    for split in ("train", "val"):
        for name, picture in zip(("cats", "cups"), train_photos.images[:2], strict=True):
            folder = tmp_path / "mine" / split / name
            folder.mkdir(parents=True)
            for k in range(8):
                part = picture[:, 20 * k : 20 * k + 48, 20 * k : 20 * k + 48]
                exif = Image.Exif()
                exif[0x0112] = 6  # lies on its side
                lying = Image.fromarray(part.permute(1, 2, 0).numpy()).transpose(Image.Transpose.ROTATE_90)
                lying.save(folder / f"{k}.png", exif=exif)
    study = smoke(data=str(tmp_path / "mine"))
    with_gate(study, 51.0)
    assert study.label == "own-mine" and study.dataset.train.classes == ("cats", "cups")
    upright = square_picture(train_photos.images[0][:, :48, :48], study.dataset.train.size)
    assert study.dataset.train.images[0].equal(upright)
    results = study.run([Row(ALL_PICTURES)])
    assert results.failures == [] and list(results.scores.testset) == ["own"]


def test_own_pictures_without_classes_are_told_apart_by_their_crops(tmp_path, train_photos, smoke):
    folder = tmp_path / "garden"
    folder.mkdir()
    for name, picture in zip(("one", "two", "three"), train_photos.images, strict=False):
        Image.fromarray(picture.permute(1, 2, 0).numpy()).save(folder / f"{name}.png")
    dataset = smoke(data=str(folder)).dataset
    assert set(dataset.train.classes) == {"one", "two", "three"} and len(dataset.train) == 300 and len(dataset.test) == 150
    (tmp_path / "empty").mkdir()
    with pytest.raises(PictureError, match="empty: holds no pictures"):
        _ = smoke(data=str(tmp_path / "empty")).dataset.train


def test_low_resolution_pictures_are_expanded_by_a_model_of_larger_ones(smoke):
    study = smoke("coreset_t2")
    assert study.dataset.train.size == 16
    assert study.open(engine(study, "photos")).working_size == 32
    assert study.open(study.source(ours(study), 0))(0)[0].shape[-1] == 16


def test_missing_model_and_no_network_is_named(monkeypatch, smoke):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    study = smoke()
    study.plan = replace(study.plan, pretraining=None, engine={"steps": 5})
    results = study.run([ours(study), control(study)])
    assert len(results.scores) == 1 and "WeightsMissing" in results.failures[0]
    assert "stabilityai/sdxl-turbo" in results.failures[0]


def test_the_face_of_the_wing_is_what_notebooks_import():
    assert all(hasattr(coreset, name) for name in coreset.__all__)
