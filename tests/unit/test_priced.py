"""Sets of equal bytes."""

import pytest
import torch

from srdistill.papers.beyond.selecting.priced import lossless_bytes, priced
from srdistill.papers.beyond.shaping.shaped import shaped
from srdistill.seeds import generator_for
from srdistill.sets.coded_set import encoded_bytes
from srdistill.sets.coding import Coding, encode
from srdistill.sets.distilled_set import SelectionError, SetError


def drawn(pictures, count, size=24):
    return shaped(pictures, size=size, count=count, generator=generator_for(0, "test"))


def test_as_many_as_fit_and_no_more(pictures):
    like, source = drawn(pictures, 3), drawn(pictures, 12)
    price = encoded_bytes(like.images, scale=2, share=0.0)
    made = priced(pictures, source=source, like=like, scale=2, share=0.0, generator=generator_for(1, "test"), ordered=True)
    assert torch.equal(made.images, source.images[: len(made)]) and torch.equal(made.labels, source.labels[: len(made)])
    assert made.settings["price"] == price and made.settings["encoded_bytes"] <= price
    assert made.settings["encoded_bytes"] == encoded_bytes(source.images[: len(made)], scale=2, share=0.0)
    assert encoded_bytes(source.images[: len(made) + 1], scale=2, share=0.0) > price


def test_coding_with_loss_leaves_room_for_more(pictures):
    like, source = drawn(pictures, 3), drawn(pictures, 24)
    few, more = (
        priced(pictures, source=source, like=like, scale=2, share=share, generator=generator_for(1, "test"))
        for share in (0.0, 0.2)
    )
    assert len(more) > len(few) and more.settings["encoded_bytes"] <= more.settings["price"]
    assert 0 < more.settings["mean_error_share"] <= 0.2
    assert {image.numpy().tobytes() for image in few.images} <= {image.numpy().tobytes() for image in source.images}


def test_the_order_is_drawn_unless_it_means_something(pictures):
    like, source = drawn(pictures, 3), drawn(pictures, 12)
    first, same, other = (
        priced(pictures, source=source, like=like, scale=2, share=0.0, generator=generator_for(seed, "test"))
        for seed in (1, 1, 2)
    )
    assert torch.equal(first.images, same.images) and not torch.equal(first.labels, other.labels)


def test_a_source_that_fits_whole_or_not_at_all_is_refused(pictures):
    with pytest.raises(SelectionError, match="all 3 images of shaped fit into .* bytes; give it a larger budget"):
        priced(
            pictures, source=drawn(pictures, 3), like=drawn(pictures, 12), scale=2, share=0.0,
            generator=generator_for(0, "test"),
        )  # fmt: skip
    with pytest.raises(SetError, match="bytes"):
        priced(
            pictures, source=drawn(pictures, 3, size=60), like=drawn(pictures, 1, size=8), scale=2, share=0.0,
            generator=generator_for(0, "test"),
        )  # fmt: skip


def test_bytes_of_tiles_are_those_of_their_files(pictures):
    tiles = drawn(pictures, 4).images
    assert lossless_bytes(tiles).tolist() == [len(encode(tile, Coding("webp"))) for tile in tiles]
    flat = torch.full_like(tiles[:1], 90)
    assert lossless_bytes(flat) < lossless_bytes(tiles).min()
