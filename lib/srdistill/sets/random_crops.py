"""Real crops at random places: the control that every distilled set of equal pixels has to beat."""

import torch

from srdistill.images.pictures import Pictures
from srdistill.seeds import generator_for
from srdistill.sets.distilled_set import DistilledSet
from srdistill.sets.windows import check_ipc, draw_windows


def random_crops(real: Pictures, *, ipc: int, size: int, generator: torch.Generator) -> DistilledSet:
    """``ipc`` uniformly placed crops of ``size`` x ``size`` px from each picture, unchanged."""
    check_ipc(ipc)
    sides = torch.full((len(real), ipc), size)
    windows = draw_windows(real, size, sides, generator_for(generator.initial_seed(), "random crops"))
    return DistilledSet(
        torch.stack([window for _, window in windows]),
        torch.tensor([label for label, _ in windows]),
        real.names,
        "random_crops",
        {"ipc": ipc, "size": size},
    )
