"""Adversarial training: the steps of the references, resuming, histories, presets, and failures that are named."""

import copy
from dataclasses import replace

import pytest
import torch
from torch import nn

from srdistill.images.convention import low_resolution
from srdistill.images.crops import CropBank
from srdistill.images.pictures import PictureError, to_float
from srdistill.images.sharpen import sharpen
from srdistill.networks import build_network
from srdistill.networks.discriminators import build_discriminator
from srdistill.papers import labelfree
from srdistill.seeds import generator_for
from srdistill.study.profiles import PROFILES
from srdistill.training import resumable
from srdistill.training.adversarial import train_adversarial
from srdistill.training.adversarial_recipe import REAL_ESRGAN, REAL_SR, AdversarialRecipe, judged_by_its_own_loss
from srdistill.training.checkpoint import Checkpoint
from srdistill.training.loop import Diverged, LossMeter
from srdistill.training.perceptual_loss import PerceptualLoss
from srdistill.training.recipe import Recipe
from srdistill.training.sr import train
from srdistill.weights import WeightsMissing

UNET = {"discriminator_sizes": {"width": 4}}
VGG = {"discriminator_sizes": {"width": 4, "stages": 2}}
SMALL = {"iterations": 5, "warm_up": 3, "batch": 2, "patch": 16, "lr": 1e-3, "warm_up_lr": 2e-3, "perceptual": "alex"}
ESRGAN = replace(REAL_ESRGAN, **SMALL, **UNET, ema=0.9)
REALSR = replace(REAL_SR, **SMALL, **VGG, milestones=(2,))
NAMES = ["L1 loss", "perceptual loss", "GAN loss", "discriminator loss (real)", "discriminator loss (made)"]


@pytest.fixture
def features():
    """A perceptual loss with random weights under the recipe's name."""
    torch.manual_seed(3)
    layers = nn.Sequential(nn.Conv2d(3, 6, 3), nn.ReLU(), nn.Conv2d(6, 6, 3))
    return PerceptualLoss(layers, {0: 0.1, 2: 1.0}, name="alex")


def generator():
    return build_network("RRDBNet", 4, 0, width=4, depth=1, growth=2)


def run(pictures, recipe, features, checkpoint=None, seed=0):
    network, history = train_adversarial(
        generator(), pictures.images, recipe, scale=4, seed=seed, perceptual=features, checkpoint=checkpoint
    )
    return network.state_dict(), history


def assert_same(first, second):
    assert first[1] == second[1]
    for name, weight in first[0].items():
        assert torch.equal(weight, second[0][name]), name


def crops(images, recipe, step):
    return CropBank(images).random_crops(recipe.batch, recipe.patch, generator_for(0, "batch", step))


@pytest.mark.parametrize("recipe", [ESRGAN, REALSR], ids=["Real-ESRGAN", "RealSR"])
def test_equals_the_references_loop(pictures, features, recipe):
    """Step by step as the references' optimize_parameters, with two trainings one after the other."""
    network = generator()
    judge = build_discriminator(recipe.discriminator, recipe.patch, 0, **recipe.discriminator_sizes)
    average = copy.deepcopy(network) if recipe.ema else None
    bce, l1 = nn.BCEWithLogitsLoss(), nn.L1Loss()
    sharpened = [sharpen(image) for image in pictures.images] if recipe.sharpen else pictures.images
    adam_d = torch.optim.Adam(judge.parameters(), 1e-3, recipe.betas)
    for step in range(recipe.warm_up + recipe.iterations):
        real8 = crops(pictures.images, recipe, step)
        real, lq = to_float(real8), to_float(low_resolution(real8, 4))
        target = to_float(crops(sharpened, recipe, step))
        if step in (0, recipe.warm_up):
            adam = torch.optim.Adam(network.parameters(), 2e-3 if step == 0 else 1e-3, recipe.betas)
        if step == recipe.warm_up + 2 and recipe.milestones:
            for group in adam.param_groups + adam_d.param_groups:
                group["lr"] *= 0.5
        made = network(lq)
        loss = l1(made, target)
        if step >= recipe.warm_up:
            loss = recipe.l1_weight * loss + recipe.perceptual_weight * features(made, target)
            if recipe.gan == "vanilla":
                verdict = judge(made)
                loss = loss + recipe.gan_weight * bce(verdict, torch.ones_like(verdict))
            else:
                fake, true = judge(made), judge(real).detach()
                pair = bce(true - fake.mean(), torch.zeros_like(true)) + bce(fake - true.mean(), torch.ones_like(fake))
                loss = loss + recipe.gan_weight * pair / 2
        adam.zero_grad()
        loss.backward()
        adam.step()
        if average is not None:
            for mean, weight in zip(average.parameters(), network.parameters(), strict=True):
                mean.data = weight.data.clone() if step == 0 else recipe.ema * mean.data + (1 - recipe.ema) * weight.data
        if step >= recipe.warm_up:
            adam_d.zero_grad()
            true, fake = judge(real), judge(made.detach())
            if recipe.gan == "vanilla":
                bce(true, torch.ones_like(true)).backward()
                bce(fake, torch.zeros_like(fake)).backward()
            else:
                pair = bce(true - fake.mean(), torch.ones_like(true)) + bce(fake - true.mean(), torch.zeros_like(fake))
                (pair / 2).backward()
            adam_d.step()
    found, _ = run(pictures, recipe, features)
    start = generator().state_dict()
    for name, weight in (average or network).state_dict().items():
        moved = (weight - start[name]).abs().max()
        assert moved > 1e-4, name
        assert torch.allclose(found[name], weight, atol=1e-2 * moved), name


def test_l1_alone_equals_the_usual_training(pictures):
    recipe = replace(ESRGAN, gan_weight=0.0, perceptual_weight=0.0, sharpen=False, warm_up=0, iterations=6)
    alone, history = run(pictures, recipe, None)
    usual, losses = train(generator(), pictures.images, Recipe(6, 2, 16, lr=1e-3, ema=0.9), scale=4, seed=0)
    assert history == {"L1 loss": losses}
    assert all(torch.equal(weight, alone[name]) for name, weight in usual.state_dict().items())


@pytest.mark.parametrize("changes", [{"gan_weight": 0.0}, {"perceptual_weight": 0.0}, {"l1_weight": 0.0}])
def test_a_loss_of_weight_zero_is_left_out(pictures, features, changes):
    _, history = run(pictures, replace(REALSR, **changes), features if "perceptual_weight" not in changes else None)
    left = {"gan_weight": NAMES[:2], "perceptual_weight": [NAMES[0], *NAMES[2:]], "l1_weight": NAMES}
    assert list(history) == left[next(iter(changes))]


@pytest.mark.parametrize("changes", [{}, {"precision": "bf16"}, {"channels_last": True}, {"gan": "relativistic"}])
def test_two_runs_agree_bit_for_bit(pictures, features, changes):
    first = run(pictures, replace(ESRGAN, **changes), features)
    torch.manual_seed(99)
    assert_same(first, run(pictures, replace(ESRGAN, **changes), features))


def test_another_seed_gives_another_result(pictures, features):
    assert run(pictures, ESRGAN, features)[1] != run(pictures, ESRGAN, features, seed=1)[1]


@pytest.mark.parametrize("every", [1, 2, 3])
@pytest.mark.parametrize("recipe", [ESRGAN, REALSR], ids=["Real-ESRGAN", "RealSR"])
def test_resumed_equals_uninterrupted(pictures, features, tmp_path, interrupt, recipe, every):
    whole = run(pictures, recipe, features)
    checkpoint = Checkpoint(tmp_path / "run.pt", "this run", every)
    for at in (2, 3, 4, 7):  # in the warm-up, at its end, and after it
        interrupt(resumable, at)
        with pytest.raises(KeyboardInterrupt):
            run(pictures, recipe, features, checkpoint)
    assert checkpoint.path.exists()
    interrupt(resumable, None)
    assert_same(whole, run(pictures, recipe, features, checkpoint))
    assert not checkpoint.path.exists()


def test_history_holds_means_over_fifty_steps(pictures, features):
    recipe = replace(REALSR, warm_up=30, iterations=40)
    _, history = run(pictures, recipe, features)
    assert list(history) == NAMES
    assert {name: len(values) for name, values in history.items()} == dict.fromkeys(NAMES, 2)
    _, short = run(pictures, replace(recipe, iterations=20), features)
    assert [values[0] for values in history.values()] == [values[0] for values in short.values()]


def test_result_is_in_evaluation_mode_and_the_average_is_another_network(pictures, features):
    for recipe in (REALSR, ESRGAN):
        network = generator()
        result, _ = train_adversarial(network, pictures.images, recipe, scale=4, seed=0, perceptual=features)
        assert not result.training and (result is network) == (not recipe.ema)


def test_the_loss_that_broke_first_is_named(pictures, features):
    features.features[2].weight.data[0, 0, 0, 0] = torch.nan
    with pytest.raises(Diverged, match="training: the perceptual loss became nan by step 8; lower the learning rate"):
        run(pictures, ESRGAN, features)


def test_rates_that_are_far_too_high_are_named(pictures, features):
    remedy = r"lower the learning rate \(0.001, in the warm-up 1e\+20\)"
    with pytest.raises(Diverged, match=f"became (nan|inf) by step 8; {remedy}"):
        run(pictures, replace(REALSR, warm_up_lr=1e20), features)


def test_meter_names_the_first_broken_loss():
    def message(broken):
        meter = LossMeter("run", "remedy")
        for step in range(50):
            values = {name: (torch.nan if step >= since else 1.0) for name, since in broken.items()}
            late = {} if step < 20 else {"late": torch.tensor(torch.inf if step >= 40 else 0.0)}
            with pytest.raises(Diverged) if step == 49 else torch.no_grad() as error:
                meter.add({name: torch.tensor(value) for name, value in values.items()} | late, step, False)
        return str(error.value)

    assert message({"a": 45, "b": 31}) == "run: the b became nan by step 50; remedy"
    assert message({"a": 45, "b": 60}) == "run: the late became inf by step 50; remedy"


@pytest.mark.parametrize(
    ("recipe", "scale", "message"),
    [
        (replace(ESRGAN, patch=20), 4, "multiple of 8 px, got 20 px"),
        (replace(REALSR, patch=24, discriminator_sizes={"stages": 4}), 4, "24 px is no multiple of 16 px"),
        (ESRGAN, 3, "scale 3 does not divide the training patch of 16 px"),
        (replace(ESRGAN, perceptual="squeeze"), 4, "asks for the perceptual loss 'squeeze', got 'alex'"),
    ],
)
def test_what_does_not_fit_together_is_refused(pictures, features, recipe, scale, message):
    with pytest.raises(ValueError, match=message):
        train_adversarial(generator(), pictures.images, recipe, scale=scale, seed=0, perceptual=features)


def test_patch_too_small_for_the_perceptual_loss_is_refused(pictures, features):
    features.smallest = 17
    with pytest.raises(ValueError, match="patch of 16 px is too small for the perceptual loss alex, which needs 17 px"):
        run(pictures, ESRGAN, features)


def test_pictures_that_do_not_fit_are_refused(pictures, features):
    with pytest.raises(PictureError, match="patch of 80 px does not fit a training picture of 72 px"):
        run(pictures, replace(ESRGAN, patch=80), features)
    with pytest.raises(PictureError, match="20 x 120 px is too small to sharpen"):
        train_adversarial(generator(), [pictures.images[0][:, :20]], ESRGAN, scale=4, seed=0, perceptual=features)
    with pytest.raises(PictureError, match="no pictures"):
        train_adversarial(generator(), [], ESRGAN, scale=4, seed=0, perceptual=features)


def test_missing_weights_are_reported_before_any_work(pictures, without_places, monkeypatch, tmp_path):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr(torch.hub, "_hub_dir", None)
    with pytest.raises(WeightsMissing, match="perceptual loss alex"):
        run(pictures, ESRGAN, None)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"gan": "wasserstein"}, "gan is 'wasserstein'; it can be vanilla, relativistic"),
        ({"perceptual": "resnet"}, "perceptual is 'resnet'; it can be vgg19, vgg19-conv5_4, alex, squeeze"),
        ({"discriminator": "Patch"}, "discriminator is 'Patch'; it can be UNet, VGG"),
        ({"precision": "fp16"}, "precision is 'fp16'; it can be fp32, bf16"),
        ({"iterations": 0}, "got 0, 16, 128 and 0"),
        ({"warm_up": -1}, "warm_up not negative, got 9, 16, 128 and -1"),
        ({"gan_weight": -0.1}, r"must not be negative, nor all of them 0, got \(1.0, 1.0, -0.1\)"),
        ({"gan_weight": 0.0, "l1_weight": 0.0, "perceptual_weight": 0.0}, "nor all of them 0"),
    ],
)
def test_wrong_values_of_a_recipe_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        AdversarialRecipe(**{"iterations": 9, **changes})


def test_presets_are_the_references():
    esrgan, realsr = REAL_ESRGAN, REAL_SR
    assert (esrgan.l1_weight, esrgan.perceptual_weight, esrgan.gan_weight, esrgan.gan) == (1, 1, 0.1, "vanilla")
    assert (esrgan.discriminator, esrgan.perceptual, esrgan.sharpen, esrgan.ema) == ("UNet", "vgg19", True, 0.999)
    assert (esrgan.batch, esrgan.patch, esrgan.lr, esrgan.betas) == (48, 256, 1e-4, (0.9, 0.99))
    assert (realsr.l1_weight, realsr.perceptual_weight, realsr.gan_weight, realsr.gan) == (0.01, 1, 0.005, "relativistic")
    assert (realsr.discriminator, realsr.perceptual, realsr.sharpen, realsr.ema) == ("VGG", "vgg19-conv5_4", False, 0)
    assert (realsr.batch, realsr.patch, realsr.lr, realsr.betas) == (16, 128, 1e-4, (0.9, 0.999))
    rates = [realsr.learning_rate(realsr.warm_up + step) for step in (0, 4_999, 5_000, 10_000, 20_000, 30_000, 60_000)]
    assert rates == pytest.approx([1e-4, 1e-4, 5e-5, 2.5e-5, 1.25e-5, 6.25e-6, 6.25e-6])
    assert realsr.learning_rate(realsr.warm_up - 1) == 2e-4
    assert esrgan.learning_rate(esrgan.steps - 1) == 1e-4


def test_a_perceptual_loss_of_the_judges_family_is_named():
    recipes = {"A": ESRGAN, "B": replace(ESRGAN, perceptual="vgg19"), "C": Recipe(1, 1, 4)}
    recipes["D"] = replace(ESRGAN, perceptual_weight=0.0)
    alex, vgg = (judged_by_its_own_loss(recipes, lpips) for lpips in ("alex", "vgg"))
    assert alex.startswith("LPIPS-alex flatters A (alex): ") and vgg.startswith("LPIPS-vgg flatters B (vgg19): ")
    assert judged_by_its_own_loss(recipes, "squeeze") == ""


def test_only_the_papers_own_protocol_is_judged_by_what_it_was_trained_on():
    said = {
        name: judged_by_its_own_loss(plan.recipes_x4, PROFILES[name].lpips) for name, plan in labelfree.PAPER.plans.items()
    }
    assert [name for name, words in said.items() if words] == ["paper"]
    assert "Real-ESRGAN (vgg19) and RealSR (vgg19-conv5_4)" in said["paper"]
