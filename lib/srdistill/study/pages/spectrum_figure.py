"""What copies keep of real pictures, frequency by frequency."""

from collections.abc import Mapping

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from srdistill.measures.spectrum import power_spectrum, upper_octave
from srdistill.study.pages.drawing import DASHES, LINES, drawing, listed

# Of the panel of what is explained: a picture that is almost flat has nothing to explain, and would hide the others.
_LEAST = -1.5


def spectrum_figure(real: Tensor, copies: Mapping[str, Tensor]) -> Figure:
    """What copies keep of real pictures, ``uint8`` (N, 3, S, S) each: over all frequencies, and in the upper octave.

    Left: power as a share of the real one's. Right: one dot per picture, bars are medians; *kept* is the energy of the upper
    octave as a share of the real one's, *explained* how much of the real detail is in it. Dots below the edge of the last panel
    are counted there.
    """
    caption = (f"Power of {listed(list(copies))} as a share of the real crops', by frequency, the upper octave shaded; beside "
               "it the energy kept in that octave, and how much of the real detail is in it: dots are pictures, bars medians.")
    octaves = [upper_octave(images, real) for images in copies.values()]
    if any((octave.explained < _LEAST).any() for octave in octaves):
        caption += " An arrow counts the dots below the edge."
    figure = drawing(10.2, 3.9, caption)
    axes = figure.subplots(1, 3, gridspec_kw={"width_ratios": [2.2, 1, 1]})
    frequencies, power = power_spectrum(real)
    axes[0].axvspan(0.25, 0.5, color="0.92", zorder=0)
    axes[0].text(0.375, 1.01, "upper octave", ha="center", va="bottom", transform=axes[0].get_xaxis_transform())
    axes[0].axhline(1, color="0.4", linestyle=":", linewidth=1)
    handles = []
    for place, (color, dash, octave, (name, images)) in enumerate(zip(LINES, DASHES, octaves, copies.items(), strict=False)):
        handles += axes[0].plot(frequencies, power_spectrum(images)[1] / power, color=color, linestyle=dash, label=name)
        _dots(axes[1], place, octave.kept, color)
        _dots(axes[2], place, octave.explained.clamp(min=_LEAST), color)
        below = int((octave.explained < _LEAST).sum())
        if below:
            axes[2].text(place, -0.03, f"{below} ↓", color=color, ha="center", va="top",
                         transform=axes[2].get_xaxis_transform())  # fmt: skip
    axes[0].set(yscale="log", xlabel="cycles per pixel", ylabel="power, share of the real crops'")
    figure.legend(handles=handles, frameon=False, loc="outside lower center", ncols=2)
    for axis, title, line in ((axes[1], "kept", 1), (axes[2], "explained", 0)):
        axis.axhline(line, color="0.4", linestyle=":", linewidth=1)
        axis.set(title=f"upper octave: {title}", xticks=[])
    axes[1].set_yscale("log")
    axes[2].set_ylim(_LEAST - 0.05 if axes[2].get_ylim()[0] < _LEAST else None, 1.05)
    return figure


def _dots(axis: Axes, place: int, values: Tensor, color: str) -> None:
    axis.bar(place, values.median().item(), color=color, alpha=0.35, width=0.7)
    axis.scatter([place] * len(values), values, color=color, s=14, zorder=2)
