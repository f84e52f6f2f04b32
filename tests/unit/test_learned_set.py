"""Sets that learned more than 8-bit pictures: what is stored, what counts, and what is trained on."""

import hashlib
from dataclasses import replace

import pytest
import torch

from srdistill.files import read_tensors, write_tensors
from srdistill.images.pictures import read_folder, to_float, to_uint8
from srdistill.sets.distilled_set import DistilledSet, SetError, Sizes, png_bytes
from srdistill.sets.learned_set import LearnedSet, load_set, pictures_of, rounded_set, targets_of


@pytest.fixture
def small(pictures):
    """Four images of 24 px from three pictures, made by hand, with codes and snapshots."""
    pieces = [image[:, y : y + 24, 8:32] for image, y in zip(pictures.images, (0, 30, 60), strict=True)]
    images = torch.stack([*pieces, 255 - pieces[2]])
    return DistilledSet(
        images, torch.tensor([0, 1, 2, 2]), ("astronaut", "flower", "motorcycle_left"), "by_hand", {"ipc": 1},
        {"distance": [3.0, 1.5]}, {0: images[:2].clone(), 10: images[2:].clone()},
        latents={"codes": torch.tensor([[1.0, 2.0]])},
    )  # fmt: skip


@pytest.fixture
def learned(small):
    """The same images as floats that reach beyond [0, 1], with logits and a step size."""
    floats = to_float(small.images) + torch.linspace(-0.001, 0.001, 24)
    floats[0, 0, 0, 0], floats[3, 2, 5, 5] = -0.7, 3.2
    logits = torch.tensor([[2.0, 0.0, 0.0], [0.0, 3.5, 0.25], [0.0, 0.0, 1.0], [1.0, 0.0, 9.0]])
    return LearnedSet(
        to_uint8(floats), small.labels, small.names, "by_hand", floats=floats, label_logits=logits, step_size=0.0125
    )


def test_what_was_learned_survives_the_round_trip(learned, tmp_path):
    learned.save(tmp_path / "set.safetensors")
    loaded = load_set(tmp_path / "set.safetensors")
    assert type(loaded) is LearnedSet and loaded.digest == learned.digest and loaded.latents == {}
    assert torch.equal(loaded.floats, learned.floats) and torch.equal(loaded.label_logits, learned.label_logits)
    assert loaded.step_size == 0.0125


def test_files_of_sets_without_it_are_as_they_were(small, tmp_path):
    small.save(tmp_path / "set.safetensors")
    tensors, about = read_tensors(tmp_path / "set.safetensors", "distilled_set")
    assert sorted(tensors) == ["images", "labels", "latent.codes", "snapshot.0", "snapshot.10"]
    assert sorted(about) == ["generator_bytes", "history", "method", "names", "settings"]
    loaded = load_set(tmp_path / "set.safetensors")
    assert type(loaded) is DistilledSet
    plain = hashlib.sha256(small.images.numpy().tobytes() + small.labels.numpy().tobytes()).hexdigest()
    assert small.digest == loaded.digest == plain


def test_pictures_and_labels_to_train_on(small, learned):
    assert torch.equal(pictures_of(learned), learned.floats) and learned.floats.min() < 0 and learned.floats.max() > 1
    assert torch.equal(targets_of(learned), learned.label_logits)
    assert torch.equal(pictures_of(small), small.images / 255) and torch.equal(targets_of(small), small.labels)
    rounded = rounded_set(learned)
    assert torch.equal(pictures_of(rounded), (learned.floats.clamp(0, 1) * 255).round() / 255)
    assert torch.equal(targets_of(rounded), learned.label_logits) and rounded.step_size == 0.0125
    assert learned.floats is not None and rounded_set(small) is small


def test_learned_numbers_count_in_the_bytes(learned):
    lossless = sum(len(png_bytes(image)) for image in learned.images)
    # Floats take the place of the PNG files; twelve logits and a step size join them.
    assert learned.sizes == Sizes(4, 4 * 24 * 24, lossless, 4 * (4 * 3 * 24 * 24) + 4 * 4 + 12 * 4 + 4)
    assert rounded_set(learned).sizes == Sizes(4, 4 * 24 * 24, lossless, lossless + 4 * 4 + 12 * 4 + 4)


def test_digest_is_of_what_was_learned_too(learned):
    found = {learned.digest, rounded_set(learned).digest}
    moved = learned.floats.clone()
    moved[1, 1, 1, 1] += 1e-6
    for change in ({"floats": moved}, {"label_logits": learned.label_logits + 1}, {"step_size": 0.01}, {"step_size": None}):
        found.add(replace(learned, **change).digest)
    assert len(found) == 6
    assert replace(learned, floats=learned.floats.clone()).digest == learned.digest


def test_export_says_what_stays_behind(learned, small, tmp_path):
    text = (learned.export(tmp_path / "learned") / "README.md").read_text()
    assert "Learned too, and not in this folder: floats, label_logits, step_size." in text
    assert torch.equal(torch.stack(read_folder(tmp_path / "learned").images), learned.images)
    assert "Learned too" not in (small.export(tmp_path / "small") / "README.md").read_text()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"floats": torch.zeros(3, 3, 24, 24)}, r"floats must be float32 \(4, 3, 24, 24\), got torch.float32 \(3, 3, 24, 24\)"),
        ({"floats": torch.zeros(4, 3, 24, 24).double()}, "got torch.float64"),
        ({"floats": torch.zeros(4, 3, 24, 24)}, "images must be the floats after 8 bits; make them with to_uint8"),
        ({"floats": torch.full((4, 3, 24, 24), torch.nan)}, "floats hold NaN or infinity, 4 of 4, first number 0; lower"),
        ({"label_logits": torch.zeros(4, 2)}, r"label_logits must be float32 \(4, 3\), got torch.float32 \(4, 2\)"),
        ({"label_logits": torch.tensor([[0.0] * 3] * 2 + [[torch.inf] * 3] * 2)}, "2 of 4, first number 2"),
        ({"step_size": -0.001}, "step_size must be positive, got -0.001; lower the rate"),
        ({"step_size": float("nan")}, "got nan"),
    ],
)  # fmt: skip
def test_what_cannot_have_been_learned_is_refused(learned, change, message):
    with pytest.raises(SetError, match=message):
        replace(learned, **change)


def test_file_with_damaged_floats_is_refused(learned, tmp_path):
    learned.save(tmp_path / "set.safetensors")
    tensors, about = read_tensors(tmp_path / "set.safetensors", "distilled_set")
    damaged = tensors | {"latent.learned.floats": torch.zeros(4, 3, 8, 8)}
    write_tensors(tmp_path / "set.safetensors", "distilled_set", damaged, about)
    with pytest.raises(SetError, match="set.safetensors: not a distilled set, or damaged .*floats must be float32"):
        load_set(tmp_path / "set.safetensors")
