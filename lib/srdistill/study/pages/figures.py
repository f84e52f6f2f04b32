"""The pictures of the notebooks. Each function returns a matplotlib figure."""

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator
from torch import Tensor

from srdistill.images.convention import bicubic, low_resolution, mod_crop
from srdistill.images.metrics import psnr
from srdistill.images.pictures import to_float, to_uint8
from srdistill.images.resize import bicubic_matrix
from srdistill.images.spectrum import power_spectrum, upper_octave
from srdistill.images.subimages import SubImages
from srdistill.study.metrics import GAIN, METRICS
from srdistill.study.rows import BICUBIC

# What a notebook shows without shrinking it, in inches.
_WIDEST = 10.2
sns.set_theme(style="ticks", palette="colorblind", rc={"axes.spines.top": False, "axes.spines.right": False})


def _axes(rows: int, columns: int, size: float, ratio: float = 1.0) -> tuple[Figure, np.ndarray]:
    figure, axes = plt.subplots(
        rows, columns, figsize=(columns * size, rows * size * ratio), squeeze=False, layout="constrained"
    )
    for axis in axes.flat:
        axis.set_axis_off()
    plt.close(figure)  # the notebook shows what the cell returns, once
    return figure, axes


def _draw(axis, image: Tensor, title: str = "", wrap: int = 0) -> None:
    axis.imshow(image.permute(1, 2, 0).numpy(), interpolation="nearest")
    axis.set_title(_wrapped(title, wrap) if wrap else title, fontsize=8)


def _wrapped(text: str, width: int) -> str:
    """Text in lines of ``width`` characters; those that it has are kept."""
    lines = [textwrap.fill(line, width, break_on_hyphens=False, break_long_words=False) for line in text.split("\n")]
    return "\n".join(lines)


def pair_figure(picture: Tensor, window: tuple[float, float, float], scale: int = 2) -> Figure:
    """An HR picture ``uint8`` (3, H, W), and a window of it, of its LR picture and of plain bicubic.

    ``window``: top, left and side, as shares of height, width and the shorter of the two.
    """
    hr = mod_crop(picture)
    lr = low_resolution(hr, scale)
    enlarged = to_uint8(bicubic(to_float(lr)[None], scale))[0]
    height, width = hr.shape[1:]
    top, left, side = (int(share * length) for share, length in zip(window, (height, width, min(height, width)), strict=True))
    figure, axes = _axes(1, 4, 2.6)
    _draw(axes[0, 0], hr, f"HR, {hr.shape[-1]} x {hr.shape[-2]} px")
    axes[0, 0].add_patch(Rectangle((left, top), side, side, fill=False, color="white", linewidth=1.5))
    _draw(axes[0, 1], hr[:, top : top + side, left : left + side], "HR")
    _draw(axes[0, 2], lr[:, top // scale : (top + side) // scale, left // scale : (left + side) // scale], "LR")
    cut = slice(top, top + side), slice(left, left + side)
    score = float(psnr(enlarged[None], hr[None], scale))
    _draw(axes[0, 3], enlarged[(slice(None), *cut)], f"bicubic, {score:.2f} dB (whole picture)")
    return figure


def weights_figure(scales: Sequence[int] = (2, 4), length: int = 96) -> Figure:
    """What a single LR pixel takes from the HR pixels around it: the middle row of the resizing matrix, for each scale."""
    figure, axis = plt.subplots(figsize=(6, 2.4), layout="constrained")
    plt.close(figure)
    for scale in scales:
        weights = bicubic_matrix(length, length // scale)[length // 2 // scale]
        axis.plot(range(length), weights, marker="o", markersize=3, label=f"×{scale}")
    axis.set(xlim=(length / 3, length * 11 / 16), xlabel="HR pixel", ylabel="weight")
    axis.legend(frameon=False)
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


def image_rows(rows: Mapping[str, Tensor | Sequence[Tensor]], names: Sequence[str], shown: int = 7) -> Figure:
    """The first images of several sets ``uint8`` (n, 3, H, W), one set a row: a start and what distillation made of it, say.

    ``names``: of the columns.
    """
    columns = min(shown, *(len(images) for images in rows.values()))
    figure, axes = _axes(len(rows), columns, min(1.45, _WIDEST / columns), 1.12)
    for index, (title, images) in enumerate(rows.items()):
        for axis, image, name in zip(axes[index], images, names, strict=False):
            _draw(axis, image, "" if index else name, wrap=20)
        _row_label(axes[index, 0], title)
    return figure


def _row_label(axis, text: str) -> None:
    where = {"va": "center", "ha": "right", "transform": axis.transAxes}
    axis.text(-0.08, 0.5, _wrapped(text, 24), rotation=90, multialignment="center", fontsize=8, **where)


def evolution(snapshots: Mapping[str, Mapping[int, Tensor]], which: int = 0) -> Figure:
    """The same synthetic image over the iterations, one row per experiment (figure 3 of Dietz et al.).

    Snapshots: ``uint8`` (k, 3, H, W) by iteration, by experiment; ``which`` of the k.
    """
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


def learning_figure(curves: pd.DataFrame) -> Figure:
    """What students gain after more and more steps, of ``measures.learning_curves``."""
    figure, axis = plt.subplots(figsize=(6, 3), layout="constrained")
    plt.close(figure)
    looks = {"hue": "network", "style": "network", "markers": True, "dashes": False}
    sns.lineplot(curves, x="steps", y="PSNR over bicubic, dB", ax=axis, **looks)
    axis.set_xscale("log", base=2)
    steps = sorted(set(curves.steps))
    axis.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axis.set_xlim(min(steps) / 1.2, max(steps) * 1.2)
    axis.axhline(0, color="0.6", linestyle=":", linewidth=1)
    axis.legend(frameon=False, fontsize=8, loc="center left", bbox_to_anchor=(1, 0.5))
    return figure


def selection_figure(scores: Tensor, limit: float) -> Figure:
    """How many windows have which score, PSNR(y, U4 D4 y) in dB; those left of ``limit`` are candidates."""
    figure, axis = plt.subplots(figsize=(6, 2.4), layout="constrained")
    plt.close(figure)
    sns.histplot(x=scores.numpy(), bins=60, ax=axis, color="0.75", edgecolor="none")
    axis.axvspan(float(scores.min()), limit, color=sns.color_palette()[0], alpha=0.2)
    share = 100 * (scores < limit).double().mean().item()
    axis.text(0.98, 0.9, f"{share:.0f} % below {limit:.1f} dB", transform=axis.transAxes, ha="right", fontsize=8)
    axis.set(xlabel="PSNR(y, U4 D4 y), dB", ylabel="windows")
    return figure


def score_plot(values: pd.DataFrame, metric: str, testset: str, rows: Sequence[str], xlabel: str) -> Figure:
    """A dot per seed and a bar over their range, one panel per network; ``values`` as ``tables.per_seed`` gives them."""
    data = values[(values.metric == metric) & (values.testset == testset)]
    bicubic = data[data.row == BICUBIC]["value"]
    data = data[data.row.isin(rows)]
    networks = list(dict.fromkeys(data.network))
    if not networks:
        figure, axes = _axes(1, 1, 5, 0.2)
        why = "full data is not above bicubic" if metric == GAIN else "this profile does not measure it"
        axes[0, 0].text(0.5, 0.5, f"no {METRICS[metric].axis.partition(',')[0]} here: {why}", ha="center", va="center")
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
        axis.xaxis.set_major_locator(MaxNLocator(4))
        axis.set_ylim(len(rows) - 0.5, -0.5)
    return figure


@dataclass(frozen=True)
class Zoom:
    """A picture to look at closely: ``truth`` and ``outputs`` by name, ``uint8`` (3, H, W); ``window``: top, left, side."""

    truth: Tensor
    outputs: Mapping[str, Tensor]
    window: tuple[int, int, int] | None = None

    def cut(self, image: Tensor) -> Tensor:
        """The window of an image, by default the middle third."""
        height, width = image.shape[1:]
        side = min(height, width) // 3
        top, left, side = self.window or ((height - side) // 2, (width - side) // 2, side)
        return image[:, top : top + side, left : left + side]


def zoom_figure(zooms: Sequence[Zoom], shave: int) -> Figure:
    """A row per picture: the window in the truth and in each output, and under it the PSNR of the whole picture."""
    figure, axes = _axes(len(zooms), 1 + len(zooms[0].outputs), 1.75, 1.3)
    for index, (row, zoom) in enumerate(zip(axes, zooms, strict=True)):
        first = index == 0
        _draw(row[0], zoom.cut(zoom.truth), "truth" if first else "")
        for axis, (name, image) in zip(row[1:], zoom.outputs.items(), strict=True):
            _draw(axis, zoom.cut(image), name if first else "", wrap=17)
            score = float(psnr(image[None], zoom.truth[None], shave))
            axis.text(0.5, -0.04, f"{score:.2f} dB", transform=axis.transAxes, fontsize=8, ha="center", va="top")
    return figure


def spectrum_figure(real: Tensor, copies: Mapping[str, Tensor]) -> Figure:
    """What copies keep of real pictures, ``uint8`` (N, 3, S, S) each: over all frequencies, and in the upper octave.

    Left: power as a share of the real one's. Right: one dot per picture, bars are medians; *kept* is the energy of the upper
    octave as a share of the real one's, *explained* how much of the real detail is in it.
    """
    figure, axes = plt.subplots(1, 3, figsize=(11, 3.2), layout="constrained", gridspec_kw={"width_ratios": [2.2, 1, 1]})
    plt.close(figure)
    frequencies, power = power_spectrum(real)
    axes[0].axvspan(0.25, 0.5, color="0.92", zorder=0)
    axes[0].text(0.375, 0.04, "upper octave", ha="center", fontsize=8, transform=axes[0].get_xaxis_transform())
    axes[0].axhline(1, color="0.4", linestyle=":", linewidth=1)
    colors = sns.color_palette(n_colors=len(copies))
    for position, (color, (name, images)) in enumerate(zip(colors, copies.items(), strict=True)):
        axes[0].plot(frequencies, power_spectrum(images)[1] / power, color=color, label=name)
        octave = upper_octave(images, real)
        for axis, values in ((axes[1], octave.kept), (axes[2], octave.explained)):
            axis.bar(position, values.median().item(), color=color, alpha=0.35, width=0.7)
            axis.scatter([position] * len(values), values, color=color, s=14, zorder=2)
    axes[0].set(yscale="log", xlabel="cycles per pixel", ylabel="power, share of the real crops'")
    axes[0].legend(frameon=False, fontsize=8, loc="lower left")
    for axis, title, line in ((axes[1], "kept", 1), (axes[2], "explained", 0)):
        axis.axhline(line, color="0.4", linestyle=":", linewidth=1)
        axis.set(title=f"upper octave: {title}", xticks=[])
        axis.title.set_fontsize(9)
    axes[1].set_yscale("log")
    low = min(float(upper_octave(images, real).explained.min()) for images in copies.values())
    if low < -1.5:  # a picture that is almost flat has nothing to explain, and would hide the others
        axes[2].set_ylim(-1.5, 1.05)
    return figure
