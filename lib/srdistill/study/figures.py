"""The pictures of the notebooks. Each function returns a matplotlib figure."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from torch import Tensor

from srdistill.images.metrics import psnr
from srdistill.images.subimages import SubImages
from srdistill.study.study import BICUBIC

sns.set_theme(style="ticks", palette="colorblind", rc={"axes.spines.top": False, "axes.spines.right": False})


def _axes(rows: int, columns: int, size: float, ratio: float = 1.0) -> tuple[Figure, np.ndarray]:
    figure, axes = plt.subplots(
        rows, columns, figsize=(columns * size, rows * size * ratio), squeeze=False, layout="constrained"
    )
    for axis in axes.flat:
        axis.set_axis_off()
    plt.close(figure)  # the notebook shows what the cell returns, once
    return figure, axes


def _draw(axis, image: Tensor, title: str = "") -> None:
    axis.imshow(image.permute(1, 2, 0).numpy(), interpolation="nearest")
    axis.set_title(title, fontsize=8)


def picture_grid(images: Sequence[Tensor], titles: Sequence[str], columns: int = 7, size: float = 1.5) -> Figure:
    """``uint8`` images (3, H, W) side by side."""
    figure, axes = _axes(-(-len(images) // columns), min(columns, len(images)), size, 1.15)
    for axis, image, title in zip(axes.flat, images, titles, strict=False):
        _draw(axis, image, title)
    return figure


def pair_figure(hr: Tensor, lr: Tensor, enlarged: Tensor, window: tuple[int, int, int]) -> Figure:
    """An HR picture, its LR picture, and a window (top, left, side) of HR, LR and bicubic."""
    top, left, side = window
    scale = hr.shape[-1] // lr.shape[-1]
    figure, axes = _axes(1, 4, 2.6)
    _draw(axes[0, 0], hr, f"HR, {hr.shape[-1]} x {hr.shape[-2]} px")
    axes[0, 0].add_patch(Rectangle((left, top), side, side, fill=False, color="white", linewidth=1.5))
    _draw(axes[0, 1], hr[:, top : top + side, left : left + side], "HR")
    _draw(axes[0, 2], lr[:, top // scale : (top + side) // scale, left // scale : (left + side) // scale], "LR")
    cut = slice(top, top + side), slice(left, left + side)
    score = float(psnr(enlarged[None], hr[None], scale))
    _draw(axes[0, 3], enlarged[(slice(None), *cut)], f"bicubic, {score:.2f} dB (whole picture)")
    return figure


def sub_image_figure(windows: SubImages, label: int, shown: int = 6) -> Figure:
    """One picture with the corners of its sub-images, and the first of them (figure 2 of Dietz et al.)."""
    cut = windows.of(label)
    figure, axes = _axes(1, 1 + min(shown, len(cut)), 1.7)
    image = windows.pictures.images[label]
    _draw(axes[0, 0], image, f"{windows.pictures.names[label]}: {len(cut)} sub-images")
    colors = sns.color_palette("husl", len(cut))
    mine = (windows.labels == label).nonzero().flatten().tolist()
    for color, index in zip(colors, mine, strict=True):
        corner = (int(windows.left[index]) + 2, int(windows.top[index]) + 2)
        axes[0, 0].add_patch(Rectangle(corner, windows.crop - 4, windows.crop - 4, fill=False, color=color, linewidth=1.2))
    for axis, part in zip(axes[0, 1:], cut, strict=False):
        _draw(axis, part, f"{windows.crop} px")
    return figure


def before_after(before: Tensor, after: Tensor, names: Sequence[str], titles: tuple[str, str]) -> Figure:
    """Two rows of synthetic images ``uint8`` (n, 3, H, W): the start and what distillation made of it."""
    figure, axes = _axes(2, len(before), 1.45, 1.12)
    for column, name in enumerate(names):
        _draw(axes[0, column], before[column], name)
        _draw(axes[1, column], after[column])
    for axis, title in zip(axes[:, 0], titles, strict=True):
        _row_label(axis, title)
    return figure


def _row_label(axis, text: str) -> None:
    axis.text(-0.08, 0.5, text, rotation=90, va="center", ha="right", fontsize=8, transform=axis.transAxes)


def evolution(snapshots: Mapping[str, Mapping[int, Tensor]], which: int = 0) -> Figure:
    """Synthetic images over the iterations, one row per experiment (figure 3 of Dietz et al.)."""
    columns = max(len(stages) for stages in snapshots.values())
    figure, axes = _axes(len(snapshots), columns, 1.6, 1.12)
    for row, (name, stages) in enumerate(snapshots.items()):
        for column, (iteration, images) in enumerate(sorted(stages.items())):
            _draw(axes[row, column], images[min(which, len(images) - 1)], f"iteration {iteration}")
        _row_label(axes[row, 0], name)
    return figure


def distance_curves(
    histories: Mapping[str, Sequence[Sequence[float]]], ylabel: str = "gradient distance", xlabel: str = "iteration"
) -> Figure:
    """Mean distance between gradients over iterations; thin lines are seeds, thick ones a running mean over them."""
    figure, axis = plt.subplots(figsize=(7, 3), layout="constrained")
    plt.close(figure)
    for color, (name, curves) in zip(sns.color_palette(), histories.items(), strict=False):
        for curve in curves:
            axis.plot(range(1, len(curve) + 1), curve, color=color, alpha=0.25, linewidth=0.8)
        mean = pd.Series(np.mean([list(curve) for curve in curves], axis=0))
        smooth = mean.rolling(max(1, len(mean) // 10), min_periods=1, center=True).mean()
        axis.plot(range(1, len(mean) + 1), smooth, color=color, linewidth=2, label=name)
    axis.set(xlabel=xlabel, ylabel=ylabel)
    axis.legend(frameon=False, fontsize=8, loc="center left", bbox_to_anchor=(1, 0.5))
    return figure


def score_plot(values: pd.DataFrame, metric: str, testset: str, rows: Sequence[str], xlabel: str) -> Figure:
    """A dot per seed and a bar over their range, one panel per network; ``values`` as ``tables.per_seed`` gives them."""
    data = values[(values.metric == metric) & (values.testset == testset)]
    bicubic = data[data.row == BICUBIC]["value"]
    data = data[data.row.isin(rows)]
    networks = list(dict.fromkeys(data.network))
    if not networks:
        figure, axes = _axes(1, 1, 5, 0.2)
        axes[0, 0].text(0.5, 0.5, f"no {metric} here: full data is not above bicubic", ha="center", va="center")
        return figure
    figure, axes = plt.subplots(
        1, len(networks), figsize=(2.4 + 2.7 * len(networks), 0.9 + 0.34 * len(rows)), sharey=True, squeeze=False,
        layout="constrained",
    )  # fmt: skip
    plt.close(figure)
    for axis, network in zip(axes[0], networks, strict=True):
        part = data[data.network == network]
        for position, row in enumerate(rows):
            points = part[part.row == row]["value"]
            if len(points):
                axis.plot([points.min(), points.max()], [position, position], color="0.6", linewidth=3, zorder=1,
                          solid_capstyle="round")  # fmt: skip
                axis.scatter(points, [position] * len(points), s=22, color=sns.color_palette()[0], zorder=2)
        if len(bicubic):
            axis.axvline(float(bicubic.iloc[0]), color="0.4", linestyle=":", linewidth=1)
        axis.set(title=network, xlabel=xlabel)
        axis.set_yticks(range(len(rows)), rows, fontsize=8)
        axis.tick_params(axis="x", labelsize=8)
        axis.set_ylim(len(rows) - 0.5, -0.5)
    return figure


def zoom_figure(truth: Tensor, outputs: Mapping[str, Tensor], window: tuple[int, int, int], shave: int) -> Figure:
    """The same window (top, left, side) of the truth and of each output, with the PSNR of the whole picture."""
    top, left, side = window
    columns = 1 + len(outputs)
    figure, axes = _axes(1, columns, 1.75, 1.25)
    _draw(axes[0, 0], truth[:, top : top + side, left : left + side], "truth")
    for axis, (name, image) in zip(axes[0, 1:], outputs.items(), strict=True):
        score = float(psnr(image[None], truth[None], shave))
        _draw(axis, image[:, top : top + side, left : left + side], f"{name}\n{score:.2f} dB")
    return figure
