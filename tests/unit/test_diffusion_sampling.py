"""Sampling: against a plain loop one picture at a time, independence of the batch, decoders in half precision, the methods."""

import copy
import math

import pytest
import torch
from tiny_dit import SIZE, encoded, real_patches, tiny_dit
from tiny_prior import TinyPrior

from srdistill.diffusion.dit import DiTError, load_dit
from srdistill.diffusion.pretraining import pretrain
from srdistill.diffusion.recipe import DiffusionRecipe
from srdistill.diffusion.sampling import Sampling, SamplingError, sample_pictures
from srdistill.images.pictures import to_uint8
from srdistill.papers.labelfree.dit_samples import dit_samples
from srdistill.papers.labelfree.fine_tuning import FineTuning, fine_tune
from srdistill.seeds import generator_for
from srdistill.sets.distilled_set import DistilledSet

ARCHITECTURE = {"width": 32, "depth": 2, "heads": 2}
PRETRAINING = DiffusionRecipe(iterations=40, batch=8, lr=2e-3, ema=0.8)
SAMPLING = {"steps": 5, "guidance": 1.5}


@pytest.fixture(scope="module")
def prior():
    return TinyPrior()


@pytest.fixture(scope="module")
def patches(pictures):
    return real_patches(pictures)


@pytest.fixture(scope="module")
def model(pictures, prior):
    """Trained a little, so that its samples are pictures."""
    return pretrain(
        encoded(pictures, prior), generator=torch.Generator().manual_seed(0), recipe=PRETRAINING, architecture=ARCHITECTURE
    )[0]


def draw(model, prior, labels, seed=0, **changes):
    return drawn(model, prior, labels, seed, **changes)[0]


def drawn(model, prior, labels, seed=0, size=SIZE, **changes):
    return sample_pictures(
        model, prior, torch.tensor(labels), size=size, generator=torch.Generator().manual_seed(seed),
        sampling=Sampling(**SAMPLING | changes),
    )  # fmt: skip


def plain(model, prior, label, number, *, guidance, channels, steps=5):
    """One picture, with the formulas of Ho et al. written out in double precision."""
    abars = (1 - torch.linspace(1e-4, 2e-2, 1000, dtype=torch.float64)).cumprod(0).tolist()
    draws = generator_for(0, "sample", label, number)
    z = torch.randn(6, 8, 8, generator=draws).double()
    times = [round(999 * k / (steps - 1)) for k in range(steps)]
    for index in reversed(range(steps)):
        t, before = times[index], abars[times[index - 1]] if index else 1.0
        abar = abars[t]
        both = [
            model(z[None].float(), torch.tensor([t]), torch.tensor([name]))[0].double() for name in (label, model.null_label)
        ]
        noise = both[0][:6].clone()
        noise[:channels] = both[1][:channels] + guidance * (both[0][:channels] - both[1][:channels])
        clean = (z - math.sqrt(1 - abar) * noise) / math.sqrt(abar)
        beta = 1 - abar / before
        mean = (math.sqrt(before) * beta * clean + math.sqrt(1 - beta) * (1 - before) * z) / (1 - abar)
        if index:
            small = beta * (1 - before) / (1 - abar)
            share = (both[0][6:] + 1) / 2 if model.learns_variance else torch.zeros(())
            deviation = (0.5 * (share * math.log(beta) + (1 - share) * math.log(small))).exp()
            mean = mean + deviation * torch.randn(6, 8, 8, generator=draws).double()
        z = mean
    return to_uint8(prior.decode(model.to_codes(z.float()[None])))[0]


@pytest.mark.parametrize(("guidance", "guided"), [(4.0, 3), (1.5, 0), (1.0, 0)])
@pytest.mark.parametrize("learned", [False, True])
def test_is_the_plain_loop_picture_by_picture(model, prior, guidance, guided, learned):
    if learned:
        model = tiny_dit(learn_variance=True)
    found = draw(model, prior, [0, 2, 0], guidance=guidance, guided_channels=guided)
    for image, (label, number) in zip(found, [(0, 0), (2, 0), (0, 1)], strict=True):
        with torch.no_grad():
            expected = plain(model, prior, label, number, guidance=guidance, channels=guided or 6)
        assert (image.int() - expected.int()).abs().max() <= 1


def test_a_picture_does_not_depend_on_its_batch(model, prior):
    labels = [0, 1, 2, 1, 0, 0]
    alone = draw(model, prior, labels, steps=50, batch=1, decode_batch=1)
    together = draw(model, prior, labels, steps=50, batch=5, decode_batch=2)
    assert (alone.int() - together.int()).abs().max() <= 1
    elsewhere = draw(model, prior, [2, 0, 0, 0], steps=50, batch=4)
    assert (elsewhere.int() - alone[[2, 0, 4, 5]].int()).abs().max() <= 1
    # Pictures of a class differ from each other, and from another seed's.
    assert (alone[0].int() - alone[4].int()).abs().max() > 3
    assert not torch.equal(draw(model, prior, labels, seed=1, steps=50), together)


def test_global_generator_is_left_alone(model, prior):
    before = torch.get_rng_state()
    draw(model, prior, [0, 1])
    assert torch.equal(torch.get_rng_state(), before)


def rows(model, prior, **changes):
    settings = {"count": 6, "size": SIZE, "generator": torch.Generator().manual_seed(0)} | changes
    return dit_samples(None, model=model, prior=prior, sampling=Sampling(**SAMPLING), **settings)


def test_a_set_has_equally_many_of_every_class_and_a_larger_one_begins_with_it(model, prior):
    small, large = rows(model, prior, count=3), rows(model, prior, count=6)
    assert (
        isinstance(small, DistilledSet)
        and small.names == ("cluster 0", "cluster 1", "cluster 2")
        and small.generator_bytes == 0
    )
    assert small.labels.tolist() == [0, 1, 2] and large.labels.tolist() == [0, 0, 1, 1, 2, 2]
    assert (large.images[::2].int() - small.images.int()).abs().max() <= 1
    assert small.settings["steps"] == 5 and small.settings["repeated_in_fp32"] == 0
    with pytest.raises(ValueError, match="7 pictures cannot be shared equally by 3 classes; ask for 6 or 9"):
        rows(model, prior, count=7)
    with pytest.raises(ValueError, match="2 pictures cannot be shared equally by 3 classes; ask for 3"):
        rows(model, prior, count=2)


class FailsInHalf(TinyPrior):
    """NaN for some codes and black for others in half precision, and fine in float32, as Stable Diffusion's decoders are
    known to be."""

    def decode(self, codes):
        images = super().decode(codes)
        if codes.dtype == torch.float16:
            images[0] = math.nan
            images[2:3] = -0.1
        return images


def test_what_half_precision_loses_is_decoded_again_in_float32(model):
    labels = [0, 1, 2, 0]
    whole = draw(model, FailsInHalf(), labels)
    half, made = drawn(model, FailsInHalf().half(), labels)
    assert made["repeated_in_fp32"] == 2
    assert (half.int() - whole.int()).abs().max() <= 1  # the weights themselves were rounded
    prior = FailsInHalf().half()
    draw(model, prior, labels)
    assert next(prior.parameters()).dtype == torch.float16


def test_nan_in_float32_is_an_error(model):
    class Broken(TinyPrior):
        def decode(self, codes):
            return super().decode(codes) + math.inf

    for prior in (Broken(), Broken().half()):
        with pytest.raises(
            SamplingError, match="tiny decodes picture 0 to NaN or infinity in float32 too; .*trained on codes of this prior"
        ):
            draw(model, prior, [0, 1, 2])


def test_latents_that_explode_are_named(model, prior):
    broken = copy.deepcopy(model)
    with torch.no_grad():
        broken.label_table[1] = math.nan
    with pytest.raises(
        SamplingError, match=r"2 of 3 sampled latents hold NaN .*first picture 1 \(class 1\); lower the guidance \(1.5\)"
    ):
        draw(broken, prior, [0, 1, 1])


@pytest.mark.parametrize(
    ("part", "words"),
    [
        ("decode", "decoding 4 pictures of 16 px at a time; lower decode_batch"),
        ("forward", "sampling 3 pictures at a time; lower batch"),
    ],
)
@pytest.mark.parametrize(
    "error", [torch.OutOfMemoryError("CUDA out of memory"), RuntimeError("DefaultCPUAllocator: can't allocate memory")]
)
def test_too_little_memory_is_named_with_the_remedy(model, prior, monkeypatch, part, words, error):
    calls = []

    def fail(*args, **kwargs):
        calls.append(1)
        raise error

    monkeypatch.setattr(prior if part == "decode" else model, part, fail)
    with pytest.raises(SamplingError, match=f"out of memory while {words}"):
        draw(model, prior, [0, 1, 2], batch=3, decode_batch=4)
    assert len(calls) == 1
    with pytest.raises(SamplingError, match="use a smaller model or size"):
        draw(model, prior, [0], batch=1, decode_batch=1)


def test_other_errors_of_the_decoder_stay_what_they_are(model, prior, monkeypatch):
    def fail(codes):
        raise RuntimeError("something else")

    monkeypatch.setattr(prior, "decode", fail)
    with pytest.raises(RuntimeError, match="something else"):
        draw(model, prior, [0])


def test_requests_that_cannot_be_met_are_named(model, prior):
    with pytest.raises(DiTError, match="labels in 0..3, but it has classes 0..2"):
        draw(model, prior, [0, 3])
    with pytest.raises(
        DiTError, match=r"works on latents \(6, 8, 8\), but codes of tiny for pictures of 16 px are \(5, 8, 8\)"
    ):
        draw(model, TinyPrior(channels=5), [0])
    with pytest.raises(DiTError, match="for pictures of 32 px"):
        draw(model, prior, [0], size=32)
    with pytest.raises(ValueError, match="guided_channels can be 0 to 6, got 7"):
        draw(model, prior, [0], guided_channels=7)
    with pytest.raises(ValueError, match="batch and decode_batch must be 1 or more"):
        draw(model, prior, [0], decode_batch=0)
    with pytest.raises(ValueError, match="guided_channels 0 or more, got 16, 16 and -1"):
        Sampling(guided_channels=-1)
    with pytest.raises(ValueError, match="takes 1 to 1000 steps, got 1001"):
        Sampling(steps=1001)
    with pytest.raises(ValueError, match="guidance must be 0 or more, got nan"):
        Sampling(guidance=math.nan)


def test_the_two_rows_differ_by_the_fine_tuning_alone(pictures, prior, model):
    before = {name: weight.clone() for name, weight in model.weights().items()}
    data = encoded(pictures, prior)

    def tune(**changes):
        tuning = FineTuning(DiffusionRecipe(**{"iterations": 6, "batch": 4} | changes), detail=0.01, rows="keep")
        return fine_tune(model, data, generator=generator_for(0, "set"), tuning=tuning, prior=prior)

    (barely, _), (tuned, history) = tune(ema=0.5, lr=0.0), tune(ema=0.0, lr=0.01)
    plain_row = rows(model, prior)
    assert torch.equal(rows(barely, prior).images, plain_row.images)
    assert not torch.equal(rows(tuned, prior).images, plain_row.images)
    assert set(history) == {"loss", "noise", "representative", "diverse", "detail"}
    assert tuned.name == f"{model.name}, fine-tuned" and plain_row.settings["model"] == model.name
    # The model that was given is left as it is.
    assert set(before) == set(model.weights())
    assert all(torch.equal(weight, before[name]) for name, weight in model.weights().items())


def test_fine_tuned_model_is_the_same_when_loaded(pictures, prior, model, tmp_path):
    tuning = FineTuning(DiffusionRecipe(iterations=2), rows="keep")
    tuned, _ = fine_tune(model, encoded(pictures, prior), generator=generator_for(0, "set"), tuning=tuning)
    tuned.save(tmp_path / "tuned")
    assert rows(load_dit(tmp_path / "tuned"), prior).digest == rows(tuned, prior).digest


def test_label_rows_start_from_the_null_label_unless_they_are_kept(pictures, prior, model):
    data, frozen_start = encoded(pictures, prior), DiffusionRecipe(iterations=1, lr=0.0)
    draws = torch.Generator().manual_seed(0)
    null, _ = fine_tune(model, data, generator=draws, tuning=FineTuning(frozen_start))
    kept, _ = fine_tune(model, data, generator=draws, tuning=FineTuning(frozen_start, rows="keep"))
    assert torch.equal(null.label_table[:3], model.label_table[3].expand(3, -1))
    assert torch.equal(kept.label_table, model.label_table)
