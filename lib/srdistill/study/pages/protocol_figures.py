"""Pictures of the protocol: a pair of HR and LR, the weights of the resizing, sub-images."""

from collections.abc import Sequence

import seaborn as sns
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from torch import Tensor

from srdistill.images.convention import bicubic, low_resolution, mod_crop
from srdistill.images.pictures import to_float, to_uint8
from srdistill.images.resize import bicubic_matrix
from srdistill.images.subimages import SubImages
from srdistill.measures.metrics import psnr
from srdistill.study.pages.drawing import DASHES, LINES, fitting, one_axis, panels, show_image


def pair_figure(picture: Tensor, window: tuple[float, float, float], scale: int = 2) -> Figure:
    """An HR picture ``uint8`` (3, H, W), and a window of it, of its LR picture and of plain bicubic.

    ``window``: top, left and side, as shares of height, width and the shorter of the two.
    """
    hr = mod_crop(picture)
    lr = low_resolution(hr, scale)
    enlarged = to_uint8(bicubic(to_float(lr)[None], scale))[0]
    height, width = hr.shape[1:]
    top, left, side = (int(share * length) for share, length in zip(window, (height, width, min(height, width)), strict=True))
    caption = f"A picture, and a window of it: as it is, shrunk by {scale}, and enlarged again by bicubic."
    figure, axes = panels(1, 4, 2.5, caption)
    show_image(axes[0, 0], hr, f"HR, {hr.shape[-1]} x {hr.shape[-2]} px")
    axes[0, 0].add_patch(Rectangle((left, top), side, side, fill=False, color="white", linewidth=1.5))
    show_image(axes[0, 1], hr[:, top : top + side, left : left + side], "HR")
    show_image(axes[0, 2], lr[:, top // scale : (top + side) // scale, left // scale : (left + side) // scale], "LR")
    cut = slice(top, top + side), slice(left, left + side)
    score = float(psnr(enlarged[None], hr[None], scale))
    show_image(axes[0, 3], enlarged[(slice(None), *cut)], f"bicubic, {score:.2f} dB\n(whole picture)")
    return figure


def weights_figure(scales: Sequence[int] = (2, 4), length: int = 96) -> Figure:
    """What a single LR pixel takes from the HR pixels around it: the middle row of the resizing matrix, for each scale."""
    figure, axis = one_axis(6, 2.4, "The weights that one LR pixel gives to the HR pixels around it, one line per scale.")
    for scale, color, dash in zip(scales, LINES, DASHES, strict=False):
        weights = bicubic_matrix(length, length // scale)[length // 2 // scale]
        axis.plot(range(length), weights, marker="o", markersize=3, color=color, linestyle=dash, label=f"×{scale}")
    axis.axhline(0, color="0.7", linewidth=0.8, zorder=0)
    axis.set(xlim=(length / 3, length * 11 / 16), xlabel="HR pixel", ylabel="weight")
    axis.legend(frameon=False)
    return figure


def sub_image_figure(windows: SubImages, label: int, shown: int = 6) -> Figure:
    """One picture with the corners of its sub-images, and the first of them (figure 2 of Dietz et al.)."""
    cut = windows.of(label)
    name = windows.pictures.names[label]
    beside = "each by itself" if len(cut) <= shown else f"the first {shown} of them"
    caption = f"The picture {name} with its {len(cut)} sub-images of {windows.crop} px, which overlap, and beside it {beside}."
    size = 1.45
    figure, axes = panels(1, 1 + min(shown, len(cut)), size, caption, 1.25)
    show_image(axes[0, 0], windows.pictures.images[label], f"{name}: {len(cut)} sub-images", fitting(size))
    colors = sns.color_palette("husl", len(cut))
    mine = (windows.labels == label).nonzero().flatten().tolist()
    for color, index in zip(colors, mine, strict=True):
        corner = (int(windows.left[index]) + 2, int(windows.top[index]) + 2)
        axes[0, 0].add_patch(Rectangle(corner, windows.crop - 4, windows.crop - 4, fill=False, color=color, linewidth=1.2))
    for axis, part in zip(axes[0, 1:], cut, strict=False):
        show_image(axis, part, f"{windows.crop} px")
    return figure
