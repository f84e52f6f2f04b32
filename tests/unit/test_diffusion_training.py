"""The training loop: its losses and those of the label-free paper against a plain loop, what it trains, resuming, and words
for what cannot work."""

import copy
import math
from contextlib import nullcontext
from dataclasses import fields

import pytest
import torch
from tiny_dit import encoded, tiny_dit
from tiny_prior import Smooth, TinyPrior

from srdistill.diffusion import step_losses as module
from srdistill.diffusion.diffit import diffit_parameters
from srdistill.diffusion.dit import DiTError
from srdistill.diffusion.recipe import DiffusionRecipe
from srdistill.diffusion.terms import Term
from srdistill.diffusion.training import train_dit
from srdistill.images.pictures import to_float
from srdistill.papers.labelfree.fine_tuning import FineTuning, fine_tune, loss_terms
from srdistill.papers.labelfree.high_frequency import high_frequency_loss
from srdistill.priors.rendering import frozen
from srdistill.seeds import generator_for
from srdistill.training import resumable
from srdistill.training.checkpoint import Checkpoint
from srdistill.training.loop import Diverged

EVERYTHING = {"trained": "diffit", "representative": 0.02, "diverse": 0.08, "detail": 0.01, "memory": 4}


@pytest.fixture(scope="module")
def prior():
    """One that loses detail, or there would be none to win back."""
    return Smooth()


@pytest.fixture(scope="module")
def data(pictures, prior):
    return encoded(pictures, prior)


NO_TERMS = {"trained": "all", "representative": 0.0, "diverse": 0.0}
RECIPE = {field.name for field in fields(DiffusionRecipe)}


def settings(**changes):
    """A fine-tuning with the plain loss, but for ``changes`` of it or its recipe."""
    recipe = DiffusionRecipe(
        **{"iterations": 6, "batch": 4, "ema": 0.5} | {name: changes[name] for name in changes.keys() & RECIPE}
    )
    return FineTuning(recipe, **NO_TERMS | {name: changes[name] for name in changes.keys() - RECIPE})


def train(data, model=None, seed=0, prior=None, checkpoint=None, **changes):
    """The trained model and its losses."""
    tuning = settings(**changes)
    model = tiny_dit(learn_variance=True) if model is None else model
    model.normalise_for(data.codes)
    terms = loss_terms(model, data, tuning, prior)
    with frozen(prior) if prior else nullcontext():
        history = train_dit(
            model, data, recipe=tuning.recipe, generator=torch.Generator().manual_seed(seed), trained=tuning.trained,
            terms=terms, checkpoint=checkpoint,
        )  # fmt: skip
    return model, history


def same(first, second):
    state = second.weights()
    return all(torch.equal(weight, state[name]) for name, weight in first.weights().items())


def cosine(a, b):
    return float(a.flatten() @ b.flatten() / a.norm() / b.norm())


@pytest.mark.parametrize("crop", [0, 4])
def test_losses_are_those_of_a_plain_loop(data, prior, crop):
    """Three steps with a rate of zero, picture by picture, memories as lists."""
    steps, batch = 3, 4
    model, history = train(data, lr=0.0, iterations=steps, batch=batch, prior=prior, crop=crop, **EVERYTHING)
    latents = model.to_latents(data.codes)
    betas = torch.linspace(1e-4, 2e-2, 1000, dtype=torch.float64)
    abars = (1 - betas).cumprod(0)
    order = torch.cat([torch.randperm(12, generator=generator_for(0, "diffusion epoch", epoch)) for epoch in range(2)])
    low, high = latents.amin((0, 1, 3, 4)).view(-1, 1, 1), latents.amax((0, 1, 3, 4)).view(-1, 1, 1)
    memories = {label: ([], []) for label in range(3)}
    sums = {"noise": 0.0, "representative": 0.0, "diverse": 0.0, "detail": 0.0}
    for step in range(steps):
        draws = generator_for(0, "diffusion step", step)
        chosen = order[step * batch : (step + 1) * batch]
        views = torch.randint(2, (batch,), generator=draws)
        times = torch.randint(1000, (batch,), generator=draws)
        noises = torch.randn(batch, 6, 8, 8, generator=draws)
        dropped = torch.rand(batch, generator=draws) < 0.1
        top, left = torch.randint(8 - (crop or 8) + 1, (2,), generator=draws).tolist()
        guesses, labels, clean = [], data.labels[chosen].tolist(), []
        for i in range(batch):
            z, abar = latents[chosen[i], views[i]], float(abars[times[i]])
            noisy = math.sqrt(abar) * z + math.sqrt(1 - abar) * noises[i]
            label = model.null_label if dropped[i] else labels[i]
            with torch.no_grad():
                epsilon = model(noisy[None], times[i : i + 1], torch.tensor([label]))[0, :6]
            sums["noise"] += float((epsilon - noises[i]).square().mean()) / batch / steps
            guess = noisy / math.sqrt(abar) - math.sqrt(1 / abar - 1) * epsilon
            guesses.append(guess), clean.append(z)
            width, a, b = crop or 8, top, left
            codes = model.to_codes(guess.clamp(low, high)[None])[:, :, a : a + width, b : b + width]
            patch = data.patches[chosen[i]].flip(-1) if views[i] else data.patches[chosen[i]]
            real = to_float(patch)[None, :, 2 * a : 2 * (a + width), 2 * b : 2 * (b + width)]
            sums["detail"] += abar * float(high_frequency_loss(prior.decode(codes), real)) / batch / steps
        for label in sorted(set(labels)):
            ours = [guesses[i] for i in range(batch) if labels[i] == label]
            real_kept, made_kept = memories[label]
            if made_kept:
                share = 1 / len(set(labels)) / steps
                sums["representative"] += share * (1 - min(cosine(g, m) for g in ours for m in real_kept))
                sums["diverse"] += share * max(cosine(g, m) for g in ours for m in made_kept)
            real_kept += [clean[i] for i in range(batch) if labels[i] == label]
            made_kept += ours
            memories[label] = real_kept[-4:], made_kept[-4:]
    found = {name: values[0] for name, values in history.items()}
    assert found["detail"] > 0.5
    for name, value in sums.items():
        assert found[name] == pytest.approx(value, rel=2e-3, abs=1e-4), name
    total = (
        found["noise"]
        + found["variational"]
        + 0.02 * found["representative"]
        + 0.08 * found["diverse"]
        + 0.01 * found["detail"]
    )
    assert found["loss"] == pytest.approx(total, rel=1e-5)


def test_memories_hold_the_labels_even_where_the_model_does_not_see_them(data):
    _, history = train(data, iterations=9, batch=4, label_dropout=0.999, representative=0.1, lr=0.0)
    assert history["representative"][0] > 0


def test_it_learns(data):
    _, history = train(data, tiny_dit(width=32), iterations=150, batch=8, lr=2e-3, ema=0.9)
    assert len(history["noise"]) == 3 and history["noise"][-1] < 0.5 * history["noise"][0]


@pytest.mark.parametrize("name", ["representative", "diverse"])
def test_a_heavier_loss_ends_lower(data, name):
    ends = []
    for weight in (1e-6, 3.0):
        _, history = train(data, tiny_dit(width=32), iterations=100, batch=8, lr=1e-3, ema=0.0, **{name: weight})
        ends.append(history[name][-1])
    assert ends[1] < ends[0] - 0.02


def test_detail_is_won_back(data, prior):
    ends = []
    for weight in (1e-6, 1.0):
        model = tiny_dit(width=32)
        _, history = train(data, model, iterations=100, batch=8, lr=1e-3, ema=0.0, detail=weight, prior=prior)
        ends.append(history["detail"][-1])
    assert ends[1] < 0.7 * ends[0]


def test_diffit_moves_what_it_trains_and_nothing_else(data):
    model = tiny_dit(learn_variance=True)
    before = {name: weight.clone() for name, weight in model.weights().items()}
    train(data, model, **EVERYTHING | {"detail": 0.0})
    after, trained = model.weights(), dict(diffit_parameters(model.transformer))
    for name, weight in after.items():
        moved = name not in before or not torch.equal(weight, before[name])
        # Keys' biases have no effect on the output, and so next to no gradient.
        assert (
            name in ("mean", "std") or name.endswith("to_k.bias") or moved == (name.removeprefix("transformer.") in trained)
        ), name
    assert not model.training and not any(p.requires_grad for p in model.parameters())


def test_the_average_of_the_weights_is_what_stays(data):
    last, _ = train(data, ema=0.0)
    start = tiny_dit(learn_variance=True)
    start.normalise_for(data.codes)
    slow, _ = train(data, ema=0.9999)
    name = "transformer.proj_out_2.bias"
    moved = (last.weights()[name] - start.weights()[name]).abs()
    assert moved.min() > 0
    assert ((slow.weights()[name] - start.weights()[name]).abs() < 0.01 * moved).all()


def test_every_patch_comes_once_before_any_comes_again():
    order = module._Order(12, 3)
    seen = torch.cat([order.batch(step, 5) for step in range(12)])
    for epoch in range(5):
        assert sorted(seen[12 * epoch : 12 * (epoch + 1)].tolist()) == list(range(12))
    assert not torch.equal(seen[:12], seen[12:24])


def test_two_runs_agree_and_another_seed_differs(data, prior):
    before = torch.get_rng_state()
    first, history = train(data, prior=prior, **EVERYTHING)
    assert torch.equal(torch.get_rng_state(), before)
    torch.rand(3)
    again, other_history = train(data, prior=prior, **EVERYTHING)
    assert same(first, again) and history == other_history
    assert not same(train(data, seed=1, prior=prior, **EVERYTHING)[0], first)


@pytest.mark.parametrize(
    ("changes", "stop"),
    [({}, 5), (EVERYTHING, 3), (EVERYTHING | {"crop": 4, "schedule": "cosine", "warm_up": 2}, 5)],
    ids=str,
)
def test_resumed_equals_uninterrupted(data, prior, interrupt, tmp_path, changes, stop):
    whole, history = train(data, prior=prior, **changes)
    checkpoint = Checkpoint(tmp_path / "dit.pt", "me", every=2)
    interrupt(resumable, stop)
    with pytest.raises(KeyboardInterrupt):
        train(data, prior=prior, checkpoint=checkpoint, **changes)
    assert checkpoint.path.exists()
    interrupt(resumable, None)
    resumed, resumed_history = train(data, prior=prior, checkpoint=checkpoint, **changes)
    assert same(resumed, whole) and resumed_history == history
    assert not checkpoint.path.exists()


def test_bf16_is_close_to_fp32(data):
    (_, exact), (_, rough) = train(data, lr=0.0), train(data, lr=0.0, precision="bf16")
    assert exact["noise"][0] == pytest.approx(rough["noise"][0], rel=0.02) and exact["noise"] != rough["noise"]


@pytest.mark.parametrize("iterations", [1, 6])
def test_divergence_names_the_loss(data, iterations):
    words = "the last step made the weights NaN" if iterations == 1 else "the loss 'noise' became nan in step 2"
    with pytest.raises(Diverged, match=rf"training the diffusion model: {words}; lower lr \(inf\)"):
        train(data, tiny_dit(), lr=math.inf, iterations=iterations)


def test_divergence_of_a_term_names_its_weight(data):
    broken = TinyPrior()
    broken.body[0].bias.fill_(math.nan)
    with pytest.raises(Diverged, match=r"the loss 'detail' became nan in step 1; lower lr \(0.001\) or its weight \(0.1\)"):
        train(data, detail=0.1, prior=broken)


def test_priors_keep_their_mode_and_weights(data):
    prior = TinyPrior().train().requires_grad_(True)
    before = copy.deepcopy(prior.state_dict())
    tuning = FineTuning(DiffusionRecipe(iterations=3, batch=4), detail=0.01)
    fine_tune(tiny_dit(), data, generator=torch.Generator().manual_seed(0), tuning=tuning, prior=prior)
    assert prior.training and all(p.requires_grad and p.grad is None for p in prior.parameters())
    assert all(torch.equal(value, before[name]) for name, value in prior.state_dict().items())


# --- Terms.


class Recorder(Term):
    """Pulls predictions to zero and writes down what it is shown."""

    name = "small"

    def __init__(self, weight=0.0):
        self.weight, self.seen, self.calls = weight, [], []

    def __call__(self, view):
        self.calls.append("asked")
        self.seen.append(view)
        return view.guess.square().mean()

    def after(self, view):
        assert view is self.seen[-1]
        self.calls.append("after")


def train_with(data, *terms, **recipe):
    model = tiny_dit()
    model.normalise_for(data.codes)
    recipe = DiffusionRecipe(**{"iterations": 4, "batch": 4, "ema": 0.0} | recipe)
    return model, train_dit(model, data, recipe=recipe, generator=torch.Generator().manual_seed(0), terms=terms)


def test_a_term_of_ones_own_is_shown_every_step_and_counts_by_its_weight(data):
    term = Recorder(weight=0.5)
    model, history = train_with(data, term)
    assert term.calls == ["asked", "after"] * 4 and [view.step for view in term.seen] == [0, 1, 2, 3]
    assert history["loss"][0] == pytest.approx(history["noise"][0] + 0.5 * history["small"][0], rel=1e-5)
    latents = model.to_latents(data.codes)
    for view in term.seen:
        assert view.guess.shape == view.clean.shape == (4, 6, 8, 8) and view.guess.requires_grad
        assert torch.equal(view.clean, latents[view.index, view.mirrored.long()])
        assert torch.equal(view.classes, data.labels[view.index])
        assert torch.equal(view.vectors, view.guess.flatten(1)) and view.mirrored.dtype == torch.bool
        assert ((view.abar > 0) & (view.abar < 1)).all() and view.times.shape == (4,)
    assert not same(model, train_with(data)[0])


def test_terms_draw_after_the_step_and_in_their_order(data):
    class Draws(Recorder):
        def __call__(self, view):
            self.drawn = torch.randint(1000, (), generator=view.draws)
            return super().__call__(view) * 0

    first, second = Draws(), Draws()
    second.name = "other"
    drawing, history = train_with(data, first, second)
    assert int(first.drawn) != int(second.drawn)
    assert same(drawing, train_with(data)[0]) and list(history) == ["loss", "noise", "small", "other"]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"trained": "bias"}, "unknown trained 'bias'; there are: all, diffit"),
        ({"schedule": "linear"}, "unknown schedule 'linear'"),
        ({"rows": "zero"}, "unknown rows 'zero'; there are: null, mean, keep"),
        ({"precision": "fp16"}, "unknown precision 'fp16'"),
        ({"iterations": 0}, "iterations and batch must be 1 or more, got 0 and 4"),
        ({"lr": math.nan}, "lr must not be negative or NaN, got nan"),
        ({"detail": -1.0}, "detail must not be negative or NaN, got -1"),
        ({"ema": 1.0}, r"ema must be in \[0, 1\), got 1"),
        ({"label_dropout": 1.5}, r"label_dropout must be in \[0, 1\), got 1.5"),
        ({"detail": 0.1}, "give the prior that encoded the patches"),
        ({"detail": 0.1, "prior": TinyPrior(), "crop": 9}, "crop of 9 cells: .*takes 8 at most"),
        ({"detail": 0.1, "prior": TinyPrior(), "crop": 3}, "crop of 3 cells: .*multiple of 4 px at 2 px per cell"),
        ({"detail": 0.1, "prior": TinyPrior(channels=5)}, "codes of tiny for pictures of 16 px are"),
        ({"representative": 0.1, "memory": 0}, "a memory holds 1 latent per class or more, got 0"),
        ({"crop": -1}, "crop must not be negative or NaN, got -1"),
        ({"detail_term": "sharp"}, "unknown detail_term 'sharp'; there are: decoded, published"),
    ],
    ids=str,
)
def test_settings_that_cannot_work_are_named(data, changes, words):
    with pytest.raises(ValueError, match=words):
        train(data, **changes)


def test_data_that_do_not_fit_the_model_are_named(data):
    with pytest.raises(DiTError, match=r"labels in 0..2, but it has classes 0..1"):
        train(data, tiny_dit(classes=2))
    with pytest.raises(DiTError, match=r"works on latents \(6, 4, 4\), but the codes of these patches are \(6, 8, 8\)"):
        train(data, tiny_dit(side=4))
