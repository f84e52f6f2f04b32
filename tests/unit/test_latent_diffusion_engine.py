"""The small engine: against diffusers' DDIM step by step; a picture's noise comes from its own seed."""

import math

import pytest
import torch
from tiny_dit import SIZE, real_patches, tiny_dit
from tiny_prior import TinyPrior

from srdistill.diffusion.dit import DiTError
from srdistill.diffusion.engine import Engine, EngineError, expand, interpolated
from srdistill.diffusion.latent_engine import LatentDiffusionEngine
from srdistill.diffusion.sampling import SamplingError
from srdistill.diffusion.schedule import NoiseSchedule, StrengthError, trailing_times, turbo_abar
from srdistill.images.pictures import PictureError, to_float, to_uint8
from srdistill.images.resize import resize


def engine(prior=None, **settings):
    model = tiny_dit()
    model.normalise_for(torch.randn(50, 6, 8, 8, generator=torch.Generator().manual_seed(1)) * 0.4 + 0.1)
    return LatentDiffusionEngine(model, prior or TinyPrior(), **({"working_size": SIZE} | settings))


@pytest.fixture(scope="module")
def patches(pictures):
    """Twelve patches of 8 px, half the side of the pictures, and their classes."""
    images, labels = real_patches(pictures)
    return images[..., 4:12, 4:12].contiguous(), labels


def seeds(count, first=100):
    return list(range(first, first + count))


def test_is_an_engine():
    made = engine()
    assert isinstance(made, Engine) and made.bytes == made.model.bytes + made.prior.bytes
    assert "tiny" in made.name and made.steps == 5


@pytest.mark.parametrize("ancestral", [False, True])
@pytest.mark.parametrize("rho", [0.2, 0.6, 1.0])
@pytest.mark.parametrize("guidance", [1.0, 2.0])
def test_steps_are_diffusers_ddim(patches, ancestral, rho, guidance):
    from diffusers import DDIMScheduler

    images, labels = patches[0][:3], patches[1][:3]
    ours = engine(ancestral=ancestral, guidance=guidance, clip=1e9)
    # At the times of the model's own schedule, the only ones that diffusers' scheduler can be at.
    ours.times = trailing_times(5)
    ours.abar = [*NoiseSchedule().abar(torch.tensor(ours.times)).tolist(), 1.0]
    scheduler = DDIMScheduler(
        beta_start=1e-4, beta_end=2e-2, beta_schedule="linear", clip_sample=False, timestep_spacing="trailing"
    )
    scheduler.set_timesteps(5)
    times = scheduler.timesteps[5 - int(5 * rho) :]
    assert [int(t) for t in times] == ours.times[5 - int(5 * rho) :]
    draws = [torch.Generator().manual_seed(seed) for seed in seeds(3)]

    def noise():
        return torch.stack([torch.randn(6, 8, 8, generator=one) for one in draws])

    codes = ours.prior.encode(resize(to_float(images), (SIZE, SIZE)).clamp(0, 1))
    latents = (codes - ours.model.mean) / ours.model.std
    latents = scheduler.add_noise(latents, noise(), times[:1].repeat(3))
    with torch.no_grad():
        for index, t in enumerate(times):
            found = ours.model(latents, t.repeat(3), labels)
            if guidance != 1:
                null = ours.model(latents, t.repeat(3), torch.full((3,), ours.model.null_label))
                found = null + guidance * (found - null)
            last = index == len(times) - 1
            fresh = {"eta": 1.0, "variance_noise": torch.zeros(1) if last else noise()} if ancestral else {}
            latents = scheduler.step(found, t, latents, **fresh).prev_sample
        expected = to_uint8(ours.prior.decode(latents * ours.model.std + ours.model.mean))
    made = expand(ours, images, labels, seeds(3), rho=rho, size=SIZE)
    assert (made.int() - expected.int()).abs().max() <= 1


def test_levels_are_those_of_turbo():
    found = engine()
    assert torch.allclose(torch.tensor(found.abar[:5]), turbo_abar()[[999, 799, 599, 399, 199]].float(), rtol=0.02)
    assert found.times[0] < 999 and found.times == sorted(found.times, reverse=True)


def test_a_picture_does_not_depend_on_its_batch(patches):
    images, labels = patches
    for rho in (0.4, 1.0):
        whole = expand(engine(), images, labels, seeds(12), rho=rho, size=SIZE, batch=12)
        for batch in (1, 5):
            other = expand(engine(), images, labels, seeds(12), rho=rho, size=SIZE, batch=batch)
            assert (whole.int() - other.int()).abs().max() <= 1
        turned = expand(engine(), images.flip(0), labels.flip(0), seeds(12)[::-1], rho=rho, size=SIZE, batch=4).flip(0)
        assert (whole.int() - turned.int()).abs().max() <= 1


def test_seeds_and_rho_matter(patches):
    images, labels = patches
    one = expand(engine(), images, labels, seeds(12), rho=0.6, size=SIZE)
    assert torch.equal(one, expand(engine(), images, labels, seeds(12), rho=0.7, size=SIZE))  # one setting
    assert not torch.equal(one, expand(engine(), images, labels, seeds(12, 7), rho=0.6, size=SIZE))
    assert not torch.equal(one, expand(engine(), images, labels, seeds(12), rho=0.8, size=SIZE))


def test_without_a_patch_only_noise_and_class_count(patches):
    labels = patches[1]
    made = engine().denoise(None, labels, seeds(12), rho=1.0, size=SIZE)
    assert made.shape == (12, 3, SIZE, SIZE) and made.dtype == torch.uint8
    assert not torch.equal(made, engine().denoise(None, (labels + 1) % 3, seeds(12), rho=1.0, size=SIZE))
    with pytest.raises(StrengthError, match="without a patch there is nothing to keep: rho is 1, got 0.8"):
        engine().denoise(None, labels, seeds(12), rho=0.8, size=SIZE)


def test_other_sizes_are_resized_and_none_is_none(patches):
    images, labels = patches[0][:2], patches[1][:2]
    whole = expand(engine(), images, labels, seeds(2), rho=0.6, size=SIZE)
    large = expand(engine(), images, labels, seeds(2), rho=0.6, size=24)
    assert torch.equal(large, to_uint8(resize(to_float(whole), (24, 24))))
    assert expand(engine(), images[:0], labels[:0], [], rho=0.6, size=24).shape == (0, 3, 24, 24)


def test_patches_are_enlarged_bicubically(patches):
    images = patches[0]
    assert torch.equal(interpolated(images, 16), resize(to_float(images), (16, 16)).clamp(0, 1))


class Overflowing(TinyPrior):
    """Loses what it decodes in half precision."""

    def decode(self, codes):
        found = super().decode(codes)
        return found * math.nan if codes.dtype == torch.bfloat16 else found


def test_pictures_lost_in_half_precision_are_decoded_again(patches):
    images, labels = patches
    made = engine(Overflowing().bfloat16())
    pictures = expand(made, images, labels, seeds(12), rho=0.6, size=SIZE)
    assert made.repeated_in_fp32 == 12
    plain = expand(engine(), images, labels, seeds(12), rho=0.6, size=SIZE)
    assert (pictures.float() - plain.float()).abs().mean() < 4  # the patch was encoded in half precision


class Broken(TinyPrior):
    def decode(self, codes):
        return super().decode(codes) * math.nan


def test_pictures_that_stay_broken_are_an_error(patches):
    with pytest.raises(SamplingError, match="tiny decodes picture 0 to NaN or infinity"):
        expand(engine(Broken()), *patches, seeds(12), rho=0.6, size=SIZE)
    sick = engine()
    with torch.no_grad():
        sick.model.label_table[1] = math.nan
    with pytest.raises(SamplingError, match="4 of 12 latents hold NaN or infinity, first picture 1 .class 1.; train the model"):
        expand(sick, *patches, seeds(12), rho=0.6, size=SIZE)


class Careless:
    """Another engine, which returns what it likes."""

    name, bytes, steps = "careless", 0, 5

    def __init__(self, pictures):
        self.pictures = pictures

    def encode(self, patches):
        return patches.float()

    def denoise(self, latents, labels, seeds, *, rho, size):
        return self.pictures


def test_what_an_engine_returns_is_checked(patches):
    images, labels = patches[0][:2], patches[1][:2]
    lost = torch.zeros(2, 3, 16, 16)
    lost[1] = math.nan
    with pytest.raises(EngineError, match="careless: picture 1 .class 1. holds NaN or infinity"):
        expand(Careless(lost), images, labels, [1, 2], rho=0.5, size=16)
    with pytest.raises(EngineError, match=r"gives uint8 \(2, 3, 16, 16\), got torch.uint8 \(2, 3, 8, 8\)"):
        expand(Careless(torch.zeros(2, 3, 8, 8, dtype=torch.uint8)), images, labels, [1, 2], rho=0.5, size=16)


def test_impossible_requests_are_refused(patches):
    images, labels = patches
    for settings, error, message in [
        ({"rho": 0.1}, StrengthError, "rho 0.1 of 5 steps is .* = 0 steps"),
        ({"rho": 1.5}, StrengthError, r"in \(0, 1\], got 1.5"),
        ({"batch": 0}, ValueError, "batch must be 1 or more, got 0"),
    ]:
        with pytest.raises(error, match=message):
            expand(engine(), images, labels, seeds(12), **({"rho": 0.6, "size": SIZE} | settings))
    with pytest.raises(ValueError, match="12 pictures need a label and a seed each, got 12 labels and 3 seeds"):
        expand(engine(), images, labels, seeds(3), rho=0.6, size=SIZE)
    with pytest.raises(DiTError, match=r"labels in 0\.\.3, but it has classes 0\.\.2"):
        expand(engine(), images, (labels + (labels == 2)), seeds(12), rho=0.6, size=SIZE)
    with pytest.raises(PictureError, match="square uint8 .* got torch.float32"):
        expand(engine(), images / 255.0, labels, seeds(12), rho=0.6, size=SIZE)


def test_impossible_engines_are_refused():
    for settings, error, message in [
        ({"working_size": 32}, DiTError, "codes of tiny for pictures of 32 px"),
        ({"clip": 0}, ValueError, "clip must be above 0 .* got 0"),
        ({"steps": 0}, StrengthError, "1 to 1000 steps, got 0"),
    ]:
        with pytest.raises(error, match=message):
            engine(**settings)
