"""The noise of the diffusion transformer: 1000 linear steps, and what is learned from them (Ho et al. 2020; Nichol and
Dhariwal 2021)."""

import math

import torch
from torch import Tensor

from srdistill.images.torchvision_import import import_torchvision

STEPS = 1000
# Half a level of 8 bits in [-1, 1]: DiT keeps the bins of pixels although latents have none.
_HALF_BIN = 1 / 255


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
        """z_0 = z_t / sqrt(abar_t) - sqrt(1 / abar_t - 1) noise, unclipped: an error of the noise grows 157-fold at t = 999."""
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


def sampling_scheduler(kind: str, steps: int, learned_variance: bool = False):
    """diffusers' scheduler for ``steps`` of the 1000, set up; ``ddpm`` draws noise at every step, ``ddim`` only at the start.

    ``ddpm``: DiT's respacing (first and last time included) and the learned variance if there is one, else the smaller
    of the two bounds. ``ddim``: trailing spacing, as its steps back are of equal length. Raises ValueError for another
    kind or count.
    """
    if kind not in ("ddpm", "ddim"):
        raise ValueError(f"unknown sampler {kind!r}; there are: ddpm, ddim")
    if not 1 <= steps <= STEPS or (kind == "ddim" and STEPS % steps):
        rule = f"1 to {STEPS}" if kind == "ddpm" else f"a divisor of {STEPS} with ddim"
        raise ValueError(f"sampling takes {rule} steps, got {steps}")
    # diffusers imports torchvision, which a CPU build of torch trips over.
    import_torchvision()
    from diffusers import DDIMScheduler, DDPMScheduler

    common = {"num_train_timesteps": STEPS, "beta_start": 1e-4, "beta_end": 2e-2, "clip_sample": False}
    if kind == "ddpm":
        variance = "learned_range" if learned_variance else "fixed_small"
        scheduler = DDPMScheduler(**common, variance_type=variance, timestep_spacing="linspace")
    else:
        scheduler = DDIMScheduler(**common, timestep_spacing="trailing")
    scheduler.set_timesteps(steps)
    return scheduler
