"""Parts of the students and of their adversarial training against the references' way."""

import torch
import torch.nn.functional as F

from srdistill.catalogue.photos import photos
from srdistill.images.pictures import to_float, to_uint8
from srdistill.images.sharpen import sharpen
from srdistill.networks.transformer import relative_bias


def test_sharpening(ratio):
    """A photograph: shifted sums along each axis against one filter of 51 x 51, as BasicSR's USMSharp."""
    image = photos("train").center_crop(256).images[0]
    taps = torch.exp(-((torch.arange(51) - 25.0) ** 2) / (2 * 8.0**2))
    kernel = torch.outer(taps, taps)[None, None] / taps.sum() ** 2

    def blurred(x):
        return F.conv2d(F.pad(x, [25] * 4, mode="reflect").transpose(0, 1), kernel).transpose(0, 1)

    def plain():
        x = to_float(image)[None]
        detail = x - blurred(x)
        where = blurred((detail.abs() * 255 > 10).float())
        return to_uint8(where * (x + 0.5 * detail).clamp(0, 1) + (1 - where) * x)[0]

    assert (plain().int() - sharpen(image).int()).abs().max() <= 1
    ratio(plain, lambda: sharpen(image), rounds=3)


def test_position_bias_of_a_large_window(ratio):
    """HiT-SR's window of 48 px: averages of the table against averages of all pairs of positions, forward and backward."""
    size, cell, cells = 48, 6, 8
    table = torch.randn(6, 2 * size - 1, 2 * size - 1, requires_grad=True)
    places = torch.stack(torch.meshgrid(torch.arange(size), torch.arange(size), indexing="ij")).flatten(1)
    offsets = places[:, :, None] - places[:, None, :] + size - 1

    def plain():
        pairs = table[:, offsets[0], offsets[1]].view(6, size**2, cells, cell, cells, cell)
        bias = pairs.mean((3, 5)).flatten(2)
        return bias, torch.autograd.grad(bias.square().sum(), table)[0]

    def ours():
        bias = relative_bias(table, size, cell)
        return bias, torch.autograd.grad(bias.square().sum(), table)[0]

    for a, b in zip(plain(), ours(), strict=True):
        assert torch.allclose(a, b, rtol=1e-3, atol=1e-4)
    ratio(plain, ours, rounds=3)
