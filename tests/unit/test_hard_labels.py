"""Students by GLaD's evaluation: the rate, the average of the weights, the loop written out, resuming, bad sets."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from srdistill.catalogue.photo_classes import photo_classes
from srdistill.images.pictures import to_float
from srdistill.networks.classifiers import Classifier, build_classifier
from srdistill.seeds import generator_for
from srdistill.training import resumable
from srdistill.training.accuracy import correct, share_correct
from srdistill.training.checkpoint import Checkpoint
from srdistill.training.classification import train_student
from srdistill.training.classification_recipe import ClassificationRecipe
from srdistill.training.dsa import draw_dsa
from srdistill.training.hard_label_recipe import HardLabelRecipe
from srdistill.training.hard_labels import train_hard_student
from srdistill.training.layer_draws import layer_draws
from srdistill.training.loop import Diverged


@pytest.fixture(scope="module")
def data():
    return photo_classes("train", size=16, per_class=3)


@pytest.fixture(scope="module")
def test_data():
    return photo_classes("test", size=16, per_class=10, seed=1)


def build(data, seed=0):
    mean, std = data.statistics
    return build_classifier(
        "ConvNet", classes=data.classes, size=16, seed=seed, mean=mean, std=std, width=12, depth=2, norm="instance"
    )


def build_dropping(data, seed=0):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        body = nn.Sequential(nn.Flatten(), nn.Linear(3 * 16 * 16, 24), nn.ReLU(), nn.Dropout(0.5), nn.Linear(24, 11))
    return Classifier(body, "dropping", data.classes, 16)


def recipe(**changes):
    return HardLabelRecipe(**{"epochs": 6, "batch": 20, "lr": 0.01} | changes)


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def run(network, images, labels, plan, **options):
    history = train_hard_student(network, lambda epoch: (images, labels), plan, generator=generator(3), **options)
    return network.state_dict(), history


def assert_same(first, second):
    assert first[1] == second[1]
    assert all(torch.equal(weight, second[0][name]) for name, weight in first[0].items())


@pytest.mark.parametrize("epochs", [2, 10, 11, 300])
def test_the_rate_is_that_of_the_published_schedulers(epochs):
    """There one scheduler of torch is stepped through half of the epochs, and another one after it."""
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=0.01)
    half = epochs // 2
    rising = torch.optim.lr_scheduler.LinearLR(optimizer, start_factor=1e-7, end_factor=1.0, total_iters=half)
    falling = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=half)
    scheduler, expected = rising, []
    for epoch in range(epochs):
        expected.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
        scheduler = falling if epoch == half else scheduler
    found = [recipe(epochs=epochs).learning_rate(epoch) for epoch in range(epochs)]
    assert found == pytest.approx(expected, rel=1e-6, abs=1e-12)
    assert found[0] == pytest.approx(1e-9) and max(found) == found[half] == 0.01


def test_the_average_is_plain_for_200_epochs_and_then_exponential():
    values = torch.randn(260, generator=generator(), dtype=torch.float64).tolist()
    average, plan = 0.0, recipe()
    for epoch, value in enumerate(values):
        before, average = average, plan.decay(epoch) * average + (1 - plan.decay(epoch)) * value
        if epoch < 200:
            assert average == pytest.approx(sum(values[: epoch + 1]) / (epoch + 1))
        else:
            assert average == pytest.approx(0.995 * before + 0.005 * value)
    assert {recipe(ema=0.0).decay(epoch) for epoch in range(9)} == {0.0}


@pytest.mark.parametrize("kind", ["classes", "logits", "bytes"])
def test_three_epochs_are_the_loop_written_out(data, kind):
    plan = recipe(epochs=3)
    images = data.images if kind == "bytes" else to_float(data.images) * 1.5 - 0.2  # beyond [0, 1], and not clamped
    logits = torch.randn(33, 11, generator=generator(1)) * 3
    ours, plain = build(data, 4), build(data, 4)
    history = run(ours, images, logits if kind == "logits" else data.labels, plan)[1]

    mean, std = (torch.tensor(values).view(1, 3, 1, 1) for values in data.statistics)
    pictures = data.images / 255 if kind == "bytes" else images
    velocity = [torch.zeros_like(weight) for weight in plain.parameters()]
    snapshots, losses = [], []
    plain.train()
    for epoch, rate in enumerate((1e-9, 0.01, 0.01)):
        order, total = torch.randperm(33, generator=generator_for(3, "order", epoch)), 0.0
        for number, places in enumerate((order[:20], order[20:])):
            draw = draw_dsa(generator_for(3, "augmentation", epoch, number), 16, len(places))
            # The augmentation is of normalised pictures, the network normalises.
            seen = draw((pictures[places] - mean) / std) * std + mean
            said = F.log_softmax(plain(seen), 1)
            wanted = torch.softmax(logits[places], 1) if kind == "logits" else F.one_hot(data.labels[places], 11).float()
            loss = -(wanted * said).sum(1).mean()
            total += loss.item() * len(places) / 33
            gradients = torch.autograd.grad(loss, list(plain.parameters()))
            with torch.no_grad():
                for weight, speed, gradient in zip(plain.parameters(), velocity, gradients, strict=True):
                    speed.mul_(0.9).add_(gradient + 5e-4 * weight)
                    weight.sub_(rate * speed)
        snapshots.append([weight.detach().clone() for weight in plain.parameters()])
        losses.append(total)
    for name, *found in zip(dict(ours.named_parameters()), ours.parameters(), *snapshots, strict=True):
        assert torch.allclose(found[0], torch.stack(found[1:]).mean(0), atol=1e-5), name
    assert history == {"loss": pytest.approx(losses, rel=1e-4)}
    assert not torch.allclose(torch.stack([s[0] for s in snapshots]).std(0), torch.zeros(()), atol=1e-4)


def test_a_student_learns_and_is_tested_once_with_the_averaged_weights(data, test_data):
    network = build(data)
    history = run(network, data.images, data.labels, recipe(epochs=60, batch=33), test=test_data)[1]
    assert history["tested epochs"] == [60] and len(history["loss"]) == 60
    assert history["accuracy"] == [share_correct(correct(network, test_data))] and not network.training
    assert history["accuracy"][0] > 2 * 100 / 11 and history["loss"][-1] < history["loss"][0]


@pytest.mark.parametrize("make", [build, build_dropping])
def test_resumed_equals_uninterrupted(data, test_data, tmp_path, interrupt, make):
    images, labels = to_float(data.images), data.labels
    whole = run(make(data), images, labels, recipe(), test=test_data)
    torch.manual_seed(99)
    assert_same(whole, run(make(data), images, labels, recipe(), test=test_data))
    checkpoint = Checkpoint(tmp_path / "student.pt", "a student", every=2)
    interrupt(resumable, 5)
    with pytest.raises(KeyboardInterrupt):
        run(make(data), images, labels, recipe(), test=test_data, checkpoint=checkpoint)
    assert checkpoint.path.exists()
    interrupt(resumable, None)
    asked = []

    def watched(epoch):
        asked.append(epoch)
        return images, labels

    network = make(data, 50)
    history = train_hard_student(network, watched, recipe(), generator=generator(3), test=test_data, checkpoint=checkpoint)
    assert_same(whole, (network.state_dict(), history))
    assert asked == [4, 5] and not checkpoint.path.exists()


def test_layers_draw_by_their_seed_and_leave_the_global_generator_alone(data):
    network, images = build_dropping(data).train(), to_float(data.images)
    state = torch.random.get_rng_state()
    seen = []
    for seed in (0, 0, 1):
        with layer_draws(torch.device("cpu"), seed):
            seen.append(network(images))
        assert torch.equal(torch.random.get_rng_state(), state)
    assert torch.equal(seen[0], seen[1]) and not torch.equal(seen[0], seen[2])
    # Students of a teacher's soft labels, too.
    given, plan = torch.zeros(33, 11), ClassificationRecipe(2, batch=20)
    found = []
    for global_seed in (0, 1):
        torch.manual_seed(global_seed)
        student = build_dropping(data)
        train_student(student, lambda epoch: (data.images, given), plan, generator=generator())
        found.append(student.state_dict())
    assert all(torch.equal(weight, found[1][name]) for name, weight in found[0].items())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda x, y: (x[:, :, :8], y), r"takes pictures \(N, 3, 16, 16\), the source gave \(33, 3, 8, 16\)"),
        (lambda x, y: (x[:0], y[:0]), r"\(0, 3, 16, 16\)"),
        (lambda x, y: (x.int(), y), "uint8, or float of the range .*torch.int32"),
        (lambda x, y: (x, None), "no labels, and no teacher is asked"),
        (lambda x, y: (x, y[:5]), r"33 pictures of 11 classes need .* got torch.int64 \(5,\)"),
        (lambda x, y: (x, y.float()), r"got torch.float32 \(33,\)"),
        (lambda x, y: (x, torch.zeros(33, 10)), r"got torch.float32 \(33, 10\)"),
        (lambda x, y: (x, y + 8), r"labels must lie in 0\.\.10, got 8\.\.18"),
        (lambda x, y: (torch.where(y == 2, torch.nan, 1.0)[:, None, None, None] * x, y), "3 of 33, first number 6; .*rate"),
        (lambda x, y: (x, torch.full((33, 11), torch.inf)), "label logits hold NaN or infinity, 33 of 33, first number 0"),
    ],
)  # fmt: skip
def test_sets_that_do_not_fit_are_refused(data, change, message):
    with pytest.raises(ValueError, match=message):
        run(build(data), *change(to_float(data.images), data.labels), recipe())


def test_too_high_a_rate_is_said_to_be_that(data):
    with pytest.raises(Diverged, match=r"student: .*lower the learning rate \(1e\+18\)"):
        run(build(data), data.images, data.labels, recipe(lr=1e18))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"epochs": 1}, "epochs must be 2 or more, for two halves, and batch 1 or more, got 1 and 20"),
        ({"batch": 0}, "got 6 and 0"),
        ({"lr": 0.0}, "lr must be positive and weight_decay not negative, got 0.0"),
        ({"lr": float("nan")}, "got nan"),
        ({"weight_decay": -1.0}, "got 0.01 and -1.0"),
        ({"momentum": 1.0}, r"momentum and ema lie in \[0, 1\), got 1.0 and 0.995"),
        ({"ema": -0.1}, "got 0.9 and -0.1"),
    ],
)
def test_impossible_recipes_are_refused(given, message):
    with pytest.raises(ValueError, match=message):
        recipe(**given)
