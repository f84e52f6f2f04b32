"""The label-free paper's method: fine-tune a diffusion transformer on selected patches, then sample a small set from it.

Patches and pseudo-labels come from stage 1. The paper fine-tunes DiT-XL/2 (``pretrained_dit``); where there are no such
weights, a small transformer is first trained from scratch on the same latents (``pretrain``). What that one samples
without fine-tuning is the control: whatever the fine-tuned set gains over it is due to the losses, not to the generator.
"""

import copy
from dataclasses import replace

import torch
from torch import Tensor

from srdistill.distill.diffusion_sampling import sample_set
from srdistill.distill.diffusion_training import train_dit
from srdistill.distill.distilled_set import DistilledSet
from srdistill.distill.dit import LatentDiT, new_dit, use_label_rows
from srdistill.distill.encoded_patches import EncodedPatches, encode_patches
from srdistill.priors.prior import Prior
from srdistill.seeds import generator_for
from srdistill.training.checkpoint import Checkpoint


def _fresh(data: EncodedPatches, generator: torch.Generator, architecture: dict | None) -> LatentDiT:
    channels, side = data.codes.shape[2:4]
    return new_dit(channels=channels, side=side, classes=data.classes, generator=generator, **(architecture or {}))


def pretrain(
    data: EncodedPatches,
    *,
    generator: torch.Generator,
    architecture: dict | None = None,
    device: torch.device | str = "cpu",
    checkpoint: Checkpoint | None = None,
    **training,
) -> tuple[LatentDiT, dict[str, list[float]]]:
    """A small DiT trained from scratch on ``data``, and its losses. Conditioned on the pseudo-labels, with the plain
    noise loss.

    ``architecture``: sizes for ``new_dit``. ``training``: settings of ``train_dit``. Latents are normalised by the
    data's own means and spreads, kept with the model. Raises what those two raise.
    """
    model = _fresh(data, generator, architecture)
    model.normalise_for(data.codes)
    history = train_dit(
        model, data, generator=generator_for(generator.initial_seed(), "pretraining"), device=device, checkpoint=checkpoint,
        label=f"pretraining {model.name}", **training,
    )  # fmt: skip
    return model, history


def fine_tune(
    model: LatentDiT,
    data: EncodedPatches,
    *,
    generator: torch.Generator,
    rows: str = "null",
    device: torch.device | str = "cpu",
    checkpoint: Checkpoint | None = None,
    **training,
) -> tuple[LatentDiT, dict[str, list[float]]]:
    """A copy of ``model`` fine-tuned with the Minimax losses and the high-frequency one, and its losses.

    ``rows``: what the label rows of the pseudo-classes start from, see ``use_label_rows``; ``keep`` for a model from
    ``pretrain``.
    ``training``: settings of ``train_dit``; by default DiffFit with weights 0.002 and 0.008, without the high-frequency
    term, whose weight the paper's text lost. Raises what those two raise.
    """
    model = copy.deepcopy(model)
    use_label_rows(model, data.classes, rows)
    settings = {"trained": "diffit", "representative": 0.002, "diverse": 0.008} | training
    history = train_dit(
        model, data, generator=generator_for(generator.initial_seed(), "fine-tuning"), device=device, checkpoint=checkpoint,
        label=f"fine-tuning {model.name}", **settings,
    )  # fmt: skip
    return model, history


def _pretrained(
    data, generator, pretraining, device, checkpoint
) -> tuple[LatentDiT, dict[str, list[float]], Checkpoint | None]:
    """The result of ``pretrain``, kept on disk once it is finished: what follows may be interrupted too."""
    done = checkpoint and replace(checkpoint, path=checkpoint.path.with_name(f"{checkpoint.path.name}.pretrained"))
    saved = done.load() if done else None
    if saved is not None:
        model = _fresh(data, generator, (pretraining or {}).get("architecture"))
        model.load_weights(saved["weights"])
        return model.to(device).requires_grad_(False), saved["history"], done
    partial = checkpoint and replace(checkpoint, path=checkpoint.path.with_name(f"{checkpoint.path.name}.pretraining"))
    model, history = pretrain(data, generator=generator, device=device, checkpoint=partial, **(pretraining or {}))
    if done:
        done.save({"weights": model.weights(), "history": history})
    return model, history, done


def dit_samples(
    patches: Tensor,
    labels: Tensor,
    *,
    count: int,
    generator: torch.Generator,
    prior: Prior,
    model: LatentDiT | None = None,
    pretraining: dict | None = None,
    sampling: dict | None = None,
    names: tuple[str, ...] = (),
    device: torch.device | str = "cpu",
    checkpoint: Checkpoint | None = None,
) -> DistilledSet:
    """``count`` pictures from a diffusion transformer that was not fine-tuned: the control of ``minimax_distilled``.

    Args:
        patches, labels: ``uint8`` (N, 3, S, S) and pseudo-labels (N,); the pictures are of S px too.
        model: trained on these labels before, e.g. by ``pretrain``. None: trained here, with the settings ``pretraining``.
        sampling: settings of ``sample_pictures``. names: of the pseudo-classes.

    With the same generator, pictures start from the noise that ``minimax_distilled``'s start from, so that two rows can be
    compared picture by picture. Raises what encoding, ``pretrain`` and ``sample_set`` raise.
    """
    _check_model(model, pretraining)
    history, settings, done = {}, {}, None
    if model is None:
        data = encode_patches(prior, patches, labels, device=device)
        model, history, done = _pretrained(data, generator, pretraining, device, checkpoint)
        settings = {"pretraining": pretraining or {}}
    made = sample_set(
        model, prior, count=count, size=patches.shape[-1], generator=generator, names=names, method="dit_samples",
        settings=settings, history=history, device=device, **(sampling or {}),
    )  # fmt: skip
    if done:
        done.clear()
    return made


def minimax_distilled(
    patches: Tensor,
    labels: Tensor,
    *,
    count: int,
    generator: torch.Generator,
    prior: Prior,
    model: LatentDiT | None = None,
    pretraining: dict | None = None,
    fine_tuning: dict | None = None,
    sampling: dict | None = None,
    names: tuple[str, ...] = (),
    device: torch.device | str = "cpu",
    checkpoint: Checkpoint | None = None,
) -> DistilledSet:
    """``count`` pictures from a diffusion transformer fine-tuned with the Minimax losses and the high-frequency one.

    Args:
        model: what is fine-tuned (a copy of it). None: a small one that is trained from scratch first, with the settings
            ``pretraining``, as ``dit_samples`` does.
        fine_tuning: settings of ``fine_tune`` (``rows``) and ``train_dit``, ``iterations`` at least. ``rows`` is
            ``keep`` by default if the model was trained here, else ``null``.
        The others as in ``dit_samples``.

    History: the losses of the fine-tuning. Raises what encoding, ``pretrain``, ``fine_tune`` and ``sample_set`` raise.
    """
    _check_model(model, pretraining)
    fine_tuning = {"rows": "keep" if model is None else "null"} | (fine_tuning or {})
    data = encode_patches(prior, patches, labels, device=device)
    settings, done = {"fine_tuning": fine_tuning}, None
    if model is None:
        model, _, done = _pretrained(data, generator, pretraining, device, checkpoint)
        settings["pretraining"] = pretraining or {}
    given = {"prior": prior} if fine_tuning.get("detail") else {}
    model, history = fine_tune(model, data, generator=generator, device=device, checkpoint=checkpoint, **given, **fine_tuning)
    made = sample_set(
        model, prior, count=count, size=patches.shape[-1], generator=generator, names=names, method="minimax_distilled",
        settings=settings, history=history, device=device, **(sampling or {}),
    )  # fmt: skip
    if done:
        done.clear()
    return made


def _check_model(model: LatentDiT | None, pretraining: dict | None) -> None:
    if model is not None and pretraining is not None:
        raise ValueError("a model is given: pretraining settings would have no effect, leave them out")
