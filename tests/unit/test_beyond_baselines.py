"""The selections that pyramid coverage is compared with, on cases that can be worked out by hand."""

import pytest
import torch
from torch import nn

from srdistill.images.convention import low_resolution
from srdistill.images.pictures import Pictures, to_float
from srdistill.networks import build_network
from srdistill.papers.beyond.selecting.dcsr import dcsr, even_choice
from srdistill.papers.beyond.selecting.hardest_tiles import hardest_tiles
from srdistill.papers.beyond.selecting.moser_trimmed import moser_trimmed, tile_losses
from srdistill.papers.beyond.selecting.pyramid_coverage import Coverage, pyramid_coverage
from srdistill.papers.beyond.selecting.random_tiles import apportioned, random_tiles
from srdistill.papers.beyond.tiles.sobel import sobel_complexity
from srdistill.sets.distilled_set import SelectionError
from srdistill.sets.pyramid import Pyramid
from srdistill.sets.pyramid_tiles import scored_tiles, tile_pixels


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.fixture(scope="module")
def strip():
    """A picture of ten tiles of 12 px in a row, with noise of amplitude 10, 20, ... 100 around grey, in this order."""
    noise = torch.rand(3, 12, 120, generator=generator()) - 0.5
    amplitude = torch.arange(10, 101, 10.0).repeat_interleave(12)
    return Pictures(((128 + noise * amplitude).round().to(torch.uint8),), ("strip",))


def places(made, pictures):
    """Which tile of the strip each image is."""
    tiles = [pictures.images[0][:, :, x : x + 12] for x in range(0, 120, 12)]
    return [next(i for i, tile in enumerate(tiles) if torch.equal(tile, image)) for image in made.images]


def test_hardest_tiles_by_hand(strip):
    made = hardest_tiles(strip, budget=0.3, scale=2, generator=generator(), tile=12, stride=12)
    assert places(made, strip) == [9, 8, 7] and made.labels.tolist() == [0, 0, 0]
    skipped = hardest_tiles(strip, budget=0.3, scale=2, generator=generator(), tile=12, stride=12, skip=0.2)
    assert places(skipped, strip) == [7, 6, 5]
    with pytest.raises(SelectionError, match="asks for 9 tiles, but only 8"):
        hardest_tiles(strip, budget=0.9, scale=2, generator=generator(), tile=12, stride=12, skip=0.2)


def test_hardest_tiles_may_come_from_all_levels(pictures):
    made = hardest_tiles(
        pictures, budget=0.5, scale=2, generator=generator(), tile=24, stride=24, levels=(1.0, 0.5, "whole"), cap=1.0
    )
    assert min(made.settings["levels_chosen"].values()) > 0 and made.labels.bincount().max() <= len(made) / 3 + 1


class Nothing(nn.Module):
    """Says that every picture is grey, 128."""

    def __init__(self):
        super().__init__()
        self.level = nn.Parameter(torch.tensor(128 / 255))

    def forward(self, lr):
        return self.level.expand(len(lr), 3, 2 * lr.shape[2], 2 * lr.shape[3])


def test_losses_are_mean_squared_errors():
    tiles = torch.tensor([128, 128 + 51], dtype=torch.uint8).view(2, 1, 1, 1).expand(2, 3, 12, 12)
    assert tile_losses(tiles, Nothing(), 2).tolist() == pytest.approx([0, 0.04], abs=1e-7)


def test_band_of_losses_by_hand(strip):
    def made(seed, **changes):
        given = {"budget": 0.2, "scale": 2, "tile": 12, "stride": 12, "keep": 0.5, "drop": 0.1} | changes
        return moser_trimmed(strip, network=Nothing(), generator=generator(seed), **given)

    drawn = [places(made(seed), strip) for seed in range(20)]
    assert {place for some in drawn for place in some} == {4, 5, 6, 7, 8}
    assert all(len(set(some)) == 2 for some in drawn) and drawn[0] == places(made(0), strip)
    assert sorted(places(made(0, budget=0.5), strip)) == [4, 5, 6, 7, 8]
    with pytest.raises(SelectionError, match="asks for 6 tiles, but only 5"):
        made(0, budget=0.6)
    with pytest.raises(SelectionError, match="together 1 at most, got 0.6 and 0.5"):
        made(0, drop=0.6)


@torch.no_grad()
def test_losses_of_a_real_network_are_those_of_a_loop(pictures):
    network = build_network("SRCNN", 2, 0, kernels=(3, 1, 3), widths=(4, 4))
    tiles = tile_pixels(pictures.images, scored_tiles(pictures.images, Pyramid(24, 24, (1.0,)), 2))
    expected = [
        float((network(to_float(low_resolution(tile[None], 2))) - to_float(tile[None])).square().mean()) for tile in tiles
    ]
    assert tile_losses(tiles, network, 2).tolist() == pytest.approx(expected, rel=1e-4)


def test_sobel_of_a_ramp_and_of_a_step():
    """A ramp of one level a pixel gives 8 across and nothing down, at the mirrored borders nothing at all."""
    ramp = torch.arange(100, 112, dtype=torch.uint8).expand(1, 3, 12, 12)
    assert float(sobel_complexity(ramp)) == pytest.approx(8 * 10 / 12 / 2, rel=1e-5)
    assert float(sobel_complexity(ramp.mT.contiguous())) == pytest.approx(8 * 10 / 12 / 2, rel=1e-5)
    assert float(sobel_complexity(torch.full((1, 3, 12, 12), 7, dtype=torch.uint8))) == pytest.approx(0, abs=1e-5)


def test_dcsr_takes_textured_tiles_only(strip):
    made = dcsr(strip, budget=0.4, scale=2, generator=generator(), tile=12, stride=12, clusters=2)
    assert len(made) == 4 and set(places(made, strip)) <= {5, 6, 7, 8, 9}
    assert made.digest == dcsr(strip, budget=0.4, scale=2, generator=generator(), tile=12, stride=12, clusters=2).digest
    with pytest.raises(SelectionError, match="5 textured tiles are too few for 15 groups and a budget of 4"):
        dcsr(strip, budget=0.4, scale=2, generator=generator(), tile=12, stride=12)
    with pytest.raises(SelectionError, match=r"keep must lie in \(0, 1\]"):
        dcsr(strip, budget=0.4, scale=2, generator=generator(), tile=12, stride=12, keep=0)


def test_dcsr_gives_every_texture_its_part():
    """Stripes of three directions and noise, in different numbers: one group each, and as many tiles from each."""
    x = torch.arange(24.0)
    waves = {"across": x[None, :].expand(24, 24), "down": x[:, None].expand(24, 24), "slant": x[None, :] + x[:, None]}
    draws, parts, kinds = generator(), [], []
    for kind, (phase, count) in enumerate(zip(waves.values(), (12, 5, 4), strict=True)):
        for _ in range(count):
            shift = 6 * float(torch.rand((), generator=draws))
            parts.append(128 + 60 * torch.cos(phase * 2 * torch.pi / 5 + shift))
            kinds.append(kind)
    strip = torch.cat(parts, 1).round().to(torch.uint8).expand(3, -1, -1)
    pictures = Pictures((strip,), ("stripes",))
    made = dcsr(pictures, budget=9 / 21, scale=2, generator=generator(), tile=24, stride=24, keep=1.0, clusters=3)
    found = [next(i for i in range(21) if torch.equal(strip[:, :, 24 * i : 24 * i + 24], t)) for t in made.images]
    assert torch.tensor([kinds[i] for i in found]).bincount().tolist() == [3, 3, 3]


def test_even_choice_by_hand():
    labels = torch.tensor([0] * 10 + [1] * 2 + [2] * 5)
    for seed in range(5):
        assert labels[even_choice(labels, 9, generator(seed))].bincount().tolist() in ([4, 2, 3], [3, 2, 4])
        assert sorted(even_choice(labels, 17, generator(seed)).tolist()) == list(range(17))
        assert labels[even_choice(labels, 3, generator(seed))].bincount().tolist() == [1, 1, 1]


def test_random_tiles_have_the_mix_that_they_are_given(pictures):
    given = pyramid_coverage(
        pictures, budget=0.28, scale=2, generator=generator(), tile=24, settings=Coverage(stride=12)
    ).settings["levels_chosen"]
    made = random_tiles(pictures, budget=0.28, scale=2, generator=generator(), mix=given, tile=24, stride=12)
    assert made.settings["levels_chosen"] == {name: count for name, count in given.items() if count}
    other = random_tiles(pictures, budget=0.28, scale=2, generator=generator(1), mix=given, tile=24, stride=12)
    assert made.digest != other.digest and len(made) == len(other) == 12


def test_random_tiles_are_different_ones(strip):
    made = random_tiles(strip, budget=1.0, scale=2, generator=generator(), mix={"1": 5}, tile=12, stride=12)
    assert sorted(places(made, strip)) == list(range(10))


def test_apportioning_by_hand():
    assert apportioned([1, 1, 1], 10) == [4, 3, 3]
    assert apportioned([76, 24, 11, 2, 4], 117) == [76, 24, 11, 2, 4]
    assert apportioned([0.5, 0.3, 0.2], 4) == [2, 1, 1]
    assert apportioned([1, 1000], 3) == [0, 3]


def test_impossible_mixes_are_refused(pictures):
    def made(mix, budget=0.28):
        random_tiles(pictures, budget=budget, scale=2, generator=generator(), mix=mix, tile=24, stride=24)

    for mix in ({}, {"1": 0}, {"1": -1.0, "0.5": 2}):
        with pytest.raises(SelectionError, match="a mix needs levels with shares above 0"):
            made(mix)
    with pytest.raises(SelectionError, match="a level of a mix is a factor like '0.5' or 'whole', got 'half'"):
        made({"half": 1})
    with pytest.raises(SelectionError, match="asks for 44 tiles at the level whole, but there are"):
        made({"whole": 1}, budget=1.0)
