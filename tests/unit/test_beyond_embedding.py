"""Embeddings of tiles: those of a plain loop, bands known by hand, gradients by autograd, projections that keep products."""

import math

import pytest
import torch
import torch.nn.functional as F

from srdistill.images.convention import low_resolution
from srdistill.images.pictures import to_float
from srdistill.measures.detail import lost_detail
from srdistill.networks import build_network
from srdistill.papers.beyond.tiles.gradient_embedding import (
    _weight_gradients,
    gradient_embedding,
    last_layer,
    last_layer_gradients,
)
from srdistill.papers.beyond.tiles.spectrum_embedding import band_energies, luma, spectrum_embedding
from srdistill.papers.beyond.tiles.tile_embedding import Embedding, embedded, unit_rows
from srdistill.sets.distilled_set import SelectionError
from srdistill.sets.pyramid import Pyramid
from srdistill.sets.pyramid_tiles import scored_tiles, tile_pixels

SRCNN = {"kernels": (5, 1, 5), "widths": (8, 6)}
EDSR = {"width": 6, "depth": 1}


@pytest.fixture(scope="module")
def tiles(pictures):
    return scored_tiles(pictures.images, Pyramid(24, 24), 2)


def networks(scale=2):
    return [build_network("SRCNN", scale, 0, **SRCNN), build_network("EDSR", scale, 1, **EDSR)]


def generator():
    return torch.Generator().manual_seed(5)


def test_white_noise_has_its_variance_in_all_bands_together():
    noise = 3 * torch.randn(400, 24, 24, generator=torch.Generator().manual_seed(0))
    assert float(band_energies(noise).sum(1).mean()) == pytest.approx(9, rel=0.02)


@pytest.mark.parametrize(("down", "across", "ring", "sector"), [(0, 4, 2, 0), (4, 0, 2, 2), (3, 3, 2, 1), (-3, 3, 2, 3)])
def test_stripes_lie_in_one_ring_and_sector(down, across, ring, sector):
    """4 waves in 24 px are 1/6 cycle a pixel: the third of eight rings up to 1/2; (3, 3) lies there as well."""
    y, x = torch.meshgrid(torch.arange(24.0), torch.arange(24.0), indexing="ij")
    stripes = torch.cos(2 * math.pi * (down * y + across * x) / 24)
    bands = band_energies(stripes[None], rings=8, sectors=4).view(8, 4)
    assert int(bands.argmax()) == ring * 4 + sector
    assert float(bands[ring - 1 : ring + 2, sector].sum() / bands.sum()) > 0.9


def plain_bands(values, rings, sectors):
    """Bin by bin of the whole transform."""
    side = len(values)
    window = torch.hann_window(side, periodic=False)
    window = window[:, None] * window
    power = torch.fft.fft2((values - values.mean()) * window).abs() ** 2
    found = torch.zeros(rings * sectors)
    frequency = torch.fft.fftfreq(side)
    for i in range(side):
        for j in range(side):
            down, across = float(frequency[i]), float(frequency[j])
            if (i, j) == (0, 0):
                continue
            if across < 0 or (across == -0.5):
                down, across = -down, -across
            ring = min(int(math.hypot(down, across) * 2 * rings), rings - 1)
            sector = min(int((math.atan2(down, across) + math.pi / (2 * sectors)) % math.pi * sectors / math.pi), sectors - 1)
            found[ring * sectors + sector] += power[i, j]
    return found / (window.square().sum() * side**2)


@pytest.mark.parametrize("side", [24, 15])
def test_half_transform_gives_what_the_whole_one_gives(side):
    values = torch.rand(3, side, side, generator=torch.Generator().manual_seed(2))
    # Bins on the boundary of two bands may fall to either by rounding; rings alone have few such.
    ours = band_energies(values, 5, 1)
    for row, picture in zip(ours, values, strict=True):
        assert row.tolist() == pytest.approx(plain_bands(picture, 5, 1).tolist(), rel=1e-4)
    assert band_energies(values, 5, 4).view(3, 5, 4).sum(2).flatten().tolist() == pytest.approx(
        ours.flatten().tolist(), rel=1e-4
    )


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_spectrum_is_that_of_a_loop_over_tiles(pictures, tiles, scale):
    embedding = spectrum_embedding(scale, 4, 2)
    raw = []
    for tile in tile_pixels(pictures.images, tiles):
        values = luma(tile[None])
        bands = torch.cat([band_energies(values, 4, 2), band_energies(lost_detail(values, scale), 4, 2)], 1)
        raw.append((bands + 0.01).log10()[0].double())
    raw = torch.stack(raw)
    rows = (raw - raw.mean(0)) / raw.std(0, correction=0)
    expected = rows / rows.norm(dim=1, keepdim=True)
    for batch in (1, 5, 100):
        ours = embedded(pictures.images, tiles, embedding, batch)
        assert ours.dtype == torch.float32 and ours.shape == (len(tiles), 16)
        assert (ours - expected).abs().max() < 1e-4
        assert (ours.norm(dim=1) - 1).abs().max() < 1e-6


@pytest.mark.parametrize("scale", [2, 3, 4])
@pytest.mark.parametrize("position", [0, 1])
def test_gradients_are_those_of_autograd_tile_by_tile(pictures, tiles, scale, position):
    network = networks(scale)[position]
    pixels = tile_pixels(pictures.images, tiles.at(torch.arange(0, len(tiles), 5)))
    before = {name: value.clone() for name, value in network.state_dict().items()}
    ours = last_layer_gradients(pixels, network, scale)
    for row, tile in zip(ours, pixels, strict=True):
        loss = F.l1_loss(network(to_float(low_resolution(tile[None], scale))), to_float(tile[None]))
        (expected,) = torch.autograd.grad(loss, last_layer(network).weight)
        assert torch.allclose(row, expected.flatten(), rtol=1e-3, atol=1e-6 * float(expected.abs().max()) + 1e-7)
    assert all(torch.equal(before[name], value) for name, value in network.state_dict().items())
    assert not last_layer(network)._forward_hooks and all(p.grad is None for p in network.parameters())


@pytest.mark.parametrize(("kernel", "padding"), [((3, 3), (1, 1)), ((5, 3), (0, 2)), ((1, 1), (0, 0)), ((4, 2), (3, 0))])
def test_gradients_by_weights_of_any_kernel(kernel, padding):
    draws = generator()
    weight = torch.randn(3, 4, *kernel, generator=draws, dtype=torch.float64, requires_grad=True)
    inputs = torch.randn(2, 4, 9, 7, generator=draws, dtype=torch.float64)
    outputs = F.conv2d(inputs, weight, padding=padding)
    slope = torch.randn(outputs.shape, generator=draws, dtype=torch.float64)
    ours = _weight_gradients(inputs, slope, kernel, padding)
    for sample in range(2):
        (expected,) = torch.autograd.grad((outputs[sample] * slope[sample]).sum(), weight, retain_graph=True)
        assert torch.allclose(ours[sample], expected)


def test_projected_products_are_near_the_true_ones(pictures, tiles):
    """Johnson and Lindenstrauss: errors of about 1 / sqrt(width)."""
    nets, pixels = networks(), tile_pixels(pictures.images, tiles)
    blocks = [unit_rows(last_layer_gradients(pixels, network, 2), False) for network in nets]
    true = unit_rows(torch.cat(blocks, 1), False)
    true = true @ true.T
    errors = []
    for width in (64, 1024):
        rows = embedded(pictures.images, tiles, gradient_embedding(nets, 2, generator(), width), batch=9)
        assert rows.shape == (len(tiles), width) and (rows.norm(dim=1) - 1).abs().max() < 1e-6
        errors.append(float((rows @ rows.T - true).square().mean().sqrt()))
        assert errors[-1] < 1.5 / width**0.5
    assert errors[1] < errors[0] / 2


def test_projection_is_drawn_by_the_seed(pictures, tiles):
    nets = networks()
    one, same = (embedded(pictures.images, tiles, gradient_embedding(nets, 2, generator(), 8)) for _ in range(2))
    other = embedded(pictures.images, tiles, gradient_embedding(nets, 2, torch.Generator().manual_seed(6), 8))
    assert torch.equal(one, same) and not torch.equal(one, other)


def test_rows_without_length_stay():
    rows = unit_rows(torch.tensor([[3.0, 4.0, 7.0], [0.0, 0.0, 7.0]]), standardise=False)
    assert rows[0].norm() == pytest.approx(1)
    centred = unit_rows(torch.tensor([[1.0, 7.0], [3.0, 7.0], [2.0, 7.0]]), standardise=True)
    assert centred.tolist() == [[-1.0, 0.0], [1.0, 0.0], [0.0, 0.0]]


def test_what_cannot_be_embedded_is_refused(pictures, tiles):
    broken = Embedding("broken", lambda pixels: torch.full((len(pixels), 2), math.nan), True)
    with pytest.raises(SelectionError, match=r"the broken embedding of tile 0 \(picture 0\) is not finite"):
        embedded(pictures.images, tiles, broken)
    with pytest.raises(SelectionError, match="rings and sectors must be 1 or more, got 0 and 4"):
        spectrum_embedding(2, rings=0)
    with pytest.raises(SelectionError, match="needs a network and a width of 1 or more, got 0 and 64"):
        gradient_embedding([], 2, generator())
    with pytest.raises(SelectionError, match="Linear has no convolution"):
        last_layer(torch.nn.Linear(2, 2))
    dilated = torch.nn.Sequential(torch.nn.Conv2d(3, 3, 3, padding=2, dilation=2))
    with pytest.raises(SelectionError, match="no stride, groups or dilation, got Conv2d"):
        last_layer_gradients(tile_pixels(pictures.images, tiles.at(torch.tensor([0]))), dilated, 2)
