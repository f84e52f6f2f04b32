"""The pictures of the notebooks, in one place to import from. Each function returns a figure with a caption."""

from srdistill.study.pages.curves import distance_curves, learning_figure, selection_figure
from srdistill.study.pages.image_figures import evolution, image_rows
from srdistill.study.pages.protocol_figures import pair_figure, sub_image_figure, weights_figure
from srdistill.study.pages.spectrum_figure import spectrum_figure

__all__ = [
    "distance_curves", "evolution", "image_rows", "learning_figure", "pair_figure", "selection_figure", "spectrum_figure",
    "sub_image_figure", "weights_figure",
]  # fmt: skip
