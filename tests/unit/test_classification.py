"""Training classifiers: losses, labels, resuming, accuracy, and the teacher's test."""

import math

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import save_file

from srdistill.catalogue.photo_classes import photo_classes
from srdistill.images.labelled import LabelError, LabelledPictures
from srdistill.images.pictures import to_float
from srdistill.networks.classifiers import build_classifier
from srdistill.training import classification, resumable
from srdistill.training.accuracy import confusion, correct, share_correct
from srdistill.training.augmentation import augment
from srdistill.training.checkpoint import Checkpoint
from srdistill.training.classification import soft_label_loss, train_classifier, train_student
from srdistill.training.classification_recipe import ClassificationRecipe
from srdistill.training.loop import Diverged
from srdistill.training.soft_labels import soft_labels
from srdistill.training.teacher import TeacherError, best_order, check_teacher, load_teacher
from srdistill.training.teacher_logits import teacher_logits

EPOCHS = 6


@pytest.fixture(scope="module")
def data():
    return photo_classes("train", size=16, per_class=24)


@pytest.fixture(scope="module")
def test_data():
    return photo_classes("test", size=16, per_class=15, seed=1)


def build(data, seed=0, **settings):
    mean, std = data.statistics
    sizes = {"width": 12, "depth": 2} | settings
    return build_classifier("ConvNet", classes=data.classes, size=data.size, seed=seed, mean=mean, std=std, **sizes)


def recipe(**changes):
    return ClassificationRecipe(**{"epochs": EPOCHS, "batch": 10, "lr": 5e-3, **changes})


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.fixture(scope="module")
def teacher(data):
    network = build(data, width=16)
    learning = recipe(epochs=12, batch=32, schedule="full cosine", cutmix=False)
    train_classifier(network, data, learning, generator=generator())
    return network


@pytest.fixture(scope="module")
def few(data):
    return data.per_class(2)


def made_anew(few):
    """Pictures that differ from epoch to epoch, as those of a generator would."""

    def images_of(epoch):
        return few.images.roll(epoch, -1)

    return images_of


def run(network, source, recipe, **options):
    history = train_student(network, source, recipe, generator=options.pop("generator", generator(3)), **options)
    return network.state_dict(), history


def assert_same(first, second):
    assert first[1] == second[1]
    for name, weight in first[0].items():
        assert torch.equal(weight, second[0][name]), name


# --- The recipe.


def test_ends_of_the_schedules():
    half, full = ClassificationRecipe(300), ClassificationRecipe(300, schedule="full cosine")
    for schedule in (half, full):
        assert schedule.learning_rate(0) == 1e-3
        rates = [schedule.learning_rate(epoch) for epoch in range(301)]
        assert rates == sorted(rates, reverse=True)
    assert half.learning_rate(300) == pytest.approx(0.5e-3)
    assert half.learning_rate(150) == pytest.approx(1e-3 * 0.5 * (1 + math.sqrt(0.5)))
    assert full.learning_rate(300) == pytest.approx(0.0)
    assert full.learning_rate(150) == pytest.approx(0.5e-3)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"epochs": 0}, "epochs, batch and collage must be 1 or more, got 0"),
        ({"batch": 0}, "must be 1 or more"),
        ({"collage": 0}, "must be 1 or more"),
        ({"lr": 0.0}, "lr and temperature must be positive"),
        ({"temperature": -1.0}, "lr and temperature must be positive"),
        ({"weight_decay": -0.1}, "weight_decay not negative"),
        ({"schedule": "cosine"}, "schedule is 'cosine'; it can be half cosine, full cosine"),
        ({"precision": "fp16"}, "precision is 'fp16'"),
        ({"crop_scale": (0.0, 1.0)}, r"crop_scale is a range within \(0, 1\]"),
        ({"crop_scale": (0.9, 0.5)}, "crop_scale"),
        ({"crop_scale": (0.5, 1.1)}, "crop_scale"),
    ],
)
def test_impossible_recipes_are_refused(given, message):
    with pytest.raises(ValueError, match=message):
        ClassificationRecipe(**{"epochs": 3} | given)


# --- The losses and what they see.


def test_soft_label_loss_is_the_divergence_written_out():
    given, taught = torch.randn(5, 4, generator=generator()), torch.randn(5, 4, generator=generator(1))
    total = 0.0
    for ours, theirs in zip(given.tolist(), taught.tolist(), strict=True):
        p = [math.exp(x / 20.0) for x in theirs]
        q = [math.exp(x / 20.0) for x in ours]
        p, q = [x / sum(p) for x in p], [x / sum(q) for x in q]
        total += sum(a * math.log(a / b) for a, b in zip(p, q, strict=True))
    loss = soft_label_loss(given, F.softmax(taught / 20.0, 1), 20.0)
    assert loss.item() == pytest.approx(total / 5, rel=1e-4)
    assert soft_label_loss(taught, F.softmax(taught / 20.0, 1), 20.0).item() == pytest.approx(0.0, abs=1e-7)


def test_weight_decay_leaves_biases_and_norms_alone(data):
    network = build(data)
    groups = classification._adamw(network, recipe()).param_groups
    decayed = {id(weight) for weight in groups[0]["params"]}
    assert [group["weight_decay"] for group in groups] == [0.01, 0.0]
    for name, weight in network.named_parameters():
        assert (id(weight) in decayed) == name.endswith(("0.weight", "4.weight", "classifier.weight")), name


@pytest.mark.parametrize("kind", ["teacher", "soft", "hard"])
def test_one_epoch_is_the_loop_written_out(few, teacher, data, kind):
    """One step per batch by torch's AdamW, labels by hand; the library's own pieces are tested elsewhere."""
    from srdistill.seeds import generator_for

    plan, logits = recipe(epochs=1, batch=8), soft_labels(teacher, few.images, 11)
    ours, plain = build(data, seed=4), build(data, seed=4)
    source = {"teacher": (few.images, None), "soft": (few.images, logits), "hard": (few.images, few.labels)}[kind]
    train_student(
        ours, lambda epoch: source, plan, generator=generator(7), teacher=teacher if kind == "teacher" else None
    )  # fmt: skip

    big = [weight for weight in plain.parameters() if weight.ndim > 1]
    small = [weight for weight in plain.parameters() if weight.ndim == 1]
    optimizer = torch.optim.AdamW([{"params": big, "weight_decay": 0.01}, {"params": small, "weight_decay": 0}], lr=5e-3)
    order = torch.randperm(22, generator=generator_for(7, "order", 0)).tolist()
    plain.train()
    for number, places in enumerate([order[:8], order[8:15], order[15:]]):
        mixed = augment(to_float(few.images[places]), plan, generator_for(7, "augmentation", 0, number))
        rows = []
        for k, i in enumerate(places):
            j = places[int(mixed.partner[k])]
            own, other = few.labels[i], few.labels[j]
            if kind == "teacher":
                rows.append(torch.softmax(teacher(mixed.images)[k].detach() / 20, 0))
            elif kind == "soft":
                pair = [torch.softmax(logits[n].float() / 20, 0) for n in (i, j)]
                rows.append(mixed.share * pair[0] + (1 - mixed.share) * pair[1])
            else:
                rows.append(mixed.share * F.one_hot(own, 11) + (1 - mixed.share) * F.one_hot(other, 11))
        wanted = torch.stack(rows)
        tempered = plain(mixed.images) / (1 if kind == "hard" else 20)
        entropy = 0 if kind == "hard" else (wanted * wanted.log()).sum(1)
        loss = (entropy - (wanted * F.log_softmax(tempered, 1)).sum(1)).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    # The gradient of a bias before batch norm is rounding noise, and Adam makes full steps of it.
    compared = [name for name, _ in plain.named_parameters() if name not in ("body.features.0.bias", "body.features.4.bias")]
    for name in compared:
        assert torch.allclose(ours.state_dict()[name], plain.state_dict()[name], atol=2e-5), name
    assert not any(torch.equal(a, b) for a, b in zip(ours.parameters(), build(data, seed=4).parameters(), strict=True))


def test_a_student_learns_from_a_teacher_and_beats_hard_labels_from_few_pictures(teacher, few, test_data, data):
    plan = recipe(epochs=40, batch=11)
    scores = {}
    for name, labels, by in (("online", None, teacher), ("hard", few.labels, None)):
        student = build(data, seed=0)
        history = train_student(
            student, lambda epoch, labels=labels: (few.images, labels), plan, generator=generator(), teacher=by, test=test_data
        )  # fmt: skip
        scores[name] = history["accuracy"][-1]
        assert history["tested epochs"] == [40] and len(history["loss"]) == 40
        assert history["loss"][-1] < history["loss"][0]
        assert share_correct(correct(student, test_data)) == scores[name]
    assert scores["online"] > scores["hard"] + 5 and scores["hard"] > 2 * 100 / 11


def test_tested_epochs_are_every_tenth_of_the_last_fifth_and_the_last():
    tested = [epoch + 1 for epoch in range(300) if classification._tested(epoch, 300)]
    assert tested == [250, 260, 270, 280, 290, 300]
    assert [epoch + 1 for epoch in range(55) if classification._tested(epoch, 55)] == [50, 55]


# --- Determinism and resuming.


@pytest.mark.parametrize("changes", [{}, {"collage": 2}, {"precision": "bf16"}, {"channels_last": True}])
def test_two_runs_agree_bit_for_bit(few, teacher, data, changes):
    first = run(build(data), lambda epoch: (few.images, None), recipe(**changes), teacher=teacher)
    torch.manual_seed(99)
    assert_same(first, run(build(data), lambda epoch: (few.images, None), recipe(**changes), teacher=teacher))


def test_another_seed_gives_another_student(few, data):
    results = [run(build(data), lambda epoch: (few.images, few.labels), recipe(), generator=generator(s))[1] for s in (0, 1)]
    assert results[0] != results[1]


@pytest.mark.parametrize("online", [True, False])
def test_resumed_equals_uninterrupted(few, teacher, data, test_data, tmp_path, interrupt, online):
    images_of = made_anew(few)

    def source(epoch):
        return images_of(epoch), None if online else soft_labels(teacher, images_of(epoch), 11)

    options = {"teacher": teacher if online else None, "test": test_data}
    whole = run(build(data), source, recipe(), **options)
    checkpoint = Checkpoint(tmp_path / "student.pt", "a student", every=2)
    interrupt(resumable, 5)
    with pytest.raises(KeyboardInterrupt):
        run(build(data), source, recipe(), checkpoint=checkpoint, **options)
    assert checkpoint.path.exists()
    interrupt(resumable, None)
    asked = []

    def watched(epoch):
        asked.append(epoch)
        return source(epoch)

    assert_same(whole, run(build(data, seed=50), watched, recipe(), checkpoint=checkpoint, **options))
    assert asked == [4, 5] and not checkpoint.path.exists()


def test_resumed_teacher_equals_uninterrupted(few, data, tmp_path, interrupt):
    whole = build(data)
    history = train_classifier(whole, few, recipe(), generator=generator())
    checkpoint = Checkpoint(tmp_path / "teacher.pt", "a teacher", every=1)
    interrupt(resumable, 3)
    resumed = build(data)
    with pytest.raises(KeyboardInterrupt):
        train_classifier(resumed, few, recipe(), generator=generator(), checkpoint=checkpoint)
    interrupt(resumable, None)
    resumed = build(data, seed=8)
    again = train_classifier(resumed, few, recipe(), generator=generator(), checkpoint=checkpoint)
    assert_same((whole.state_dict(), history), (resumed.state_dict(), again))


def test_teacher_is_not_changed(few, teacher, data):
    before = {name: weight.clone() for name, weight in teacher.state_dict().items()}
    run(build(data), lambda epoch: (few.images, None), recipe(epochs=2), teacher=teacher)
    assert all(torch.equal(weight, before[name]) for name, weight in teacher.state_dict().items())
    assert not teacher.training


# --- Bad sources.


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda few: (few.images, None), "no labels and there is no teacher"),
        (lambda few: (few.images[:, :, :8], few.labels), r"takes pictures \(N, 3, 16, 16\), the source gave \(22, 3, 8, 16\)"),
        (lambda few: (few.images[:0], few.labels[:0]), r"\(0, 3, 16, 16\)"),
        (lambda few: (few.images.int(), few.labels), "torch.int32"),
        (lambda few: (to_float(few.images) * 4 - 2, few.labels), "do not normalise them"),
        (lambda few: (to_float(few.images) * torch.nan, few.labels), "nan"),
        (lambda few: (few.images, few.labels[:5]), r"labels \(22,\) or float logits \(22, 11\), got torch.int64 \(5,\)"),
        (lambda few: (few.images, few.labels.int()), "torch.int32"),
        (lambda few: (few.images, few.labels + 8), r"labels must lie in 0..10, got 8..18"),
        (lambda few: (few.images, torch.zeros(22, 10)), r"got torch.float32 \(22, 10\)"),
    ],
)  # fmt: skip
def test_sources_that_do_not_fit_are_refused(few, data, change, message):
    with pytest.raises(ValueError, match=message):
        train_student(build(data), lambda epoch: change(few), recipe(), generator=generator())


def test_labels_from_two_places_and_foreign_classes_are_refused(few, data, teacher):
    with pytest.raises(ValueError, match="both soft labels and a teacher"):
        run(build(data), lambda epoch: (few.images, torch.zeros(22, 11)), recipe(), teacher=teacher)
    swapped = build_classifier("ConvNet", classes=data.classes[::-1], size=16, seed=0, width=8)
    with pytest.raises(ValueError, match="teacher's classes are not the student's, or in another order"):
        run(swapped, lambda epoch: (few.images, None), recipe(), teacher=teacher)
    with pytest.raises(ValueError, match="build the network with classes=data.classes"):
        train_classifier(swapped, few, recipe(), generator=generator())


def test_a_diverging_training_is_stopped(few, data):
    with pytest.raises(Diverged, match=r"the loss became nan in epoch \d+; lower the learning rate"):
        run(build(data), lambda epoch: (few.images, few.labels), recipe(lr=1e30))


def test_weights_that_break_in_the_last_step_are_not_tested(few, data, test_data):
    plan = recipe(epochs=1, batch=22, lr=math.inf)
    for test in (test_data, None):
        with pytest.raises(Diverged, match="the last step made the weights NaN; lower the learning rate"):
            run(build(data), lambda epoch: (few.images, few.labels), plan, test=test)


# --- Soft labels.


def test_soft_labels_are_the_teachers_logits_in_half_precision(few, teacher):
    found = soft_labels(teacher, few.images, 11, batch=5)
    assert found.shape == (22, 11) and found.dtype == torch.float16
    with torch.no_grad():
        assert torch.allclose(found.float(), teacher(to_float(few.images)).half().float(), atol=1e-2)
    assert torch.equal(soft_labels(teacher, to_float(few.images), 11, batch=5), found)


def test_soft_labels_that_cannot_be_used(few, teacher, data):
    loud = build(data, width=16)
    loud.load_state_dict(teacher.state_dict())
    with torch.no_grad():
        loud.body.classifier.bias[3] = 1e6
    with pytest.raises(TeacherError, match=r"logits reach 1e\+06, more than float16 holds; scale its head"):
        soft_labels(loud, few.images, 11)
    with torch.no_grad():
        loud.body.classifier.bias[3] = torch.nan
    with pytest.raises(TeacherError, match="gives NaN or infinity for 22 of 22 pictures, first picture 0"):
        soft_labels(loud, few.images, 11)
    with pytest.raises(TeacherError, match=r"logits \(22, 11\) for 22 pictures of 10 classes"):
        soft_labels(teacher, few.images, 10)


def test_a_network_is_asked_in_eval_mode_and_left_as_it_was(few, teacher, data):
    for training in (True, False):
        network = build(data, width=16)
        network.load_state_dict(teacher.state_dict())
        network.train(training)
        assert torch.equal(teacher_logits(network, few.images, classes=11), teacher_logits(teacher, few.images, classes=11))
        assert network.training == training
    with pytest.raises(ValueError, match="batch must be 1 or more, got 0"):
        teacher_logits(teacher, few.images, classes=11, batch=0)


# --- Accuracy.


def test_accuracy_is_counted_picture_by_picture(teacher, test_data):
    right = {name: [] for name in test_data.classes}
    with torch.no_grad():
        for image, label in zip(test_data.images, test_data.labels.tolist(), strict=True):
            guess = int(teacher(to_float(image[None])).argmax())
            right[test_data.classes[label]].append(guess == label)
    total = sum(map(sum, right.values()))
    assert share_correct(correct(teacher, test_data, batch=7)) == pytest.approx(100 * total / len(test_data))
    table = confusion(teacher, test_data)
    assert table.sum(1).tolist() == [15] * 11
    assert table.diagonal().tolist() == [sum(right[name]) for name in test_data.classes]


def test_accuracy_of_a_network_that_does_not_fit(teacher, test_data):
    with pytest.raises(LabelError, match="pictures of 32 px for a ConvNet of 16 px; load them with size=16"):
        share_correct(correct(teacher, photo_classes("test", per_class=1)))
    ten = LabelledPictures(test_data.images[:150], test_data.labels[:150], test_data.classes[:10], "ten")
    with pytest.raises(LabelError, match="ten has 10 classes, the ConvNet tells 11 apart"):
        share_correct(correct(teacher, ten))


# --- The teacher's test.


def test_a_good_teacher_passes(teacher, test_data):
    assert check_teacher(teacher, test_data, at_least=50) == share_correct(correct(teacher, test_data)) > 50


def permuted(teacher, data, order):
    """The same network, its outputs in another order, its class names unchanged: a silently wrong label order."""
    network = build(data, width=16)
    weights = dict(teacher.state_dict())
    for name in ("body.classifier.weight", "body.classifier.bias"):
        weights[name] = weights[name][order]
    network.load_state_dict(weights)
    return network


def test_a_teacher_with_permuted_outputs_is_found_out(teacher, data, test_data):
    order = torch.randperm(11, generator=generator(2)).tolist()
    good = share_correct(correct(teacher, test_data))
    wrong = permuted(teacher, data, order)
    with pytest.raises(TeacherError, match="in another order than the labels") as error:
        check_teacher(wrong, test_data, at_least=50)
    message = str(error.value)
    assert f"they reach {good:.1f} %" in message and "chance: 9.1 %" in message and "Sort the class folders" in message
    found, repaired = best_order(confusion(wrong, test_data))
    assert repaired == pytest.approx(good) and [order[k] for k in found] == list(range(11))
    assert share_correct(correct(permuted(wrong, data, found), test_data)) == pytest.approx(good)


def test_a_teacher_at_chance_is_told_from_one_that_is_weak(teacher, data, test_data):
    with pytest.raises(TeacherError, match=r"accuracy of \d+.\d % .* 50 % are needed .*at chance, whatever the order"):
        check_teacher(build(data), test_data, at_least=50)
    with pytest.raises(TeacherError, match="100 % are needed .*train it longer"):
        check_teacher(teacher, test_data, at_least=100)


def test_teachers_of_other_classes_are_refused_by_name(teacher, test_data):
    def renamed(classes):
        return LabelledPictures(test_data.images, test_data.labels, classes, "others")

    with pytest.raises(TeacherError, match="knows 11 classes, others has 12"):
        check_teacher(teacher, renamed((*test_data.classes, "more")), at_least=50)
    with pytest.raises(TeacherError, match="another order than others: class 0 is 'astronaut' there and 'grace_hopper' here"):
        check_teacher(teacher, renamed(test_data.classes[::-1]), at_least=50)
    with pytest.raises(TeacherError, match="does not know class 'dog' of others"):
        check_teacher(teacher, renamed(("dog", *test_data.classes[1:])), at_least=50)
    for useless in (9.0, 101.0):
        with pytest.raises(ValueError, match="above chance"):
            check_teacher(teacher, test_data, at_least=useless)


# --- Files.


def logits(network, data):
    return teacher_logits(network, data.images, classes=11)


def test_a_teacher_comes_back_from_its_file(teacher, data, test_data, tmp_path):
    path = tmp_path / "teacher.safetensors"
    teacher.save(path)
    loaded = load_teacher(path, classes=data.classes, size=16)
    assert torch.equal(logits(loaded, test_data), logits(teacher, test_data))
    assert loaded.about() == teacher.about() and not loaded.training
    assert not any(weight.requires_grad for weight in loaded.parameters())
    with pytest.raises(TeacherError, match="for pictures of 16 px, not 32 px"):
        load_teacher(path, classes=data.classes, size=32)
    with pytest.raises(TeacherError, match="in another order"):
        load_teacher(path, classes=data.classes[::-1], size=16)
    with pytest.raises(TeacherError, match="knows 11 classes, the data has 10"):
        load_teacher(path, classes=data.classes[:10], size=16)
    with pytest.raises(TeacherError, match="a ConvNet, not a ResNet18"):
        load_teacher(path, classes=data.classes, size=16, architecture="ResNet18")


def test_a_published_checkpoint_is_read_with_its_settings(teacher, data, test_data, tmp_path):
    """As RDED's: torch.save of the plain weights, under ``model``, from several devices."""
    mean, std = data.statistics
    weights = {f"module.{name}": weight for name, weight in teacher.body.state_dict().items()}
    asked = {"classes": data.classes, "size": 16, "architecture": "ConvNet", "mean": mean, "std": std, "width": 16, "depth": 2}
    for number, content in enumerate((weights, {"model": weights}, {"state_dict": weights})):
        path = tmp_path / f"{number}.pth"
        torch.save(content, path)
        loaded = load_teacher(path, **asked)
        assert torch.equal(logits(loaded, test_data), logits(teacher, test_data))
    with pytest.raises(TeacherError, match="does not say which network it is"):
        load_teacher(path, classes=data.classes, size=16)
    with pytest.raises(
        TeacherError, match=r"with 10 classes at 16 px: 2 differ, first classifier.weight .* needed \(10, 256\)"
    ):
        load_teacher(path, **asked | {"classes": data.classes[:10]})
    with pytest.raises(TeacherError, match=r"first features.8.bias \(in the file absent, needed \(16,\)\)"):
        load_teacher(path, **asked | {"depth": 3})


def test_files_that_hold_no_teacher(data, tmp_path):
    with pytest.raises(TeacherError, match="no such file; train a teacher first"):
        load_teacher(tmp_path / "none.pth", classes=data.classes, size=16)
    (tmp_path / "damaged.pth").write_bytes(b"damaged")
    with pytest.raises(TeacherError, match="no weights in it, or damaged"):
        load_teacher(tmp_path / "damaged.pth", classes=data.classes, size=16, architecture="ConvNet")
    save_file({"x": torch.zeros(1)}, tmp_path / "other.safetensors")
    with pytest.raises(TeacherError, match="does not say which network"):
        load_teacher(tmp_path / "other.safetensors", classes=data.classes, size=16)
