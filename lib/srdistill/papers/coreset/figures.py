"""What notebooks on classification show beside tables: patch size against accuracy and time, and what is stored."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure
from pandas.io.formats.style import Styler

from srdistill.sets.distilled_set import sizes_of
from srdistill.study.coreset_study import CoresetRow, CoresetStudy
from srdistill.study.describe import readable


def factor_figure(
    scores: pd.DataFrame, factors: Sequence[int], methods: Mapping[str, str], network: str, size: int
) -> Figure:
    """Accuracy and seconds per epoch over the factor r (the coreset paper's figure 5 and table 3); dots are seeds.

    ``scores``: from ``tables.per_seed``. ``methods``: name to the label of its rows, with ``{}`` for the factor. ``size``:
    of the pictures in px, which the patches' sizes are shares of.
    """
    figure, axes = plt.subplots(1, 2, figsize=(9, 3.2), layout="constrained")
    plt.close(figure)
    places = range(len(factors))
    for axis, metric, title in zip(axes, ("accuracy", "seconds_per_epoch"), ("top-1 accuracy, %", "seconds per epoch"),
                                   strict=True):  # fmt: skip
        for color, (name, label) in zip(sns.color_palette(), methods.items(), strict=False):
            found = [
                scores[(scores.row == label.format(factor)) & (scores.metric == metric) & (scores.network == network)]["value"]
                for factor in factors
            ]
            axis.plot(places, [values.mean() for values in found], color=color, label=name)
            for place, values in zip(places, found, strict=True):
                axis.scatter([place] * len(values), values, color=color, s=16)
        axis.set_xticks(places, [f"{factor}\n({size // factor} px)" for factor in factors], fontsize=8)
        axis.set(xlabel="r (patch)", title=title)
        axis.tick_params(axis="y", labelsize=8)
    axes[1].set_ylim(bottom=0)
    axes[0].legend(frameon=False, fontsize=8)
    return figure


def storage_table(study: CoresetStudy, rows: Sequence[CoresetRow], scores: pd.DataFrame) -> Styler:
    """Bytes of pictures, of soft labels and of the diffusion model for each row, and accuracy, on the first data set."""
    task = study.tasks[0]
    whole = sizes_of(list(task.train.images)).lossless_bytes
    accuracy = scores[(scores.metric == "accuracy") & (scores.testset == task.name)].groupby("row")["value"].mean()
    lines = {}
    for row in rows:
        pictures, labels = study.make_set(row, 0, task).sizes.lossless_bytes, study.soft_label_bytes(row, task)
        model = study.engine(task).bytes if row.expansion else 0
        lines[row.label] = {
            "pictures or patches": f"{pictures:,}", "soft labels": f"{labels:,}", "diffusion model": f"{model:,}",
            "all, of the training pictures": f"{100 * (pictures + labels + model) / whole:.0f} %",
            "labels, of the pictures": f"{100 * labels / pictures:.0f} %",
            "top-1 accuracy": f"{accuracy[row.label]:.1f} %" if row.label in accuracy else "",
        }  # fmt: skip
    return readable(pd.DataFrame(lines).T)
