"""Losses on fixed draws: a training that stands still, the same for every model, and no draw of a training among them."""

import pytest
import torch
from tiny_dit import encoded, tiny_dit
from tiny_prior import Smooth

from srdistill.diffusion.dit import DiTError
from srdistill.diffusion.held_out import held_out_losses
from srdistill.diffusion.recipe import DiffusionRecipe
from srdistill.diffusion.step_losses import StepLosses
from srdistill.diffusion.training import train_dit
from srdistill.papers.labelfree.fine_tuning import FineTuning, loss_terms, tuning_losses
from srdistill.seeds import derive_seed

RECIPE = DiffusionRecipe(6, batch=4, ema=0.5)
TUNING = FineTuning(RECIPE, representative=0.02, diverse=0.08, detail=0.01, memory=4)


@pytest.fixture(scope="module")
def prior():
    return Smooth()


@pytest.fixture(scope="module")
def data(pictures, prior):
    return encoded(pictures, prior)


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def model_for(data, **sizes):
    model = tiny_dit(**sizes)
    model.normalise_for(data.codes)
    return model


def test_they_are_the_losses_of_a_training_at_rate_zero(data, prior):
    """Its second and third epoch; the first one fills the memories."""
    model = model_for(data, learn_variance=True)
    found = held_out_losses(
        model, data, recipe=RECIPE, generator=seeded(), terms=loss_terms(model, data, TUNING, prior), epochs=2
    )
    seed = derive_seed(0, "held-out draws")
    histories = []
    for steps in (3, 9):
        still = model_for(data, learn_variance=True)
        recipe = DiffusionRecipe(steps, batch=4, lr=0.0)
        terms = loss_terms(still, data, TUNING, prior)
        histories.append(train_dit(still, data, recipe=recipe, generator=seeded(seed), terms=terms))
    assert list(found) == ["loss", "noise", "variational", "representative", "diverse", "detail"]
    for name, value in found.items():
        filling, whole = (history[name][0] for history in histories)
        assert value == pytest.approx((9 * whole - 3 * filling) / 6, rel=1e-4, abs=1e-6), name
    shares = StepLosses(model, data, RECIPE, 0, loss_terms(model, data, TUNING, prior), torch.device("cpu")).shares
    assert found["loss"] == pytest.approx(sum(shares[name] * found[name] for name in shares), rel=1e-5)


def test_the_model_stays_as_it_was_and_two_calls_agree(data):
    model = model_for(data).train()
    before = {name: weight.clone() for name, weight in model.weights().items()}
    state = torch.get_rng_state()
    first, again = (held_out_losses(model, data, recipe=RECIPE, generator=seeded()) for _ in range(2))
    assert first == again and first["loss"] == first["noise"] and torch.equal(torch.get_rng_state(), state)
    assert model.training and all(torch.equal(weight, before[name]) for name, weight in model.weights().items())
    assert held_out_losses(model, data, recipe=RECIPE, generator=seeded(1)) != first


def test_draws_are_none_of_the_training_with_the_same_generator(data):
    held_out = StepLosses(model_for(data), data, RECIPE, derive_seed(0, "held-out draws"), (), torch.device("cpu"))
    training = StepLosses(model_for(data), data, RECIPE, 0, (), torch.device("cpu"))
    assert not torch.equal(held_out(0)[1].times, training(0)[1].times)


def test_they_tell_a_better_model_from_a_worse_one(data):
    model = model_for(data, width=32)
    before = held_out_losses(model, data, recipe=RECIPE, generator=seeded())
    train_dit(model, data, recipe=DiffusionRecipe(60, batch=8, lr=2e-3, ema=0.9), generator=seeded())
    assert held_out_losses(model, data, recipe=RECIPE, generator=seeded())["noise"] < 0.9 * before["noise"]


def test_losses_of_a_fine_tuning_leave_the_prior_as_it_was(data):
    prior = Smooth().train().requires_grad_(True)
    found = tuning_losses(model_for(data), data, generator=seeded(), tuning=TUNING, prior=prior)
    assert found["detail"] > 0 and prior.training and all(weight.requires_grad for weight in prior.parameters())
    assert tuning_losses(model_for(data), data, generator=seeded(), tuning=TUNING.as_published)["detail"] < 0


def test_what_cannot_be_is_named(data):
    with pytest.raises(ValueError, match="1 epoch or more, got 0"):
        held_out_losses(model_for(data), data, recipe=RECIPE, generator=seeded(), epochs=0)
    with pytest.raises(DiTError, match=r"labels in 0..2, but it has classes 0..1"):
        held_out_losses(tiny_dit(classes=2), data, recipe=RECIPE, generator=seeded())
