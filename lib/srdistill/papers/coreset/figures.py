"""What notebooks on this paper show beside tables: pictures by class, patch size against accuracy and time, and bytes."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure
from pandas.io.formats.style import Styler
from torch import Tensor

from srdistill.papers.coreset.coreset_rows import engine_bytes, soft_label_bytes
from srdistill.sets.distilled_set import DistilledSet
from srdistill.study.classification import ClassificationStudy
from srdistill.study.pages.describe import readable
from srdistill.study.pages.figures import image_rows
from srdistill.study.rows import ClassRow


def ranked(made: DistilledSet) -> Tensor:
    """Of a coreset the first image of every class, then the second one of every class, and so on: (ranks, classes, 3, H,
    W)."""
    return made.images.unflatten(0, (len(made.names), -1)).transpose(0, 1)


def class_columns(classes: Sequence[str], rows: Mapping[str, Tensor]) -> Figure:
    """Rows of images ``uint8`` (classes, 3, H, W), a column for each class."""
    names = [name.replace("_", "\n").replace(" ", "\n") for name in classes]
    return image_rows(rows, names, shown=len(names))


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
