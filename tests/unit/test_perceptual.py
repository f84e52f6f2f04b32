"""LPIPS: a calibrated value, and clear words where the weights are missing."""

import subprocess
import sys

import pytest
import torch

from srdistill.images.pictures import read_folder
from srdistill.measures import perceptual
from srdistill.measures.perceptual import Lpips, WeightsMissing, find_backbone
from srdistill.training.evaluate import evaluate


@pytest.fixture(scope="module")
def alex(shared_weights):
    return Lpips("alex")


def test_bicubic_on_set5_has_the_known_distance(alex, shared_data):
    rows = evaluate(None, read_folder(shared_data / "set5"), 2, lpips=alex)
    assert sum(row["lpips"] for row in rows) / 5 == pytest.approx(0.1356, abs=5e-4)


def test_identical_pictures_are_at_distance_zero(alex, pictures):
    images = torch.stack([image[:, :64, :64] for image in pictures.images])
    distances = alex(images, images)
    assert distances.shape == (3,) and distances.tolist() == [0, 0, 0]
    assert (alex(images, 255 - images) > 0.1).all()


def test_distances_in_a_batch_equal_those_one_by_one(alex, pictures):
    truth = torch.stack([image[:, :64, :64] for image in pictures.images])
    changed = truth // 2
    alone = torch.cat([alex(x[None], y[None]) for x, y in zip(changed, truth, strict=True)])
    assert torch.allclose(alex(changed, truth), alone, atol=1e-5)


def test_floats_are_refused(alex):
    with pytest.raises(ValueError, match="uint8.*to_uint8"):
        alex(torch.zeros(1, 3, 64, 64), torch.zeros(1, 3, 64, 64))


def test_name_says_the_backbone_and_nothing_trains(alex):
    assert alex.name == "LPIPS-alex" and len(alex.digest) == 64
    assert not any(parameter.requires_grad for parameter in alex.parameters())


@pytest.fixture
def no_weights(monkeypatch, tmp_path):
    monkeypatch.setenv("SRDISTILL_WEIGHTS", str(tmp_path / "weights"))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setattr(torch.hub, "_hub_dir", None)
    return tmp_path


@pytest.mark.parametrize("backbone", ["alex", "vgg", "squeeze"])
def test_missing_weights_say_where_they_are_looked_for(no_weights, backbone):
    with pytest.raises(WeightsMissing) as error:
        Lpips(backbone)
    message = str(error.value)
    assert f"LPIPS-{backbone}" in message and perceptual.BACKBONES[backbone][0] in message
    assert "$SRDISTILL_WEIGHTS/lpips_backbones" in message
    assert str(no_weights / "torch" / "hub" / "checkpoints") in message


def test_weights_are_found_under_the_folder_of_the_environment(no_weights):
    file = no_weights / "weights" / "lpips_backbones" / "alexnet_features.pth"
    file.parent.mkdir(parents=True)
    file.touch()
    assert find_backbone("alex") == file


def test_weights_are_found_among_torchs_downloads(no_weights, monkeypatch):
    monkeypatch.delenv("SRDISTILL_WEIGHTS")
    with pytest.raises(WeightsMissing):
        find_backbone("squeeze")
    file = no_weights / "torch" / "hub" / "checkpoints" / "squeezenet1_1-b8a52dc0.pth"
    file.parent.mkdir(parents=True)
    file.touch()
    assert find_backbone("squeeze") == file


def test_failed_download_is_reported_as_missing_weights(no_weights, monkeypatch):
    def refuse(*args, **kwargs):
        raise ConnectionRefusedError("nobody there")

    monkeypatch.setattr(torch.hub, "download_url_to_file", refuse)
    with pytest.raises(WeightsMissing, match="could not download https://.*nobody there"):
        find_backbone("alex", download=True)


def test_damaged_download_is_reported_as_missing_weights(no_weights, monkeypatch):
    def damaged(*args, **kwargs):
        raise RuntimeError('invalid hash value (expected "7be5be79", got "e3b0c442")')

    monkeypatch.setattr(torch.hub, "download_url_to_file", damaged)
    with pytest.raises(WeightsMissing, match="invalid hash value"):
        find_backbone("alex", download=True)


def test_unknown_backbone_lists_the_known_ones():
    with pytest.raises(ValueError, match="'resnet'; there are: alex, vgg, squeeze"):
        Lpips("resnet")


def test_importing_the_library_does_not_import_torchvision():
    modules = "measures.perceptual, srdistill.training.adversarial, srdistill.papers.dietz.gradient_matching"
    code = f"import srdistill.{modules}, sys; print(sorted({{'torchvision', 'lpips', 'spandrel'}} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
