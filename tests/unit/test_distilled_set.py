"""The distilled set: what it refuses, what it weighs, and that files give back what was put in."""

import json

import pytest
import torch
from safetensors.torch import save_file

from srdistill.images.pictures import read_folder
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
