"""Beyond the papers: the best small training set for super-resolution that can be selected or distilled."""

import pandas as pd

from srdistill.papers.beyond.plan import PLANS
from srdistill.papers.beyond.study import BeyondStudy
from srdistill.papers.beyond.tables import TABLES
from srdistill.study.paper import Paper

__all__ = ["PAPER"]


def _nothing_printed(table: str) -> pd.DataFrame:
    """Nobody has printed these tables before."""
    return pd.DataFrame(columns=["row", "network", "testset", "metric", "value", "std"])


PAPER = Paper("beyond", "beyond the papers", BeyondStudy, PLANS, TABLES, printed_on=("set5",), printed=_nothing_printed)
