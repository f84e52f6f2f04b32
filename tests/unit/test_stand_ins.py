"""What takes the place of weights that are not at hand: only in a rehearsal, of the true architecture, always the same."""

import pooch
import pytest
import torch

from srdistill.diffusion.dit import new_dit, pretrained_dit
from srdistill.diffusion.sdxl_turbo import SDXLTurboEngine
from srdistill.images.torchvision_import import import_torchvision
from srdistill.images.torchvision_weights import FILES, find_torchvision_weights, torchvision_need
from srdistill.measures.perceptual import Lpips
from srdistill.papers.labelfree.learned_features import load_clip, load_mobilenet, load_torchvision_mobilenet
from srdistill.priors.prior import Prior
from srdistill.priors.stable_diffusion import load_sd_vae
from srdistill.priors.stylegan_stand_in import style_stand_in
from srdistill.priors.tiny_autoencoder import load_taef2
from srdistill.priors.weights_file import WeightsFile
from srdistill.rehearsing import may_fetch, or_random, rehearse, rehearsing
from srdistill.training.perceptual_loss import perceptual_loss
from srdistill.weights import WeightsMissing

pytestmark = pytest.mark.usefixtures("nowhere")

GREY = torch.full((1, 3, 64, 64), 128, dtype=torch.uint8)
LOADERS = {
    "TAEF2": load_taef2, "SD VAE": load_sd_vae, "CLIP": load_clip, "MobileNet": load_mobilenet,
    "torchvision's MobileNet": load_torchvision_mobilenet, "perceptual": lambda: perceptual_loss("squeeze"),
    "LPIPS": lambda: Lpips("squeeze"),
}  # fmt: skip


@pytest.fixture
def nowhere(without_places, monkeypatch, tmp_path):
    """Neither weights nor earlier downloads, and any download fails the test."""

    def never(*_, **__):
        raise AssertionError("a rehearsal downloads nothing")

    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(torch.hub, "_hub_dir", None)
    monkeypatch.setattr(torch.hub, "download_url_to_file", never)
    monkeypatch.setattr(pooch, "retrieve", never)


@pytest.fixture
def rehearsal(monkeypatch):
    monkeypatch.setenv("SRDISTILL_REHEARSE", "1")


def weights(count_of) -> int:
    return sum(weight.numel() for weight in count_of.parameters())


@pytest.mark.parametrize("load", LOADERS.values(), ids=LOADERS)
def test_outside_of_a_rehearsal_missing_weights_are_an_error(load):
    with pytest.raises(WeightsMissing):
        load()


@pytest.mark.parametrize(("load", "count", "name"), [
    (load_taef2, None, "TAEF2 (random)"), (load_sd_vae, 83_653_863, "SD VAE (random)"),
    (load_clip, 87_849_216, "CLIP ViT-B/32 (random)"), (load_torchvision_mobilenet, 2_223_872, "MobileNetV2 (random)"),
    (load_mobilenet, 2_223_872, "MobileNetV2 (random)"),
])  # fmt: skip
def test_stand_ins_have_the_true_architecture_and_say_what_they_are(rehearsal, load, count, name):
    found = load(**({} if load in (load_mobilenet, load_clip) else {"download": True}))
    assert found.name == name and (count is None or weights(found) == count)
    state = torch.random.get_rng_state()
    again = load()
    assert torch.equal(torch.random.get_rng_state(), state)
    assert all(torch.equal(ours, theirs) for ours, theirs in zip(found.parameters(), again.parameters(), strict=True))


def test_the_transformer_has_as_many_weights_as_dit_xl():
    with torch.device("meta"):
        model = new_dit(channels=4, side=32, classes=1000, generator=torch.Generator("cpu"), width=1152, depth=28, heads=16,
                        learn_variance=True)  # fmt: skip
    assert 674e6 < weights(model) < 676e6


def test_dit_xl_is_not_made_outside_of_a_rehearsal():
    with pytest.raises(WeightsMissing):
        pretrained_dit()


def test_metric_and_loss_work_on_random_features(rehearsal):
    lpips, loss = Lpips("squeeze"), perceptual_loss("squeeze")
    assert lpips.name == "LPIPS-squeeze" and (lpips.digest, loss.digest) == ("random", "random")
    assert lpips(GREY, GREY).item() == 0 and lpips(GREY, 255 - GREY * 2).item() > 0
    assert loss(GREY / 255, GREY / 255).item() == 0


def test_weights_at_hand_are_used_in_a_rehearsal_too(rehearsal, shared_for_stand_ins, monkeypatch):
    monkeypatch.setenv("SRDISTILL_WEIGHTS", str(shared_for_stand_ins))
    assert load_taef2().name == "TAEF2" and Lpips("alex").digest != "random"


@pytest.fixture(scope="module")
def shared_for_stand_ins(shared_weights):
    """Asked for before a test takes the folder away from the environment."""
    return shared_weights


def test_style_stand_in_has_the_shapes_of_stylegan_xl():
    prior = style_stand_in()
    assert isinstance(prior, Prior) and prior.code_shape(512) == (38 * 512,)
    picture = prior.decode(prior.encode(torch.zeros(1, 3, 512, 512)))
    assert picture.shape == (1, 3, 512, 512) and bool(picture.isfinite().all())


def test_turbo_is_rehearsed_by_the_same_pipeline_with_small_networks(rehearsal):
    engine = SDXLTurboEngine(["a tench", "a church"], download=True, working_size=32)
    made = engine.denoise(engine.encode(GREY[:, :, :16, :16]), torch.tensor([1]), [0], rho=0.5, size=32)
    assert made.shape == (1, 3, 32, 32)


def test_a_stand_in_gets_the_arguments_of_its_loader(rehearsal):
    @or_random(lambda size, colour="red": (size, colour, torch.rand(()).item()))
    def load(size, colour="red"):
        raise WeightsMissing("nowhere")

    assert load(3, colour="blue")[:2] == (3, "blue") and load(3) == load(3)


def test_the_environment_says_whether_this_is_a_rehearsal(monkeypatch):
    for value, expected in {"1": True, "yes": True, "0": False, "": False}.items():
        monkeypatch.setenv("SRDISTILL_REHEARSE", value)
        assert rehearsing() is expected and may_fetch(True) is not expected and not may_fetch(False)
    rehearse(True)
    assert rehearsing()


# --- where downloads of weights go --------------------------------------------------------------------------------------


def test_files_of_torchvision_are_called_as_torchvision_says():
    import_torchvision()
    from torchvision.models import get_weight

    for name, (file, size) in FILES.items():
        found = get_weight(name)
        assert found.url.endswith("/" + file)
        # torchvision counts in MiB, to three places.
        assert size == pytest.approx(found.meta["_file_size"] * 2**20, rel=0.01)


def test_torchs_weights_are_asked_for_by_the_hash_in_their_name(monkeypatch, tmp_path):
    asked = []

    def fetch(url, place, hash_prefix, progress):
        asked.append((url, hash_prefix))
        with open(place, "wb") as file:
            file.write(b"weights")

    monkeypatch.setattr(torch.hub, "download_url_to_file", fetch)
    for _ in range(2):
        found = find_torchvision_weights("a test", "folder/file.pth", "VGG19_Weights.IMAGENET1K_V1", download=True)
    assert found == tmp_path / "torch" / "hub" / "checkpoints" / "vgg19-dcbb9e9d.pth"
    assert asked == [("https://download.pytorch.org/models/vgg19-dcbb9e9d.pth", "dcbb9e9d")]
    need = torchvision_need("a test", "folder/file.pth", "VGG19_Weights.IMAGENET1K_V1", True)
    assert need.found == (found,) and need.fetched and need.size > 5e8


def test_weights_go_to_the_cache_where_the_folder_of_weights_cannot_be_written(monkeypatch, tmp_path):
    def fetch(url, known_hash, fname, path, progressbar):
        with open(f"{path}/{fname}", "wb") as file:
            file.write(b"weights")

    cache = tmp_path / "cache" / "srdistill" / "deep"
    cache.mkdir(parents=True)
    monkeypatch.setattr(pooch, "retrieve", fetch)
    monkeypatch.setenv("SRDISTILL_WEIGHTS", str(tmp_path / "weights"))
    monkeypatch.setattr("srdistill.priors.weights_file.writable", lambda folder: folder == cache)
    assert WeightsFile("deep/a.pth", "https://nowhere", None).find(download=True) == cache / "a.pth"
