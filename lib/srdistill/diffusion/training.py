"""The training loop of the diffusion transformer: from scratch, and fine-tuning with Minimax losses, are one loop.

Step ``k`` draws from generators of its own, so a run that is resumed from a checkpoint equals an uninterrupted one bit for bit.
"""

import math
from contextlib import nullcontext

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import get_ema_multi_avg_fn

from srdistill.diffusion.diffit import add_scales, diffit_parameters, has_scales
from srdistill.diffusion.dit import DiTError, LatentDiT
from srdistill.diffusion.encoded_patches import EncodedPatches
from srdistill.diffusion.noise_schedule import STEPS, NoiseSchedule
from srdistill.images.pictures import to_float
from srdistill.papers.labelfree.high_frequency import LAST, READINGS, SCALE, WEIGHTINGS, high_frequency_loss, time_weights
from srdistill.papers.labelfree.minimax import ClassMemory, diversity, representativeness
from srdistill.priors.prior import Prior
from srdistill.priors.rendering import frozen
from srdistill.progress import bar
from srdistill.seeds import generator_for
from srdistill.training.checkpoint import Checkpoint
from srdistill.training.loop import Diverged

TRAINED = ("all", "diffit")
SCHEDULES = ("constant", "cosine")
# Reading the losses stops a GPU until it has caught up, so they are looked at this rarely.
_LOOK_EVERY = 50


def train_dit(
    model: LatentDiT,
    data: EncodedPatches,
    *,
    generator: torch.Generator,
    iterations: int,
    batch: int = 8,
    lr: float = 1e-3,
    schedule: str = "constant",
    warm_up: int = 0,
    weight_decay: float = 0.0,
    ema: float = 0.9999,
    label_dropout: float = 0.1,
    trained: str = "all",
    representative: float = 0.0,
    diverse: float = 0.0,
    memory: int = 64,
    detail: float = 0.0,
    reading: str = "hinge",
    weighting: str = "abar",
    crop: int = 0,
    prior: Prior | None = None,
    precision: str = "fp32",
    device: torch.device | str = "cpu",
    checkpoint: Checkpoint | None = None,
    label: str = "training the diffusion model",
) -> dict[str, list[float]]:
    """Train ``model`` in place on the latents of ``data``; it ends in eval mode, frozen, with averaged weights.

    The loss is that of the noise, plus the variational term if the model learns the variance, plus ``representative`` L_r
    + ``diverse`` L_d + ``detail`` L_hf, a term with weight 0 not being computed. Minimax Diffusion's settings are the
    defaults with ``trained="diffit", representative=0.002, diverse=0.008``. All patches come up once before any comes up again.

    Args:
        generator: only its ``initial_seed()`` counts.
        lr, schedule, warm_up, weight_decay: AdamW (betas 0.9 and 0.999); ``constant`` or ``cosine`` (to zero), after a
            linear rise over ``warm_up`` steps.
        ema: decay of the average of the weights; 0: the last weights. With 0.9999 a run of a few thousand steps ends close
            to where it started.
        label_dropout: share of pictures whose label becomes the null label, which guidance needs. The losses by class keep it.
        trained: ``all`` weights, or those of ``diffit`` (scale factors are added if the model has none).
        memory: latents per class in each of the two memories.
        reading, weighting: of the high-frequency term, see ``high_frequency_loss`` and ``time_weights``; it needs
            ``prior``, the one that made the codes. Predictions are clamped to the range of the real latents first,
            channel by channel.
        crop: side in latent cells of the random window that is decoded for it, to save time; 0: the whole latent. Not seen
            beyond its border, a window is decoded a little differently there.
        precision: ``fp32``, or ``bf16`` for autocast of the transformer; losses are always float32.

    Returns:
        Means over 50 steps (the last may be fewer) by name: ``loss`` (the total), ``noise``, and, unweighted, whichever
        are in use of ``variational``, ``representative``, ``diverse``, ``detail``.

    Raises:
        Diverged: a loss became NaN or infinite; names it. DiTError: labels or latents that do not fit the model.
        PriorError: the prior's codes are not these. ValueError: impossible settings.
    """
    _check_choices(trained=trained, schedule=schedule, reading=reading, weighting=weighting, precision=precision)
    _check_numbers(
        iterations, batch, {"ema": ema, "label_dropout": label_dropout}, lr=lr, weight_decay=weight_decay,
        warm_up=warm_up, representative=representative, diverse=diverse, detail=detail, crop=crop,
    )  # fmt: skip
    _check_data(model, data)
    if detail:
        _check_detail(model, data, prior, crop)
    seed, device = generator.initial_seed(), torch.device(device)
    model.to(device).train()
    data = data.to(device)
    weights = _choose(model, trained)
    optimizer = torch.optim.AdamW(weights, lr=lr, weight_decay=weight_decay)
    average, follow = [weight.detach().clone() for weight in weights] if ema else [], get_ema_multi_avg_fn(ema)
    latents = model.to_latents(data.codes)
    width = latents[0, 0].numel()
    memories = [ClassMemory(data.classes, memory, width, device) for _ in range(2)] if representative or diverse else []
    noises = NoiseSchedule(device)
    detail_of = _Detail(model, data, latents, prior, reading, weighting, crop, noises) if detail else None
    shares = {"noise": 1.0, "variational": float(model.learns_variance), "representative": representative, "diverse": diverse,
              "detail": detail}  # fmt: skip
    shares = {name: share for name, share in shares.items() if share}

    first, recent = 0, []
    history: dict[str, list[float]] = {name: [] for name in ("loss", *shares)}
    saved = checkpoint.load() if checkpoint else None
    if saved is not None:
        with torch.no_grad():
            for weight, value in zip(weights, saved["weights"], strict=True):
                weight.copy_(value)
        optimizer.load_state_dict(saved["optimizer"])
        average = [value.to(device) for value in saved["average"]]
        for one, state in zip(memories, saved["memories"], strict=True):
            one.restore(state)
        first, history = saved["step"], saved["history"]
        recent = [value.to(device) for value in saved["recent"]]

    order = _Order(len(data), seed)
    with frozen(prior) if detail_of else nullcontext():
        for step in bar(range(first, iterations), label, total=iterations, initial=first):
            draws = generator_for(seed, "diffusion step", step)
            index = order.batch(step, batch)
            mirrored = torch.randint(latents.shape[1], (batch,), generator=draws)
            t = torch.randint(STEPS, (batch,), generator=draws)
            noise = torch.randn(batch, *latents.shape[2:], generator=draws).to(device)
            dropped = torch.rand(batch, generator=draws) < label_dropout
            index, mirrored, times = index.to(device), mirrored.to(device), t.to(device)
            clean, classes = latents[index, mirrored], data.labels[index]
            noisy = noises.add_noise(clean, noise, times)
            seen = torch.where(dropped.to(device), model.null_label, classes)
            with torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16"):
                output = model(noisy, times, seen)
            output = output.float()
            epsilon = output[:, : model.channels]
            losses = {"noise": (epsilon - noise).square().mean()}
            if model.learns_variance:
                losses["variational"] = noises.variational(output, clean, noisy, times).mean()
            guess = noises.predicted_clean(noisy, epsilon, times)
            if memories:
                flat = guess.flatten(1)
                if representative:
                    losses["representative"] = representativeness(flat, classes, memories[0])
                if diverse:
                    losses["diverse"] = diversity(flat, classes, memories[1])
            if detail_of:
                losses["detail"] = detail_of(guess, index, mirrored.bool(), t, draws)
            loss = sum(shares[name] * value for name, value in losses.items())
            for group in optimizer.param_groups:
                group["lr"] = lr * _ramp(step, iterations, warm_up, schedule)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            if average:
                follow(average, weights, step)
            if memories:
                memories[0].push(clean.flatten(1), classes)
                memories[1].push(guess.flatten(1), classes)
            recent.append(torch.stack([loss.detach(), *(losses[name].detach() for name in shares)]))
            if len(recent) == _LOOK_EVERY or step + 1 == iterations:
                _look(recent, history, label, step, lr, shares)
                recent = []
            if checkpoint and checkpoint.due(step + 1) and step + 1 < iterations:
                checkpoint.save(
                    {
                        "step": step + 1,
                        "weights": [weight.detach() for weight in weights],
                        "optimizer": optimizer.state_dict(),
                        "average": average,
                        "memories": [one.state() for one in memories],
                        "history": history,
                        "recent": recent,
                    }
                )
    if not all(bool(torch.isfinite(weight).all()) for weight in weights):
        raise Diverged(f"{label}: the last step made the weights NaN; lower lr ({lr})")
    with torch.no_grad():
        for weight, value in zip(weights, average, strict=bool(average)):
            weight.copy_(value)
    if checkpoint:
        checkpoint.clear()
    model.eval().requires_grad_(False)
    return history


def _check_choices(**given: str) -> None:
    known = {
        "trained": TRAINED,
        "schedule": SCHEDULES,
        "reading": READINGS,
        "weighting": WEIGHTINGS,
        "precision": ("fp32", "bf16"),
    }
    for name, value in given.items():
        if value not in known[name]:
            raise ValueError(f"unknown {name} {value!r}; there are: {', '.join(known[name])}")


def _check_numbers(iterations: int, batch: int, shares: dict[str, float], **given: float) -> None:
    if min(iterations, batch) < 1:
        raise ValueError(f"iterations and batch must be 1 or more, got {iterations} and {batch}")
    for name, value in given.items():
        if not value >= 0:  # false for NaN as well
            raise ValueError(f"{name} must not be negative or NaN, got {value}")
    for name, value in shares.items():
        if not 0 <= value < 1:
            raise ValueError(f"{name} must be in [0, 1), got {value}")


def _check_data(model: LatentDiT, data: EncodedPatches) -> None:
    model.check_labels(data.labels)
    needed, shape = (model.channels, model.side, model.side), tuple(data.codes.shape[2:])
    if shape != needed:
        raise DiTError(
            f"{model.name} works on latents {needed}, but the codes of these patches are {shape}; encode patches of the "
            "model's size with the prior that it was made for"
        )


def _check_detail(model: LatentDiT, data: EncodedPatches, prior: Prior | None, crop: int) -> None:
    if prior is None:
        raise ValueError("the high-frequency loss looks at decoded pictures: give the prior that encoded the patches")
    model.check_prior(prior, data.patches.shape[-1])
    if crop > model.side or (crop or model.side) * data.factor % SCALE:
        raise ValueError(
            f"crop of {crop or model.side} cells: the high-frequency loss takes {model.side} at most, and a multiple of "
            f"{SCALE} px at {data.factor} px per cell"
        )


def _choose(model: LatentDiT, trained: str) -> list[nn.Parameter]:
    model.requires_grad_(False)
    if trained == "all":
        weights = list(model.parameters())
    else:
        if not has_scales(model.transformer):
            add_scales(model.transformer)
        weights = [weight for _, weight in diffit_parameters(model.transformer)]
    for weight in weights:
        weight.requires_grad_(True)
    return weights


def _ramp(step: int, iterations: int, warm_up: int, schedule: str) -> float:
    """The rate of ``step`` as a share of the peak."""
    rise = min(1.0, (step + 1) / warm_up) if warm_up else 1.0
    return rise * (0.5 * (1 + math.cos(math.pi * step / iterations)) if schedule == "cosine" else 1.0)


class _Order:
    """Which patches a step sees: one permutation of all after another, read on without a break."""

    def __init__(self, count: int, seed: int):
        self.count, self.seed = count, seed
        self._kept: tuple[int, Tensor] = (-1, torch.empty(0))

    def _permutation(self, epoch: int) -> Tensor:
        if self._kept[0] != epoch:
            self._kept = epoch, torch.randperm(self.count, generator=generator_for(self.seed, "diffusion epoch", epoch))
        return self._kept[1]

    def batch(self, step: int, size: int) -> Tensor:
        places = [divmod(place, self.count) for place in range(step * size, (step + 1) * size)]
        return torch.stack([self._permutation(epoch)[place] for epoch, place in places])


class _Detail:
    """The high-frequency term of a batch of predicted latents."""

    def __init__(self, model, data, latents, prior, reading, weighting, crop, noises):
        self.model, self.data, self.prior, self.noises = model, data, prior, noises
        self.reading, self.weighting, self.crop = reading, weighting, crop or model.side
        per_channel = latents.movedim(2, 0).flatten(1)
        self.low, self.high = (bound.view(-1, 1, 1) for bound in (per_channel.amin(1), per_channel.amax(1)))
        prior.to(latents.device)

    def __call__(self, guess: Tensor, index: Tensor, mirrored: Tensor, t: Tensor, draws: torch.Generator) -> Tensor:
        """``t`` lies on the CPU: what has no weight is not decoded. Returns the weighted mean over the batch."""
        room, factor = self.model.side - self.crop + 1, self.data.factor
        top, left = torch.randint(room, (2,), generator=draws).tolist()
        weights = time_weights(self.noises.abar(t.to(guess.device)), t.to(guess.device), self.weighting)
        chosen = torch.arange(len(t)) if self.weighting == "abar" else (t <= LAST).nonzero().flatten()
        if not len(chosen):
            return guess.new_zeros(())
        chosen = chosen.to(guess.device)
        window = (..., slice(top, top + self.crop), slice(left, left + self.crop))
        codes = self.model.to_codes(guess[chosen].clamp(self.low, self.high))[window]
        real = to_float(self.data.view_of(index[chosen], mirrored[chosen]))
        pixels = (..., *(slice(at * factor, (at + self.crop) * factor) for at in (top, left)))
        losses = high_frequency_loss(self.prior.decode(codes), real[pixels], self.reading)
        return (weights[chosen] * losses).sum() / len(t)


def _look(
    recent: list[Tensor], history: dict[str, list[float]], label: str, step: int, lr: float, shares: dict[str, float]
) -> None:
    """Append the means of the ``recent`` losses to ``history``; ``step`` is the last of them."""
    values = torch.stack(recent).double().cpu()
    bad = (~torch.isfinite(values)).nonzero()
    if len(bad):
        # A step that goes wrong spoils all that follow: the first shows which term it was. The total comes before the terms.
        row = int(bad[0, 0])
        name, value = max(
            ((name, value) for name, value in zip(history, values[row].tolist(), strict=True) if not math.isfinite(value)),
            key=lambda pair: pair[0] != "loss",
        )
        share = f" or its weight ({shares[name]:g})" if name in ("representative", "diverse", "detail") else ""
        at = step + 2 - len(recent) + row
        raise Diverged(f"{label}: the loss {name!r} became {value} in step {at}; lower lr ({lr:g}){share}")
    for name, mean in zip(history, values.mean(0).tolist(), strict=True):
        history[name].append(mean)
