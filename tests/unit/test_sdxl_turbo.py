"""SDXL-Turbo's engine on a tiny random pipeline: diffusers' own code runs, against the sampler written out."""

import math
import warnings

import pytest
import torch

from srdistill.diffusion import sdxl_turbo
from srdistill.diffusion.engine import Engine, EngineError, expand
from srdistill.diffusion.sampling import SamplingError
from srdistill.diffusion.schedule import StrengthError
from srdistill.diffusion.sdxl_turbo import REVISION, SDXLTurboEngine, load_pipeline
from srdistill.diffusion.tiny_sdxl import tiny_sdxl
from srdistill.images.pictures import PictureError, to_float, to_uint8
from srdistill.images.resize import resize
from srdistill.weights import WeightsMissing

NAMES, SIZE = ("astronaut", "flower", "motorcycle"), 16


@pytest.fixture(scope="module")
def pipeline():
    return tiny_sdxl()


@pytest.fixture(scope="module")
def patches(pictures):
    """Six patches of 8 px and their classes."""
    cuts = [image[:, y : y + 8, y : y + 8] for y in (10, 40) for image in pictures.images]
    return torch.stack(cuts), torch.arange(6) % 3


@pytest.fixture(scope="module")
def engine(pipeline):
    return SDXLTurboEngine(NAMES, pipeline=pipeline, working_size=SIZE)


def seeds(count, first=50):
    return list(range(first, first + count))


def plain(pipeline, image, name, seed, rho):
    """One picture, the ancestral Euler steps written out."""
    with torch.no_grad():
        text, _, pooled, _ = pipeline.encode_prompt(f"A photo of {name}", do_classifier_free_guidance=False)
        large = resize(to_float(image[None]), (SIZE, SIZE)).clamp(0, 1)
        clean = pipeline.vae.encode(large * 2 - 1).latent_dist.mode() * pipeline.vae.config.scaling_factor
        abar = pipeline.scheduler.alphas_cumprod.double()
        times = [999, 799, 599, 399, 199][5 - int(5 * rho) :]
        sigmas = [float(((1 - abar[t]) / abar[t]) ** 0.5) for t in times] + [0.0]
        draws = torch.Generator().manual_seed(seed)
        sample = clean + sigmas[0] * torch.randn(clean.shape, generator=draws)
        known = {"text_embeds": pooled, "time_ids": torch.tensor([[SIZE, SIZE, 0, 0, SIZE, SIZE]], dtype=torch.float32)}
        for t, here, there in zip(times, sigmas, sigmas[1:], strict=False):
            noise = pipeline.unet(
                sample / (here**2 + 1) ** 0.5, torch.tensor(float(t)), encoder_hidden_states=text, added_cond_kwargs=known
            ).sample
            up = (there**2 * (here**2 - there**2) / here**2) ** 0.5
            down = (there**2 - up**2) ** 0.5
            sample = sample + (down - here) * noise + up * torch.randn(clean.shape, generator=draws)
        return to_uint8((pipeline.vae.decode(sample / pipeline.vae.config.scaling_factor).sample + 1) / 2)[0]


@pytest.mark.parametrize("rho", [0.2, 0.5, 0.8, 1.0])
def test_is_the_sampler_written_out(pipeline, engine, patches, rho):
    images, labels = patches
    made = expand(engine, images, labels, seeds(6), rho=rho, size=SIZE)
    assert made.dtype == torch.uint8 and made.shape == (6, 3, SIZE, SIZE) and made.float().std() > 5
    for index in range(6):
        alone = plain(pipeline, images[index], NAMES[labels[index]], seeds(6)[index], rho)
        assert (made[index].int() - alone.int()).abs().max() <= 1


def test_a_picture_does_not_depend_on_its_batch(engine, patches):
    images, labels = patches
    whole = expand(engine, images, labels, seeds(6), rho=0.8, size=SIZE, batch=6)
    for batch in (1, 4):
        assert (expand(engine, images, labels, seeds(6), rho=0.8, size=SIZE, batch=batch).int() - whole.int()).abs().max() <= 1
    turned = expand(engine, images.flip(0), labels.flip(0), seeds(6)[::-1], rho=0.8, size=SIZE, batch=3).flip(0)
    assert (whole.int() - turned.int()).abs().max() <= 1
    assert not torch.equal(whole, expand(engine, images, labels, seeds(6, 1), rho=0.8, size=SIZE))


def test_class_and_size(engine, patches):
    images, labels = patches
    assert isinstance(engine, Engine) and engine.bytes > 100_000
    alone = engine.denoise(None, labels, seeds(6), rho=1.0, size=SIZE)
    other = engine.denoise(None, (labels + 1) % 3, seeds(6), rho=1.0, size=SIZE)
    assert not torch.equal(alone, other)
    whole = expand(engine, images, labels, seeds(6), rho=0.8, size=SIZE)
    assert torch.equal(expand(engine, images, labels, seeds(6), rho=0.8, size=12), to_uint8(resize(to_float(whole), (12, 12))))
    assert engine.denoise(None, labels[:0], [], rho=1.0, size=12).shape == (0, 3, 12, 12)


def overflowing(force_upcast):
    """A pipeline whose decoder passes float16's largest number half-way, as SDXL's does."""
    pipeline = tiny_sdxl()
    pipeline.vae.register_to_config(force_upcast=force_upcast)
    with torch.no_grad():
        pipeline.vae.decoder.conv_in.weight.mul_(60000)  # the normalisation after it undoes the factor
        pipeline.vae.decoder.conv_in.bias.mul_(60000)
    return pipeline


@pytest.mark.parametrize("force_upcast, repeated", [(True, 0), (False, 6)])
def test_half_precision_loses_no_picture(patches, force_upcast, repeated):
    images, labels = patches
    half = SDXLTurboEngine(NAMES, pipeline=overflowing(force_upcast), working_size=SIZE, dtype=torch.float16)
    made = expand(half, images, labels, seeds(6), rho=0.4, size=SIZE)
    assert half.repeated_in_fp32 == repeated and made.float().flatten(1).std(1).min() > 5
    assert half._ready().unet.dtype == torch.float16
    assert half._ready().vae.dtype == (torch.float32 if force_upcast else torch.float16)


def test_pictures_that_are_lost_for_good_are_an_error(patches):
    images, labels = patches
    pipeline = tiny_sdxl()
    sick = SDXLTurboEngine(NAMES, pipeline=pipeline, working_size=SIZE)
    latents = sick.encode(images)
    with torch.no_grad():
        pipeline.vae.decoder.conv_out.bias[0] = math.nan
    with pytest.raises(SamplingError, match="decodes picture 0 to NaN or infinity"):
        sick.denoise(latents, labels, seeds(6), rho=0.4, size=SIZE)
    with torch.no_grad():
        pipeline.unet.conv_out.bias[0] = math.nan
    with pytest.raises(SamplingError, match="6 of 6 latents hold NaN .* torch.float32, first picture 0 .class 'astronaut'"):
        sick.denoise(latents, labels, seeds(6), rho=0.4, size=SIZE)
    with torch.no_grad():
        pipeline.vae.quant_conv.bias[0] = math.nan
    with pytest.raises(SamplingError, match="the code of patch 0 holds NaN"):
        sick.encode(images)


def test_impossible_requests_are_refused(engine, patches):
    images, labels = patches
    with pytest.raises(StrengthError, match="rho 0.1 of 5 steps is"):
        expand(engine, images, labels, seeds(6), rho=0.1, size=SIZE)
    with pytest.raises(StrengthError, match="without a patch .* rho is 1, got 0.8"):
        engine.denoise(None, labels, seeds(6), rho=0.8, size=SIZE)
    with pytest.raises(EngineError, match=r"labels lie in 1\.\.3, but the engine has 3 class names"):
        expand(engine, images, labels + 1, seeds(6), rho=0.8, size=SIZE)
    with pytest.raises(PictureError, match="square uint8"):
        expand(engine, images / 255.0, labels, seeds(6), rho=0.8, size=SIZE)
    with pytest.raises(ValueError, match="no class names"):
        SDXLTurboEngine((), pipeline=None)


def test_weights_are_looked_for_when_a_picture_is_asked_for(without_places, monkeypatch, patches):
    monkeypatch.setattr(sdxl_turbo, "REPOSITORY", "nobody/nothing")
    missing = SDXLTurboEngine(NAMES)  # nothing is read yet
    with pytest.raises(WeightsMissing) as error:
        missing.encode(patches[0])
    for part in ("SDXL-Turbo", "nobody/nothing", REVISION[:8], "SRDISTILL_WEIGHTS", "sdxl-turbo/", "download=True"):
        assert part in str(error.value)
    assert len(REVISION) == 40


def test_no_network_is_reported(without_places, monkeypatch):
    import huggingface_hub

    def offline(*_, **__):
        raise ConnectionError("no route to host")

    monkeypatch.setattr(sdxl_turbo, "REPOSITORY", "nobody/nothing")
    monkeypatch.setattr(huggingface_hub.HfApi, "model_info", offline)
    monkeypatch.setattr("diffusers.pipelines.pipeline_utils.model_info", offline)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with pytest.raises(WeightsMissing, match="no weights of SDXL-Turbo .nobody/nothing, revision 71153311"):
            load_pipeline(download=True)


def test_a_folder_is_read_and_a_damaged_one_named(pipeline, tmp_path, monkeypatch, patches):
    folder = tmp_path / "sdxl-turbo"
    pipeline.save_pretrained(folder)
    monkeypatch.setenv("SRDISTILL_WEIGHTS", str(tmp_path))
    images, labels = patches
    read = SDXLTurboEngine(NAMES, working_size=SIZE)
    given = SDXLTurboEngine(NAMES, pipeline=pipeline, working_size=SIZE)
    made = [expand(one, images, labels, seeds(6), rho=0.6, size=SIZE) for one in (read, given)]
    assert torch.equal(*made)
    (folder / "unet" / "diffusion_pytorch_model.safetensors").write_bytes(b"cut off")
    with pytest.raises(EngineError, match="sdxl-turbo: "):
        load_pipeline()
    (folder / "unet" / "diffusion_pytorch_model.safetensors").unlink()
    with pytest.raises(EngineError, match="no readable weights of SDXL-Turbo"):
        load_pipeline()
    with pytest.raises(WeightsMissing, match="no model_index.json in .*empty; give a folder in diffusers' layout"):
        load_pipeline(tmp_path / "empty")
