"""Per-image scores: the convention applied, in order, whatever the batching."""

import math

import pytest
import torch
from torch import nn

from srdistill.images.convention import bicubic, low_resolution, mod_crop
from srdistill.images.pictures import PictureError, Pictures, to_float, to_uint8
from srdistill.measures.metrics import psnr, ssim
from srdistill.networks import build_network
from srdistill.training.evaluate import Firing, evaluate, super_resolve
from srdistill.training.recipe import Recipe
from srdistill.training.sr import train

COLUMNS = ("psnr", "ssim", "psnr_y", "ssim_y")


@pytest.fixture(scope="module")
def mixed(pictures):
    """Five pictures of two sizes (after the crop to multiples of 12), interleaved."""
    a, b, c = (image[:, :78, :72] for image in pictures.images)
    return Pictures((a, b[:, :60, :60], c, a[:, 18:, 12:], b), tuple("vwxyz"))


class Brighten(nn.Module):
    """Bicubic, and 0.1 more."""

    def forward(self, lr):
        return bicubic(lr, 2) + 0.1


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_scores_are_those_of_the_convention(mixed, scale):
    rows = evaluate(None, mixed, scale)
    assert [row["image"] for row in rows] == list("vwxyz")
    for row, image in zip(rows, mixed.images, strict=True):
        hr = mod_crop(image)[None]
        sr = to_uint8(bicubic(to_float(low_resolution(hr, scale)), scale))
        expected = [psnr(sr, hr, scale), ssim(sr, hr, scale), psnr(sr, hr, scale, True), ssim(sr, hr, scale, True)]
        assert [row[name] for name in COLUMNS] == pytest.approx([float(value) for value in expected], abs=1e-9)
        assert list(row) == ["image", *COLUMNS]


@pytest.mark.parametrize("network", [None, build_network("EDSR", 2, 0, width=8, depth=2)])
@pytest.mark.parametrize("batch_pixels", [1, 2 * 72 * 72, 2**22])
def test_batching_changes_nothing(mixed, network, batch_pixels):
    together = evaluate(network, mixed, 2, batch_pixels=batch_pixels)
    for position, row in enumerate(together):
        one = Pictures(mixed.images[position : position + 1], mixed.names[position : position + 1])
        alone = evaluate(network, one, 2)[0]
        assert row["image"] == alone["image"]
        assert [row[name] for name in COLUMNS] == pytest.approx([alone[name] for name in COLUMNS], abs=1e-4)


def test_network_is_what_is_evaluated(mixed):
    plain, brighter = evaluate(None, mixed, 2), evaluate(Brighten(), mixed, 2)
    assert all(p["psnr"] > b["psnr"] + 1 for p, b in zip(plain, brighter, strict=True))


def test_network_is_evaluated_in_evaluation_mode_and_without_gradients(mixed):
    class Probe(Brighten):
        def forward(self, lr):
            assert not self.training and not torch.is_grad_enabled()
            assert lr.dtype == torch.float32 and 0 <= lr.min() and lr.max() <= 1
            return super().forward(lr)

    assert len(evaluate(Probe().train(), mixed, 2)) == 5


def test_perfect_picture_has_infinite_psnr():
    flat = Pictures((torch.full((3, 36, 36), 90, dtype=torch.uint8),), ("flat",))
    row = evaluate(None, flat, 2)[0]
    assert row["psnr"] == math.inf and row["ssim"] == pytest.approx(1)


def test_perceptual_column_sees_the_whole_picture(mixed):
    seen = []

    def distance(sr, hr):
        seen.append((sr.dtype, tuple(hr.shape)))
        return hr.float().mean((1, 2, 3))

    rows = evaluate(None, mixed, 2, lpips=distance)
    expected = [float(mod_crop(image).float().mean()) for image in mixed.images]
    assert [row["lpips"] for row in rows] == pytest.approx(expected, rel=1e-5)
    assert set(seen) == {(torch.uint8, (3, 3, 72, 72)), (torch.uint8, (2, 3, 60, 60))}


def test_super_resolve_rounds_and_clamps(pictures):
    lr = pictures.images[0][None, :, :20, :20]
    assert torch.equal(super_resolve(None, lr, 2), to_uint8(bicubic(to_float(lr), 2)))
    assert super_resolve(Brighten(), torch.full_like(lr, 255), 2).min() == 255


def test_picture_smaller_than_the_crop_multiple_is_named():
    with pytest.raises(PictureError, match="thin: 11 x 50 px is too small"):
        evaluate(None, Pictures((torch.zeros(3, 11, 50, dtype=torch.uint8),), ("thin",)), 2)


def test_picture_too_small_to_score_is_named():
    thin = torch.zeros(3, 12, 50, dtype=torch.uint8)
    with pytest.raises(ValueError, match="thin"):
        evaluate(None, Pictures((thin,), ("thin",)), 2)


def dead_channels(network, pictures, scale):
    with Firing(network) as firing:
        evaluate(network, pictures, scale)
    return firing.dead


def test_dead_channels_are_those_that_never_fire(mixed):
    network = build_network("SRCNN", 2, 0, kernels=(3, 1, 3), widths=(6, 4), identity=True)
    with torch.no_grad():
        network.body[0].bias[3:5] = -100  # two of six
        network.body[2].bias[3] = -100  # one of four
    assert dead_channels(network, mixed, 2) == pytest.approx(3 / 10)
    assert not network.body[1]._forward_hooks


def test_one_picture_that_makes_it_fire_saves_a_channel():
    network = build_network("SRCNN", 2, 0, kernels=(3, 1, 3), widths=(3, 3), identity=True)
    with torch.no_grad():
        network.body[0].bias[0] = -0.5
    dark, bright = (torch.full((3, 24, 24), value, dtype=torch.uint8) for value in (50, 200))
    assert dead_channels(network, Pictures((dark,), ("dark",)), 2) == pytest.approx(2 / 6)
    assert dead_channels(network, Pictures((dark, bright), ("dark", "bright")), 2) == 0


@pytest.mark.parametrize("architecture", ["EDSR", "VDSR"])
def test_every_student_is_looked_at(mixed, architecture):
    assert 0 <= dead_channels(build_network(architecture, 2, 0, width=8, depth=3), mixed, 2) < 0.5


def test_without_a_relu_nothing_can_be_dead(mixed):
    assert dead_channels(Brighten(), mixed, 2) is None


def test_the_start_over_bicubic_stays_alive_in_training(pictures):
    """From random filters that add noise to the picture, the same steps switch off most of them."""
    network = build_network("SRCNN", 2, 0, widths=(16, 8), identity=True)
    recipe = Recipe(100, 4, 32, loss="mse", lr=3e-4)
    trained, _ = train(network, list(pictures.images), recipe, scale=2, seed=0)
    assert dead_channels(trained, pictures, 2) < 0.15
