"""Beyond the papers: the best small training set for super-resolution that can be selected, shaped or distilled.

In reading order:

``shaped``, ``radial_filter``, ``filtered``   whole pictures, shrunk; the spectrum as a setting
``pyramid_coverage``     tiles of a pyramid: ``trimming``, ``tile_embedding`` with two embeddings, ``facility_location``
``herded``               shrunken pictures with the mean gradient of many: ``herding``
``refined``              a part of such a set moved: ``cosine_transform``, ``set_gradients``
``taught``               labels of a larger student
``priced``               sets of equal bytes
``hard_windows``         full data as strong as it can be
``random_tiles``, ``random_like``, ``hardest_tiles``, ``moser_trimmed``, ``dcsr``   what all this has to beat
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
