"""Figures as files: a PNG with its caption, and an SVG beside it of whatever is made of lines and words."""

from pathlib import Path

import matplotlib.pyplot as plt
from matplotlib.figure import Figure

from srdistill.files import atomic_path
from srdistill.study.pages.drawing import DOTS


def write_figure(figure: Figure, path: Path, dpi: int = DOTS, tight: bool = True) -> Path:
    """Write ``path``, a PNG of ``dpi`` dots per inch whose ``Description`` is the figure's caption, and, unless there are
    photographs in it, an SVG of the same name; ``path``.

    ``tight``: cut to what is drawn.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    caption, edges = getattr(figure, "caption", ""), {"bbox_inches": "tight"} if tight else {}
    with atomic_path(path) as temporary:
        about = {"Description": caption} if caption else None
        figure.savefig(temporary, format="png", dpi=dpi, metadata=about, **edges)
    if any(axis.images for axis in figure.axes):
        return path
    # Words as words, and the same names within at every run.
    settings = {"svg.fonttype": "none", "svg.hashsalt": path.stem}
    with plt.rc_context(settings), atomic_path(path.with_suffix(".svg")) as temporary:
        figure.savefig(temporary, format="svg", metadata={"Date": None, "Description": caption}, **edges)
    return path
