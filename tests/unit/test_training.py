"""Training: it learns, two runs agree, resumed equals uninterrupted, and failures are named."""

import math

import pytest
import torch

from srdistill.images.pictures import PictureError
from srdistill.networks import build_network
from srdistill.training import resumable
from srdistill.training.checkpoint import Checkpoint
from srdistill.training.evaluate import collapsed, evaluate
from srdistill.training.loop import Diverged
from srdistill.training.recipe import Recipe
from srdistill.training.sr import train

STEPS = 60


def recipe(**changes):
    return Recipe(**{"iterations": STEPS, "batch": 2, "patch": 12, "lr": 1e-3, **changes})


def tiny(seed=0):
    return build_network("SRCNN", 2, seed, kernels=(3, 1, 3), widths=(6, 4))


def run(pictures, recipe, checkpoint=None, seed=0):
    network, history = train(tiny(), pictures.images, recipe, scale=2, seed=seed, checkpoint=checkpoint)
    return network.state_dict(), history


def assert_same(first, second):
    assert first[1] == second[1]
    assert first[0].keys() == second[0].keys()
    for name, weight in first[0].items():
        assert torch.equal(weight, second[0][name]), name


def mean_psnr(network, pictures):
    rows = evaluate(network, pictures, 2)
    return sum(row["psnr"] for row in rows) / len(rows)


@pytest.fixture(scope="module")
def test_pieces(test_photos):
    return test_photos.center_crop(192)


def test_vdsr_beats_bicubic_on_photographs_and_is_not_collapsed(train_photos, test_pieces):
    network = build_network("VDSR", 2, 0, width=12, depth=4)
    learning = Recipe(iterations=250, batch=8, patch=24, lr=3e-3, loss="mse", schedule="cosine")
    network, history = train(network, train_photos.images, learning, scale=2, seed=0)
    learned, plain = mean_psnr(network, test_pieces), mean_psnr(None, test_pieces)
    assert learned > plain + 0.25
    assert len(history) == 5 and history[-1] < history[0]
    assert not collapsed({"pieces": learned}, {"pieces": plain})


def test_vdsr_that_stays_at_bicubic_is_flagged(pictures, test_pieces):
    network = build_network("VDSR", 2, 0, width=8, depth=4)
    network, _ = train(network, pictures.images, recipe(lr=1e-12), scale=2, seed=0)
    stuck, plain = mean_psnr(network, test_pieces), mean_psnr(None, test_pieces)
    assert collapsed({"pieces": stuck}, {"pieces": plain})


def test_collapse_is_flagged_only_if_every_test_set_agrees():
    plain = {"set5": 32.0620, "set14": 28.7188}
    assert collapsed({"set5": 32.0700, "set14": 28.7100}, plain)
    assert not collapsed({"set5": 32.0620, "set14": 28.7300}, plain)
    assert not collapsed({"set5": 32.0500, "set14": 28.7188}, plain)


@pytest.mark.parametrize("changes", [{}, {"ema": 0.9, "loss": "mse"}, {"precision": "bf16"}, {"channels_last": True}])
def test_two_runs_agree_bit_for_bit(pictures, changes):
    first = run(pictures, recipe(**changes))
    torch.manual_seed(123)
    assert_same(first, run(pictures, recipe(**changes)))


def test_two_runs_on_two_threads_agree_bit_for_bit(pictures):
    torch.set_num_threads(2)
    try:
        large = recipe(iterations=6, batch=8, patch=48)
        assert_same(run(pictures, large), run(pictures, large))
    finally:
        torch.set_num_threads(1)


def test_another_seed_gives_another_result(pictures):
    first, second = run(pictures, recipe(), seed=0), run(pictures, recipe(), seed=1)
    assert first[1] != second[1]


@pytest.mark.parametrize(
    ("changes", "every"),
    [
        ({}, 1),
        ({}, 25),
        ({"ema": 0.9}, 7),
        ({"schedule": "cosine"}, 7),
        ({"ema": 0.99, "schedule": "cosine", "clip_norm": 0.1}, 10),
        ({"schedule": "steps", "milestones": (20, 40), "precision": "bf16"}, 25),
    ],
)
def test_resumed_equals_uninterrupted(pictures, tmp_path, interrupt, changes, every):
    whole = run(pictures, recipe(**changes))
    checkpoint = Checkpoint(tmp_path / "run.pt", "this run", every)
    for at in (3, 29, 52, 59):
        interrupt(resumable, at)
        with pytest.raises(KeyboardInterrupt):
            run(pictures, recipe(**changes), checkpoint)
    interrupt(resumable, None)
    assert_same(whole, run(pictures, recipe(**changes), checkpoint))
    assert not checkpoint.path.exists()


def test_resuming_does_only_the_missing_steps(pictures, tmp_path, interrupt, monkeypatch):
    checkpoint = Checkpoint(tmp_path / "run.pt", "this run", 20)
    interrupt(resumable, 47)
    with pytest.raises(KeyboardInterrupt):
        run(pictures, recipe(), checkpoint)
    done = []
    monkeypatch.setattr(resumable, "bar", lambda items, *args, **kwargs: (done.append(item) or item for item in items))
    run(pictures, recipe(), checkpoint)
    assert done == list(range(40, STEPS))


def test_history_holds_means_over_fifty_steps(pictures):
    _, short = run(pictures, recipe(iterations=50))
    _, longer = run(pictures, recipe(iterations=101))
    assert len(short) == 1 and len(longer) == 3
    assert longer[0] == short[0]


def test_result_is_in_evaluation_mode_and_the_average_is_another_network(pictures):
    network = tiny()
    result, _ = train(network, pictures.images, recipe(), scale=2, seed=0)
    assert result is network and not result.training
    network = tiny()
    averaged, _ = train(network, pictures.images, recipe(ema=0.9), scale=2, seed=0)
    assert averaged is not network and not averaged.training
    assert not torch.equal(averaged.body[0].weight, network.body[0].weight)


def test_average_follows_its_definition(pictures):
    decay, average = 0.8, None
    for steps in range(1, 6):
        weight = run(pictures, recipe(iterations=steps))[0]["body.0.weight"]
        average = weight if average is None else decay * average + (1 - decay) * weight
    assert torch.allclose(run(pictures, recipe(iterations=5, ema=decay))[0]["body.0.weight"], average, atol=1e-7)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_divergence_is_named(pictures, precision):
    with pytest.raises(Diverged, match="the loss became nan by step .*lower the learning rate"):
        run(pictures, recipe(lr=1e20, precision=precision))


def test_scale_that_does_not_divide_the_patch_is_refused(pictures):
    with pytest.raises(ValueError, match="scale 3 does not divide the training patch of 16 px"):
        train(tiny(), pictures.images, recipe(patch=16), scale=3, seed=0)


def test_patch_larger_than_a_picture_is_refused(pictures):
    with pytest.raises(PictureError, match="patch of 74 px does not fit a training picture of 72 px"):
        train(tiny(), pictures.images, recipe(patch=74), scale=2, seed=0)


def test_no_pictures_are_refused():
    with pytest.raises(PictureError):
        train(tiny(), [], recipe(), scale=2, seed=0)


def test_gradient_is_clipped_to_its_norm(pictures, monkeypatch):
    norms = []
    step = torch.optim.Adam.step

    def recording(self, *args, **kwargs):
        gradients = [p.grad.flatten() for group in self.param_groups for p in group["params"]]
        norms.append(float(torch.cat(gradients).norm()))
        return step(self, *args, **kwargs)

    monkeypatch.setattr(torch.optim.Adam, "step", recording)
    run(pictures, recipe(iterations=5))
    free, norms[:] = list(norms), []
    run(pictures, recipe(iterations=5, clip_norm=min(free) / 10))
    assert norms == pytest.approx([min(free) / 10] * 5, rel=1e-3)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"loss": "huber"}, "loss is 'huber'; it can be l1, mse"),
        ({"schedule": "linear"}, "schedule is 'linear'; it can be constant, cosine, steps"),
        ({"precision": "fp16"}, "precision is 'fp16'; it can be fp32, bf16"),
        ({"iterations": 0}, "must be 1 or more, got 0, 2, 12"),
        ({"batch": 0}, "must be 1 or more"),
        ({"patch": -2}, "must be 1 or more"),
    ],
)
def test_wrong_values_of_a_recipe_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        recipe(**changes)


def test_learning_rate_of_each_schedule():
    assert {recipe(lr=0.2).learning_rate(step) for step in range(STEPS)} == {0.2}
    cosine = recipe(lr=0.2, schedule="cosine")
    assert cosine.learning_rate(0) == 0.2
    assert cosine.learning_rate(STEPS // 2) == pytest.approx(0.1)
    assert cosine.learning_rate(STEPS // 3) == pytest.approx(0.1 * (1 + math.cos(math.pi / 3)))
    assert 0 < cosine.learning_rate(STEPS - 1) < 0.001
    steps = recipe(lr=0.2, schedule="steps", milestones=(10, 20), decay=0.1)
    assert [steps.learning_rate(step) for step in (0, 9, 10, 19, 20)] == pytest.approx([0.2, 0.2, 0.02, 0.02, 0.002])


def test_schedule_reaches_the_optimiser(pictures):
    stopped = recipe(schedule="steps", milestones=(30,), decay=0.0)
    assert_same((run(pictures, stopped)[0], 0), (run(pictures, recipe(iterations=30))[0], 0))
