"""Pictures of training sets: the first images of several sets, and one image over the iterations."""

from collections.abc import Mapping, Sequence

from matplotlib.figure import Figure
from torch import Tensor

from srdistill.study.pages.drawing import WIDEST, fitting, listed, panels, row_label, show_image


def image_rows(
    rows: Mapping[str, Tensor | Sequence[Tensor]],
    names: Sequence[str],
    shown: int = 7,
    caption: str = "The first images of sets, one set a row",
) -> Figure:
    """The first images of several sets ``uint8`` (n, 3, H, W), one set a row: a start and what distillation made of it, say.

    ``names``: of the columns. ``caption``: what rows and columns are; the names of the rows follow it.
    """
    columns = min(shown, *(len(images) for images in rows.values()))
    size = min(1.45, WIDEST / columns)
    figure, axes = panels(len(rows), columns, size, f"{caption}: {listed(list(rows))}.", 1.12)
    for index, (title, images) in enumerate(rows.items()):
        for axis, image, name in zip(axes[index], images, names, strict=False):
            show_image(axis, image, "" if index else name, wrap=fitting(size))
        row_label(axes[index, 0], title, size)
    return figure


def evolution(snapshots: Mapping[str, Mapping[int, Tensor]], which: int = 0) -> Figure:
    """The same synthetic image over the iterations, one row per experiment (figure 3 of Dietz et al.).

    Snapshots: ``uint8`` (k, 3, H, W) by iteration, by experiment; ``which`` of the k.
    """
    columns = max(len(stages) for stages in snapshots.values())
    size = min(1.6, WIDEST / columns)
    caption = f"One synthetic image over the iterations, from left to right, one experiment a row: {listed(list(snapshots))}."
    figure, axes = panels(len(snapshots), columns, size, caption, 1.12)
    for row, (name, stages) in enumerate(snapshots.items()):
        for column, (iteration, images) in enumerate(sorted(stages.items())):
            show_image(axes[row, column], images[min(which, len(images) - 1)], f"iteration {iteration}")
        row_label(axes[row, 0], name, size)
    return figure
