"""Latent matching: the gradient of the codes against autograd through everything, then the whole method."""

import math
from dataclasses import replace
from importlib import import_module

import pytest
import torch
import torch.nn.functional as F
from grouped import grouped
from tiny_prior import TinyPrior

from srdistill.images.crops import d4
from srdistill.images.pictures import PictureError, to_uint8
from srdistill.images.resize import downscale
from srdistill.networks import build_network
from srdistill.papers.dietz.class_gradients import matched_weights, real_gradients
from srdistill.papers.dietz.latent_matching import latent_matching
from srdistill.papers.dietz.settings import LatentMatching
from srdistill.priors.code_gradients import code_gradients
from srdistill.priors.inversion import InversionRecipe, codes_of, gan_inversion
from srdistill.priors.prior import PriorError
from srdistill.sets.distilled_set import DistilledSet, SetError
from srdistill.training import resumable as resumable_module
from srdistill.training.checkpoint import Checkpoint
from srdistill.training.gradient_distances import DISTANCES
from srdistill.training.loop import Diverged

# The wing's face has the function under this name.
module = import_module("srdistill.papers.dietz.latent_matching")

TINY = {"architecture": "SRCNN", "kernels": (5, 1, 3), "widths": (6, 4)}
SRCNN = build_network("SRCNN", 2, 2, kernels=(5, 1, 3), widths=(6, 4))


def direct(prior, network, codes, targets, ipc, distance, element):
    """All images with a graph, class after class, one backward pass for the sum: autograd through decode and matching."""
    codes = codes.clone().requires_grad_()
    images = d4(prior.decode(codes).clamp(0, 1), element)
    names = list(matched_weights(network, distance)[0])
    parameters = [dict(network.named_parameters())[name] for name in names]
    values = []
    for label, hr in enumerate(images.split(ipc)):
        loss = F.mse_loss(network(downscale(hr, 2)), hr)
        ours = [g[None] for g in torch.autograd.grad(loss, parameters, create_graph=True)]
        values.append(DISTANCES[distance](ours, [target[label : label + 1] for target in targets]))
    values = torch.cat(values)
    return values.detach(), torch.autograd.grad(values.sum(), codes)[0], images.detach()


@pytest.mark.parametrize("chunk", [1, 2, 7, 100])
@pytest.mark.parametrize(("ipc", "element", "distance"), [(1, 0, "rows"), (1, 6, "cosine"), (3, 5, "rows"), (3, 3, "mse")])
def test_gradient_of_the_codes_is_the_direct_one(pictures, ipc, element, distance, chunk):
    prior, network = TinyPrior().double(), build_network("SRCNN", 2, 2, kernels=(5, 1, 3), widths=(6, 4)).double()
    crops = torch.stack([image[:, y : y + 16, 20:36] for image in pictures.images for y in (0, 16, 32, 48)]).double() / 255
    weights = matched_weights(network, distance)
    targets = real_gradients(network, weights, [d4(images, element) for images in crops.split(3)], 2)
    # Wide enough to leave [0, 1] here and there, where the clamp has to stop the gradient.
    codes = torch.randn(4 * ipc, 6, 8, 8, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    values, gradient, images = direct(prior, network, codes, targets, ipc, distance, element)
    assert 0.01 < ((images == 0) | (images == 1)).double().mean() < 0.5
    matcher = module.CodeMatcher(network, weights, targets, 2, distance, element, ipc)
    found, ours, statistics = code_gradients(prior, codes, matcher, ipc, chunk)
    assert ((found - values).norm() / values.norm()).item() < 1e-5
    assert gradient.norm() > 0
    for a, b in zip(ours, gradient, strict=True):
        assert ((a - b).norm() / b.norm()).item() < 1e-5
    assert statistics["mean"].item() == pytest.approx(images.mean().item())
    assert (statistics["min"], statistics["max"]) == (images.min(), images.max())


@pytest.mark.parametrize("ipc", [1, 3])
def test_graph_never_holds_more_codes_than_a_chunk(pictures, monkeypatch, ipc):
    with_graph, without = [], []
    decode = TinyPrior.decode

    def counted(self, codes):
        (with_graph if codes.requires_grad else without).append(len(codes))
        return decode(self, codes)

    begin = start(pictures, ipc=ipc)
    monkeypatch.setattr(TinyPrior, "decode", counted)
    distill(pictures, ipc=ipc, start=begin, iterations=1, code_chunk=2)
    assert max(with_graph + without) <= 2 and sum(with_graph) == 3 * ipc


def start(pictures, **changes):
    options = {"ipc": 1, "size": 24, "generator": torch.Generator().manual_seed(0), "prior": TinyPrior(), "iterations": 3}
    return gan_inversion(pictures, **grouped(InversionRecipe, "recipe", options | changes))


def distill(pictures, **changes):
    options = {
        "ipc": 1, "size": 24, "generator": torch.Generator().manual_seed(0), "prior": TinyPrior(), "network": TINY,
        "iterations": 6, "crop": 32, "step": 32, **changes,
    }  # fmt: skip
    if "start" not in options:
        shared = {name: options[name] for name in ("ipc", "size", "generator", "prior")}
        options["start"] = start(pictures, **shared)
    return latent_matching(pictures, **grouped(LatentMatching, "matching", options))


def assert_same(first, second):
    assert torch.equal(first.images, second.images) and torch.equal(first.labels, second.labels)
    assert first.history == second.history and first.settings == second.settings
    assert first.snapshots.keys() == second.snapshots.keys()
    assert all(torch.equal(image, second.snapshots[step]) for step, image in first.snapshots.items())


@pytest.mark.parametrize(("optimizer", "lr"), [("adam", 0.02), ("sgd", 0.3)])
def test_distance_falls_on_real_photographs(pictures, optimizer, lr):
    made = distill(pictures, network=SRCNN, iterations=60, lr=lr, optimizer=optimizer, flips=False)
    assert sum(made.history["distance"][-5:]) / 5 < 0.85 * made.history["distance"][0]
    assert made.history["moved"][-1] > 0.01


def test_starts_from_the_inverted_images_with_the_tuned_generator(pictures):
    inverted = start(pictures, ipc=2, tuning_iterations=4, tuning_lr=0.01)
    made = distill(pictures, ipc=2, start=inverted)
    assert torch.equal(made.snapshots[0], inverted.images[::2])
    assert torch.equal(distill(pictures, ipc=2, start=inverted, lr=0).images, inverted.images)


def test_set_carries_its_codes_on(pictures):
    made = distill(pictures, start=start(pictures, tuning_iterations=4, tuning_lr=0.01))
    codes, decoder = codes_of(made, TinyPrior())
    assert torch.equal(to_uint8(decoder.decode(codes).clamp(0, 1)), made.images)
    assert made.settings["start"]["tuning_iterations"] == 4 and "psnr" not in made.settings["start"]


def test_set_says_how_it_was_made_and_can_be_stored(pictures, tmp_path):
    made = distill(pictures, ipc=2)
    assert made.images.shape == (6, 3, 24, 24) and made.labels.tolist() == [0, 0, 1, 1, 2, 2]
    assert made.names == pictures.names and made.method == "latent_matching" and made.generator_bytes == 0
    expected = {"prior": "tiny", "prior_bytes": TinyPrior().bytes, "network": TINY, "code_values": 864, "optimizer": "adam"}
    assert expected.items() <= made.settings.items()
    assert [len(curve) for curve in made.history.values()] == [6] * 5
    made.save(tmp_path / "set.safetensors")
    assert DistilledSet.load(tmp_path / "set.safetensors").history == made.history
    assert distill(pictures, network=SRCNN, iterations=1).settings["network"] == "trained and fixed"


def test_images_are_clamped_when_rendered(pictures):
    made = distill(pictures, lr=50.0, iterations=3)
    assert min(made.history["min"]) == 0 and max(made.history["max"]) == 1
    assert made.images.min() == 0 and made.images.max() == 255


def test_one_sgd_step_with_momentum_on_the_codes(pictures):
    found = start(pictures)
    codes = found.latents["codes"].clone()
    velocity = torch.zeros_like(codes)
    weights = matched_weights(SRCNN, "mse")
    windows = {96: (0, 32, 64), 120: (0, 32, 64, 88), 80: (0, 32, 48), 104: (0, 32, 64, 72), 72: (0, 32, 40)}
    real = [
        torch.stack([image[:, y : y + 32, x : x + 32] for y in windows[image.shape[1]] for x in windows[image.shape[2]]]) / 255
        for image in pictures.images
    ]
    targets = real_gradients(SRCNN, weights, real, 2)
    for _ in range(3):
        velocity = 0.5 * velocity + direct(TinyPrior(), SRCNN, codes, targets, 1, "mse", 0)[1]
        codes = codes - 100 * velocity
    made = distill(
        pictures, start=found, network=SRCNN, flips=False, distance="mse", lr=100, optimizer="sgd", iterations=3
    )
    images = to_uint8(TinyPrior().decode(codes))
    assert (images.int() - found.images.int()).abs().max() > 5
    assert (made.images.int() - images.int()).abs().max() <= 1


@pytest.mark.parametrize("ipc", [1, 3])
def test_chunks_do_not_change_the_result(pictures, ipc):
    options = {"ipc": ipc, "start": start(pictures, ipc=ipc), "optimizer": "sgd", "lr": 0.3, "network": SRCNN}
    sets = [distill(pictures, code_chunk=chunk, **options) for chunk in (1, 2, 50)]
    for other in sets[1:]:
        assert other.history["distance"] == pytest.approx(sets[0].history["distance"], rel=1e-3)
        assert (other.images.int() - sets[0].images.int()).abs().max() <= 1


def test_generator_network_and_given_codes_are_not_changed(pictures):
    prior, begin = TinyPrior(), start(pictures)
    prior.body[0].requires_grad_(True)
    codes = begin.latents["codes"]
    before, given = {name: weight.clone() for name, weight in prior.state_dict().items()}, codes.clone()
    distill(pictures, prior=prior, start=begin, network=SRCNN)
    assert all(torch.equal(weight, before[name]) for name, weight in prior.state_dict().items())
    assert torch.equal(codes, given) and not codes.requires_grad
    assert prior.body[0].weight.requires_grad and prior.body[0].weight.grad is None


@pytest.mark.parametrize("changes", [{}, {"network": SRCNN, "ipc": 2, "optimizer": "sgd"}])
def test_two_runs_agree_bit_for_bit(pictures, changes):
    first = distill(pictures, **changes)
    torch.manual_seed(77)
    assert_same(first, distill(pictures, **changes))
    assert not torch.equal(first.images, distill(pictures, generator=torch.Generator().manual_seed(1), **changes).images)


@pytest.mark.parametrize("every", [1, 3])
@pytest.mark.parametrize(
    "changes",
    [{}, {"network": SRCNN, "ipc": 2, "optimizer": "sgd"}, {"start": {"tuning_iterations": 5, "tuning_lr": 0.01}}],
    ids=["drawn networks", "trained network", "tuned generator"],
)
def test_resumed_equals_uninterrupted(pictures, tmp_path, interrupt, changes, every):
    begin = start(pictures, ipc=changes.get("ipc", 1), **changes.get("start", {}))
    changes = changes | {"start": begin}
    whole = distill(pictures, iterations=10, **changes)
    checkpoint = Checkpoint(tmp_path / "latent.pt", "this", every)
    for at in (0, 2, 5, 9):
        interrupt(resumable_module, at)
        with pytest.raises(KeyboardInterrupt):
            distill(pictures, iterations=10, checkpoint=checkpoint, **changes)
    interrupt(resumable_module, None)
    assert_same(whole, distill(pictures, iterations=10, checkpoint=checkpoint, **changes))
    assert not list(tmp_path.iterdir())


def test_snapshots_are_evenly_spaced_from_start_to_end(pictures):
    made = distill(pictures, ipc=2, iterations=10, snapshots=3)
    assert sorted(made.snapshots) == [0, 5, 10]
    assert torch.equal(made.snapshots[10], made.images[::2])
    assert list(distill(pictures, snapshots=1).snapshots) == [6]


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"iterations": 0}, ValueError, "iterations and code_chunk must be 1 or more, got 0 and 10"),
        ({"code_chunk": 0}, ValueError, "got 6 and 0"),
        ({"ipc": 0}, ValueError, "ipc must be 1 or more, got 0"),
        ({"optimizer": "lion"}, ValueError, "unknown optimizer 'lion'; there are: adam, sgd"),
        ({"lr": math.nan}, ValueError, "lr must be finite .* got nan and 0.5"),
        ({"momentum": 1.0}, ValueError, r"momentum in \[0, 1\), got 0.01 and 1.0"),
        ({"distance": "l1"}, ValueError, "unknown distance 'l1'"),
        ({"network": {"architecture": "SwinIR"}}, ValueError, "unknown network 'SwinIR'"),
        ({"size": 25}, PriorError, "not 25 px"),
        ({"size": 82}, PictureError, "flower: 80 x 80 px is smaller"),
        ({"crop": 73}, PictureError, "motorcycle_left: 104 x 72 px is smaller than the sub-image size 73"),
        ({"ipc": 2}, SetError, "6, 3, 24, 24"),
        ({"codes": torch.zeros(3, 6, 12, 11)}, PriorError, r"shape \(3, 6, 12, 11\) .* need floats of shape \(3, 6, 12, 12\)"),
        ({"codes": torch.zeros(2, 6, 12, 12)}, PriorError, "3 images of 24 px need"),
        ({"codes": torch.zeros(3, 6, 12, 12).long()}, PriorError, "torch.int64"),
        ({"codes": torch.full((3, 6, 12, 12), math.nan)}, PriorError, "3 of 3 codes hold NaN or infinity, first code 0"),
    ],
)
def test_what_cannot_work_is_refused(pictures, changes, error, message):
    begin = start(pictures)
    if "codes" in changes:
        begin, changes = replace(begin, latents=changes), {}
    with pytest.raises(error, match=message):
        distill(pictures, start=begin, **changes)


def test_code_that_becomes_nan_is_named(pictures):
    """A step too large for single precision."""
    with pytest.raises(Diverged, match="code 0 .astronaut. became NaN in iteration [01]; lower lr .1e[+]38"):
        distill(pictures, lr=1e38, optimizer="sgd", distance="mse", network=build_loud())


def build_loud():
    network = build_network("SRCNN", 2, 2, kernels=(5, 1, 3), widths=(6, 4))
    with torch.no_grad():
        for weight in network.parameters():
            weight.mul_(30)
    return network


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_gradient_that_is_no_number_is_named(pictures, monkeypatch, bad):
    compute = module.match

    def spoiled(*args):
        values, gradient = compute(*args)
        gradient[1, 0, 2, 3, 4] = bad
        return values, gradient

    monkeypatch.setattr(module, "match", spoiled)
    with pytest.raises(Diverged, match="iteration 0"):
        distill(pictures)
