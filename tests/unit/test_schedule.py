"""The noise schedule: against diffusers' own, against closed forms one value at a time, the sampler, and which rho are
different settings: against diffusers' own scheduler and image-to-image pipeline."""

import math

import pytest
import torch
from scipy.stats import norm

from srdistill.diffusion.schedule import (
    NoiseSchedule,
    StrengthError,
    denoising_steps,
    distinct_settings,
    sampling_scheduler,
    trailing_times,
    turbo_abar,
)
from srdistill.diffusion.tiny_sdxl import tiny_sdxl


@pytest.fixture(scope="module")
def schedule():
    return NoiseSchedule()


@pytest.fixture(scope="module")
def batch():
    draws = torch.Generator().manual_seed(0)
    clean, noise = torch.randn(2, 5, 3, 4, 4, generator=draws)
    return clean * 0.5, noise, torch.tensor([0, 1, 37, 500, 999])


def test_what_is_left_of_the_signal_is_the_known_share(schedule):
    left = schedule.abar(torch.tensor([100, 250, 500, 700, 999]))
    assert [round(value, 3) for value in left[:4].tolist()] == [0.895, 0.521, 0.078, 0.007]
    assert 1 / math.sqrt(left[4]) == pytest.approx(157, abs=1)


def test_noise_is_added_as_diffusers_does_and_taken_off_again(schedule, batch):
    clean, noise, t = batch
    noisy = schedule.add_noise(clean, noise, t)
    assert (noisy - sampling_scheduler(50).add_noise(clean, noise, t)).abs().max() < 1e-5
    error = (schedule.predicted_clean(noisy, noise, t) - clean).abs().flatten(1).amax(1)
    assert error[:4].max() < 1e-5 and error[4] < 1e-3


def test_variational_term_is_the_closed_form_value_by_value(schedule, batch):
    clean, noise, t = batch
    noisy = schedule.add_noise(clean, noise, t)
    draws = torch.Generator().manual_seed(1)
    output = torch.cat(
        [noise + 0.3 * torch.randn(noise.shape, generator=draws), torch.randn(noise.shape, generator=draws)], dim=1
    )
    betas = [1e-4 + (2e-2 - 1e-4) * k / 999 for k in range(1000)]
    abars = [1.0]
    for beta in betas:
        abars.append(abars[-1] * (1 - beta))
    expected = []
    for index, step in enumerate(t.tolist()):
        beta, abar, before = betas[step], abars[step + 1], abars[step]
        variance = betas[max(step, 1)] * (1 - abars[max(step, 1)]) / (1 - abars[max(step, 1) + 1])
        bits = []
        for c in range(3):
            for y in range(4):
                for x in range(4):
                    z0, zt = float(clean[index, c, y, x]), float(noisy[index, c, y, x])
                    guess = zt / math.sqrt(abar) - math.sqrt(1 / abar - 1) * float(output[index, c, y, x])
                    share = (float(output[index, 3 + c, y, x]) + 1) / 2
                    ours = math.exp(share * math.log(beta) + (1 - share) * math.log(variance))

                    def back(z, zt=zt, beta=beta, abar=abar, before=before):
                        return (math.sqrt(before) * beta * z + math.sqrt(1 - beta) * (1 - before) * zt) / (1 - abar)

                    if step == 0:
                        low, high = z0 - 1 / 255, z0 + 1 / 255
                        low, high = (-math.inf, high) if z0 < -0.999 else (low, math.inf) if z0 > 0.999 else (low, high)
                        inside = norm.cdf(high, back(guess), math.sqrt(ours)) - norm.cdf(low, back(guess), math.sqrt(ours))
                        bits.append(-math.log2(max(inside, 1e-12)))
                    else:
                        ratio = variance / ours
                        gap = (back(z0) - back(guess)) ** 2 / ours
                        bits.append(0.5 * (ratio + gap - 1 - math.log(ratio)) / math.log(2))
        expected.append(sum(bits) / len(bits))
    found = schedule.variational(output, clean, noisy, t)
    assert found.tolist() == pytest.approx(expected, rel=2e-3, abs=1e-4)


def test_only_the_variance_learns_from_the_variational_term(schedule, batch):
    clean, noise, t = batch
    output = torch.cat([noise * 0.9, torch.zeros_like(noise)], dim=1).requires_grad_()
    value = schedule.variational(output, clean, schedule.add_noise(clean, noise, t), t)
    (gradient,) = torch.autograd.grad(value.sum(), output)
    assert torch.equal(gradient[:, :3], torch.zeros_like(noise)) and gradient[:, 3:].abs().amax((1, 2, 3)).min() > 0


def test_fifty_respaced_steps_are_those_of_dit():
    times = sampling_scheduler(50).timesteps.tolist()
    assert times == [round(999 * k / 49) for k in range(49, -1, -1)]


@pytest.mark.parametrize("learned", [False, True])
def test_the_sampler_ends_at_the_picture_of_a_perfect_model(schedule, batch, learned):
    clean = batch[0][:1]
    scheduler = sampling_scheduler(50, learned)
    latents = torch.randn(clean.shape, generator=torch.Generator().manual_seed(0))
    draws = torch.Generator().manual_seed(1)
    for t in scheduler.timesteps:
        abar = schedule.abar(t[None])[:, None, None, None]
        noise = (latents - abar.sqrt() * clean) / (1 - abar).sqrt()
        output = torch.cat([noise, torch.zeros_like(noise)], dim=1) if learned else noise
        latents = scheduler.step(output, t, latents, generator=draws).prev_sample
    assert (latents - clean).abs().max() < 1e-3


def test_samplers_that_cannot_be_are_named():
    for steps in (0, 1001):
        with pytest.raises(StrengthError, match=f"takes 1 to 1000 steps, got {steps}"):
            sampling_scheduler(steps)


# --- Strength.


@pytest.fixture(scope="module")
def pipeline():
    return tiny_sdxl()


@pytest.mark.parametrize("steps", [1, 2, 4, 5, 7, 10])
def test_is_what_diffusers_does(pipeline, steps):
    known = {setting.steps: setting for setting in distinct_settings(steps)}
    assert len(known) == steps
    for rho in [k / 40 for k in range(1, 41)]:
        pipeline.scheduler.set_timesteps(steps)
        times, taken = pipeline.get_timesteps(steps, rho, "cpu")
        if not taken:
            with pytest.raises(StrengthError, match=f"rho {rho:g} of {steps} steps is .* = 0 steps"):
                denoising_steps(steps, rho)
            continue
        assert denoising_steps(steps, rho) == taken == len(times)
        start = pipeline.scheduler.begin_index
        assert trailing_times(steps)[start:] == [int(t) for t in times]
        setting = known[taken]
        assert setting.time == int(times[0]) and setting.rho <= rho
        assert setting.sigma == pytest.approx(float(pipeline.scheduler.sigmas[start]), rel=1e-4)
        assert setting.abar == pytest.approx(float(pipeline.scheduler.alphas_cumprod[int(times[0])]), rel=1e-4)


def test_the_paper_has_five_settings_and_its_two_super_resolutions_are_one():
    settings = distinct_settings(5)
    assert [setting.time for setting in settings] == [199, 399, 599, 799, 999]
    assert [round(setting.rho, 12) for setting in settings] == [0.2, 0.4, 0.6, 0.8, 1.0]
    assert denoising_steps(5, 0.4) == denoising_steps(5, 0.5) == 2
    assert [round(setting.abar, 3) for setting in settings[1:]] == [0.426, 0.162, 0.037, 0.005]


@pytest.mark.parametrize("steps", [3, 7, 10, 29, 50])
def test_the_lowest_rho_of_a_setting_reaches_it(steps):
    for setting in distinct_settings(steps):
        assert denoising_steps(steps, setting.rho) == setting.steps
        if setting.steps > 1:
            assert denoising_steps(steps, setting.rho - 1e-9) == setting.steps - 1


def test_impossible_ones_are_refused():
    for rho in (0, -0.1, 1.01, math.nan, math.inf):
        with pytest.raises(StrengthError, match=r"in \(0, 1\], got"):
            denoising_steps(5, rho)
    with pytest.raises(StrengthError, match="rho 0.19 of 5 steps is int.0.95. = 0 steps.*use rho 0.2 or more, or more steps"):
        denoising_steps(5, 0.19)
    with pytest.raises(StrengthError, match="1 to 1000 steps, got 0"):
        denoising_steps(0, 0.5)


def test_the_noise_is_stable_diffusions():
    from diffusers import DDIMScheduler

    theirs = DDIMScheduler(beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear").alphas_cumprod
    assert torch.allclose(turbo_abar().float(), theirs, rtol=1e-4)
