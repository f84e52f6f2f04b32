"""Beyond the papers: the best small training set for super-resolution that can be selected, shaped or distilled.

The rooms, in reading order:

``shaping``     pictures that are shrunk, filtered, moved, or labelled by a larger student
``tiles``       what choosing works with: budgets, embeddings, points that stand for others
``selecting``   tiles and pictures that are chosen, by us and by others, and full data at its best
``labels``, ``plan``, ``tables``   what rows are called, how large a run is, what is run
``gains``, ``figures``, ``refining_figure``   what is shown
"""

import pandas as pd

from srdistill.papers.beyond.figures import spectra
from srdistill.papers.beyond.gains import gains, gains_by_seed
from srdistill.papers.beyond.labels import (
    BY_BYTES,
    COVERAGE,
    CROPS,
    DCSR,
    FULL_HARD,
    FULL_SCALES,
    HARDEST,
    HERDED,
    LARGER,
    LIKE,
    MORE,
    MOSER,
    REFINED,
    SHAPED,
    SHRUNK,
    SMALLER,
    SQUARES,
    TAUGHT,
    WITHOUT,
)
from srdistill.papers.beyond.plan import PLANS
from srdistill.papers.beyond.refining_figure import refining_figure
from srdistill.papers.beyond.study import BeyondStudy, coverage
from srdistill.papers.beyond.tables import TABLES
from srdistill.study.paper import Paper

__all__ = [
    "BY_BYTES", "COVERAGE", "CROPS", "DCSR", "FULL_HARD", "FULL_SCALES", "HARDEST", "HERDED", "LARGER", "LIKE", "MORE",
    "MOSER", "PAPER", "REFINED", "SHAPED", "SHRUNK", "SMALLER", "SQUARES", "TAUGHT", "WITHOUT", "coverage", "gains",
    "gains_by_seed", "refining_figure", "spectra",
]  # fmt: skip


def _nothing_printed(table: str) -> pd.DataFrame:
    """Nobody has printed these tables before."""
    return pd.DataFrame(columns=["row", "network", "testset", "metric", "value", "std", "status"])


PAPER = Paper("beyond", "beyond the papers", BeyondStudy, PLANS, TABLES, printed_on=(), printed=_nothing_printed)
