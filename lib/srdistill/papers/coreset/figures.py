"""What notebooks on this paper show beside tables: pictures by class, patch size against accuracy and time, and bytes."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from pandas.io.formats.style import Styler
from torch import Tensor

from srdistill.papers.coreset.coreset_rows import engine_bytes, soft_label_bytes
from srdistill.sets.distilled_set import DistilledSet
from srdistill.study.classification import ClassificationStudy
from srdistill.study.pages.describe import readable
from srdistill.study.pages.drawing import DASHES, LINES, WIDEST, drawing, listed
from srdistill.study.pages.figures import image_rows
from srdistill.study.rows import ClassRow
from srdistill.study.verdicts.intervals import interval_of_seeds


def ranked(made: DistilledSet) -> Tensor:
    """Of a coreset the first image of every class, then the second one of every class, and so on: (ranks, classes, 3, H,
    W)."""
    return made.images.unflatten(0, (len(made.names), -1)).transpose(0, 1)


def class_columns(classes: Sequence[str], rows: Mapping[str, Tensor]) -> Figure:
    """Rows of images ``uint8`` (classes, 3, H, W), a column for each class."""
    names = [name.replace("_", "\n").replace(" ", "\n") for name in classes]
    return image_rows(rows, names, shown=len(names), caption="A column for each class, in rows")


def tenths(losses: Sequence[float]) -> np.ndarray:
    """Means over the first, the second, ... and the last tenth of a curve, (10,), of one value at least; over each value where
    there are fewer than ten."""
    return np.array([part.mean() for part in np.array_split(np.asarray(losses, float), min(10, len(losses)))])


def lowering_figure(histories: Mapping[str, Mapping[str, Sequence[Sequence[float]]]]) -> Figure:
    """How far each method lowers its own loss: a panel for a method, a line for each of its sets and seeds, through the means
    over tenths of its iterations, as shares of the first.

    ``histories``: method to set to seeds to losses over iterations. Losses of different methods are different things, so only
    shares have a common scale.
    """
    figure = drawing(WIDEST, 3.2, f"The losses of {listed(list(histories))} while sets are distilled, a panel each: means over "
                     "tenths of the iterations, in percent of the first; a line for each seed.")  # fmt: skip
    axes = figure.subplots(1, len(histories), sharey=True, squeeze=False)[0]
    names = list(dict.fromkeys(name for sets in histories.values() for name in sets))
    handles = {}
    for axis, (method, sets) in zip(axes, histories.items(), strict=True):
        for name, seeds in sets.items():
            color, dash = LINES[names.index(name)], DASHES[names.index(name)]
            for losses in seeds:
                means = tenths(losses)
                places = 100 * (np.arange(len(means)) + 0.5) / len(means)
                (handles[name],) = axis.plot(places, 100 * means / means[0], color=color, linestyle=dash, linewidth=1.4)
        axis.axhline(100, color="0.7", linewidth=0.8, zorder=0)
        axis.set(title=method, xlabel="iterations, %", xlim=(0, 100))
    axes[0].set(ylabel="loss, % of the first tenth's")
    figure.legend(handles.values(), handles.keys(), loc="outside lower center", ncols=len(handles), frameon=False)
    return figure


def factor_figure(
    scores: pd.DataFrame, factors: Sequence[int], methods: Mapping[str, str], network: str, size: int
) -> Figure:
    """Accuracy and seconds per epoch over the factor r (the coreset paper's figure 5 and table 3): dots are seeds, strokes
    means, bars 95 % intervals over seeds. Points are not joined: so few say nothing of what lies between.

    ``scores``: from ``tables.per_seed``. ``methods``: name to the label of its rows, with ``{}`` for the factor. ``size``:
    of the pictures in px, which the patches' sizes are shares of.
    """
    caption = (f"Top-1 accuracy and seconds per epoch of {network} over the factor r, for {listed(list(methods))}: a dot per "
               "seed, the mean, and its 95 % interval over seeds.")  # fmt: skip
    figure = drawing(9, 3.4, caption)
    axes = figure.subplots(1, 2)
    for axis, metric, title in zip(axes, ("accuracy", "seconds_per_epoch"), ("top-1 accuracy, %", "seconds per epoch"),
                                   strict=True):  # fmt: skip
        for which, (color, (name, label)) in enumerate(zip(LINES, methods.items(), strict=False)):
            for place, factor in enumerate(factors):
                mine = scores[(scores.row == label.format(factor)) & (scores.metric == metric) & (scores.network == network)]
                aside = place + 0.22 * (which - (len(methods) - 1) / 2)
                _with_interval(axis, aside, mine["value"].tolist(), color, "" if place else name)
        axis.set_xticks(range(len(factors)), [f"{factor}\n({size // factor} px)" for factor in factors])
        axis.set(xlabel="r (patch)", title=title, xlim=(-0.5, len(factors) - 0.5))
    axes[1].set_ylim(bottom=0)
    axes[0].legend(frameon=False)
    return figure


def _with_interval(axis: Axes, place: float, values: Sequence[float], color: str, name: str) -> None:
    """Seeds as dots, their mean as a stroke, its interval as a bar."""
    axis.scatter([place] * len(values), values, color=color, alpha=0.6, s=18, linewidths=0, label=name or None)
    if len(values) > 1:
        mean = sum(values) / len(values)
        axis.plot([place, place], interval_of_seeds(values), color=color, linewidth=1.4)
        axis.plot([place - 0.08, place + 0.08], [mean, mean], color=color, linewidth=2)


def storage_table(study: ClassificationStudy, rows: Sequence[ClassRow], scores: pd.DataFrame) -> Styler:
    """Bytes of pictures, of soft labels and of the diffusion model for each row, and accuracy, on the first data set."""
    mine = scores[(scores.metric == "accuracy") & (scores.testset == study.dataset.name)]
    accuracy, whole = mine.groupby("row")["value"].mean(), study.sizes(None).lossless_bytes
    lines = {}
    for row in rows:
        pictures = study.entry(study.set_task(row, 0)).value["sizes"]["lossless_bytes"]
        labels, model = soft_label_bytes(study, row), engine_bytes(study, row)
        lines[row.label] = {
            "pictures or patches": f"{pictures:,}", "soft labels": f"{labels:,}", "diffusion model": f"{model:,}",
            "all, of the training pictures": f"{100 * (pictures + labels + model) / whole:.0f} %",
            "labels, of the pictures": f"{100 * labels / pictures:.0f} %",
            "top-1 accuracy": f"{accuracy[row.label]:.1f} %" if row.label in accuracy else "",
        }  # fmt: skip
    return readable(pd.DataFrame(lines).T)
