"""Features of patches: what they are made of, and clear words for weights that are missing or are something else."""

import hashlib
import math
from dataclasses import replace
from importlib import import_module
from pathlib import Path

import numpy as np
import pooch
import pytest
import torch
from safetensors.torch import load_file, save_file

from srdistill.images.pictures import PictureError
from srdistill.images.torchvision_import import import_torchvision
from srdistill.papers.labelfree import learned_features
from srdistill.papers.labelfree.hand_made_features import hog_and_colour
from srdistill.papers.labelfree.learned_features import (
    CLIP_CONFIG,
    CLIP_WEIGHTS,
    MOBILENET,
    load_clip,
    load_mobilenet,
    load_torchvision_mobilenet,
)
from srdistill.papers.labelfree.patch_features import patch_features
from srdistill.papers.labelfree.patch_pool import candidate_patches
from srdistill.papers.labelfree.selection import Selection
from srdistill.priors.prior import PriorError
from srdistill.sets.distilled_set import SelectionError
from srdistill.weights import WeightsMissing


@pytest.fixture(scope="module")
def pool(pictures):
    return candidate_patches(pictures, size=32, selection=Selection(stride=16, quantile=0.3))


@pytest.fixture
def nowhere(monkeypatch, tmp_path):
    """Neither SRDISTILL_WEIGHTS, nor the cache, nor torch's downloads hold anything."""
    monkeypatch.setenv("SRDISTILL_WEIGHTS", str(tmp_path / "weights"))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setattr(torch.hub, "_hub_dir", None)
    monkeypatch.setattr(pooch, "os_cache", lambda name: tmp_path / "cache" / name)
    return tmp_path


# --- hand-made ------------------------------------------------------------------------------------------------


def test_hog_sees_the_direction_of_edges():
    ramp = (torch.arange(64) * 4).to(torch.uint8)
    upright = ramp.expand(3, 64, 64).contiguous()
    found = hog_and_colour(torch.stack([upright, upright.transpose(1, 2), upright.flip(2)]))
    assert found.shape == (3, 330) and found.dtype == torch.float32
    gradients = found[:, :324]
    assert torch.allclose(gradients.norm(dim=1), torch.ones(3), atol=1e-3)
    # Upright and lying edges have nothing in common; light from the other side is the same edge.
    assert float(gradients[0] @ gradients[1]) < 0.01 and float(gradients[0] @ gradients[2]) > 0.99
    bins = gradients.view(3, 36, 9).sum(1)
    assert bins.argmax(1).tolist()[0] != bins.argmax(1).tolist()[1]


def test_colours_are_cielab():
    red = torch.tensor([255, 0, 0], dtype=torch.uint8)[:, None, None].expand(3, 16, 16)
    grey = torch.full((3, 16, 16), 119, dtype=torch.uint8)
    half = torch.where(torch.arange(16) < 8, red, grey)
    found = hog_and_colour(torch.stack([red, grey, half]))[:, 324:].double()
    # CIELAB of sRGB red is (53.24, 80.09, 67.20), of grey level 119 (50.03, 0, 0).
    lab_red, lab_grey = torch.tensor([0.5324, 0.8009, 0.6720]).double(), torch.tensor([0.5003, 0, 0]).double()
    assert (found[0] - torch.cat([lab_red, torch.zeros(3)])).abs().max() < 2e-4
    assert (found[1] - torch.cat([lab_grey, torch.zeros(3)])).abs().max() < 2e-4
    assert (found[2] - torch.cat([(lab_red + lab_grey) / 2, (lab_red - lab_grey).abs() / 2])).abs().max() < 2e-4
    assert torch.equal(hog_and_colour(grey[None])[:, :324], torch.zeros(1, 324))


@pytest.mark.parametrize("side", [16, 20, 32, 52, 128])
def test_hog_has_the_same_length_at_every_size(side):
    assert hog_and_colour(torch.zeros(1, 3, side, side, dtype=torch.uint8)).shape == (1, 330)


@pytest.mark.parametrize("shape", [(1, 3, 12, 12), (3, 32, 32), (1, 1, 32, 32)])
def test_hog_refuses_other_shapes(shape):
    with pytest.raises(PictureError, match=r"uint8 windows \(N, 3, H, W\) of 16 px or more"):
        hog_and_colour(torch.zeros(shape, dtype=torch.uint8))
    with pytest.raises(PictureError, match="torch.float32"):
        hog_and_colour(torch.zeros(1, 3, 32, 32))


# --- MobileNetV2 ----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def random_mobilenet():
    import_torchvision()
    from torchvision.models import mobilenet_v2

    torch.manual_seed(0)
    return mobilenet_v2(weights=None).eval()


@pytest.fixture
def mobilenet_file(random_mobilenet, tmp_path):
    path = tmp_path / "mine.pth"
    torch.save(random_mobilenet.state_dict(), path)
    return path


def test_mobilenet_names_what_it_sees(shared_weights, test_photos):
    """The features in front of the published classifier: a cat, an espresso or a cup."""
    path = shared_weights / MOBILENET.name
    if not path.is_file():
        pytest.skip(f"no {MOBILENET.name} in the folder that SRDISTILL_WEIGHTS names")
    head = torch.load(path, weights_only=True)
    windows = test_photos.select(["chelsea", "coffee"]).center_crop(300).images
    found = load_mobilenet()(torch.stack(windows))
    logits = found @ head["classifier.1.weight"].T + head["classifier.1.bias"]
    cat, coffee = logits.argmax(1).tolist()
    assert 281 <= cat <= 285 and coffee in (967, 968)


def test_mobilenet_features_are_its_pooled_last_layer(monkeypatch, mobilenet_file, random_mobilenet, pool):
    monkeypatch.setattr(learned_features, "MOBILENET", replace(MOBILENET, sha256=None))
    model = load_mobilenet(mobilenet_file)
    images = pool.images(range(3))
    found = model(images)
    assert found.shape == (3, 1280) and found.dtype == torch.float32 and not found.requires_grad
    # Pillow's resizing rounds to whole levels, and has another border.
    from PIL import Image

    seen = [
        np.array(Image.fromarray(image.permute(1, 2, 0).numpy()).resize((224, 224), Image.Resampling.BICUBIC))
        for image in images
    ]
    inputs = torch.from_numpy(np.stack(seen)).permute(0, 3, 1, 2) / 127.5 - 1
    with torch.no_grad():
        expected = torch.nn.functional.adaptive_avg_pool2d(random_mobilenet.features(inputs), 1).flatten(1)
    assert (found - expected).norm() < 0.02 * expected.norm()
    assert torch.allclose(torch.cat([model(image[None]) for image in images]), found, atol=1e-5)


def test_mobilenet_refuses_other_hashes_and_says_what_else_there_is(nowhere, mobilenet_file):
    with pytest.raises(PriorError, match="mine.pth: SHA-256 .* instead of 0bc2e9fe"):
        load_mobilenet(mobilenet_file)
    with pytest.raises(WeightsMissing) as error:
        load_mobilenet()
    for part in (nowhere / "weights" / MOBILENET.name, "load_torchvision_mobilenet", "features='hog'"):
        assert str(part) in str(error.value)
    with pytest.raises(WeightsMissing, match="elsewhere.pth"):
        load_mobilenet(nowhere / "elsewhere.pth")


def test_mobilenet_without_a_folder_names_the_variable(nowhere, monkeypatch):
    monkeypatch.delenv("SRDISTILL_WEIGHTS")
    with pytest.raises(WeightsMissing, match=r"\$SRDISTILL_WEIGHTS/imagenet_backbones/mobilenet_v2"):
        load_mobilenet()


def test_torchvision_mobilenet_checks_the_hash_in_its_name(nowhere, monkeypatch, mobilenet_file):
    place = nowhere / "weights" / "imagenet_backbones"
    place.mkdir(parents=True)
    (place / learned_features.TORCHVISION_MOBILENET).write_bytes(mobilenet_file.read_bytes())
    with pytest.raises(PriorError, match="SHA-256 .* does not begin with 7ebf99e0; fetch it again from https"):
        load_torchvision_mobilenet()
    digest = hashlib.sha256(mobilenet_file.read_bytes()).hexdigest()
    monkeypatch.setattr(learned_features, "TORCHVISION_MOBILENET", f"mobilenet_v2-{digest[:8]}.pth")
    (place / learned_features.TORCHVISION_MOBILENET).write_bytes(mobilenet_file.read_bytes())
    model = load_torchvision_mobilenet()
    grey = torch.full((1, 3, 32, 32), 128, dtype=torch.uint8)
    inputs = (torch.full((1, 3, 224, 224), 128 / 255) - torch.tensor([0.485, 0.456, 0.406])[:, None, None]) / torch.tensor(
        [0.229, 0.224, 0.225]
    )[:, None, None]
    assert torch.allclose(model(grey), model.network(inputs), atol=1e-5)


def test_torchvision_mobilenet_missing_or_not_downloadable(nowhere, monkeypatch):
    with pytest.raises(WeightsMissing) as error:
        load_torchvision_mobilenet()
    for part in (nowhere / "weights/imagenet_backbones", nowhere / "torch", "SRDISTILL_WEIGHTS", "download=True", "https://"):
        assert str(part) in str(error.value)

    def refuse(*args, **kwargs):
        raise ConnectionRefusedError("nobody there")

    monkeypatch.setattr(torch.hub, "download_url_to_file", refuse)
    with pytest.raises(WeightsMissing, match="could not download https.*nobody there.*put it at .*imagenet_backbones"):
        load_torchvision_mobilenet(download=True)


def test_name_of_the_torchvision_file_is_that_of_its_address():
    import_torchvision()
    from torchvision.models import MobileNet_V2_Weights

    assert MobileNet_V2_Weights.IMAGENET1K_V2.url.endswith("/" + learned_features.TORCHVISION_MOBILENET)


# --- CLIP -----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def tiny_clip(tmp_path_factory):
    """A randomly initialised CLIP, saved as transformers saves one, and the model."""
    import_torchvision()
    from transformers import CLIPConfig, CLIPModel
    from transformers.utils import logging

    logging.disable_progress_bar()
    torch.manual_seed(0)
    vision = {"hidden_size": 32, "intermediate_size": 64, "num_attention_heads": 2, "num_hidden_layers": 2}
    text = {"hidden_size": 16, "intermediate_size": 32, "num_attention_heads": 2, "num_hidden_layers": 1, "vocab_size": 60,
            "bos_token_id": 0, "eos_token_id": 1}  # fmt: skip
    config = CLIPConfig(
        vision_config=vision | {"image_size": 64, "patch_size": 32, "projection_dim": 24}, text_config=text, projection_dim=24
    )
    model = CLIPModel(config).eval()
    folder = tmp_path_factory.mktemp("clip")
    model.save_pretrained(folder)
    return folder, model


@pytest.fixture
def clip_copy(tiny_clip, tmp_path):
    for name in ("config.json", "model.safetensors"):
        (tmp_path / name).write_bytes((tiny_clip[0] / name).read_bytes())
    return tmp_path


def test_clip_features_are_those_of_transformers(tiny_clip, pool):
    from transformers import CLIPImageProcessor

    folder, model = tiny_clip
    ours = load_clip(folder, check_hash=False)
    images = pool.images(range(4))
    found = ours(images)
    assert found.shape == (4, 24) and found.dtype == torch.float32
    processor = CLIPImageProcessor(size={"shortest_edge": 64}, crop_size={"height": 64, "width": 64})
    inputs = processor([image.permute(1, 2, 0).numpy() for image in images], return_tensors="pt")
    with torch.no_grad():
        expected = model.get_image_features(**inputs).pooler_output
    assert (found - expected).norm() < 0.02 * expected.norm()
    assert (found[0] - found[1]).norm() > 0.1 * (found - expected).norm()


def test_clip_of_an_older_version_loads_too(clip_copy, tiny_clip, pool):
    """The published file still has the position numbers that newer versions of transformers do not keep."""
    path = clip_copy / "model.safetensors"
    state = load_file(path) | {"vision_model.embeddings.position_ids": torch.arange(5)[None]}
    save_file(state, path, metadata={"format": "pt"})
    images = pool.images([0])
    assert torch.equal(load_clip(clip_copy, check_hash=False)(images), load_clip(tiny_clip[0], check_hash=False)(images))


def test_missing_clip_says_where_and_how(nowhere):
    with pytest.raises(WeightsMissing) as error:
        load_clip()
    for part in (nowhere / "weights" / CLIP_CONFIG.name, "SRDISTILL_WEIGHTS", "download=True", "https://", "b33cedfd"):
        assert str(part) in str(error.value)
    with pytest.raises(WeightsMissing, match="mine/config.json"):
        load_clip(nowhere / "mine", download=True)
    (nowhere / "mine").mkdir()
    (nowhere / "mine" / "config.json").write_text("{}")
    with pytest.raises(WeightsMissing, match="mine/model.safetensors"):
        load_clip(nowhere / "mine", check_hash=False)


def test_clip_downloads_are_pinned_and_checked(nowhere, monkeypatch):
    asked = []

    def fetch(url, known_hash, fname, path, progressbar):
        asked.append((url, known_hash, path))
        Path(path).mkdir(parents=True, exist_ok=True)
        Path(path, fname).write_bytes(b"other")

    monkeypatch.setattr(pooch, "retrieve", fetch)
    with pytest.raises(PriorError, match="SHA-256 .* instead of b575ef3c"):
        load_clip(download=True)
    ((url, known_hash, path),) = asked
    assert url.endswith("/b33cedfd0df4e43b8238760678fcc89e1a0d38b3/config.json")
    assert known_hash == f"sha256:{CLIP_CONFIG.sha256}" and path == str(nowhere / "weights/clip-vit-base-patch32")


def test_clip_with_another_hash_is_refused(tiny_clip):
    with pytest.raises(PriorError, match="config.json: SHA-256 .* instead of b575ef3c"):
        load_clip(tiny_clip[0])
    assert len(CLIP_WEIGHTS.sha256) == 64


def test_clip_without_all_its_weights_is_refused(clip_copy):
    path = clip_copy / "model.safetensors"
    state = load_file(path)
    missing = "vision_model.encoder.layers.1.mlp.fc1.weight"
    save_file({name: value for name, value in state.items() if name != missing}, path)
    with pytest.raises(PriorError, match=f"no weights of the CLIP that config.json describes .*{missing}"):
        load_clip(clip_copy, check_hash=False)
    save_file(state | {missing: torch.zeros(3, 3)}, path)
    with pytest.raises(PriorError, match="no weights of the CLIP .*size mismatch"):
        load_clip(clip_copy, check_hash=False)
    path.write_bytes(b"text")
    with pytest.raises(PriorError, match="no readable CLIP"):
        load_clip(clip_copy, check_hash=False)
    (clip_copy / "config.json").write_text("no json")
    with pytest.raises(PriorError, match="no readable CLIP"):
        load_clip(clip_copy, check_hash=False)


def test_networks_refuse_windows_that_are_no_squares_of_uint8(tiny_clip):
    model = load_clip(tiny_clip[0], check_hash=False)
    for windows in (torch.zeros(1, 3, 32, 36, dtype=torch.uint8), torch.zeros(1, 3, 32, 32)):
        with pytest.raises(PictureError, match="patches are square uint8"):
            model(windows)


def test_nothing_is_imported_before_it_is_needed():
    import subprocess
    import sys

    code = (
        "import sys, srdistill.papers.labelfree.selected_patches, srdistill.papers.labelfree.learned_features\n"
        "print([name for name in ('torchvision', 'transformers', 'sklearn', 'diffusers') if name in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


# --- by name or by function -----------------------------------------------------------------------------------


def test_features_come_in_the_order_of_the_pool(pool, monkeypatch):
    module = import_module("srdistill.papers.labelfree.patch_features")

    monkeypatch.setattr(module, "_CHUNK", 7)
    rows = patch_features(pool, "hog", normalise=False)
    assert len(pool) > 14 and torch.equal(rows, hog_and_colour(pool.images()).double())


def test_normalised_features_have_length_one(pool):
    raw, rows = patch_features(pool, "hog", normalise=False), patch_features(pool, "hog")
    assert torch.allclose(rows.norm(dim=1), torch.ones(len(pool), dtype=torch.float64))
    assert torch.allclose(rows * raw.norm(dim=1, keepdim=True), raw)
    assert torch.equal(patch_features(pool, lambda images: torch.zeros(len(images), 2)), torch.zeros(len(pool), 2).double())


def test_own_functions_and_loaded_networks_are_accepted(pool, tiny_clip):
    model = load_clip(tiny_clip[0], check_hash=False)
    assert torch.equal(patch_features(pool, model, normalise=False), model(pool.images()).double())
    means = patch_features(pool, lambda images: images.float().mean((2, 3)), normalise=False)
    assert torch.equal(means, pool.images().float().mean((2, 3)).double())


def test_useless_features_are_refused(pool):
    with pytest.raises(SelectionError, match="unknown features 'sift'; there are: hog, mobilenet, .*clip, or a function"):
        patch_features(pool, "sift")
    with pytest.raises(SelectionError, match=r"must be \(\d+, d\), got \(\d+, 3, 1\)"):
        patch_features(pool, lambda images: images.float().mean((2, 3))[..., None])
    with pytest.raises(SelectionError, match="features of patch 4 .* are not finite"):
        patch_features(pool, lambda images: torch.tensor([math.nan if i == 4 else 1.0 for i in range(len(images))])[:, None])
