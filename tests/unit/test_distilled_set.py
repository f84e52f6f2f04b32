"""The distilled set: what it refuses, what it weighs, and that files give back what was put in."""

import hashlib
import json
from dataclasses import replace

import pytest
import torch
from safetensors.torch import save_file

from srdistill.files import read_tensors, write_tensors
from srdistill.images.pictures import read_folder, to_float, to_uint8
from srdistill.networks import build_network
from srdistill.sets.distilled_set import DistilledSet, SetError, Sizes, png_bytes, sizes_of
from srdistill.training.recipe import Recipe
from srdistill.training.sr import train


@pytest.fixture
def small(pictures):
    """Four images of 24 px from three pictures, with everything a method can leave."""
    pieces = [image[:, y : y + 24, 8:32] for image, y in zip(pictures.images, (0, 30, 60), strict=True)]
    images = torch.stack([*pieces, 255 - pieces[2]])
    return DistilledSet(
        images,
        torch.tensor([0, 1, 2, 2]),
        ("folder/astronaut", "flower", "motorcycle_left"),
        "by_hand",
        {"ipc": 1, "network": {"architecture": "SRCNN"}, "lr": 0.01},
        {"distance": [3.0, 1.5]},
        {0: images[:2].clone(), 10: images[2:].clone()},
        7,
        {"codes": torch.tensor([[1.0, 2.0]])},
    )


def assert_equal(first, second):
    assert torch.equal(first.images, second.images) and torch.equal(first.labels, second.labels)
    assert first.snapshots.keys() == second.snapshots.keys()
    assert all(torch.equal(image, second.snapshots[step]) for step, image in first.snapshots.items())
    assert first.latents.keys() == second.latents.keys()
    assert all(torch.equal(tensor, second.latents[name]) for name, tensor in first.latents.items())
    for name in ("names", "method", "settings", "history", "generator_bytes", "digest"):
        assert getattr(first, name) == getattr(second, name), name


def test_loaded_equals_saved(small, tmp_path):
    small.save(tmp_path / "deep" / "set.safetensors")
    assert_equal(DistilledSet.load(tmp_path / "deep" / "set.safetensors"), small)


def test_smallest_set_survives_the_round_trip(tmp_path):
    bare = DistilledSet(torch.zeros(1, 3, 2, 4, dtype=torch.uint8), torch.tensor([0]), ("a",), "none")
    bare.save(tmp_path / "set.safetensors")
    assert_equal(DistilledSet.load(tmp_path / "set.safetensors"), bare)


def test_strided_images_survive_the_round_trip(small, tmp_path):
    turned = DistilledSet(small.images.transpose(-1, -2), small.labels, small.names, "turned")
    turned.save(tmp_path / "set.safetensors")
    assert_equal(DistilledSet.load(tmp_path / "set.safetensors"), turned)


def test_snapshots_that_are_views_of_the_images_are_saved(small, tmp_path):
    small.snapshots[20] = small.images[:2]
    small.save(tmp_path / "set.safetensors")
    assert_equal(DistilledSet.load(tmp_path / "set.safetensors"), small)


def test_settings_with_tuples_are_the_same_after_loading(small, tmp_path):
    small.settings["network"] = {"architecture": "SRCNN", "kernels": (9, 1, 5)}
    small.save(tmp_path / "set.safetensors")
    loaded = DistilledSet.load(tmp_path / "set.safetensors")
    assert json.dumps(loaded.settings) == json.dumps(small.settings)


@pytest.mark.parametrize("share", [0.0, 0.001, 0.05, 0.5, 0.99])
def test_truncated_file_is_refused(small, tmp_path, share):
    path = tmp_path / "set.safetensors"
    small.save(path)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(SetError, match="set.safetensors: not a distilled set, or damaged"):
        DistilledSet.load(path)


@pytest.mark.parametrize("word", [b"names", b"method", b"settings", b"history", b"images", b"labels"])
def test_file_with_a_damaged_field_is_refused(small, tmp_path, word):
    path = tmp_path / "set.safetensors"
    small.save(path)
    path.write_bytes(path.read_bytes().replace(word, word[:-1] + b"?", 1))
    with pytest.raises(SetError, match="set.safetensors"):
        DistilledSet.load(path)


def test_other_files_are_refused(tmp_path):
    (tmp_path / "text").write_text("no set")
    save_file({"images": torch.zeros(1)}, tmp_path / "weights")
    save_file({"images": torch.zeros(1)}, tmp_path / "foreign", metadata={"format": "pt"})
    for name in ("text", "weights", "foreign"):
        with pytest.raises(SetError, match=f"{name}: not a distilled set"):
            DistilledSet.load(tmp_path / name)


def test_missing_file_is_said_to_be_missing(tmp_path):
    with pytest.raises(FileNotFoundError):
        DistilledSet.load(tmp_path / "gone.safetensors")


def test_four_sizes(small):
    lossless = sum(len(png_bytes(image)) for image in small.images)
    assert small.sizes == Sizes(4, 4 * 24 * 24, lossless, lossless + 4 * 4 + 7)
    assert lossless > 4 * 60


def test_sizes_of_pictures_without_labels(pictures):
    sizes = sizes_of(pictures.images)
    assert (sizes.images, sizes.pixels) == (3, pictures.pixels)
    assert sizes.lossless_bytes == sizes.total_bytes
    assert sizes_of(pictures.images, 2, 100).total_bytes == sizes.total_bytes + 8 + 100


def test_digest_is_of_images_and_labels(small):
    same = DistilledSet(small.images.clone(), small.labels, small.names, "another method")
    assert same.digest == small.digest
    changed = small.images.clone()
    changed[3, 2, 23, 23] ^= 1
    assert DistilledSet(changed, small.labels, small.names, "").digest != small.digest
    assert DistilledSet(small.images, torch.tensor([0, 1, 2, 1]), small.names, "").digest != small.digest


def test_exported_folder_is_read_back_and_trains(small, tmp_path):
    folder = small.export(tmp_path / "export")
    assert sorted(path.name for path in folder.iterdir()) == [
        "00000_folder_astronaut.png",
        "00001_flower.png",
        "00002_motorcycle_left.png",
        "00003_motorcycle_left.png",
        "README.md",
    ]
    read = read_folder(folder)
    assert torch.equal(torch.stack(read.images), small.images)
    network = build_network("SRCNN", 2, 0, kernels=(3, 1, 3), widths=(4, 4))
    _, history = train(network, read.images, Recipe(iterations=1, batch=2, patch=24), scale=2, seed=0)
    assert len(history) == 1


def test_readme_of_an_export_says_how_it_was_made(small, tmp_path):
    text = (small.export(tmp_path, "Good for trying.") / "README.md").read_text()
    assert "Good for trying." in text
    for fact in ("4 images of 24 x 24 px from 3 source pictures", "2,304 pixels", "by_hand", "- ipc: 1", "- lr: 0.01"):
        assert fact in text


def test_export_over_a_larger_one_leaves_no_old_images(small, tmp_path):
    small.export(tmp_path / "export")
    fewer = DistilledSet(small.images[:2], small.labels[:2], small.names, "by_hand")
    assert len(read_folder(fewer.export(tmp_path / "export"))) == 2


@pytest.mark.parametrize("images", [torch.zeros(2, 3, 4, 4), torch.zeros(3, 4, 4).byte(), torch.zeros(2, 1, 4, 4).byte()])
def test_images_are_uint8_rgb(images):
    with pytest.raises(SetError, match=r"images must be uint8 \(N, 3, H, W\)"):
        DistilledSet(images, torch.zeros(2, dtype=torch.long), ("a",), "")


@pytest.mark.parametrize("labels", [torch.zeros(1).long(), torch.zeros(3).long(), torch.zeros(2, 1).long()])
def test_each_image_has_a_label(labels):
    with pytest.raises(SetError, match="2 images need 2 labels"):
        DistilledSet(torch.zeros(2, 3, 4, 4).byte(), labels, ("a",), "")


@pytest.mark.parametrize("labels", [[0, 2], [-1, 0]])
def test_labels_point_at_a_name(labels):
    with pytest.raises(SetError, match=r"labels must lie in 0\.\.1"):
        DistilledSet(torch.zeros(2, 3, 4, 4).byte(), torch.tensor(labels), ("a", "b"), "")


def test_failed_save_leaves_the_old_set(small, tmp_path):
    small.save(tmp_path / "set.safetensors")
    broken = DistilledSet(small.images, small.labels, small.names, "", {"when": object()})
    with pytest.raises(TypeError):
        broken.save(tmp_path / "set.safetensors")
    assert_equal(DistilledSet.load(tmp_path / "set.safetensors"), small)


# --- What some methods learn beside pictures.


@pytest.fixture
def learned(small):
    """The same images as floats that reach beyond [0, 1], with logits and a step size."""
    floats = to_float(small.images) + torch.linspace(-0.001, 0.001, 24)
    floats[0, 0, 0, 0], floats[3, 2, 5, 5] = -0.7, 3.2
    logits = torch.tensor([[2.0, 0.0, 0.0], [0.0, 3.5, 0.25], [0.0, 0.0, 1.0], [1.0, 0.0, 9.0]])
    return DistilledSet(
        to_uint8(floats), small.labels, small.names, "by_hand", floats=floats, label_logits=logits, step_size=0.0125
    )


def test_what_was_learned_survives_the_round_trip(learned, tmp_path):
    learned.save(tmp_path / "set.safetensors")
    loaded = DistilledSet.load(tmp_path / "set.safetensors")
    assert_equal(loaded, learned)
    assert torch.equal(loaded.floats, learned.floats) and torch.equal(loaded.label_logits, learned.label_logits)
    assert loaded.step_size == 0.0125


def test_files_of_sets_without_it_are_as_they_were(small, tmp_path):
    small.save(tmp_path / "set.safetensors")
    tensors, about = read_tensors(tmp_path / "set.safetensors", "distilled_set")
    assert sorted(tensors) == ["images", "labels", "latent.codes", "snapshot.0", "snapshot.10"]
    assert sorted(about) == ["generator_bytes", "history", "method", "names", "settings"]
    loaded = DistilledSet.load(tmp_path / "set.safetensors")
    assert loaded.floats is loaded.label_logits is loaded.step_size is None
    plain = hashlib.sha256(small.images.numpy().tobytes() + small.labels.numpy().tobytes()).hexdigest()
    assert small.digest == loaded.digest == plain


def test_pictures_and_labels_to_train_on(small, learned):
    assert torch.equal(learned.pictures, learned.floats) and learned.pictures.min() < 0 and learned.pictures.max() > 1
    assert torch.equal(learned.targets, learned.label_logits)
    assert torch.equal(small.pictures, small.images / 255) and torch.equal(small.targets, small.labels)
    rounded = learned.rounded
    assert torch.equal(rounded.pictures, (learned.floats.clamp(0, 1) * 255).round() / 255)
    assert torch.equal(rounded.targets, learned.label_logits) and rounded.step_size == 0.0125
    assert learned.floats is not None and small.rounded is small


def test_learned_numbers_count_in_the_bytes(learned):
    lossless = sum(len(png_bytes(image)) for image in learned.images)
    # Floats take the place of the PNG files; twelve logits and a step size join them.
    assert learned.sizes == Sizes(4, 4 * 24 * 24, lossless, 4 * (4 * 3 * 24 * 24) + 4 * 4 + 12 * 4 + 4)
    assert learned.rounded.sizes == Sizes(4, 4 * 24 * 24, lossless, lossless + 4 * 4 + 12 * 4 + 4)


def test_digest_is_of_what_was_learned_too(learned):
    found = {learned.digest, learned.rounded.digest}
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
    write_tensors(tmp_path / "set.safetensors", "distilled_set", tensors | {"learned.floats": torch.zeros(4, 3, 8, 8)}, about)
    with pytest.raises(SetError, match="set.safetensors: not a distilled set, or damaged .*floats must be float32"):
        DistilledSet.load(tmp_path / "set.safetensors")
