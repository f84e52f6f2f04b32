"""What has no power to decide: a student without headroom, a statement that bicubic would pass too, a stand-in's numbers."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pandas as pd

from srdistill.study.metrics import METRICS

if TYPE_CHECKING:
    from srdistill.study.study import Study
    from srdistill.study.verdicts.questions import Question

ABOUT = ("winner", "loser")
# Standard deviations over seeds that full data has to be above bicubic, or chance.
_CLEAR = 3.0
# Of the least headroom: differences below this share count as none (0.1 dB, 0.002 SSIM, 0.004 LPIPS, 2 points).
_NOTHING = 0.2


@dataclass(frozen=True)
class Headroom:
    """How far a student that is trained on full data lies above bicubic, in the metric that is asked about, or above chance
    (points), and how far it has to.

    ``spread``: standard deviation over seeds.
    """

    gain: float
    spread: float
    least: float
    unit: str

    @property
    def clear(self) -> bool:
        """Whether there is room for training sets to differ in."""
        return self.gain >= max(self.least, _CLEAR * self.spread)

    @property
    def margin(self) -> float:
        """Differences below this count as none."""
        return _NOTHING * self.least

    def __str__(self) -> str:
        decimals = 2 if self.least > 0.1 else 4
        return f"{self.gain:+.{decimals}f} ± {self.spread:.{decimals}f} {self.unit}"


def gate(
    study: "Study", pictures: pd.DataFrame, question: "Question", network: str, first: pd.DataFrame, second: pd.DataFrame
) -> str:
    """Why the numbers cannot decide the question; empty if they can.

    ``pictures``: from ``study.per_picture``. ``first``, ``second``: (seeds, pictures) of its two rows.
    """
    lower = METRICS[question.metric].lower_is_better
    metric = "lpips" if question.metric.startswith("lpips") else question.metric
    nothing = study.nothing(pictures, metric)
    means = [float(values.to_numpy().mean()) for values in (first, second)]
    worst = max(means) if lower else min(means)
    fails = nothing is not None and (worst > nothing if lower else worst < nothing)
    room = study.headroom(pictures, metric).get(network)
    # That a set trains worse than bicubic can be seen without any headroom.
    if room is not None and not room.clear and not (question.about == "loser" and fails):
        return f"no headroom: full data is {room} {study.above}"
    if question.about == "winner" and nothing is not None:
        # Whoever does nothing, in the winner's place.
        gap = means[0] - nothing if lower else nothing - means[1]
        if gap > question.line:
            return f"vacuous: {study.doing_nothing} in the winner's place would pass too"
    if question.sentence and question.stand_in:
        replaced = study.plan.stand_ins.get(question.stand_in, "")
        if replaced:
            return f"stand-in: {replaced}"
    return ""
