"""Gradient matching: class gradients against a plain loop, then the whole method."""

import math
from importlib import import_module

import pytest
import torch
import torch.nn.functional as F
from grouped import grouped

from srdistill.images.crops import d4, undo_d4
from srdistill.images.resize import downscale
from srdistill.networks import build_network
from srdistill.papers.dietz import class_gradients
from srdistill.papers.dietz import real_gradients as real_module
from srdistill.papers.dietz.class_gradients import match, matched_weights, real_gradients
from srdistill.papers.dietz.gradient_matching import gradient_matching
from srdistill.papers.dietz.settings import Matching
from srdistill.sets.distilled_set import DistilledSet, SetError
from srdistill.training import resumable as resumable_module
from srdistill.training.checkpoint import Checkpoint
from srdistill.training.loop import Diverged

# The wing's face has the function under this name.
module = import_module("srdistill.papers.dietz.gradient_matching")

TINY = {"architecture": "SRCNN", "kernels": (5, 1, 3), "widths": (6, 4)}
# With so few filters some seeds give a network whose ReLUs are all off, and so no gradient to match: this one is alive.
SRCNN = build_network("SRCNN", 2, 2, kernels=(5, 1, 3), widths=(6, 4))


@pytest.fixture(autouse=True)
def nothing_kept(monkeypatch):
    """Gradients of a fixed network are shared within a process; here they would hide what a call computes."""
    monkeypatch.setattr(real_module, "_last", {})


def plain_distance(name, ours, theirs):
    if name in ("rows", "rows-literal"):
        value = 0
        for s, r in [(s.flatten(1), r.flatten(1)) for s, r in zip(ours, theirs, strict=True) if s.ndim > 1]:
            if name == "rows":
                s, r = s / s.norm(dim=1).max(), r / r.norm(dim=1).max()
            alive = s.any(1) | r.any(1) | (name == "rows-literal")
            value += ((1 - (s * r).sum(1) / (s.norm(dim=1) * r.norm(dim=1) + 1e-6)) * alive).sum()
        return value
    s, r = (torch.cat([g.flatten() for g in gradients]) for gradients in (ours, theirs))
    return ((s - r) ** 2).sum() if name == "mse" else 1 - s @ r / (s.norm() * r.norm() * (1 + 1e-6))


def plain_match(network, name, synthetic, real):
    """One class after the other, with torch.autograd alone."""
    parameters = list(network.parameters())
    values, derivatives = [], []
    for images, theirs in zip(synthetic, real, strict=True):
        target = torch.autograd.grad(F.mse_loss(network(downscale(theirs, 2)), theirs), parameters)
        images = images.clone().requires_grad_()
        loss = F.mse_loss(network(downscale(images, 2)), images)
        ours = torch.autograd.grad(loss, parameters, create_graph=True)
        value = plain_distance(name, ours, target)
        values.append(value.detach())
        derivatives.append(torch.autograd.grad(value, images)[0])
    return torch.stack(values), torch.stack(derivatives)


def relative(ours, theirs):
    return ((ours - theirs).norm() / theirs.norm()).item()


@pytest.fixture(scope="module")
def classes(pictures):
    """Seven classes with 2, 2, 2, 2, 2, 3 and 1 real images of 16 px, float64."""
    patches = torch.cat([image[:, :64, :64].unfold(1, 16, 16).unfold(2, 16, 16).flatten(1, 2).transpose(0, 1)
                         for image in pictures.images]).double() / 255  # fmt: skip
    return list(patches[:14].split([2, 2, 2, 2, 2, 3, 1])), patches[14:]


@pytest.mark.parametrize("distance", ["rows", "rows-literal", "cosine", "mse"])
@pytest.mark.parametrize("chunk", [1, 4])
@pytest.mark.parametrize("ipc", [1, 3])
@pytest.mark.parametrize("kind", ["SRCNN", "VDSR", "EDSR"])
def test_class_gradients_equal_a_plain_loop(classes, monkeypatch, distance, chunk, ipc, kind):
    sizes = {"SRCNN": {"kernels": (5, 1, 3), "widths": (6, 4)}, "VDSR": {"width": 5, "depth": 3, "bias": True}}
    network = build_network(kind, 2, 1, **sizes.get(kind, {"width": 4, "depth": 1})).double()
    if kind == "VDSR":
        torch.nn.init.normal_(network.body[-1].weight, std=0.1, generator=torch.Generator().manual_seed(0))
    monkeypatch.setattr(class_gradients, "chunk_size", lambda *args: chunk)
    real, rest = classes
    synthetic = rest[: 7 * ipc].view(7, ipc, 3, 16, 16)
    weights = matched_weights(network, distance)
    values, gradient = match(network, weights, synthetic, real_gradients(network, weights, real, 2), 2, distance)
    expected_values, expected_gradient = plain_match(network, distance, synthetic, real)
    assert relative(values, expected_values) < 1e-8
    assert relative(gradient, expected_gradient) < 1e-5
    for ours, theirs in zip(gradient, expected_gradient, strict=True):
        assert relative(ours, theirs) < 1e-5


@pytest.mark.parametrize("chunk", [1, 4])
def test_single_precision_is_close_to_double(classes, monkeypatch, chunk):
    monkeypatch.setattr(class_gradients, "chunk_size", lambda *args: chunk)
    synthetic = classes[1][:7].view(7, 1, 3, 16, 16)
    results = []
    for dtype in (torch.float32, torch.float64):
        network = build_network("SRCNN", 2, 1, kernels=(5, 1, 3), widths=(6, 4)).to(dtype)
        weights = matched_weights(network, "rows")
        real = real_gradients(network, weights, [images.to(dtype) for images in classes[0]], 2)
        results.append(match(network, weights, synthetic.to(dtype), real, 2, "rows"))
    assert relative(results[0][0].double(), results[1][0]) < 1e-4
    assert relative(results[0][1].double(), results[1][1]) < 1e-3


def test_real_gradients_are_per_class_and_detached(classes):
    network = build_network("SRCNN", 2, 1, kernels=(5, 1, 3), widths=(6, 4)).double()
    gradients = real_gradients(network, matched_weights(network, "cosine"), classes[0], 2)
    assert [tuple(g.shape) for g in gradients] == [(7, *p.shape) for p in network.parameters()]
    assert not any(g.requires_grad for g in gradients)
    assert all(parameter.grad is None for parameter in network.parameters())


def test_biases_are_matched_by_every_distance_but_rows():
    assert set(matched_weights(SRCNN, "rows")[0]) == {f"body.{i}.weight" for i in (0, 2, 4)}
    assert set(matched_weights(SRCNN, "mse")[0]) == {name for name, _ in SRCNN.named_parameters()}
    assert set(matched_weights(SRCNN, "cosine")[1]) == set()


def test_unknown_distance_is_refused():
    with pytest.raises(ValueError, match="'l1'; there are: rows, rows-literal, cosine, mse"):
        matched_weights(SRCNN, "l1")


def test_chunks_hold_equal_classes_and_respect_the_limit(monkeypatch):
    monkeypatch.setattr(class_gradients, "chunk_size", lambda *args: 3)
    images = [torch.zeros(count, 3, 4, 4) for count in (2, 2, 2, 2, 5, 5, 2)]
    runs = [(chunk.start, chunk.stop) for chunk in class_gradients._chunks(images)]
    assert runs == [(0, 3), (3, 4), (4, 6), (6, 7)]


def distill(pictures, **changes):
    options = {
        "ipc": 1, "size": 24, "generator": torch.Generator().manual_seed(0), "network": TINY, "iterations": 6,
        "crop": 32, "step": 32, "lr": 0.01, **changes,
    }  # fmt: skip
    return gradient_matching(pictures, **grouped(Matching, "matching", options))


def assert_same(first, second):
    assert torch.equal(first.images, second.images) and torch.equal(first.labels, second.labels)
    assert first.history == second.history and first.settings == second.settings
    assert first.snapshots.keys() == second.snapshots.keys()
    assert all(torch.equal(image, second.snapshots[step]) for step, image in first.snapshots.items())


@pytest.mark.parametrize("distance", ["rows", "cosine"])
@pytest.mark.parametrize("start", ["noise", "downscaled"])
def test_distance_falls_on_real_photographs(pictures, start, distance):
    lr = {"rows": 0.3, "cosine": 0.5}[distance]
    made = distill(pictures, network=SRCNN, start=start, distance=distance, iterations=60, lr=lr, flips=False)
    assert sum(made.history["distance"][-5:]) / 5 < 0.85 * made.history["distance"][0]


def test_distance_falls_with_flips_and_drawn_networks(pictures):
    made = distill(pictures, start="noise", iterations=80, lr=0.02)
    distances = made.history["distance"]
    assert sum(distances[-20:]) < 0.95 * sum(distances[:20])


@pytest.mark.parametrize("lr", [0.01, 100.0])
def test_images_stay_in_range(pictures, lr):
    made = distill(pictures, start="noise", lr=lr)
    assert min(made.history["min"]) >= 0 and max(made.history["max"]) <= 1
    assert all(0 < mean < 1 for mean in made.history["mean"])
    assert [len(curve) for curve in made.history.values()] == [6] * 4


def test_set_says_how_it_was_made(pictures):
    made = distill(pictures, ipc=2, steps_along=2)
    assert made.images.shape == (6, 3, 24, 24) and made.labels.tolist() == [0, 0, 1, 1, 2, 2]
    assert made.names == pictures.names and made.method == "gradient_matching"
    assert made.settings["start"] == "downscaled" and made.settings["network"] == TINY
    assert (made.settings["iterations"], made.settings["steps_along"], made.settings["size"]) == (6, 2, 24)
    assert distill(pictures, network=SRCNN, iterations=1).settings["network"] == "trained and fixed"


@pytest.mark.parametrize("changes", [{}, {"network": SRCNN}, {"steps_along": 2, "ipc": 2, "start": "real"}])
def test_two_runs_agree_bit_for_bit(pictures, changes):
    first = distill(pictures, **changes)
    torch.manual_seed(77)
    assert_same(first, distill(pictures, **changes))


def test_another_seed_gives_another_set(pictures):
    other = distill(pictures, generator=torch.Generator().manual_seed(1))
    assert not torch.equal(other.images, distill(pictures).images)


@pytest.mark.parametrize("every", [1, 3])
@pytest.mark.parametrize("changes", [{}, {"network": SRCNN, "ipc": 2, "start": "noise"}, {"steps_along": 3}])
def test_resumed_equals_uninterrupted(pictures, tmp_path, interrupt, changes, every):
    whole = distill(pictures, iterations=10, **changes)
    checkpoint = Checkpoint(tmp_path / "matching.pt", "this", every)
    for at in (2, 5, 9):
        interrupt(resumable_module, at)
        with pytest.raises(KeyboardInterrupt):
            distill(pictures, iterations=10, checkpoint=checkpoint, **changes)
    interrupt(resumable_module, None)
    assert_same(whole, distill(pictures, iterations=10, checkpoint=checkpoint, **changes))
    assert not list(tmp_path.iterdir())


def test_death_right_after_a_checkpoint_loses_nothing(pictures, tmp_path, monkeypatch):
    whole = distill(pictures)
    checkpoint = Checkpoint(tmp_path / "matching.pt", "this", 2)
    save = Checkpoint.save

    def save_and_die(self, state):
        save(self, state)
        raise KeyboardInterrupt

    monkeypatch.setattr(Checkpoint, "save", save_and_die)
    for step in (2, 4):
        with pytest.raises(KeyboardInterrupt):
            distill(pictures, checkpoint=checkpoint)
        assert checkpoint.load()["step"] == step
    assert_same(whole, distill(pictures, checkpoint=checkpoint))


def test_checkpoint_of_other_work_is_not_resumed(pictures, tmp_path, interrupt):
    interrupt(resumable_module, 3)
    with pytest.raises(KeyboardInterrupt):
        distill(pictures, lr=0.5, checkpoint=Checkpoint(tmp_path / "matching.pt", "lr 0.5", 1))
    interrupt(resumable_module, None)
    with pytest.warns(UserWarning, match="it belongs to other settings"):
        made = distill(pictures, checkpoint=Checkpoint(tmp_path / "matching.pt", "lr 0.01", 1))
    assert_same(made, distill(pictures))


def counted(monkeypatch):
    calls, compute = [], real_module.real_gradients
    monkeypatch.setattr(real_module, "real_gradients", lambda *args: calls.append(1) or compute(*args))
    return calls


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"network": SRCNN, "flips": False}, 1),
        ({"network": SRCNN}, 8),
        ({}, 60),
        ({"network": SRCNN, "flips": False, "steps_along": 2}, 61),
    ],
)
def test_fixed_network_computes_real_gradients_once_per_flip(pictures, monkeypatch, changes, expected):
    calls = counted(monkeypatch)
    distill(pictures.select(["flower"]), iterations=60, **changes)
    assert len(calls) == expected


def test_gradients_of_a_fixed_network_are_those_of_whole_sub_images(pictures, monkeypatch):
    seen, compute = [], real_module.real_gradients
    monkeypatch.setattr(real_module, "real_gradients", lambda *args: seen.append(args[2]) or compute(*args))
    distill(pictures, network=SRCNN, flips=False, iterations=1)
    assert [tuple(images.shape) for images in seen[0]] == [(12, 3, 32, 32), (9, 3, 32, 32), (12, 3, 32, 32)]


def test_real_crops_are_new_every_iteration_at_most_batch_real_and_from_their_sub_image(pictures, monkeypatch):
    seen, compute = [], real_module.real_gradients
    monkeypatch.setattr(real_module, "real_gradients", lambda *args: seen.append(args[2]) or compute(*args))
    distill(pictures, iterations=2, batch_real=10, flips=False)
    assert [len(images) for images in seen[0]] == [10, 9, 10]
    assert not torch.equal(seen[0][1], seen[1][1])
    flower = pictures.images[1]
    places = [(y + a, x + b) for y in (0, 32, 48) for x in (0, 32, 48) for a in range(9) for b in range(9)]
    allowed = {flower[:, y : y + 24, x : x + 24].contiguous().numpy().tobytes() for y, x in places}
    assert {(crop * 255).round().byte().numpy().tobytes() for crop in seen[0][1]} <= allowed


def test_flip_is_shared_by_real_and_synthetic_images(pictures, monkeypatch):
    """With a network that cannot tell flips apart, flipping both must change nothing."""
    symmetric = build_network("SRCNN", 2, 1, kernels=(5, 1, 3), widths=(6, 4))
    with torch.no_grad():
        for weight in symmetric.parameters():
            if weight.ndim == 4:
                weight.copy_(torch.stack([d4(weight, element) for element in range(8)]).mean(0))
    options = {"network": symmetric, "start": "downscaled", "iterations": 8, "distance": "rows", "lr": 2.5}
    with_flips, without = distill(pictures, **options), distill(pictures, flips=False, **options)
    assert (without.images.int() - without.snapshots[0].int()).abs().max() > 20
    assert with_flips.history["distance"] == pytest.approx(without.history["distance"], rel=1e-3)
    assert (with_flips.images.int() - without.images.int()).abs().max() <= 1


@pytest.mark.parametrize("network", [TINY, SRCNN])
def test_real_images_in_small_groups_give_the_same_set(pictures, monkeypatch, network):
    whole = distill(pictures, network=network)
    monkeypatch.setattr(real_module, "_GROUP_PIXELS", 1)
    assert_same(whole, distill(pictures, network=network))


@pytest.mark.parametrize("element", range(8))
def test_inverse_undoes_each_flip(element):
    image = torch.rand(2, 3, 5, 5)
    assert torch.equal(undo_d4(d4(image, element), element), image)


def test_matching_along_steps_differs_and_trains_the_network_meanwhile(pictures, monkeypatch):
    seen, compute = [], module.match
    monkeypatch.setattr(module, "match", lambda net, weights, *args: seen.append(weights) or compute(net, weights, *args))
    along = distill(pictures, steps_along=2, iterations=2, lr=0.5)
    assert len(seen) == 4
    assert not torch.equal(seen[0][0]["body.0.weight"], seen[1][0]["body.0.weight"])
    assert not torch.equal(seen[0][1]["body.4.bias"], seen[1][1]["body.4.bias"])
    assert not torch.equal(along.images, distill(pictures, iterations=2, lr=0.5).images)


def test_inner_step_is_plain_gradient_descent(pictures):
    images = torch.stack([image[None, :, :24, :24] for image in pictures.images]).float() / 255
    network = build_network("SRCNN", 2, 1, kernels=(5, 1, 3), widths=(6, 4))
    weights = matched_weights(network, "rows")
    settings = Matching(network_lr=0.1, network_batch=16)
    matched, rest = module.train_step(network, weights, images, settings, torch.Generator().manual_seed(0))
    hr = images.flatten(0, 1)
    F.mse_loss(network(downscale(hr, 2)), hr).backward()
    for name, parameter in network.named_parameters():
        expected = parameter.detach() - 0.1 * parameter.grad
        assert torch.allclose({**matched, **rest}[name], expected, atol=1e-6), name


def test_fixed_network_is_not_changed(pictures):
    before = torch.nn.utils.parameters_to_vector(SRCNN.parameters()).clone()
    distill(pictures, network=SRCNN, steps_along=2)
    assert torch.equal(before, torch.nn.utils.parameters_to_vector(SRCNN.parameters()))


def test_one_step_is_sgd_with_momentum_on_the_images(pictures):
    start = distill(pictures, iterations=1, lr=0)
    images = start.images.view(3, 1, 3, 24, 24).float() / 255
    weights = matched_weights(SRCNN, "mse")
    real = real_gradients(SRCNN, weights, _whole_windows(pictures), 2)
    velocity = torch.zeros_like(images)
    for _ in range(3):
        velocity = 0.5 * velocity + match(SRCNN, weights, images, real, 2, "mse")[1]
        images = (images - 30 * velocity).clamp(0, 1)
    made = distill(pictures, network=SRCNN, flips=False, distance="mse", lr=30, momentum=0.5, iterations=3, start=start)
    assert not torch.equal(made.images, start.images)
    assert (made.images.view_as(images) / 255 - images).abs().max() < 0.51 / 255


def _whole_windows(pictures):
    starts = {96: (0, 32, 64), 120: (0, 32, 64, 88), 80: (0, 32, 48), 104: (0, 32, 64, 72), 72: (0, 32, 40)}
    return [
        torch.stack([image[:, y : y + 32, x : x + 32] for y in starts[image.shape[1]] for x in starts[image.shape[2]]]) / 255
        for image in pictures.images
    ]


def test_one_step_of_adam_moves_every_value_by_the_rate(pictures):
    start = distill(pictures, network=SRCNN, iterations=1, lr=0)
    made = distill(pictures, network=SRCNN, optimizer="adam", lr=0.05, iterations=1, start=start, flips=False)
    moved = (made.images.int() - start.images.int()).abs()
    inside = (start.images > 15) & (start.images < 240)
    assert moved[inside].float().median() == 13 and moved.max() <= 13


def test_the_unit_of_the_loss_changes_nothing(classes, monkeypatch):
    """Neither the distance nor the way in which the images are pulled; to the letter of the reference code it does."""
    network = build_network("SRCNN", 2, 1, kernels=(5, 1, 3), widths=(6, 4)).double()
    mse, found = F.mse_loss, {}
    for unit in (1, 1e-4, 1e4):
        monkeypatch.setattr(class_gradients.F, "mse_loss", lambda made, wanted, unit=unit: unit * mse(made, wanted))
        for distance in ("rows", "cosine", "rows-literal"):
            weights = matched_weights(network, distance)
            real = real_gradients(network, weights, classes[0], 2)
            found[distance, unit] = match(network, weights, classes[1][:7].view(7, 1, 3, 16, 16), real, 2, distance)
    for unit in (1e-4, 1e4):
        for distance in ("rows", "cosine"):
            assert all(relative(a, b) < 1e-8 for a, b in zip(found[distance, unit], found[distance, 1], strict=True))
    small, large = (found["rows-literal", unit][1].flatten() for unit in (1e-4, 1e4))
    assert F.cosine_similarity(small, large, 0) < 0.9


@pytest.mark.parametrize("distance", ["rows", "rows-literal"])
def test_distance_alone_is_the_distance_of_match(classes, distance):
    network = build_network("SRCNN", 2, 1, kernels=(5, 1, 3), widths=(6, 4)).double()
    weights = matched_weights(network, distance)
    synthetic, real = classes[1][:7].view(7, 1, 3, 16, 16), real_gradients(network, weights, classes[0], 2)
    expected = match(network, weights, synthetic, real, 2, distance)[0]
    assert torch.equal(class_gradients.distances(network, weights, synthetic, real, 2, distance), expected)


def test_snapshots_are_evenly_spaced_from_start_to_end(pictures):
    start = distill(pictures, ipc=2, lr=0, iterations=1)
    made = distill(pictures, ipc=2, iterations=10, snapshots=3, start=start)
    assert sorted(made.snapshots) == [0, 5, 10]
    assert torch.equal(made.snapshots[0], start.images[::2])
    assert torch.equal(made.snapshots[10], made.images[::2])
    assert list(distill(pictures, snapshots=1).snapshots) == [6]


def test_given_set_is_where_it_goes_on(pictures):
    first = distill(pictures, iterations=1, start="noise")
    going_on = distill(pictures, iterations=1, start=first, lr=0)
    assert torch.equal(going_on.images, first.images)
    assert going_on.settings["start"] == "gradient_matching"


@pytest.mark.parametrize(("count", "size", "ipc"), [(3, 24, 2), (6, 24, 1), (3, 32, 1), (2, 24, 1), (3, 24, 0)])
def test_given_set_of_the_wrong_shape_is_refused(pictures, count, size, ipc):
    start = DistilledSet(
        torch.zeros(count, 3, size, size, dtype=torch.uint8), torch.zeros(count).long(), pictures.names, "given"
    )
    with pytest.raises(SetError, match=rf"the start has images of shape \({count}, 3, {size}, {size}\)"):
        distill(pictures, start=start, ipc=ipc)


def test_given_set_of_other_classes_is_refused(pictures):
    labels = torch.tensor([2, 1, 0])
    start = DistilledSet(torch.zeros(3, 3, 24, 24, dtype=torch.uint8), labels, pictures.names, "given")
    with pytest.raises(SetError, match="labels"):
        distill(pictures, start=start)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"iterations": 0}, "iterations and steps_along must be 1 or more, got 0 and 1"),
        ({"steps_along": 0}, "iterations and steps_along must be 1 or more, got 6 and 0"),
        ({"ipc": 0, "start": "real"}, "ipc .* must be 1 or more, got 0"),
        ({"ipc": 0, "start": "downscaled"}, "ipc .* must be 1 or more, got 0"),
        ({"ipc": 0, "start": "noise"}, "ipc .* must be 1 or more, got 0"),
        ({"start": "zeros"}, "unknown start 'zeros'; there are: noise, downscaled, real, or a DistilledSet"),
        ({"distance": "l1"}, "unknown distance 'l1'"),
        ({"optimizer": "lion"}, "unknown optimizer 'lion'; there are: adam, sgd"),
        ({"network": {"architecture": "SwinIR"}}, "unknown network 'SwinIR'"),
        ({"crop": 73}, "motorcycle_left: 104 x 72 px is smaller than the sub-image size 73"),
        ({"size": 25}, "scale 2 does not divide 25 x 25 px"),
    ],
)
def test_what_cannot_work_is_refused(pictures, changes, message):
    with pytest.raises(ValueError, match=message):
        distill(pictures, **changes)


def test_divergence_is_named(pictures):
    with pytest.raises(Diverged, match="became NaN in iteration 1; lower lr .nan"):
        distill(pictures, lr=math.nan)


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
