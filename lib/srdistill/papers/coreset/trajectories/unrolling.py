"""How far TESLA's gradient is from MTT's, on the study's own experts and pictures."""

from collections.abc import Sequence

import pandas as pd
import torch
import torch.nn.functional as F

from srdistill.images.labelled import LabelledPictures
from srdistill.papers.coreset.matching.learned import begin
from srdistill.papers.coreset.matching.units import channel_units, unit_network
from srdistill.papers.coreset.trajectories.experts import Expert
from srdistill.papers.coreset.trajectories.flat_network import FlatNetwork
from srdistill.papers.coreset.trajectories.trajectory_gradient import StudentRun, StudentStep
from srdistill.seeds import generator_for
from srdistill.training.dsa import draw_dsa


def unrolling(
    real: LabelledPictures, experts: Sequence[Expert], network: dict, step_size: float, counts: Sequence[int] = (1, 5, 10, 20)
) -> pd.DataFrame:
    """The truncated gradient beside the exact one for students of ``counts`` steps, means over ``experts``: ``cosine`` of the
    two with respect to pictures, ``length`` of the truncated one over that of the exact one, and ``step size``, the same of the
    derivative by the step size.

    Students start from an expert's first weights, for its weights an epoch later, on one real picture of each class, augmented
    as in trajectory matching.
    """
    units = channel_units(real)
    net = FlatNetwork(unit_network(network, real, 0))
    start = begin(
        real, ipc=1, start="real", units=units, lr=0.0, momentum=0.0, generator=torch.Generator().manual_seed(0),
        device=torch.device("cpu"),
    ).units()  # fmt: skip
    labels, beta = torch.arange(len(start)), torch.tensor(step_size)
    lines = []
    for count in counts:
        for number, expert in enumerate(experts):
            steps = [
                StudentStep(labels, draw_dsa(generator_for(number, "unrolling", step), real.size, len(start)))
                for step in range(count)
            ]
            run = StudentRun(net, expert.snapshots[0], expert.snapshots[1], start, labels, beta, steps)
            exact, truncated = run.gradient("exact"), run.gradient("truncated")
            lines.append({
                "steps": count,
                "cosine": F.cosine_similarity(exact.pictures.flatten(), truncated.pictures.flatten(), 0).item(),
                "length": (truncated.pictures.norm() / exact.pictures.norm()).item(),
                "step size": (truncated.step_size / exact.step_size).item(),
            })  # fmt: skip
    return pd.DataFrame(lines).groupby("steps").mean()
