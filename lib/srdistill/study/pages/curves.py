"""Curves over iterations and steps: distances, losses, what students gain; and how many windows have which score."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure
from torch import Tensor

from srdistill.study.pages.drawing import DASHES, LINES, PAPER, fitting, listed, one_axis, wrapped

_BESIDE = {"frameon": False, "loc": "center left", "bbox_to_anchor": (1, 0.5)}


def distance_curves(
    histories: Mapping[str, Sequence[Sequence[float]]],
    ylabel: str = "gradient distance",
    xlabel: str = "iteration",
    every: int = 1,
) -> Figure:
    """A quantity over iterations, known at each of them or ``every`` so many; thin lines are seeds, thick ones a running mean
    over them."""
    several = any(len(curves) > 1 for curves in histories.values())
    thin = "thin lines are seeds, thick ones a running mean over them" if several else "thin: as it was, thick: a running mean"
    caption = f"{ylabel[0].upper()}{ylabel[1:]} over {xlabel}s of {listed(list(histories))}; {thin}."
    figure, axis = one_axis(8, 3, caption)
    for color, dash, (name, curves) in zip(LINES, DASHES, histories.items(), strict=False):
        for curve in curves:
            axis.plot([every * (k + 1) for k in range(len(curve))], curve, color=color, alpha=0.22, linewidth=0.8)
        mean = pd.Series(np.mean([list(curve) for curve in curves], axis=0))
        smooth = mean.rolling(max(1, len(mean) // 10), min_periods=1, center=True).mean()
        axis.plot(every * (mean.index + 1), smooth, color=color, linestyle=dash, linewidth=2, label=wrapped(name, fitting(2)))
    axis.set(xlabel=xlabel, ylabel=ylabel)
    axis.legend(**_BESIDE)
    return figure


def learning_figure(curves: pd.DataFrame) -> Figure:
    """What students gain after more and more steps, of ``measures.learning_curves``."""
    caption = ("What students trained on full data gain over bicubic after a quarter, a half, all and twice the steps of the "
               "table, each in a schedule of its own; the dotted line is bicubic.")  # fmt: skip
    figure, axis = one_axis(7, 3, caption)
    colors = list(LINES)[: curves.network.nunique()]
    looks = {"hue": "network", "style": "network", "markers": True, "dashes": False, "palette": colors}
    sns.lineplot(curves, x="steps", y="PSNR over bicubic, dB", ax=axis, **looks)
    axis.set_xscale("log", base=2)
    steps = sorted(set(curves.steps))
    axis.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axis.set_xlim(min(steps) / 1.2, max(steps) * 1.2)
    axis.axhline(0, color="0.6", linestyle=":", linewidth=1)
    axis.legend(**_BESIDE)
    return figure


def selection_figure(scores: Tensor, limit: float) -> Figure:
    """How many windows have which score, PSNR(y, U4 D4 y) in dB; those left of ``limit`` are candidates. The flattest hundredth
    is told in words: it would take half of the figure."""
    end = float(scores.double().quantile(0.99)) if len(scores) > 200 else float(scores.max())
    end = max(end, limit + 1)
    share, beyond = (100 * float(part.double().mean()) for part in (scores < limit, scores > end))
    caption = (f"How many windows have which score: {share:.0f} % lie below the limit of {limit:.1f} dB, shaded, and are "
               f"candidates; {beyond:.1f} % lie beyond the right edge.")  # fmt: skip
    figure, axis = one_axis(7, 2.4, caption)
    sns.histplot(x=scores[scores <= end].numpy(), bins=60, ax=axis, color="0.7", edgecolor="none")
    axis.axvspan(float(scores.min()), limit, color=PAPER, alpha=0.2)
    axis.text(0.98, 0.9, f"{share:.0f} % below {limit:.1f} dB", transform=axis.transAxes, ha="right")
    if beyond:
        axis.text(0.98, 0.75, f"{beyond:.1f} % beyond {end:.0f} dB", transform=axis.transAxes, ha="right")
    axis.set(xlabel="PSNR(y, U4 D4 y), dB", ylabel="windows", xlim=(float(scores.min()), end))
    return figure
