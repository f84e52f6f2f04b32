"""Pictures of a whole profile, which lie beside its tables for talks and pages."""

from pathlib import Path

import matplotlib.pyplot as plt
from matplotlib.figure import Figure


def save_overview(figure: Figure, path: Path, dpi: int) -> Path:
    """Write ``path``, a PNG of ``dpi`` dots per inch, and an SVG of the same name beside it; ``path``."""
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=dpi)
    # Words as words, and the same names within at every run.
    with plt.rc_context({"svg.fonttype": "none", "svg.hashsalt": path.stem}):
        figure.savefig(path.with_suffix(".svg"), metadata={"Date": None})
    return path
