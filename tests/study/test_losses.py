"""The losses of a diffusion training as a figure."""

import pytest

from srdistill.study.pages.losses import loss_panels

_OURS = {"loss": [3.0, 2.0, 1.5], "noise": [1.0, 0.8, 0.7], "detail": [2.0, 1.2, 0.8]}
_OTHER = {"loss": [1.0, 0.9, 0.8], "noise": [1.0, 0.9, 0.8]}


def test_a_panel_for_each_loss_and_a_line_for_each_training() -> None:
    noise, detail = loss_panels({"ours": _OURS, "other": _OTHER}, steps=120).axes
    assert [axis.get_title() for axis in (noise, detail)] == ["noise", "detail"]
    assert [list(line.get_ydata()) for line in noise.lines] == [_OURS["noise"], _OTHER["noise"]]
    assert [list(line.get_ydata()) for line in detail.lines] == [_OURS["detail"]]
    # The mean of the last 20 steps stands where they end.
    assert list(noise.lines[0].get_xdata()) == [50, 100, 120]


def test_losses_of_another_number_of_steps() -> None:
    with pytest.raises(ValueError):
        loss_panels({"ours": _OURS}, steps=50)
