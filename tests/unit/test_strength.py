"""Which rho are different settings: against diffusers' own scheduler and image-to-image pipeline."""

import math

import pytest
import torch
from srdistill.diffusion.strength import StrengthError, denoising_steps, distinct_settings, trailing_times, turbo_abar
from tiny_sdxl import tiny_sdxl


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
