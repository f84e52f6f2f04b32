"""What refining lowers, and what its judge says of that."""

from collections.abc import Mapping, Sequence

from matplotlib.figure import Figure

from srdistill.study.pages.drawing import DASHES, LINES, drawing, listed

_KEPT, _UNDONE = "o", "x"


def refining_figure(histories: Mapping[str, Mapping[str, Sequence[float]]]) -> Figure:
    """The gap of gradients and the judge's PSNR, a panel each, over rounds; a line for each of the ``histories`` of
    ``refined``, by name. A dot is a round that was kept, a cross one that was undone. Raises ValueError without histories."""
    if not histories:
        raise ValueError("no histories to show; give those of one refined set at least")
    caption = (f"The gap of gradients and the judge's PSNR over rounds of refining, for {listed(list(histories))}; crosses are "
               "rounds that were undone.")  # fmt: skip
    figure = drawing(8, 3, caption)
    axes = figure.subplots(1, 2)
    for axis, name, words in zip(axes, ("gap", "judged"), ("gap of gradients", "judge, PSNR of luma, dB"), strict=True):
        for color, dash, (label, history) in zip(LINES, DASHES, histories.items(), strict=False):
            values = history[name]
            axis.plot(values, color=color, linestyle=dash, linewidth=1.2, label=label)
            for place, (value, kept) in enumerate(zip(values, history["kept"], strict=True)):
                axis.plot(place, value, color=color, marker=_KEPT if kept else _UNDONE)
        axis.set(xlabel="round", ylabel=words, xticks=range(len(values)))
        axis.ticklabel_format(axis="y", useOffset=False)
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=len(histories), frameon=False)
    return figure
