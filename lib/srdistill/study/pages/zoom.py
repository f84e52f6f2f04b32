"""A closer look at test pictures: where outputs differ most, in full, as a window, and as an error map."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
import torch.nn.functional as F
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from torch import Tensor

from srdistill.measures.metrics import psnr
from srdistill.study.pages.drawing import WIDEST, drawing, fitting, listed, show_image

# Of the shorter side of a picture; outputs in a line; the share of all errors that the brightest is at least as large as.
_SHARE, _MOST, _BRIGHTEST = 0.3, 6, 0.99
_FAILS = 4.0
_LOCATOR = "#ffd400"


@dataclass(frozen=True)
class Zoom:
    """A picture to look at closely: ``truth`` and ``outputs`` by name, ``uint8`` (3, H, W); ``name``: what stands above it."""

    truth: Tensor
    outputs: Mapping[str, Tensor]
    name: str = ""

    @property
    def close(self) -> list[Tensor]:
        """Outputs (3, H, W) that do not fail: all with at most four times the squared error of the best, if there are two."""
        errors = {name: float((image.float() - self.truth.float()).square().mean()) for name, image in self.outputs.items()}
        found = [image for name, image in self.outputs.items() if errors[name] <= _FAILS * min(errors.values())]
        return found if len(found) > 1 else list(self.outputs.values())

    @cached_property
    def window(self) -> tuple[int, int, int]:
        """Top, left and side of the square in which the outputs that do not fail differ most from each other."""
        height, width = self.truth.shape[1:]
        side = max(8, int(_SHARE * min(height, width)))
        images = torch.stack([image.float() for image in self.close])
        apart = images.var(dim=0, unbiased=False).mean(0)
        means = F.avg_pool2d(apart[None, None], min(side, *apart.shape), stride=1)[0, 0]
        top, left = divmod(int(means.argmax()), means.shape[1])
        return top, left, side

    def cut(self, image: Tensor) -> Tensor:
        """The window of an image of the same size, (..., H, W)."""
        top, left, side = self.window
        return image[..., top : top + side, left : left + side]


def zoom_figure(zooms: Sequence[Zoom], shave: int) -> Figure:
    """For each picture the whole of it with a box, the box in the truth and in each output, and below, how far each output is
    from the truth there, with one scale for all; many outputs take several lines. Above each error the PSNR of the whole
    picture."""
    names = list(zooms[0].outputs)
    each = math.ceil(len(names) / math.ceil(len(names) / _MOST))  # lines of about equal length
    lines = [names[start : start + each] for start in range(0, len(names), each)]
    columns = 2 + len(lines[0])
    size = min(1.75, (WIDEST - 0.8) / columns)
    caption = (f"Where outputs differ most, but for those with {_FAILS:g} times the squared error of the best: the whole "
               f"picture with a box, the box in the truth and in the outputs of {listed(names)}; below each the PSNR of the "
               "whole picture and the absolute errors.")  # fmt: skip
    figure = drawing(columns * size + 0.8, len(zooms) * len(lines) * (2 * size + 0.75), caption)
    axes = figure.subplots(2 * len(zooms) * len(lines), columns, squeeze=False)
    for axis in axes.flat:
        axis.set_axis_off()
    # Errors of what fails would leave the others black.
    found = [torch.stack([_error(zoom, image) for image in zoom.close]) for zoom in zooms]
    most = max(float(errors.flatten().quantile(_BRIGHTEST)) for errors in found) or 1.0
    wrap, rows = fitting(size), iter(axes)
    for zoom in zooms:
        for some in lines:
            above, below = next(rows), next(rows)
            if some is lines[0]:
                _whole(above, zoom, wrap)
            for column, name in enumerate(some, start=2):
                show_image(above[column], zoom.cut(zoom.outputs[name]), name, wrap)
                score = float(psnr(zoom.outputs[name][None], zoom.truth[None], shave))
                below[column].set_title(f"{score:.2f} dB")
                error = _error(zoom, zoom.outputs[name])
                shown = below[column].imshow(error.numpy(), cmap="magma", vmin=0, vmax=most, interpolation="nearest")
    bar = figure.colorbar(shown, ax=axes[:, -1], fraction=0.05, pad=0.07, aspect=30, extend="max")
    bar.set_label("absolute error, 8-bit levels")
    bar.outline.set_visible(False)
    return figure


def _whole(axes: Sequence[Axes], zoom: Zoom, wrap: int) -> None:
    """The picture with its box, and the box in it."""
    top, left, side = zoom.window
    show_image(axes[0], zoom.truth, zoom.name, wrap)
    axes[0].add_patch(Rectangle((left, top), side, side, fill=False, color=_LOCATOR, linewidth=1.5))
    show_image(axes[1], zoom.cut(zoom.truth), "truth", wrap)


def _error(zoom: Zoom, image: Tensor) -> Tensor:
    """Mean over the colours of the absolute error in the window, 8-bit levels."""
    return zoom.cut((image.float() - zoom.truth.float()).abs().mean(0))
