"""What bicubic does not get back: against the matrices written out, and against the rounded measure of stored pictures."""

import math

import pytest
import torch

from srdistill.images.pictures import to_float
from srdistill.images.resize import ScaleError, bicubic_matrix
from srdistill.measures.detail import lost_detail, recovered_psnr, restored
from srdistill.measures.metrics import psnr


@pytest.fixture(scope="module")
def windows(pictures):
    return torch.stack([image[:, :48, :60] for image in pictures.images])


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_is_the_plain_loop_over_channels(windows, scale):
    found, lost = recovered_psnr(to_float(windows).double(), scale), lost_detail(to_float(windows).double(), scale)
    for image, value, part in zip(windows, found.tolist(), lost, strict=True):
        down = [bicubic_matrix(side, side // scale) for side in image.shape[1:]]
        up = [bicubic_matrix(side // scale, side) for side in image.shape[1:]]
        values = to_float(image).double()
        error = values - torch.stack([up[0] @ (down[0] @ channel @ down[1].T) @ up[1].T for channel in values])
        assert torch.allclose(part, error, atol=1e-12)
        assert value == pytest.approx(-10 * math.log10(float(error.square().mean()) + 1e-8), abs=1e-9)


@pytest.mark.parametrize("scale", [2, 4])
def test_stored_pictures_score_nearly_the_same(windows, scale):
    """Rounding the LR picture and what it gives to 8 bits costs little where there is detail."""
    stored = psnr(restored(windows, scale), windows)
    assert (recovered_psnr(to_float(windows), scale) - stored).abs().max() < 0.1


def test_a_flat_picture_has_a_finite_value_and_gradient():
    flat = torch.full((1, 3, 16, 16), 0.25).requires_grad_()
    value = recovered_psnr(flat, 2)
    (gradient,) = torch.autograd.grad(value.sum(), flat)
    assert value.item() == pytest.approx(80, abs=0.01) and gradient.isfinite().all()
    with pytest.raises(ScaleError, match="scale 3 does not divide 16 x 16 px"):
        recovered_psnr(flat, 3)
