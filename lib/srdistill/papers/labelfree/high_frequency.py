"""A loss that asks for detail: the third term of the label-free paper, whose equation 5 did not survive in its text.

What is known is that it compares the predicted picture with "the bicubic up-sampled low-resolution image" and
"encourages high-frequency components". HF(y) = y - U4 D4 y is what bicubic shrinking by four and enlarging again loses
of y; three readings are here (protocol notes, section 5.4).
"""

from torch import Tensor

from srdistill.images.detail import lost_detail, recovered_psnr
from srdistill.images.resize import downscale, upscale

READINGS = ("literal", "hinge", "match")
WEIGHTINGS = ("abar", "cut")
SCALE = 4
# The last time that counts under "cut": signal and noise are about equal there.
LAST = 250


def high_frequency_loss(predicted: Tensor, real: Tensor, reading: str = "hinge") -> Tensor:
    """The loss per picture, (N,); predicted and real float (N, 3, H, W), sides multiples of 4.

    ``literal``: -mean |y - U4 D4 x|, a reward without bound: y the prediction, x the real patch. Any noise earns it.
    ``hinge``: by how many dB PSNR(y, U4 D4 y) is above PSNR(x, U4 D4 x), the measure that selected the patch, or 0: it stops
    when the prediction has as much detail as the real patch. ``match``: mean |HF(y) - HF(x)|, detail in the right place.

    Raises ValueError for another reading.
    """
    if reading == "literal":
        return -(predicted - upscale(downscale(real, SCALE), SCALE)).abs().mean((1, 2, 3))
    if reading == "hinge":
        return (recovered_psnr(predicted, SCALE) - recovered_psnr(real, SCALE)).clamp(min=0)
    if reading == "match":
        return lost_detail(predicted - real, SCALE).abs().mean((1, 2, 3))
    raise ValueError(f"unknown reading {reading!r} of the high-frequency loss; there are: {', '.join(READINGS)}")


def time_weights(abar: Tensor, t: Tensor, weighting: str) -> Tensor:
    """How much a prediction from time t counts, (B,): what it says of the picture falls with the signal that is left.

    ``abar``: abar_t itself. ``cut``: 1 up to t = 250, then 0. Raises ValueError for another weighting.
    """
    if weighting == "abar":
        return abar
    if weighting == "cut":
        return (t <= LAST).to(abar.dtype)
    raise ValueError(f"unknown weighting {weighting!r} of the high-frequency loss; there are: {', '.join(WEIGHTINGS)}")
