"""How much noise there is at which time: in training, in sampling, and where an expansion starts.

The transformer is trained on 1000 linear steps (Ho et al. 2020; Nichol and Dhariwal 2021). An expansion starts from the
ratio rho = t'/T of the coreset paper, in whole steps of a few-step sampler. Which rho are different is decided by rounding:
of ``steps`` denoising steps the last ``int(steps * rho)`` are taken, as diffusers' image-to-image pipelines do. With the
paper's 5 steps its rho = 0.4 (text) and 0.5 (table 4) are one setting, and only five exist.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from srdistill.images.torchvision_import import import_torchvision

STEPS = 1000
# Half a level of 8 bits in [-1, 1]: DiT keeps the bins of pixels although latents have none.
_HALF_BIN = 1 / 255


class StrengthError(ValueError):
    """A rho that means no image-to-image step, or a sampler without any; the message says which do."""


def check_steps(steps: int) -> None:
    """Raise StrengthError unless a sampler can take ``steps`` steps."""
    if not 1 <= steps <= STEPS:
        raise StrengthError(f"a sampler takes 1 to {STEPS} steps, got {steps}")


class NoiseSchedule:
    """betas from 1e-4 to 2e-2 in 1000 equal steps, those of DiT and Minimax Diffusion; tables on ``device``.

    Time t in 0..999; abar_t is what is left of the signal's energy: 0.90, 0.52, 0.078 and 4e-5 at t = 100, 250, 500, 999.
    """

    def __init__(self, device: torch.device | str = "cpu"):
        betas = torch.linspace(1e-4, 2e-2, STEPS, dtype=torch.float64)
        abar = (1 - betas).cumprod(0)
        before = torch.cat([torch.ones(1, dtype=torch.float64), abar[:-1]])
        posterior = betas * (1 - before) / (1 - abar)
        # The first posterior variance is 0; the second stands in for it.
        tables = {
            "abar": abar,
            "log_beta": betas.log(),
            "log_posterior": torch.cat([posterior[1:2], posterior[1:]]).log(),
            "mean_clean": betas * before.sqrt() / (1 - abar),
            "mean_noisy": (1 - before) * (1 - betas).sqrt() / (1 - abar),
        }
        self._tables = {name: table.float().to(device) for name, table in tables.items()}

    def _at(self, name: str, t: Tensor) -> Tensor:
        return self._tables[name][t].view(-1, 1, 1, 1)

    def abar(self, t: Tensor) -> Tensor:
        """abar_t, (B,)."""
        return self._tables["abar"][t]

    def add_noise(self, clean: Tensor, noise: Tensor, t: Tensor) -> Tensor:
        """z_t = sqrt(abar_t) z_0 + sqrt(1 - abar_t) noise; all (B, C, h, w), t (B,)."""
        abar = self._at("abar", t)
        return abar.sqrt() * clean + (1 - abar).sqrt() * noise

    def predicted_clean(self, noisy: Tensor, noise: Tensor, t: Tensor) -> Tensor:
        """z_0 = z_t / sqrt(abar_t) - sqrt(1 / abar_t - 1) noise, unclipped: an error of the noise grows 157-fold at t = 999.

        All (B, C, h, w), t (B,).
        """
        abar = self._at("abar", t)
        return noisy / abar.sqrt() - (1 / abar - 1).sqrt() * noise

    def variational(self, output: Tensor, clean: Tensor, noisy: Tensor, t: Tensor) -> Tensor:
        """The bound's term of step t in bits per value, (B,), for a model that learns the variance: ``output`` (B, 2 C, h, w).

        Kullback-Leibler distance of the true and the predicted step back; at t = 0 the negative log-likelihood of 8-bit
        bins. The predicted noise is taken as given, so only the variance is learned from it (DiT's
        diffusion/gaussian_diffusion.py).
        """
        noise, spread = output.chunk(2, dim=1)
        low = self._at("log_posterior", t)
        log_variance = low + (spread + 1) / 2 * (self._at("log_beta", t) - low)
        guess = self.predicted_clean(noisy, noise.detach(), t)
        mean = self._at("mean_clean", t) * guess + self._at("mean_noisy", t) * noisy
        true_mean = self._at("mean_clean", t) * clean + self._at("mean_noisy", t) * noisy
        distance = 0.5 * (
            log_variance - low - 1 + (low - log_variance).exp() + (true_mean - mean).square() * (-log_variance).exp()
        )
        bits = torch.where(t == 0, _bin_nll(clean, mean, log_variance).mean((1, 2, 3)), distance.mean((1, 2, 3)))
        return bits / math.log(2)


def _bin_nll(clean: Tensor, mean: Tensor, log_variance: Tensor) -> Tensor:
    """-log probability of the bin around ``clean`` under a Gaussian; the outermost bins reach to infinity."""
    inverse = (-0.5 * log_variance).exp()
    above = torch.special.ndtr((clean - mean + _HALF_BIN) * inverse)
    below = torch.special.ndtr((clean - mean - _HALF_BIN) * inverse)
    inside = torch.where(clean < -0.999, above, torch.where(clean > 0.999, 1 - below, above - below))
    return -inside.clamp(min=1e-12).log()


def sampling_scheduler(steps: int, learned_variance: bool = False):
    """diffusers' DDPM scheduler for ``steps`` of the 1000, set up: it draws noise at every step.

    DiT's respacing (first and last time included) and the learned variance if there is one, else the smaller of the two
    bounds. Raises StrengthError for an impossible count.
    """
    check_steps(steps)
    # diffusers imports torchvision, which a CPU build of torch trips over.
    import_torchvision()
    from diffusers import DDPMScheduler

    scheduler = DDPMScheduler(
        num_train_timesteps=STEPS, beta_start=1e-4, beta_end=2e-2, clip_sample=False, timestep_spacing="linspace",
        variance_type="learned_range" if learned_variance else "fixed_small",
    )  # fmt: skip
    scheduler.set_timesteps(steps)
    return scheduler


def turbo_abar() -> Tensor:
    """abar_t of Stable Diffusion's 1000 steps (SDXL-Turbo's too), float64: square roots of beta from 0.00085 to 0.012.

    A vector (1000,).
    """
    betas = torch.linspace(0.00085**0.5, 0.012**0.5, STEPS, dtype=torch.float64).square()
    return (1 - betas).cumprod(0)


def trailing_times(steps: int) -> list[int]:
    """The times of a ``steps``-step sampler with trailing spacing: 999, 799, 599, 399, 199 for 5."""
    check_steps(steps)
    return [round(STEPS - index * STEPS / steps) - 1 for index in range(steps)]


def denoising_steps(steps: int, rho: float) -> int:
    """How many of ``steps`` are taken at ``rho``: ``int(steps * rho)``.

    Raises StrengthError for a rho outside (0, 1], or so small that no step is left (with 5 steps below 0.2).
    """
    trailing_times(steps)
    if not 0 < rho <= 1:  # false for NaN as well
        raise StrengthError(f"rho is the share of the noise to start from, in (0, 1], got {rho}")
    taken = int(steps * rho)
    if not taken:
        raise StrengthError(
            f"rho {rho:g} of {steps} steps is int({steps * rho:g}) = 0 steps, so nothing would change; "
            f"use rho {1 / steps:g} or more, or more steps"
        )
    return taken


@dataclass(frozen=True)
class Strength:
    """One setting that exists: every rho from ``rho`` up to the next setting's means it. ``abar``: what is left of the latent's
    energy at the start. ``sigma``: noise over signal there."""

    rho: float
    steps: int
    time: int
    abar: float
    sigma: float


def distinct_settings(steps: int) -> list[Strength]:
    """The ``steps`` settings that a ``steps``-step sampler has, from little noise to all (protocol notes, section 6.3)."""
    abar, times = turbo_abar(), trailing_times(steps)
    found = []
    for taken in range(1, steps + 1):
        time, rho = times[steps - taken], taken / steps
        if int(steps * rho) < taken:  # binary fractions round down now and then
            rho = torch.nextafter(torch.tensor(rho, dtype=torch.float64), torch.tensor(2.0, dtype=torch.float64)).item()
        left = float(abar[time])
        found.append(Strength(rho, taken, time, left, ((1 - left) / left) ** 0.5))
    return found
