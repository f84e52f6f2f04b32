"""What rows gain over bicubic, with every test set counting the same."""

from typing import TYPE_CHECKING

import pandas as pd

from srdistill.study.rows import BICUBIC

if TYPE_CHECKING:
    from srdistill.study.pages.presentation import Presentation


def gains_by_seed(presented: "Presentation", metric: str = "psnr_y") -> pd.DataFrame:
    """A line for each row and network, a column for each seed: ``metric`` less bicubic's, a mean over the test sets, in the
    metric's unit."""
    scores = presented.scores[presented.scores.metric == metric]
    plain = scores[scores.row == BICUBIC].set_index("testset")["value"]
    ours = scores[scores.row != BICUBIC].assign(value=lambda found: found.value - found.testset.map(plain))
    # Bicubic has no seed, so the column holds floats.
    return ours.astype({"seed": int}).groupby(["row", "network", "seed"], sort=False)["value"].mean().unstack("seed")


def gains(presented: "Presentation", metric: str = "psnr_y") -> pd.DataFrame:
    """A line for each row in the order of the table, a column for each network: means of ``gains_by_seed`` over seeds."""
    found = gains_by_seed(presented, metric).mean(axis=1).unstack("network", sort=False)
    return found.reindex(list(presented.rows))
