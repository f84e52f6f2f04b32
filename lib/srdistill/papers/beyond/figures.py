"""What the notebook shows beside tables: the spectra of training sets beside that of the pictures to be restored."""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import seaborn as sns
import torch
from matplotlib.figure import Figure
from torch import Tensor

from srdistill.images.pictures import PictureError
from srdistill.measures.spectrum import power_spectrum
from srdistill.study.pages.drawing import drawing, listed

# Windows of one picture are spread over it; more of a large one would only cost time.
_PER_PICTURE = 9


def spectra(
    sets: Mapping[str, Iterable[Tensor]], tests: Iterable[Tensor], side: int = 64, called: str = "test pictures"
) -> Figure:
    """Radial power spectra of training sets and of the pictures to be restored, and the sets' as shares of the latter's.

    ``sets``: by name, images ``uint8`` (3, H, W) of any sizes, or (N, 3, H, W). ``tests``: the pictures that networks are
    tested on, ``called`` so. All are looked at in windows of ``side`` px, up to nine of each picture; smaller pictures are
    left out. The grey band is the upper octave, which x2 super-resolution has to restore.

    Raises PictureError if there is no picture of ``side`` px in a set, or no set.
    """
    if not sets:
        raise PictureError("no training sets to show the spectra of; give at least one")
    frequencies, reference = power_spectrum(windows(tests, side, called))
    powers = {name: power_spectrum(windows(images, side, name))[1] for name, images in sets.items()}
    caption = (f"Mean radial power spectra of {listed(list(sets))} beside that of the {called}, and as shares of it; the upper "
               "octave is shaded.")  # fmt: skip
    figure = drawing(10, max(3.8, 0.32 * len(sets) + 1.2), caption)
    axes = figure.subplots(1, 2)
    for axis in axes:
        axis.axvspan(0.25, 0.5, color="0.93", zorder=0)
        axis.set(xscale="log", yscale="log", xlabel="cycles per pixel", xlim=(float(frequencies[0]), 0.5))
        axis.set_xticks([1 / 32, 1 / 16, 1 / 8, 1 / 4, 1 / 2], ["1/32", "1/16", "1/8", "1/4", "1/2"])
        axis.minorticks_off()
    axes[0].text(0.355, 0.03, "upper\noctave", ha="center", transform=axes[0].get_xaxis_transform())
    axes[0].plot(frequencies, reference, color="black", linestyle=":", label=called)
    axes[1].axhline(1, color="black", linestyle=":", linewidth=1)
    ends = {called: 1.0}
    colors = dict(zip(powers, sns.color_palette("husl" if len(powers) > 10 else None, len(powers)), strict=True))
    for name, power in powers.items():
        axes[0].plot(frequencies, power, color=colors[name], linewidth=1.3)
        axes[1].plot(frequencies, power / reference, color=colors[name], linewidth=1.3)
        ends[name] = float(power[-1] / reference[-1])
    axes[0].set(ylabel="power", title="spectrum")
    axes[1].set(ylabel=f"power, share of the {called}'", title=f"against the {called}")
    # Names stand where their lines end, in the lines' order, moved apart where they would lie on each other.
    low, high = (float(np.log(value)) for value in axes[1].get_ylim())
    gap = 0.085  # of the axis' height; a line of text
    heights = spread_apart([(np.log(end) - low) / (high - low) for end in ends.values()], gap)
    for (name, end), height in zip(ends.items(), heights, strict=True):
        color = colors.get(name, "black")
        axes[1].text(1.07, height, name, color=color, va="center", transform=axes[1].transAxes)
        line = {"arrowstyle": "-", "color": color, "linewidth": 0.6, "shrinkA": 0, "shrinkB": 0, "relpos": (0, 0.5)}
        axes[1].annotate("", (0.5, end), (1.06, height), textcoords="axes fraction", arrowprops=line)
    return figure


def windows(images: Iterable[Tensor], side: int, called: str = "these") -> Tensor:
    """Windows of ``side`` px, ``uint8`` (n, 3, side, side), at most nine of each picture, evenly spread; a picture that is too
    small has none.

    Raises PictureError if all are.
    """
    found = []
    for image in images:
        height, width = image.shape[-2:]
        if min(height, width) < side:
            continue
        down, across = (
            np.linspace(0, length - side, min(3, length // side)).astype(int).tolist() for length in (height, width)
        )
        places = [(top, left) for top in down for left in across][:_PER_PICTURE]
        found += [image[:, top : top + side, left : left + side] for top, left in places]
    if not found:
        raise PictureError(f"no picture of {called} has {side} px on its shorter side; give a smaller side")
    return torch.stack(found)


def spread_apart(heights: Sequence[float], gap: float) -> list[float]:
    """The heights, moved up or down as little as it takes for any two to be ``gap`` apart; their order stays."""
    order = sorted(range(len(heights)), key=lambda index: heights[index])
    # Blocks of neighbours that touch: [sum of where their first would like to be, how many].
    blocks: list[list[float]] = []
    for index in order:
        blocks.append([heights[index], 1])
        while len(blocks) > 1 and blocks[-1][0] / blocks[-1][1] < blocks[-2][0] / blocks[-2][1] + gap * blocks[-2][1]:
            wish, count = blocks.pop()
            blocks[-1][0] += wish - count * gap * blocks[-1][1]
            blocks[-1][1] += count
    moved = [wish / count + gap * place for wish, count in blocks for place in range(int(count))]
    found = [0.0] * len(heights)
    for index, height in zip(order, moved, strict=True):
        found[index] = height
    return found
