"""Perceptual losses: plain features of torchvision's networks, gradients, names, and clear words without weights."""

import hashlib

import pytest
import torch
from torch import nn

from srdistill.images.pictures import to_float
from srdistill.images.torchvision_import import import_torchvision
from srdistill.training import perceptual_loss as module
from srdistill.training.perceptual_loss import BACKBONES, PerceptualLoss, perceptual_loss
from srdistill.weights import WeightsMissing

MEAN, STD = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])


@pytest.fixture
def pair(pictures):
    """Two batches (2, 3, 64, 64) of real pieces in [0, 1]."""
    pieces = to_float(torch.stack([image[:, :64, :64] for image in pictures.images]))
    return pieces[:2], pieces[1:]


@pytest.fixture
def random_features():
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(inplace=True), nn.MaxPool2d(2), nn.Conv2d(4, 5, 3), nn.ReLU(inplace=True))


@pytest.fixture
def folder(monkeypatch, tmp_path):
    """An empty folder of weights, and no downloads of torch."""
    monkeypatch.setenv("SRDISTILL_WEIGHTS", str(tmp_path / "weights"))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setattr(torch.hub, "_hub_dir", None)
    return tmp_path


def random_squeezenet(path):
    """A file of random weights in torchvision's layout; returns the network."""
    import_torchvision()
    from torchvision.models import squeezenet1_1

    with torch.random.fork_rng():
        torch.manual_seed(1)
        network = squeezenet1_1(weights=None).eval()
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save(network.state_dict(), path)
    return network


def plainly(network, images, layers):
    """Outputs of some layers, through hooks."""
    found, hooks = {}, []
    for index in layers:
        keep = lambda _module, _inputs, output, index=index: found.__setitem__(index, output.clone())  # noqa: E731
        hooks.append(network.features[index].register_forward_hook(keep))
    network.features((images - MEAN.view(3, 1, 1)) / STD.view(3, 1, 1))
    for hook in hooks:
        hook.remove()
    return found


def expected_loss(network, first, second, layers):
    ours, theirs = plainly(network, first, layers), plainly(network, second, layers)
    return sum(weight * (ours[index] - theirs[index]).abs().mean() for index, weight in layers.items())


def test_random_features_are_compared_before_their_activation(random_features, pair):
    first, second = ((images - MEAN.view(3, 1, 1)) / STD.view(3, 1, 1) for images in pair)
    loss = PerceptualLoss(random_features, {0: 0.5, 3: 2.0}, name="random")
    conv0, conv3 = random_features[0], random_features[3]

    def deep(images):
        return conv3(nn.functional.max_pool2d(conv0(images).relu(), 2))

    expected = 0.5 * (conv0(first) - conv0(second)).abs().mean() + 2 * (deep(first) - deep(second)).abs().mean()
    assert torch.allclose(loss(*pair), expected, rtol=1e-6)
    assert len(loss.features) == 4  # what no layer needs is left out


def test_gradient_goes_to_the_prediction_alone(random_features, pair):
    loss = PerceptualLoss(random_features, {3: 1.0}, name="random")
    prediction, truth = (images.clone().requires_grad_() for images in pair)
    loss(prediction, truth).backward()
    assert prediction.grad.abs().max() > 0 and truth.grad is None
    assert all(weight.grad is None for weight in loss.parameters())


def test_equal_pictures_are_at_distance_zero(random_features, pair):
    assert PerceptualLoss(random_features, {0: 1.0, 3: 1.0}, name="random")(pair[0], pair[0]) == 0


def test_too_small_pictures_are_refused(random_features, pair):
    loss = PerceptualLoss(random_features, {3: 1.0}, name="random", smallest=65)
    with pytest.raises(ValueError, match="random: pictures of 64 x 64 px are too small, it needs 65 px"):
        loss(*pair)


def test_layers_that_do_not_exist_are_refused(random_features):
    with pytest.raises(ValueError, match=r"layers \[1, 5\] asked for, there are 0 to 4"):
        PerceptualLoss(random_features, {5: 1.0, 1: 1.0}, name="random")


def test_layers_of_vgg_are_those_of_the_references():
    """Real-ESRGAN's five with its weights, and conv5_4 alone for ESRGAN and RealSR: named by stage and position."""
    import_torchvision()
    from torchvision.models import vgg19

    with torch.device("meta"):
        features = vgg19(weights=None).features
    names, stage, position = {}, 1, 0
    for index, layer in enumerate(features):
        if isinstance(layer, nn.Conv2d):
            position += 1
            names[index] = f"conv{stage}_{position}"
        elif isinstance(layer, nn.MaxPool2d):
            stage, position = stage + 1, 0

    def named(loss):
        return {names[index]: weight for index, weight in BACKBONES[loss].layers.items()}

    assert named("vgg19") == {"conv1_2": 0.1, "conv2_2": 0.1, "conv3_4": 1.0, "conv4_4": 1.0, "conv5_4": 1.0}
    assert named("vgg19-conv5_4") == {"conv5_4": 1.0}


@pytest.mark.parametrize("name", BACKBONES)
def test_smallest_picture_gets_through_and_a_smaller_one_does_not(name):
    import_torchvision()
    from torchvision import models

    backbone = BACKBONES[name]
    with torch.device("meta"):
        features = getattr(models, backbone.model)(weights=None).features[: max(backbone.layers) + 1]
        features(torch.empty(1, 3, backbone.smallest, backbone.smallest))
        with pytest.raises(RuntimeError):
            features(torch.empty(1, 3, backbone.smallest - 1, backbone.smallest - 1))


def test_alexnet_equals_hooks_on_torchvisions(shared_weights, pair):
    import_torchvision()
    from torchvision.models import alexnet

    with torch.device("meta"):
        network = alexnet(weights=None)
    state = torch.load(shared_weights / "lpips_backbones" / "alexnet_features.pth", weights_only=True)
    network.features.load_state_dict({key.removeprefix("features."): value for key, value in state.items()}, assign=True)
    loss = perceptual_loss("alex")
    with torch.no_grad():
        assert torch.allclose(loss(*pair), expected_loss(network, *pair, BACKBONES["alex"].layers), rtol=1e-5)
    assert loss.name == "alex" and not any(weight.requires_grad for weight in loss.parameters())
    file = shared_weights / "lpips_backbones" / "alexnet_features.pth"
    assert loss.digest == hashlib.sha256(file.read_bytes()).hexdigest()


def test_weights_are_read_from_the_folder(folder, pair):
    network = random_squeezenet(folder / "weights" / "lpips_backbones" / "squeezenet1_1_features.pth")
    with torch.no_grad():
        found = perceptual_loss("squeeze")(*pair)
        assert torch.allclose(found, expected_loss(network, *pair, BACKBONES["squeeze"].layers), rtol=1e-5)


def test_loading_leaves_the_global_generator_as_it_was(folder):
    random_squeezenet(folder / "weights" / "lpips_backbones" / "squeezenet1_1_features.pth")
    before = torch.random.get_rng_state()
    perceptual_loss("squeeze")
    assert torch.equal(before, torch.random.get_rng_state())


@pytest.mark.parametrize("name", BACKBONES)
def test_missing_weights_say_where_they_are_looked_for(folder, name):
    with pytest.raises(WeightsMissing) as error:
        perceptual_loss(name)
    message = str(error.value)
    assert f"perceptual loss {name}" in message and BACKBONES[name].file.split("/")[1] in message
    assert f"$SRDISTILL_WEIGHTS/{BACKBONES[name].file.split('/')[0]}" in message
    assert str(folder / "torch" / "hub" / "checkpoints") in message


def test_torchs_download_is_used_only_with_the_hash_of_its_name(folder):
    cached = folder / "torch" / "hub" / "checkpoints" / "squeezenet1_1-b8a52dc0.pth"
    random_squeezenet(cached)
    with pytest.raises(ValueError, match=r"squeezenet1_1-b8a52dc0.pth: its SHA-256 begins with .*, not as its name says"):
        perceptual_loss("squeeze")
    digest = hashlib.sha256(cached.read_bytes()).hexdigest()
    right = cached.with_name(f"squeezenet1_1-{digest[:8]}.pth")
    cached.rename(right)
    assert module.verified_digest(right) == digest


def test_other_weights_and_damaged_files_are_refused(folder):
    file = folder / "weights" / "lpips_backbones" / "squeezenet1_1_features.pth"
    random_squeezenet(file)
    file.rename(file.with_name("alexnet_features.pth"))
    with pytest.raises(ValueError, match=r"alexnet_features.pth: not the weights of alexnet, or damaged"):
        perceptual_loss("alex")
    file.write_bytes(b"cut off")
    with pytest.raises(ValueError, match=r"squeezenet1_1_features.pth: not the weights of squeezenet1_1, or damaged"):
        perceptual_loss("squeeze")


def test_unknown_name_lists_the_known_ones():
    with pytest.raises(ValueError, match="'resnet'; there are: vgg19, vgg19-conv5_4, alex, squeeze"):
        perceptual_loss("resnet")
