"""Patches with their codes: every view from its own pixels, and clear words for what cannot be encoded."""

import math

import pytest
import torch
from tiny_dit import encoded, real_patches
from tiny_prior import TinyPrior

from srdistill.diffusion.encoded_patches import encode_patches
from srdistill.images.pictures import PictureError, to_float
from srdistill.priors.prior import PriorError


def test_each_patch_and_its_mirror_image_are_encoded(pictures):
    prior = TinyPrior()
    patches, labels = real_patches(pictures)
    data = encode_patches(prior, patches, labels, batch=5)
    for index in (0, 4, 11):
        alone = to_float(patches[index : index + 1])
        assert torch.equal(data.codes[index, 0], prior.encode(alone)[0])
        assert torch.equal(data.codes[index, 1], prior.encode(alone.flip(-1))[0])
    assert data.codes.shape == (12, 2, 6, 8, 8) and (len(data), data.classes, data.factor) == (12, 3, 2)
    assert torch.equal(encoded(pictures, prior, mirror=False).codes, data.codes[:, :1])


def test_views_are_the_pixels_of_the_codes(pictures):
    prior = TinyPrior()
    data = encoded(pictures, prior)
    index, mirrored = torch.tensor([3, 3, 7]), torch.tensor([False, True, True])
    shown = data.view_of(index, mirrored)
    assert torch.equal(prior.encode(to_float(shown)), data.codes[index, mirrored.long()])


def test_half_precision_is_the_priors_own_affair(pictures):
    data = encoded(pictures, TinyPrior().to(torch.bfloat16))
    assert data.codes.dtype == torch.float32
    assert (data.codes - encoded(pictures, TinyPrior()).codes).abs().max() < 0.02


@pytest.mark.parametrize(
    ("patches", "labels", "words"),
    [
        (torch.zeros(2, 3, 16, 16), torch.zeros(2).long(), "square uint8 .*got torch.float32.*to_uint8"),
        (torch.zeros(2, 3, 16, 8, dtype=torch.uint8), torch.zeros(2).long(), r"square uint8 .*\(2, 3, 16, 8\)"),
        (torch.zeros(0, 3, 16, 16, dtype=torch.uint8), torch.zeros(0).long(), "no patches; .*raise the threshold"),
        (torch.zeros(2, 3, 16, 16, dtype=torch.uint8), torch.zeros(3).long(), "2 patches need 2 integer labels"),
        (torch.zeros(2, 3, 16, 16, dtype=torch.uint8), torch.zeros(2), "integer labels, got torch.float32"),
        (torch.zeros(2, 3, 16, 16, dtype=torch.uint8), torch.tensor([0, -1]), "labels must be 0 or more, got -1"),
    ],
)
def test_patches_and_labels_of_the_wrong_kind_are_refused(patches, labels, words):
    with pytest.raises(PictureError, match=words):
        encode_patches(TinyPrior(), patches, labels)


def test_codes_that_are_no_square_maps_are_refused(pictures):
    class Vectors(TinyPrior):
        def code_shape(self, size):
            return 4, 512

    with pytest.raises(PriorError, match=r"tiny: codes \(4, 512\) are no square maps"):
        encoded(pictures, Vectors())


def test_codes_that_are_not_finite_are_named(pictures):
    class Broken(TinyPrior):
        def encode(self, images):
            return super().encode(images) + torch.where(images.mean((1, 2, 3)) > 0.6, math.nan, 0.0)[:, None, None, None]

    with pytest.raises(
        PriorError, match=r"tiny: the codes of \d+ of 12 patches hold NaN or infinity, first patch \d+; encode in float32"
    ):
        encoded(pictures, Broken())


def test_sizes_that_the_prior_refuses_are_named_by_it(pictures):
    patches, labels = real_patches(pictures)
    with pytest.raises(PriorError, match="even size, not 15"):
        encode_patches(TinyPrior(), patches[:, :, :15, :15], labels)
