"""Where the paper's text, its authors' code (sunwoocho/SRDD, commit ac996db7) and this study differ.

The code came out after the paper, without the training of super-resolution networks, GSDD or the evaluation. Where the text is
silent the profile ``paper`` does as the code; where both speak, as the text, but for what the table of ``authors_code`` shows.
"""

from collections.abc import Callable
from dataclasses import dataclass

import pandas as pd

from srdistill.papers.labelfree.plan import LabelFreePlan


@dataclass(frozen=True)
class Setting:
    """``text``, ``code``: what either says; empty: nothing, or it did not survive. ``ours``: what a plan does, in words."""

    name: str
    text: str
    code: str
    ours: Callable[[LabelFreePlan], str]


def _selected(plan: LabelFreePlan) -> str:
    chosen = plan.selection
    return f"below {chosen.threshold:g} dB" if chosen.quantile is None else f"the lowest {100 * chosen.quantile:g} %"


def _measure(plan: LabelFreePlan) -> str:
    published = plan.selection.measure == "published"
    return "grey, not antialiased, the patch alone" if published else "colour, antialiased, within its picture"


def _model(plan: LabelFreePlan) -> str:
    if plan.pretraining is None:
        return f"DiT-XL/2 for {plan.size} px"
    seen = plan.pretraining_pictures or "the patches"
    return f"{plan.transformer['depth']} blocks of width {plan.transformer['width']}, trained on {seen}"


def _length(plan: LabelFreePlan) -> str:
    return f"{plan.fine_tuning.recipe.iterations:,} steps, batch {plan.fine_tuning.recipe.batch}"


def _optimiser(plan: LabelFreePlan) -> str:
    recipe = plan.fine_tuning.recipe
    return f"AdamW, {recipe.lr:g}, {recipe.schedule}; average {recipe.ema:g}"


def _minimax(plan: LabelFreePlan) -> str:
    tuning = plan.fine_tuning
    return f"{tuning.representative:g} and {tuning.diverse:g}, memory {tuning.memory}"


def _detail(plan: LabelFreePlan) -> str:
    return f"both: weight {plan.fine_tuning.detail:g} on decoded predictions, and as in the code"


_ROWS = {"keep": "the rows that stand there", "null": "all from the null label's", "mean": "all from the mean row"}
SETTINGS = (
    Setting("patches", "size lost", "512 px every 256 px; the folder of pictures is called x4",
            lambda plan: f"{plan.size} px every {plan.selection.stride} px"),
    Setting("score of a patch", "bicubic x4, following SamplingAug", "grey, not antialiased, the patch alone", _measure),
    Setting("threshold", "23 dB, the median", "below 23 dB", _selected),
    Setting("features", "CLIP ViT-B/32", "CLIP ViT-B/32, not normalised",
            lambda plan: f"{plan.selection.features}, {'' if plan.selection.normalise else 'not '}normalised"),
    Setting("k-means", "7 classes", "7 classes, random state 42, scikit-learn's starts (10 up to version 1.3, then 1)",
            lambda plan: f"{plan.selection.clusters} classes, {plan.selection.n_init} starts, another random state"),
    Setting("transformer", "DiT, resolution lost", "DiT-XL/2 for 512 px", _model),
    Setting("label rows", "", "rows 0 to 6 of ImageNet's 1000, trained on", lambda plan: _ROWS[plan.fine_tuning.rows]),
    Setting("codes in training", "", "drawn from the encoder's distribution", lambda plan: "its mean"),
    Setting("optimiser", "Adam, numbers lost", "AdamW, 0.001, constant; average 0.9999", _optimiser),
    Setting("length", "70 epochs, batch 8", "70 epochs in one version of the script, 700 in another; batch 4", _length),
    Setting("Minimax weights", "following Minimax Diffusion, numbers lost", "0.002 and 0.008, memory 64",
            _minimax),
    Setting("high-frequency loss", "predicted picture against the enlarged low-resolution one",
            "real latent against itself, enlarged and shrunk; weight -1, no gradient", _detail),
    Setting("sampling", "", "50 steps, guidance 4 on 3 of 4 channels; decoder sd-vae-ft-mse",
            lambda plan: f"{plan.sampling.steps} steps, guidance {plan.sampling.guidance:g} on "
                         f"{plan.sampling.guided_channels or 'all'} channels; decoder {plan.prior}"),
)  # fmt: skip


def authors_code(plan: LabelFreePlan) -> pd.DataFrame:
    """``SETTINGS`` with what ``plan`` does: a line for each, columns ``text``, ``code`` and ``here``."""
    lines = {one.name: {"text": one.text or "-", "code": one.code, "here": one.ours(plan)} for one in SETTINGS}
    return pd.DataFrame(lines).T
