"""A loss that asks for detail: the third term of the label-free paper, whose equation 5 did not survive in its text.

What is known is that it compares the predicted picture with "the bicubic up-sampled low-resolution image" and
"encourages high-frequency components". ``HighFrequency`` is our reading: HF(y) = y - U4 D4 y is what bicubic shrinking by
four and enlarging again loses of y. Of three readings (protocol notes, section 5.4) this is the one that noise cannot earn and
that asks for as much detail as a real patch has, not for the same.

``HighFrequencyAsPublished`` is what the authors' code computes (sunwoocho/SRDD, src/train_diff.py): the real latent against
itself, enlarged and shrunk again. The model has no part in it, so it changes no weight: as published, stage 2 is Minimax
Diffusion. (Its value is next to nothing as well: what is enlarged first comes back.)
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from srdistill.diffusion.dit import LatentDiT
from srdistill.diffusion.encoded_patches import EncodedPatches
from srdistill.diffusion.terms import StepView, Term
from srdistill.images.pictures import to_float
from srdistill.measures.detail import recovered_psnr
from srdistill.priors.prior import Prior

SCALE = 4


def high_frequency_loss(predicted: Tensor, real: Tensor) -> Tensor:
    """The loss per picture, (N,); predicted and real float (N, 3, H, W), sides multiples of 4.

    By how many dB PSNR(y, U4 D4 y) of the prediction is above that of the real patch, the measure that selected the patch,
    or 0: it stops when the prediction has as much detail as the real patch.
    """
    return (recovered_psnr(predicted, SCALE) - recovered_psnr(real, SCALE)).clamp(min=0)


class HighFrequency(Term):
    """The loss of a batch of predicted latents, decoded, each weighted by abar_t: what a prediction from time t says of the
    picture falls with the signal that is left.

    Predictions are clamped to the range of the real latents first, channel by channel.

    Args:
        model, data: what is trained, on what; both on one device, to which the prior is moved.
        prior: the one that made the codes; ``frozen`` is up to the caller.
        crop: side in latent cells of the random window that is decoded, to save time; 0: the whole latent. Not seen beyond
            its border, a window is decoded a little differently there.

    Raises:
        DiTError: another prior. ValueError: a window that cannot be.
    """

    name = "detail"

    def __init__(self, model: LatentDiT, data: EncodedPatches, prior: Prior, *, weight: float, crop: int = 0):
        model.check_prior(prior, data.patches.shape[-1])
        self.crop = crop or model.side
        if self.crop > model.side or self.crop * data.factor % SCALE:
            raise ValueError(
                f"crop of {self.crop} cells: the high-frequency loss takes {model.side} at most, and a multiple of "
                f"{SCALE} px at {data.factor} px per cell"
            )
        self.model, self.data, self.prior, self.weight = model, data, prior, weight
        per_channel = model.to_latents(data.codes).movedim(2, 0).flatten(1)
        self.low, self.high = (bound.view(-1, 1, 1) for bound in (per_channel.amin(1), per_channel.amax(1)))
        prior.to(data.codes.device)

    def __call__(self, view: StepView) -> Tensor:
        """The weighted mean over the batch."""
        room, factor = self.model.side - self.crop + 1, self.data.factor
        top, left = torch.randint(room, (2,), generator=view.draws).tolist()
        window = (..., slice(top, top + self.crop), slice(left, left + self.crop))
        codes = self.model.to_codes(view.guess.clamp(self.low, self.high))[window]
        real = to_float(self.data.view_of(view.index, view.mirrored))
        pixels = (..., *(slice(at * factor, (at + self.crop) * factor) for at in (top, left)))
        losses = high_frequency_loss(self.prior.decode(codes), real[pixels])
        return (view.abar * losses).sum() / len(losses)


class HighFrequencyAsPublished(Term):
    """Minus the mean squared difference between the real latents and the same, enlarged four times and shrunk back by bicubic
    (a = -0.75, corners aligned, not antialiased). It has no gradient; the authors' weight is 1."""

    name = "detail"

    def __init__(self, *, weight: float = 1.0):
        self.weight = weight

    def __call__(self, view: StepView) -> Tensor:
        large = F.interpolate(view.clean, scale_factor=SCALE, mode="bicubic", align_corners=True)
        back = F.interpolate(large, view.clean.shape[-2:], mode="bicubic", align_corners=True)
        return -F.mse_loss(view.clean, back)
