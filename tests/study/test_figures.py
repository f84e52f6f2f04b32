"""Figures that have nothing to show say why."""

import pandas as pd
import pytest

from srdistill.study.metrics import GAIN
from srdistill.study.pages.figures import score_plot


@pytest.mark.parametrize(
    ("metric", "words"),
    [(GAIN, "no recovered gain here: full data is not above bicubic"),
     ("lpips_alex", "no LPIPS (lower is better) here: this profile does not measure it")],
)  # fmt: skip
def test_a_plot_without_values_says_why(metric, words):
    nothing = pd.DataFrame(columns=["row", "network", "seed", "testset", "metric", "value"])
    figure = score_plot(nothing, metric, "photos", ["Baseline (original)"], "x")
    assert [text.get_text() for text in figure.axes[0].texts] == [words]
