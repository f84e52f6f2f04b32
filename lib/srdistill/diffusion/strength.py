"""How much noise an expansion starts from: the ratio rho = t'/T of the coreset paper, in whole steps of a few-step sampler.

Which rho are different is decided by rounding: of ``steps`` denoising steps the last ``int(steps * rho)`` are taken, as
diffusers' image-to-image pipelines do. With the paper's 5 steps its rho = 0.4 (text) and 0.5 (table 4) are one setting, and
only five exist.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

STEPS = 1000


class StrengthError(ValueError):
    """A rho that means no image-to-image step; the message says which do."""


def turbo_abar() -> Tensor:
    """abar_t of Stable Diffusion's 1000 steps (SDXL-Turbo's too), float64: square roots of beta from 0.00085 to 0.012."""
    betas = torch.linspace(0.00085**0.5, 0.012**0.5, STEPS, dtype=torch.float64).square()
    return (1 - betas).cumprod(0)


def trailing_times(steps: int) -> list[int]:
    """The times of a ``steps``-step sampler with trailing spacing: 999, 799, 599, 399, 199 for 5."""
    if not 1 <= steps <= STEPS:
        raise StrengthError(f"a sampler takes 1 to {STEPS} steps, got {steps}")
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
