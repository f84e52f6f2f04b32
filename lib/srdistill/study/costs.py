"""What a row of a table costs in time, from the seconds that the store keeps with every finished piece of work."""

from collections.abc import Mapping

import matplotlib.pyplot as plt
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure

from srdistill.study.cells import PerSeed, Row
from srdistill.study.study import Study

STAGES = ("pre-training", "fine-tuning", "making the set", "training the student")


def costs(study: Study, rows: Mapping[str, Row], pretraining: Mapping[str, float], network: str, scale: int) -> pd.DataFrame:
    """Seconds of each stage, means over the seeds: index the keys of ``rows``, columns ``STAGES``.

    ``pretraining``: seconds, by the same keys, of models that a row needs ready-made. Making of patches and reading of files
    are not counted.
    """
    lines = {}
    for name, row in rows.items():
        found = []
        for seed in study.seeds:
            tuned = sum(value.seconds(seed) for value in row.settings.values() if isinstance(value, PerSeed))
            made = study.set_entry(row, seed).seconds if row.method is not None else 0.0
            found.append((pretraining.get(name, 0.0), tuned, made, study.trained(row, network, seed, scale)[2]))
        lines[name] = pd.DataFrame(found, columns=STAGES).mean()
    return pd.DataFrame(lines).T


def cost_figure(seconds: pd.DataFrame) -> Figure:
    """``costs`` as stacked bars, a row each, its total at the end; in minutes or hours where seconds are many."""
    total = seconds.sum(axis=1).max()
    unit, divisor = next((u, d) for u, d, limit in (("seconds", 1, 300), ("minutes", 60, 18_000), ("hours", 3600, 1e12))
                         if total < limit)  # fmt: skip
    figure, axis = plt.subplots(figsize=(8, 0.9 + 0.42 * len(seconds)), layout="constrained")
    plt.close(figure)
    for position, line in enumerate(seconds.itertuples(index=False)):
        left = 0.0
        for color, value in zip(sns.color_palette("muted"), line, strict=False):
            axis.barh(position, value / divisor, left=left, color=color, height=0.62)
            left += value / divisor
        axis.text(left, position, f" {left:.1f}", va="center", fontsize=8)
    handles = [plt.Rectangle((0, 0), 1, 1, color=color) for color in sns.color_palette("muted", len(STAGES))]
    axis.legend(handles, STAGES, frameon=False, fontsize=8, loc="center left", bbox_to_anchor=(1, 0.5))
    axis.set_yticks(range(len(seconds)), list(seconds.index), fontsize=8)
    axis.set(ylim=(len(seconds) - 0.5, -0.5), xlabel=unit)
    return figure
