"""What notebooks on this paper show beside tables: loss curves in numbers, and the detail of sets."""

from collections.abc import Mapping, Sequence

import pandas as pd
from torch import Tensor

from srdistill.images.detail import recovered_psnr
from srdistill.images.pictures import to_float
from srdistill.papers.labelfree.high_frequency import SCALE


def losses_table(histories: Mapping[str, Sequence[float]]) -> pd.DataFrame:
    """Loss curves in two numbers each: means over the first and the last tenth."""
    ends = {}
    for name, curve in histories.items():
        values, tenth = pd.Series(curve), -(-len(curve) // 10)
        ends[name] = {"first tenth": values.head(tenth).mean(), "last tenth": values.tail(tenth).mean()}
    return pd.DataFrame(ends).round(3)


def detail_table(sets: Mapping[str, Tensor]) -> pd.DataFrame:
    """Mean PSNR(y, U4 D4 y) in dB of images ``uint8`` (n, 3, H, W): the lower, the more detail."""
    means = {name: recovered_psnr(to_float(images), SCALE).mean().item() for name, images in sets.items()}
    return pd.DataFrame({"PSNR(y, U4 D4 y), dB": means}).round(1)
