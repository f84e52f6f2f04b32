"""Pictures from a diffusion transformer: guided sampling of latents, then decoding (stage 3 of the label-free paper).

Every picture has a generator of its own, derived from its label and its number in the class: its noise does not depend on which
pictures share a batch, and the first n of a larger set are the smaller set.
"""

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor

from srdistill.diffusion.dit import LatentDiT
from srdistill.diffusion.schedule import check_steps, sampling_scheduler
from srdistill.images.pictures import to_uint8
from srdistill.priors.prior import Prior
from srdistill.progress import bar
from srdistill.seeds import generator_for


class SamplingError(RuntimeError):
    """Sampling or decoding gave no pictures; the message says what to change."""


@dataclass(frozen=True)
class Sampling:
    """How pictures are drawn; the defaults are Minimax Diffusion's.

    ``steps``: of the ancestral sampler (DDPM) with DiT's respacing. ``guidance``: s in noise(null) + s (noise(label) -
    noise(null)); 1: none, and half the work. ``guided_channels``: guide only the first ones; 3 of 4 in DiT's own sampling and
    so in Minimax Diffusion, a habit from when channels were colours; 0: all. ``batch``, ``decode_batch``: pictures at a time
    in the transformer (twice as many with guidance) and the decoder. Memory grows with them; a picture's noise does not
    depend on them, its values differ by rounding.
    """

    steps: int = 50
    guidance: float = 4.0
    guided_channels: int = 0
    batch: int = 16
    decode_batch: int = 16

    def __post_init__(self):
        check_steps(self.steps)
        if not self.guidance >= 0:  # false for NaN as well
            raise ValueError(f"guidance must be 0 or more, got {self.guidance}")
        if min(self.batch, self.decode_batch) < 1 or self.guided_channels < 0:
            raise ValueError(
                "batch and decode_batch must be 1 or more and guided_channels 0 or more, got "
                f"{self.batch}, {self.decode_batch} and {self.guided_channels}"
            )


@torch.no_grad()
def sample_pictures(
    model: LatentDiT,
    prior: Prior,
    labels: Tensor,
    *,
    size: int,
    generator: torch.Generator,
    sampling: Sampling = Sampling(),
    device: torch.device | str = "cpu",
) -> tuple[Tensor, dict]:
    """One picture of ``size`` px per label: ``uint8`` (N, 3, size, size), on the CPU.

    Args:
        labels: integers (N,), classes of the model.
        generator: only its ``initial_seed()`` counts.

    Returns:
        The pictures, and how they were made, for ``DistilledSet.settings``; ``repeated_in_fp32`` counts those that a
        half-precision decoder lost (NaN, infinity or all black) and that were decoded once more in float32.

    Raises:
        SamplingError: not enough memory, or values that are not finite. DiTError: labels that the model has not, or a prior
        with other codes. ValueError: more guided channels than there are.
    """
    model.check_labels(labels)
    model.check_prior(prior, size)
    if sampling.guided_channels > model.channels:
        raise ValueError(f"guided_channels can be 0 to {model.channels}, got {sampling.guided_channels}")
    device = torch.device(device)
    model.to(device).eval()
    prior.to(device).eval()
    latents = _latents(model, labels, generator.initial_seed(), sampling, device)
    decoder, images, batch = Decoder(prior), [], sampling.decode_batch
    with named_memory(f"decoding {batch} pictures of {size} px at a time", "decode_batch", batch):
        for part in latents.split(batch):
            images.append(decoder(model.to_codes(part.to(device)), sum(map(len, images))))
    made = {
        "steps": sampling.steps, "guidance": sampling.guidance,
        "guided_channels": sampling.guided_channels or model.channels, "repeated_in_fp32": decoder.repeated,
    }  # fmt: skip
    return torch.cat(images) if images else torch.empty(0, 3, size, size, dtype=torch.uint8), made


def _latents(model: LatentDiT, labels: Tensor, seed: int, sampling: Sampling, device: torch.device) -> Tensor:
    """Latents (N, C, h, w) of all pictures, on the CPU, after checking that they are numbers."""
    draws = [generator_for(seed, "sample", *which) for which in _numbered(labels.tolist())]
    done, batch = [], sampling.batch
    with named_memory(f"sampling {batch} pictures at a time", "batch", batch):
        for first in bar(range(0, len(labels), batch), f"sampling {len(labels)} pictures, {batch} at a time"):
            chosen = slice(first, first + batch)
            done.append(_sample(model, labels[chosen].to(device), draws[chosen], sampling).cpu())
    latents = torch.cat(done) if done else torch.empty(0, model.channels, model.side, model.side)
    bad = (~torch.isfinite(latents)).flatten(1).any(1).nonzero().flatten().tolist()
    if bad:
        raise SamplingError(
            f"{len(bad)} of {len(latents)} sampled latents hold NaN or infinity, first picture {bad[0]} (class "
            f"{int(labels[bad[0]])}); "
            f"lower the guidance ({sampling.guidance:g}), or train the model longer or with a lower rate"
        )
    return latents


def _numbered(labels: list[int]) -> Iterator[tuple[int, int]]:
    seen: dict[int, int] = {}
    for label in labels:
        yield label, seen.setdefault(label, 0)
        seen[label] += 1


def _sample(model: LatentDiT, labels: Tensor, draws: list[torch.Generator], sampling: Sampling) -> Tensor:
    """Latents (B, C, h, w) of one batch; ``draws`` are its generators, one per picture."""
    channels, guidance, count = sampling.guided_channels or model.channels, sampling.guidance, len(labels)
    scheduler = sampling_scheduler(sampling.steps, model.learns_variance)
    latents = torch.stack([torch.randn(model.channels, model.side, model.side, generator=one) for one in draws]).to(
        labels.device
    )
    guided = guidance != 1
    classes = torch.cat([labels, torch.full_like(labels, model.null_label)]) if guided else labels
    for t in scheduler.timesteps:
        times = torch.full((len(classes),), int(t), device=labels.device)
        output = model(torch.cat([latents, latents]) if guided else latents, times, classes)
        if guided:
            # What is not guided, the learned variance among it, is that of the label.
            output, null = output[:count], output[count:]
            noise = null[:, :channels] + guidance * (output[:, :channels] - null[:, :channels])
            output = torch.cat([noise, output[:, channels:]], dim=1)
        latents = scheduler.step(output, t, latents, generator=list(draws)).prev_sample
    return latents


class Decoder:
    """From codes of a prior to ``uint8`` pictures, on the CPU. Pictures that half precision lost (NaN, infinity or all black)
    are decoded once more in float32 and counted in ``repeated``; ``first`` is the number of the first one, for messages."""

    def __init__(self, prior: Prior):
        self.prior, self.dtype = prior, next(prior.parameters()).dtype
        self.wide, self.repeated = None, 0

    def __call__(self, codes: Tensor, first: int) -> Tensor:
        images = self.prior.decode(codes.to(self.dtype)).float()
        if self.dtype in (torch.float16, torch.bfloat16):
            lost = (~torch.isfinite(images)).flatten(1).any(1) | (images.flatten(1).amax(1) <= 0)
            if bool(lost.any()):
                if self.wide is None:
                    self.wide = copy.deepcopy(self.prior).float()
                images[lost] = self.wide.decode(codes[lost].float())
                self.repeated += int(lost.sum())
        bad = (~torch.isfinite(images)).flatten(1).any(1).nonzero().flatten().tolist()
        if bad:
            raise SamplingError(
                f"{self.prior.name} decodes picture {first + bad[0]} to NaN or infinity in float32 too; its latents reach to "
                f"{float(codes[bad[0]].abs().max()):.3g}: check that the model was trained on codes of this prior"
            )
        return to_uint8(images).cpu()


@contextmanager
def named_memory(work: str, argument: str, value: int) -> Iterator[None]:
    """Turn running out of memory into a SamplingError that names the ``argument`` to lower. Raises SamplingError: so it is."""
    try:
        yield
    except (torch.OutOfMemoryError, MemoryError, RuntimeError) as error:
        # On a CPU torch raises a plain RuntimeError.
        if not isinstance(error, torch.OutOfMemoryError | MemoryError) and "can't allocate memory" not in str(error):
            raise
        remedy = f"lower {argument} ({value})" if value > 1 else "use a smaller model or size, or another device"
        raise SamplingError(f"out of memory while {work}; {remedy}") from error
