"""A set at its price in bytes: what coding costs it, and how many tiles a budget of bytes holds."""

import pytest
import torch
from PIL import features

from srdistill.sets.coded_set import coded, encoded_bytes, within_bytes
from srdistill.sets.coding import CodingError, cheapest, decode, error_share
from srdistill.sets.distilled_set import DistilledSet, SetError
from srdistill.sets.random_crops import random_crops


@pytest.fixture(scope="module")
def crops(train_photos) -> DistilledSet:
    """Fourteen random crops of 48 px."""
    return random_crops(train_photos, ipc=2, size=48, generator=torch.Generator().manual_seed(0))


def test_no_share_gives_the_same_pixels(crops):
    made, total = coded(crops, scale=2, share=0)
    assert torch.equal(made.images, crops.images) and made.settings["codings"] == {"webp lossless": 14}
    assert total == made.settings["encoded_bytes"] < crops.sizes.lossless_bytes
    assert made.settings["mean_error_share"] == 0 and made.settings["ipc"] == 2


@pytest.mark.parametrize("share", [0.05, 0.3])
def test_every_image_keeps_the_share_and_the_set_is_smaller(crops, share):
    made, total = coded(crops, scale=2, share=share)
    lost = [error_share(before, after, 2) for before, after in zip(crops.images, made.images, strict=True)]
    assert max(lost) <= share and made.settings["mean_error_share"] == pytest.approx(sum(lost) / 14)
    assert total < coded(crops, scale=2, share=0)[1]
    assert sum(made.settings["codings"].values()) == 14 and made.settings["error_share"] == share


def test_images_come_back_as_from_their_own_cheapest_coding(crops):
    made, _ = coded(crops, scale=4, share=0.1, side=2)
    for before, after in zip(crops.images, made.images, strict=True):
        assert torch.equal(after, decode(cheapest(before, 4, 0.1).data))


def test_labels_and_names_stay_and_the_set_can_be_saved(crops, tmp_path):
    made, _ = coded(crops, scale=2, share=0.1)
    assert torch.equal(made.labels, crops.labels) and made.names == crops.names and made.method == "random_crops, coded"
    made.save(tmp_path / "set.safetensors")
    assert DistilledSet.load(tmp_path / "set.safetensors").settings == made.settings


@pytest.mark.parametrize("share", [0, 0.1])
def test_what_fits_has_been_counted_and_one_more_does_not(crops, share):
    price = {n: encoded_bytes(crops.images[:n], scale=2, share=share, side=2) for n in range(1, 15)}
    for most in (price[1], price[1] + 1, price[5], price[6] - 1, price[13], price[14] - 1, price[14], 10**9):
        count = within_bytes(crops.images, most, scale=2, share=share, side=2)
        assert price[count] <= most
        assert count == 14 or price[count + 1] > most


def test_a_larger_share_fits_more_tiles(crops):
    most = encoded_bytes(crops.images[:6], scale=2, share=0)
    counts = [within_bytes(crops.images, most, scale=2, share=share) for share in (0, 0.05, 0.5)]
    assert counts[0] == 6 and counts == sorted(counts) and counts[-1] > 6


def test_a_budget_below_one_tile(crops):
    with pytest.raises(SetError, match=r"the first of 14 tiles takes [\d,]+ bytes, the budget is 100 bytes; allow more"):
        within_bytes(crops.images, 100, scale=2, share=0)
    with pytest.raises(SetError, match="there are no tiles"):
        within_bytes(crops.images[:0], 100, scale=2, share=0)


def test_a_share_below_nothing(crops):
    with pytest.raises(CodingError, match="must be 0 or more, got -1"):
        coded(crops, scale=2, share=-1)


@pytest.mark.skipif(not features.check("avif"), reason="this Pillow has no AVIF")
def test_avif_takes_fewer_bytes_at_the_same_share(crops):
    jpeg = coded(crops, scale=2, share=0.1, side=1)
    avif = coded(crops, scale=2, share=0.1, side=1, formats=("webp", "jpeg", "avif"))
    lost = [error_share(before, after, 2) for before, after in zip(crops.images, avif[0].images, strict=True)]
    assert avif[1] < jpeg[1] and max(lost) <= 0.1
    assert any(name.startswith("avif") for name in avif[0].settings["codings"])
