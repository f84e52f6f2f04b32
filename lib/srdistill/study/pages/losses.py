"""The losses of a diffusion training over its steps."""

from collections.abc import Mapping, Sequence

import pandas as pd
from matplotlib.figure import Figure

from srdistill.study.pages.drawing import LINES, WIDEST, drawing, listed
from srdistill.training.loop import LOOK_EVERY


def loss_panels(histories: Mapping[str, Mapping[str, Sequence[float]]], steps: int) -> Figure:
    """A panel for each loss, a line for each training.

    ``histories``: what ``diffusion.training.train_dit`` returns, by the name of the training: each loss by name, means over
    50 steps (the last may be fewer). ``steps``: how many each training took. The unweighted losses are shown, not ``loss``,
    their weighted sum. Raises ValueError: histories that do not belong to so many steps.
    """
    names = list(dict.fromkeys(name for history in histories.values() for name in history if name != "loss"))
    ends = [min(steps, start + LOOK_EVERY) for start in range(0, steps, LOOK_EVERY)]
    lines = listed(list(histories))
    caption = f"Losses over {steps} steps of training, a panel each: {listed(names)}; a line each for {lines}."
    figure = drawing(WIDEST, 2.6, caption)
    axes = figure.subplots(1, len(names), squeeze=False)
    for axis, name in zip(axes[0], names, strict=True):
        found = {label: history[name] for label, history in histories.items() if name in history}
        curves = pd.DataFrame(found, index=ends)
        curves.plot(ax=axis, marker="o", markersize=3, legend=False, title=name, xlabel="step", xlim=(0, steps + 1),
                    color=list(LINES)[: len(found)])  # fmt: skip
    handles, labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(labels), frameon=False)
    return figure
