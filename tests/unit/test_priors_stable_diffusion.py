"""Stable Diffusion's autoencoder as a prior, on a tiny one with random weights in its layout."""

from dataclasses import replace

import pytest
import torch

from srdistill.images.torchvision_import import import_torchvision
from srdistill.priors.prior import Prior, PriorError
from srdistill.priors.stable_diffusion import SD_VAE, load_sd_vae
from srdistill.weights import WeightsMissing


@pytest.fixture
def tiny(tmp_path, monkeypatch):
    """The folder of the environment, and the model itself: three levels, so a factor of 4."""
    import_torchvision()
    from diffusers import AutoencoderKL

    monkeypatch.setenv("SRDISTILL_WEIGHTS", str(tmp_path))
    torch.manual_seed(0)
    model = AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * 3, up_block_types=("UpDecoderBlock2D",) * 3, block_out_channels=(8, 8, 8),
        norm_num_groups=4, layers_per_block=1,
    )  # fmt: skip
    model.save_pretrained(tmp_path / "sd-vae-ft-ema")
    return model.eval()


def test_codes_and_pictures_are_those_of_the_model(tiny):
    prior = load_sd_vae()
    assert isinstance(prior, Prior) and prior.name == "SD VAE (ema)" and not any(p.requires_grad for p in prior.parameters())
    images = torch.rand(2, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    codes = prior.encode(images)
    assert codes.shape == (2, *prior.code_shape(16)) == (2, 4, 4, 4)
    with torch.no_grad():
        mean = tiny.encode(images * 2 - 1).latent_dist.mean
        assert (codes - 0.18215 * mean).abs().max() < 1e-5
        assert (prior.decode(codes) - (tiny.decode(mean).sample + 1) / 2).abs().max() < 1e-4
    assert prior.bytes == 4 * sum(p.numel() for part in (tiny.decoder, tiny.post_quant_conv) for p in part.parameters())


def test_pictures_have_gradients_with_respect_to_codes(tiny):
    codes = torch.randn(1, 4, 2, 2, generator=torch.Generator().manual_seed(0), requires_grad=True)
    (gradient,) = torch.autograd.grad(load_sd_vae().decode(codes).square().sum(), codes)
    assert gradient.isfinite().all() and gradient.abs().max() > 0


def test_other_weights_are_refused(tiny, tmp_path):
    folder = tmp_path / "sd-vae-ft-ema"
    config = (folder / "config.json").read_text()
    (folder / "config.json").write_text(config.replace('"latent_channels": 4', '"latent_channels": 5'))
    with pytest.raises(PriorError, match="sd-vae-ft-ema: weights that do not fit AutoencoderKL"):
        load_sd_vae()
    (folder / "config.json").write_text(config.replace('"use_quant_conv": true', '"use_quant_conv": false'))
    with pytest.raises(PriorError, match="without quantisation layers is not Stable Diffusion 1's"):
        load_sd_vae()


def test_missing_ones_say_where_and_how(tiny, tmp_path, monkeypatch):
    monkeypatch.setitem(SD_VAE, "mse", replace(SD_VAE["mse"], repository="nobody/nothing"))
    with pytest.raises(WeightsMissing) as error:
        load_sd_vae("mse")
    for part in ("nobody/nothing", "31f26fde", str(tmp_path / "sd-vae-ft-mse"), "download=True"):
        assert part in str(error.value)
    with pytest.raises(ValueError, match="unknown variant 'big'.*ema, mse"):
        load_sd_vae("big")


def test_revisions_are_pinned():
    assert {model.repository: len(model.revision) for model in SD_VAE.values()} == {
        "stabilityai/sd-vae-ft-ema": 40,
        "stabilityai/sd-vae-ft-mse": 40,
    }
