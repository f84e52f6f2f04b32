"""The engine that can be trained here: a small class-conditional diffusion transformer on the codes of a prior."""

from collections.abc import Sequence

import torch
from torch import Tensor

from srdistill.diffusion.dit import LatentDiT
from srdistill.diffusion.engine import check_request, interpolated, own_noise, resized_pictures
from srdistill.diffusion.sampling import Decoder, SamplingError, named_memory
from srdistill.diffusion.schedule import STEPS, NoiseSchedule, StrengthError, denoising_steps, trailing_times, turbo_abar
from srdistill.priors.prior import Prior


class LatentDiffusionEngine:
    """Image-to-image with a ``LatentDiT``, e.g. one that ``pretrain`` trained on the teacher's own data.

    Its steps are at the times at which as much of the signal is left as in SDXL-Turbo's, so that rho is the same amount of
    noise in both engines; at times 999, 799, ... of the model's own schedule there would be more.

    Args:
        model, prior: the prior made the codes that the model was trained on.
        working_size: of the pictures that the model works on, in px; others are resized to it and from it.
        steps: of the sampler; at rho the last ``int(steps * rho)`` are taken.
        guidance: s in noise(null) + s (noise(label) - noise(null)); 1: none, and half the work.
        ancestral: draw noise in every step (the last equation of section 3.2.2), as SDXL-Turbo's sampler does; False: DDIM.
        clip: predicted clean latents, of unit variance, are kept within -clip .. clip; at rho = 1 an error of the predicted
            noise is enlarged 15-fold.
    """

    def __init__(
        self,
        model: LatentDiT,
        prior: Prior,
        *,
        working_size: int,
        steps: int = 5,
        guidance: float = 1.5,
        ancestral: bool = True,
        clip: float = 4.0,
        device: torch.device | str = "cpu",
    ):
        model.check_prior(prior, working_size)
        if not clip > 0 or not guidance >= 0:
            raise ValueError(f"clip must be above 0 and guidance 0 or more, got {clip} and {guidance}")
        self.device = torch.device(device)
        self.model, self.prior = model.to(self.device).eval(), prior.to(self.device).eval()
        self.name, self.bytes = f"{model.name} on {prior.name}", model.bytes + prior.bytes
        self.working_size, self.steps, self.guidance = working_size, steps, guidance
        self.ancestral, self.clip = ancestral, clip
        own = NoiseSchedule().abar(torch.arange(STEPS)).double()
        self.times = [int((own - left).abs().argmin()) for left in turbo_abar()[trailing_times(steps)].tolist()]
        # After the last step nothing but signal is left.
        self.abar = [*own[self.times].tolist(), 1.0]
        self.repeated_in_fp32 = 0

    @torch.no_grad()
    def encode(self, patches: Tensor) -> Tensor:
        """See ``Engine``. Raises PictureError for other than square ``uint8`` patches."""
        images = interpolated(patches.to(self.device), self.working_size)
        codes = self.prior.encode(images.to(next(self.prior.parameters()).dtype))
        return self.model.to_latents(codes.float())

    @torch.no_grad()
    def denoise(self, latents: Tensor | None, labels: Tensor, seeds: Sequence[int], *, rho: float, size: int) -> Tensor:
        """See ``Engine``.

        Raises StrengthError, DiTError (labels that the model has not), SamplingError (no finite pictures, no memory).
        """
        check_request(labels, seeds, latents)
        self.model.check_labels(labels)
        start = self.steps - denoising_steps(self.steps, rho)
        if latents is None and start:
            raise StrengthError(f"without a patch there is nothing to keep: rho is 1, got {rho:g}")
        if not len(labels):
            return torch.empty(0, 3, size, size, dtype=torch.uint8)
        draws = own_noise(seeds)
        with named_memory(f"expanding {len(labels)} patches at a time", "batch", len(labels)):
            noisy = (1 - self.abar[start]) ** 0.5 * self._noise(draws)
            if latents is not None:
                noisy = noisy + self.abar[start] ** 0.5 * latents.to(self.device)
            for index in range(start, self.steps):
                noisy = self._step_back(noisy, labels.to(self.device), draws, index)
            bad = (~torch.isfinite(noisy)).flatten(1).any(1).nonzero().flatten().tolist()
            if bad:
                raise SamplingError(
                    f"{self.name}: {len(bad)} of {len(noisy)} latents hold NaN or infinity, first picture {bad[0]} (class "
                    f"{int(labels[bad[0]])}); train the model longer or with a lower rate"
                )
            decoder = Decoder(self.prior)
            pictures = decoder(self.model.to_codes(noisy), 0)
        self.repeated_in_fp32 += decoder.repeated
        return resized_pictures(pictures, size)

    def _noise(self, draws: list[torch.Generator]) -> Tensor:
        shape = self.model.channels, self.model.side, self.model.side
        return torch.stack([torch.randn(shape, generator=one) for one in draws]).to(self.device)

    def _step_back(self, noisy: Tensor, labels: Tensor, draws: list[torch.Generator], index: int) -> Tensor:
        """From the noise of step ``index`` to that of the next: DDIM, equation 12; ancestral: eta = 1 (Song et al. 2021)."""
        noise = self._predicted_noise(noisy, labels, self.times[index])
        here, there = self.abar[index], self.abar[index + 1]
        clean = ((noisy - (1 - here) ** 0.5 * noise) / here**0.5).clamp(-self.clip, self.clip)
        noise = (noisy - here**0.5 * clean) / (1 - here) ** 0.5
        fresh = (1 - there) / (1 - here) * (1 - here / there) if self.ancestral else 0.0
        back = there**0.5 * clean + (1 - there - fresh) ** 0.5 * noise
        return back + fresh**0.5 * self._noise(draws) if fresh else back

    def _predicted_noise(self, noisy: Tensor, labels: Tensor, time: int) -> Tensor:
        if self.guidance == 1:
            return self.model(noisy, torch.full_like(labels, time), labels)[:, : self.model.channels]
        both = torch.cat([labels, torch.full_like(labels, self.model.null_label)])
        found = self.model(torch.cat([noisy, noisy]), torch.full_like(both, time), both)[:, : self.model.channels]
        with_label, without = found.chunk(2)
        return without + self.guidance * (with_label - without)
