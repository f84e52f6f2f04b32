"""Refining: what moves, what stays, what is lowered, and who decides."""

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F

from srdistill.catalogue.photos import photos
from srdistill.images.pictures import Pictures, to_float
from srdistill.images.resize import downscale
from srdistill.networks import build_network
from srdistill.papers.beyond.refining_figure import refining_figure
from srdistill.papers.beyond.shaping import refined as module
from srdistill.papers.beyond.shaping.cosine_transform import cosine_matrix
from srdistill.papers.beyond.shaping.refined import Refining, refined
from srdistill.papers.beyond.shaping.set_gradients import gap, set_gradients
from srdistill.papers.beyond.shaping.shaped import full_size_windows, shaped
from srdistill.seeds import generator_for
from srdistill.sets.distilled_set import SelectionError
from srdistill.training.recipe import Recipe

JUDGE = {"architecture": "RCAN", "width": 8, "groups": 1, "depth": 1, "reduction": 4}
REFINING = Refining(JUDGE, Recipe(2, 4, 16), moving=0.25, rounds=2, steps=8, lr=0.003)


@pytest.fixture(scope="module")
def real():
    found = photos("train")
    return Pictures(tuple(image[:, :96, :96] for image in found.images), found.names, "photos")


@pytest.fixture(scope="module")
def networks():
    return [build_network("SRCNN", 2, seed, widths=(8, 4)) for seed in (0, 1)]


@pytest.fixture
def source(real):
    return shaped(real, size=24, count=12, generator=generator_for(0, "set"))


def judged(monkeypatch, scores):
    """A judge that says what it is told to."""
    told = iter(scores)
    monkeypatch.setattr(module._Judge, "score", lambda self, images: next(told))


def make(real, source, networks, refining=REFINING):
    return refined(real, source=source, networks=networks, scale=2, refining=refining, generator=generator_for(0, "set"))


def test_the_cosine_transform_is_orthonormal_and_its_first_coefficient_is_the_mean():
    matrix = cosine_matrix(24)
    assert torch.allclose(matrix @ matrix.T, torch.eye(24), atol=1e-5)
    values = torch.rand(24)
    assert torch.allclose((matrix @ values)[0], values.mean() * 24**0.5, atol=1e-5)
    from scipy.fft import dct

    assert torch.allclose(matrix @ values, torch.tensor(dct(values.numpy(), norm="ortho")), atol=1e-5)
    with pytest.raises(ValueError, match="got 0"):
        cosine_matrix(0)


def test_gradients_of_a_set_are_those_of_one_loss_over_all_of_it(real, networks):
    images = torch.stack([to_float(image[:, :24, :24]) for image in real.images]).repeat(20, 1, 1, 1)
    assert len(images) > 128  # several batches, the last one smaller
    F.mse_loss(networks[0](downscale(images, 2)), images).backward()
    plain = [weight.grad for weight in networks[0].parameters() if weight.ndim > 1]
    ours = set_gradients(networks[0], images, 2)
    networks[0].zero_grad()
    assert len(ours) == 3
    assert all(torch.allclose(a, b, rtol=1e-4, atol=1e-7) for a, b in zip(ours, plain, strict=True))
    # Rows of filters that hardly fire count less than 1 each, also against themselves.
    itself = float(gap(ours, ours))
    assert 0 <= itself < 0.2 and float(gap(ours, plain)) == pytest.approx(itself, abs=1e-3)
    assert float(gap(ours, [-weight for weight in plain])) == pytest.approx(2 - itself, abs=1e-3)
    with pytest.raises(ValueError, match="without images"):
        set_gradients(networks[0], images[:0], 2)


def test_a_round_lowers_the_gap_of_the_stored_images(real, source, networks, monkeypatch):
    judged(monkeypatch, [0.0, 1.0, 2.0])
    made = make(real, source, networks)
    start, *after = made.history["gap"]
    assert after[-1] < after[0] < start
    assert made.history["kept"] == [1.0, 1.0, 1.0]
    # What the history says is what the images give.
    others = Pictures(real.images[1:], real.names[1:])
    each = max(1, round(len(source) / len(others)))
    windows = to_float(full_size_windows(others, 24, generator_for(0, "set"), each))
    gaps = [gap(set_gradients(network, to_float(made.images), 2), set_gradients(network, windows, 2)) for network in networks]
    assert float(sum(gaps)) / 2 == pytest.approx(after[-1], rel=1e-3)


def test_a_quarter_moves_the_flattest_and_the_rest_stays(real, source, networks, monkeypatch):
    judged(monkeypatch, [0.0, 1.0, 2.0])
    made = make(real, source, networks)
    moved = (made.images != source.images).flatten(1).any(1)
    assert moved.sum() == 3 == made.settings["moved"]
    from srdistill.measures.detail import restored

    lost = (to_float(source.images) - to_float(restored(source.images, 2))).square().flatten(1).mean(1)
    assert set(lost.argsort()[:3].tolist()) == set(moved.nonzero().flatten().tolist())
    assert torch.equal(made.labels, source.labels) and made.names == source.names
    assert made.method == "refined" and made.settings["source"] == "shaped"


def test_a_round_that_the_judge_does_not_like_is_undone(real, source, networks, monkeypatch):
    judged(monkeypatch, [1.0, 1.0, 0.9])
    made = make(real, source, networks)
    assert made.history["kept"] == [1.0, 0.0, 0.0]
    assert (made.images.int() - source.images.int()).abs().max() <= 1  # through the transform and back
    judged(monkeypatch, [1.0, 1.1, 1.05])
    kept = make(real, source, networks)
    judged(monkeypatch, [1.0, 1.1])
    assert torch.equal(kept.images, make(real, source, networks, replace(REFINING, rounds=1)).images)


def test_the_judge_is_trained_on_the_set_and_tested_on_pictures_that_are_held_out(real, source, networks, monkeypatch):
    seen = {}
    trained, scored = module.train, module.evaluate

    def train(network, images, recipe, **given):
        seen["images"] = torch.stack(images)
        return trained(network, images, recipe, **given)

    def evaluate(network, pictures, scale):
        seen["tested"] = pictures
        return scored(network, pictures, scale)

    monkeypatch.setattr(module, "train", train)
    monkeypatch.setattr(module, "evaluate", evaluate)
    made = make(real, source, networks, replace(REFINING, rounds=1))
    assert seen["images"].shape == source.images.shape
    assert seen["tested"].names == real.names[::8] and torch.equal(seen["tested"].images[0], real.images[0])
    assert all(5 < score < 60 for score in made.history["judged"])
    again = make(real, source, networks, replace(REFINING, rounds=1))
    assert again.history == made.history and torch.equal(again.images, made.images)


def test_what_cannot_be_refined_is_refused(real, source, networks):
    with pytest.raises(SelectionError, match="0 networks"):
        make(real, source, [])
    with pytest.raises(SelectionError, match="1 pictures"):
        make(Pictures(real.images[:1], real.names[:1]), source, networks)
    for wrong in ({"moving": 0.0}, {"moving": 1.5}, {"rounds": 0}, {"steps": 0}):
        with pytest.raises(ValueError, match="must move"):
            replace(REFINING, **wrong)


def test_all_images_may_move(real, source, networks, monkeypatch):
    judged(monkeypatch, [0.0, 1.0])
    made = make(real, source, networks, replace(REFINING, moving=1.0, rounds=1))
    assert (made.images != source.images).flatten(1).any(1).all()


def test_the_figure_marks_rounds_that_were_undone():
    histories = {"seed 0": {"gap": [0.6, 0.5, 0.4], "judged": [30.0, 30.1, 30.05], "kept": [1.0, 1.0, 0.0]}}
    figure = refining_figure(histories)
    markers = [line.get_marker() for line in figure.axes[1].lines if line.get_marker() != "None"]
    assert markers == ["o", "o", "x"]
    assert [axis.get_ylabel() for axis in figure.axes] == ["gap of gradients", "judge, PSNR of luma, dB"]
    assert "seed 0" in figure.caption
    with pytest.raises(ValueError, match="no histories"):
        refining_figure({})
