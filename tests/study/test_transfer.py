"""Tables 5 and 6: one set for students that it was not made with, learned with labels of its own and with a teacher's."""

from dataclasses import replace

import pandas as pd
import pytest
import torch

from srdistill.catalogue.labelled_collections import load_labelled
from srdistill.images.pictures import to_uint8
from srdistill.papers import coreset
from srdistill.papers.coreset import DC, DM, HARD, MTT, OURS, ROUNDED, SOFT, UNTRAINED, WHOLE
from srdistill.papers.coreset.baselines import matched
from srdistill.papers.coreset.figures import lowering_figure, tenths
from srdistill.papers.coreset.own_labels import own_labels
from srdistill.papers.coreset.printed import DATM, IDM, TESLA
from srdistill.papers.coreset.trajectories.experts import ExpertRecipe, train_expert
from srdistill.papers.coreset.trajectories.unrolling import unrolling
from srdistill.sets.learned_set import LearnedSet
from srdistill.study.classification import AVERAGE
from srdistill.study.engine.tasks import Resource
from srdistill.study.rows import Results
from srdistill.training.hard_label_recipe import HardLabelRecipe
from srdistill.training.hard_labels import train_hard_student

TABLES = ("coreset_t5", "coreset_t6")


def opened(table, profile="smoke"):
    return coreset.PAPER.open(table, profile=profile)


def keys_of(study, rows, *labels):
    """Of the sets of these rows for all students."""
    return {study.set_task(rows[label], 0, network=network).key for label in labels for network in study.networks}


@pytest.mark.parametrize("table", TABLES)
def test_every_printed_row_is_run_and_another_generator_is_not_called_glad(table, monkeypatch):
    monkeypatch.setattr(Resource, "digest", "pictures that are not at hand")
    printed = set(coreset.printed(table).row)
    assert printed <= set(opened(table, "paper").rows())
    small = set(opened(table).rows())
    assert {row for row in printed if "GLaD" not in row} <= small
    assert not any("GLaD" in row for row in small) and f"{DC}, latent" in small


@pytest.mark.parametrize("table", TABLES)
def test_students_share_the_set_and_both_ways_of_learning_it_do(table):
    study = opened(table)
    rows = study.rows()
    for label in (MTT, f"{DM}, latent", f"{DC}, {UNTRAINED}", f"{WHOLE}, real"):
        assert len(keys_of(study, rows, label, label + SOFT)) == 1, label
    assert len(keys_of(study, rows, OURS, OURS + HARD)) == 1


def test_one_teacher_labels_for_all_students_and_none_where_sets_have_labels():
    study = opened("coreset_t5")
    rows, dataset = study.rows(), study.dataset.name
    teachers = {study.source(rows[OURS], 0, dataset, network).settings["teacher"].key for network in study.networks}
    network = study.teacher(dataset, "ViT").settings["network"]
    assert len(teachers) == 1 and network.settings["classifier"]["architecture"] == "ConvNet"
    for label in (MTT, OURS + HARD, f"{WHOLE}, real"):
        assert "teacher" not in study.source(rows[label], 0, dataset, "ViT").settings
        assert study.student(rows[label], "ViT", 0).function is train_hard_student
    assert study.student(rows[OURS], "ViT", 0).function is not train_hard_student


def test_students_have_glads_rates_and_networks(monkeypatch):
    monkeypatch.setattr(Resource, "digest", "pictures that are not at hand")
    study = opened("coreset_t5", "paper")
    rows = study.rows()
    rates = {network: study.recipe(rows[MTT], "imagenette", network).lr for network in study.networks}
    assert rates == {"AlexNet": 1e-3, "VGG11": 1e-4, "ResNet-18": 1e-3, "ViT": 1e-3}
    assert study.recipe(rows[MTT], "imagenette", "ViT") == HardLabelRecipe(1000)
    soft = {network: study.recipe(rows[OURS], "imagenette", network).lr for network in study.networks}
    assert soft == {"AlexNet": 1e-4, "VGG11": 5e-4, "ResNet-18": 1e-3, "ViT": 1e-4}
    assert study.plan.classifiers["ViT"] == {"architecture": "ViT", "patch": 16, "depth": 10, "norm": "none"}
    assert opened("coreset_t6", "paper").plan.classifiers["ViT"] == {"architecture": "ViT"}
    assert study.networks == ["AlexNet", "VGG11", "ResNet-18", "ViT"]
    assert opened("coreset_t6", "paper").networks == ["AlexNet", "ResNet-18", "ViT"]


def test_tesla_differs_from_mtt_by_its_gradient_alone_where_nothing_is_printed():
    chosen = opened("coreset_t2", "laptop").plan.baselines.chosen
    mtt, tesla = (vars(chosen(method, "coreset_t2", "photos", 1)) for method in (MTT, TESLA))
    assert {name for name in mtt if mtt[name] != tesla[name]} == {"unrolled"}


def test_settings_are_of_the_table_or_the_data_set_or_none_at_all():
    chosen = coreset.PAPER.plans["paper"].baselines.chosen
    assert (chosen(MTT, "coreset_t2", "cifar10", 1).steps, chosen(MTT, "coreset_t6", "cifar10", 1).steps) == (50, 20)
    assert chosen(MTT, "coreset_t6", "cifar10", 1).unrolled == "truncated"
    assert chosen(MTT, "coreset_t1", "imagewoof", 10).lr == 1000
    assert chosen(DATM, "coreset_t2", "cifar100", 10).grow_from == 30
    with pytest.raises(ValueError, match="IDM has no settings for imagenette, 1 pictures per class; it has some for: cifar10"):
        chosen(IDM, "coreset_t1", "imagenette", 1)


def test_the_average_is_over_students_and_only_where_all_are_there():
    study = opened("coreset_t5")
    lines = [
        {"row": row, "network": network, "seed": 0, "testset": "photos", "collapsed": False, "accuracy": accuracy,
         "best_accuracy": accuracy, "correct": correct}
        for row, found in {
            "A": {"AlexNet": (50.0, "10"), "VGG11": (100.0, "11"), "ResNet-18": (0.0, "00"), "ViT": (50.0, "01")},
            "B": {"AlexNet": (50.0, "10")},
        }.items() for network, (accuracy, correct) in found.items()
    ]  # fmt: skip
    frame = study.frame(lines)
    mean = frame[frame.network == AVERAGE]
    assert list(mean.row) == ["A"] and list(mean.accuracy) == [50.0]
    pictures = study.per_picture(Results([], [], 0, frame, [], 0, 0.0))
    of_a = pictures[(pictures.network == AVERAGE) & (pictures.row == "A")].set_index("image")["value"]
    assert of_a.to_dict() == {0: 50.0, 1: 50.0}


def learned(method="trajectory_matching", **changes) -> LearnedSet:
    floats = torch.linspace(-0.2, 1.2, 2 * 3 * 8 * 8).view(2, 3, 8, 8)
    settings = {"images": to_uint8(floats), "labels": torch.tensor([0, 1]), "names": ("a", "b"), "method": method,
                "settings": {"factor": 2}, "floats": floats}  # fmt: skip
    return LearnedSet(**(settings | changes))


def test_sets_are_learned_as_they_are_or_after_8_bits_and_cells_one_by_one():
    real, made = load_labelled("photos", "train", size=8, per_class=1), learned()
    pictures, labels = own_labels(made, real)(3)
    assert torch.equal(pictures, made.floats) and torch.equal(labels, made.labels)
    rounded, _ = own_labels(made, real, rounded=True)(0)
    assert 0 <= float(rounded.min()) <= float(rounded.max()) <= 1 and torch.equal(to_uint8(rounded), made.images)
    cells, labels = own_labels(learned("idm"), real)(0)
    assert cells.shape == (8, 3, 8, 8) and labels.tolist() == [0] * 4 + [1] * 4
    logits = torch.randn(2, 2, generator=torch.Generator().manual_seed(0))
    assert torch.equal(own_labels(learned(label_logits=logits), real)(0)[1], logits)
    patches = learned("coreset_patches", images=made.images[..., ::2, ::2].contiguous(), floats=None)
    assert own_labels(patches, real)(0)[0].shape == (2, 3, 8, 8)


def test_after_8_bits_a_set_takes_the_bytes_of_its_pictures_not_of_the_floats(smoke_study):
    study = smoke_study("coreset_t5")
    rows = study.rows()
    floats, rounded = (study.sizes(rows[label]) for label in (DM, f"{DM}{ROUNDED}"))
    labels = rounded.total_bytes - rounded.lossless_bytes
    assert floats.total_bytes == 4 * 3 * floats.pixels + labels
    assert rounded.lossless_bytes == floats.lossless_bytes and labels == 4 * rounded.images


def test_truncated_and_exact_gradients_part_after_the_first_step():
    real = load_labelled("photos", "train", size=8, per_class=4)
    network = {"architecture": "ConvNet", "depth": 1, "width": 8, "norm": "instance"}
    recipe, draws = ExpertRecipe(1, lr=0.05, batch=11), torch.Generator().manual_seed(0)
    expert = train_expert(real, generator=draws, network=network, recipe=recipe)
    found = unrolling(real, [expert], network, 0.1, counts=(1, 6))
    assert isinstance(found, pd.DataFrame) and found.loc[1].tolist() == pytest.approx([1.0, 1.0, 1.0], abs=1e-5)
    assert found.loc[6, "cosine"] < 0.9999


def test_losses_are_shown_as_shares_of_their_first_tenth():
    assert tenths(range(20)).tolist() == [0.5 + 2 * k for k in range(10)] and tenths([3.0, 2.0]).tolist() == [3, 2]
    halved, level = [8.0] * 5 + [4.0] * 5, [0.5] * 30
    figure = lowering_figure({"one": {"pixels": [halved, halved]}, "other": {"codes": [level], "pixels": [halved]}})
    one, other = figure.axes
    assert [axis.get_title() for axis in figure.axes] == ["one", "other"]
    drawn = [line.get_ydata() for line in one.lines if len(line.get_ydata()) == 10]
    assert [line.tolist() for line in drawn] == 2 * [[100.0] * 5 + [50.0] * 5]
    assert other.lines[0].get_ydata() == pytest.approx(100.0) and other.lines[0].get_color() != other.lines[1].get_color()
    assert one.lines[0].get_color() == other.lines[1].get_color(), "what is learned has one colour in all panels"
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["pixels", "codes"]


def test_whitened_sets_have_whitening_experts_and_students(smoke_study):
    study = smoke_study("coreset_t6")
    baselines = study.plan.baselines
    settings = baselines.settings | {MTT: {("", 1): replace(baselines.settings[MTT]["", 1], zca=True)}}
    study.plan = replace(study.plan, baselines=replace(baselines, settings=settings))
    row = matched(MTT, 1, MTT)
    student = study.student(row, "AlexNet", 0)
    assert student.settings["classifier"]["whitened"]
    experts = study.set_task(row, 0).settings["experts"]
    assert all(expert.settings["recipe"].zca for expert in experts) and "whitening" in experts[0].label
    assert "whitened" not in study.student(matched(DM, 1, DM), "AlexNet", 0).settings["classifier"]
    results = study.run([row], ["AlexNet"])
    assert results.failures == [] and results.computed == len(study.seeds)
