"""The autoencoder trained here: it learns, two runs agree, resumed equals uninterrupted, and failures are named."""

import copy
import math
import subprocess
import sys

import pytest
import torch

from srdistill.images.pictures import PictureError, Pictures, to_float
from srdistill.measures.metrics import psnr
from srdistill.priors.autoencoder import AutoencoderRecipe, load_autoencoder, train_autoencoder
from srdistill.priors.prior import Prior, PriorError
from srdistill.seeds import generator_for
from srdistill.training import resumable
from srdistill.training.checkpoint import Checkpoint
from srdistill.training.loop import Diverged


def train(pictures, seed=0, checkpoint=None, **changes):
    recipe = AutoencoderRecipe(**{"channels": 6, "width": 8, "iterations": 20, "batch": 2, "patch": 16} | changes)
    return train_autoencoder(pictures, generator=torch.Generator().manual_seed(seed), recipe=recipe, checkpoint=checkpoint)


@pytest.fixture(scope="module")
def prior(pictures):
    return train(pictures)


@pytest.fixture(scope="module")
def images(pictures):
    return torch.stack([to_float(image[:, :64, :64]) for image in pictures.images])


def same(first, second):
    state = second.state_dict()
    return all(torch.equal(weight, state[name]) for name, weight in first.state_dict().items())


def test_offers_what_a_prior_offers_and_comes_frozen(prior):
    assert isinstance(prior, Prior) and isinstance(prior, torch.nn.Module)
    assert not prior.training and not any(p.requires_grad for p in prior.parameters())
    assert prior.name == "AE /4 x6"
    assert prior.bytes == 4 * sum(p.numel() for p in prior.decoder.parameters())


def test_codes_have_the_stated_shape_and_come_without_gradient(prior, images):
    codes = prior.encode(images)
    assert codes.shape == (3, *prior.code_shape(64)) == (3, 6, 16, 16)
    assert not codes.requires_grad and not codes.is_inference()
    assert prior.decode(codes).shape == images.shape and prior.decode(codes).dtype == torch.float32


def test_pictures_need_not_be_square(prior):
    assert prior.decode(prior.encode(torch.rand(1, 3, 16, 24))).shape == (1, 3, 16, 24)


def test_gradient_of_a_code_agrees_with_finite_differences(prior):
    double = copy.deepcopy(prior).double()
    codes = torch.randn(1, 6, 2, 2, generator=generator_for(0, "codes"), dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(double.decode, (codes,), fast_mode=True)


def test_it_learns_the_pictures_in_a_few_steps(train_photos, images):
    trained = train(train_photos, channels=8, width=16, iterations=200, batch=4, lr=3e-3)
    untrained = train(train_photos, channels=8, width=16, iterations=1)
    gain = psnr(trained.decode(trained.encode(images)), images) - psnr(untrained.decode(untrained.encode(images)), images)
    assert gain.min() > 2 and gain.mean() > 4
    assert len(trained.history) == 4 and trained.history[-1] < trained.history[0] / 2


def test_two_runs_agree_and_another_seed_differs(pictures, prior):
    torch.rand(7)
    assert same(train(pictures), prior)
    assert not same(train(pictures, seed=1), prior)


def test_global_generator_is_left_alone(pictures):
    before = torch.get_rng_state()
    train(pictures, iterations=1)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("stop", [7, 19])
def test_resumed_equals_uninterrupted(pictures, prior, interrupt, tmp_path, stop):
    checkpoint = Checkpoint(tmp_path / "ae.pt", "me", every=3)
    interrupt(resumable, stop)
    with pytest.raises(KeyboardInterrupt):
        train(pictures, checkpoint=checkpoint)
    assert checkpoint.path.exists()
    interrupt(resumable, None)
    resumed = train(pictures, checkpoint=checkpoint)
    assert same(resumed, prior) and resumed.history == prior.history
    assert not checkpoint.path.exists()


@pytest.mark.parametrize("iterations", [1, 20])
def test_divergence_is_named(pictures, iterations):
    with pytest.raises(Diverged, match=r"the autoencoder: .*lower lr \(inf\)"):
        train(pictures, iterations=iterations, lr=math.inf)


def test_saved_and_loaded_it_is_the_same(prior, images, tmp_path):
    prior.save(tmp_path / "ae.safetensors")
    loaded = load_autoencoder(tmp_path / "ae.safetensors")
    assert same(loaded, prior) and (loaded.name, loaded.bytes, loaded.history) == (prior.name, prior.bytes, prior.history)
    assert torch.equal(loaded.decode(loaded.encode(images)), prior.decode(prior.encode(images)))


def test_files_of_something_else_are_refused(prior, tmp_path):
    prior.save(tmp_path / "ae.safetensors")
    content = (tmp_path / "ae.safetensors").read_bytes()
    (tmp_path / "cut").write_bytes(content[: len(content) // 2])
    (tmp_path / "wider").write_bytes(content.replace(b'\\"width\\": 8', b'\\"width\\": 9'))
    assert (tmp_path / "wider").read_bytes() != content
    for name in ("cut", "wider", "absent"):
        with pytest.raises(PriorError, match=f"{name}: not an autoencoder saved here.*train it again"):
            load_autoencoder(tmp_path / name)


def test_sizes_that_do_not_fit_are_named_with_those_that_do(prior):
    with pytest.raises(PriorError, match="factor 4 does not divide 63 px; use 60 or 64 px"):
        prior.check_size(63)
    with pytest.raises(PriorError, match="2 px is smaller than its 4 px"):
        prior.code_shape(2)
    with pytest.raises(PriorError, match="does not divide 18 px"):
        prior.encode(torch.rand(1, 3, 16, 18))


@pytest.mark.parametrize("shape", [(6, 4, 4), (1, 5, 4, 4), (2, 96), (1, 6, 0, 4)])
def test_codes_of_another_shape_are_refused(prior, shape):
    with pytest.raises(PriorError, match=r"codes are float \(N, 6, h, w\), e.g. \(N, 6, 16, 16\) for 64 px, got .*code_shape"):
        prior.decode(torch.zeros(shape))


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_codes_that_are_not_finite_are_named(prior, value):
    codes = torch.zeros(3, 6, 4, 4)
    codes[1, 2, 3, 0] = value
    with pytest.raises(PriorError, match=rf"1 of 3 codes .*\(code 1: {value}\); lower the learning rate"):
        prior.decode(codes)


def test_pictures_out_of_range_are_refused(prior):
    with pytest.raises(PriorError, match=r"in \[0, 1\], got values in \[-1, 1\]"):
        prior.encode(torch.linspace(-1, 1, 48).view(1, 3, 4, 4))
    with pytest.raises(PriorError, match="nan"):
        prior.encode(torch.full((1, 3, 4, 4), math.nan))
    with pytest.raises(PriorError, match=r"torch.uint8 \(1, 3, 4, 4\); convert uint8 with to_float"):
        prior.encode(torch.zeros(1, 3, 4, 4, dtype=torch.uint8))


def test_settings_that_cannot_work_are_named(pictures):
    with pytest.raises(ValueError, match="power of two, 2 or more, got 3"):
        train(pictures, factor=3)
    with pytest.raises(ValueError, match="factor 4 does not divide 18 px"):
        train(pictures, patch=18)
    with pytest.raises(ValueError, match="iterations and batch must be 1 or more, got 0"):
        train(pictures, iterations=0)
    with pytest.raises(ValueError, match="channels, width and blocks"):
        train(pictures, channels=0)
    with pytest.raises(ValueError, match="lr must be above 0, got nan"):
        train(pictures, lr=math.nan)


def test_pictures_too_small_or_none_are_named(pictures):
    with pytest.raises(PictureError, match="motorcycle_left: 104 x 72 px is smaller than .* 76 px"):
        train(pictures, patch=76)
    with pytest.raises(PictureError, match="no pictures to train the autoencoder on"):
        train(Pictures((), ()))


def test_importing_the_priors_imports_neither_diffusers_nor_torchvision():
    modules = "autoencoder, srdistill.priors.tiny_autoencoder, srdistill.priors.stylegan_xl"
    code = f"import srdistill.priors.{modules}, sys; print(sorted({{'torchvision', 'diffusers'}} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
