"""The untrained decoder: the same networks as a trained one's, weights of its own seed, and codes that can be moved."""

import pytest
import torch
from tiny_classes import NETWORK, few_photos, seeded

from srdistill.images.pictures import Pictures, to_float
from srdistill.papers.coreset.matching.distribution_matching import DistributionMatching, distribution_matching
from srdistill.papers.coreset.matching.untrained_prior import untrained_prior
from srdistill.priors.autoencoder import AutoencoderRecipe, train_autoencoder
from srdistill.priors.prior import Prior
from srdistill.training import loop

RECIPE = AutoencoderRecipe(factor=2, channels=4, width=8, iterations=1, patch=16)


@pytest.fixture(scope="module")
def real():
    return few_photos()


def test_weights_depend_on_the_seed_alone():
    state = torch.get_rng_state()
    first, again, other = untrained_prior(RECIPE), untrained_prior(RECIPE), untrained_prior(RECIPE, seed=1)
    assert torch.equal(state, torch.get_rng_state())
    codes = torch.randn(2, 4, 8, 8, generator=seeded())
    assert torch.equal(first.decode(codes), again.decode(codes))
    assert not torch.equal(first.decode(codes), other.decode(codes))


@pytest.mark.parametrize("recipe", [RECIPE, AutoencoderRecipe(factor=8, channels=32)])
def test_its_pictures_vary_about_middle_grey(recipe):
    for seed in range(3):
        pictures = untrained_prior(recipe, seed).decode(torch.randn(8, recipe.channels, 8, 8, generator=seeded(seed)))
        assert abs(float(pictures.mean()) - 0.5) < 0.2 and 0.15 < float(pictures.std()) < 0.35


def test_it_is_what_a_trained_one_is_but_for_weights(real):
    pictures = Pictures(tuple(real.images), tuple(map(str, range(len(real)))), "few")
    trained, found = train_autoencoder(pictures, generator=seeded(), recipe=RECIPE), untrained_prior(RECIPE)
    assert isinstance(found, Prior) and found.bytes == trained.bytes and found.name != trained.name
    assert found.code_shape(16) == trained.code_shape(16) == (4, 8, 8)
    shapes = [{name: weight.shape for name, weight in one.state_dict().items()} for one in (trained, found)]
    assert shapes[0] == shapes[1]
    assert not any(weight.requires_grad for weight in found.parameters()) and not found.training


def test_its_codes_are_learned_too(real, monkeypatch):
    monkeypatch.setattr(loop, "LOOK_EVERY", 10)
    prior = untrained_prior(RECIPE)
    assert bool(torch.isfinite(prior.decode(prior.encode(to_float(real.images)))).all())
    made = distribution_matching(
        real, ipc=1, generator=seeded(), network=NETWORK, prior=prior,
        matching=DistributionMatching(iterations=40, real_batch=12, lr=1.0),
    )  # fmt: skip
    first, *_, last = made.history["distance"]
    assert last < first and made.settings["prior"] == prior.name
