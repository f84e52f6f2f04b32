"""TAEF2: the known round trip, and clear words for files that are missing or are something else."""

import math

import pooch
import pytest
import torch

from srdistill.images.convention import mod_crop
from srdistill.images.pictures import read_folder, to_float
from srdistill.measures.metrics import psnr
from srdistill.priors import tiny_autoencoder
from srdistill.priors.prior import Prior, PriorError
from srdistill.priors.tiny_autoencoder import load_taef2, taef2_networks
from srdistill.weights import WeightsMissing


@pytest.fixture(scope="module")
def taef2(shared_weights):
    if not (shared_weights / "taesd" / "taef2_decoder.pth").exists():
        pytest.skip("no taesd/taef2_decoder.pth in the folder that SRDISTILL_WEIGHTS names")
    return load_taef2()


@pytest.fixture
def nowhere(monkeypatch, tmp_path):
    """Neither SRDISTILL_WEIGHTS nor the cache hold anything."""
    monkeypatch.setenv("SRDISTILL_WEIGHTS", str(tmp_path / "weights"))
    monkeypatch.setattr(pooch, "os_cache", lambda name: tmp_path / "cache" / name)
    return tmp_path


@pytest.fixture
def random_taef2(tmp_path):
    """A folder with random weights in TAEF2's architecture and precision."""
    torch.manual_seed(0)
    for part, network in zip(("encoder", "decoder"), taef2_networks(), strict=True):
        torch.save({k: v.half() for k, v in network.state_dict().items()}, tmp_path / f"taef2_{part}.pth")
    return tmp_path


def test_round_trip_of_set5_is_the_known_one(taef2, shared_data):
    values = []
    for _, image in read_folder(shared_data / "set5"):
        image = mod_crop(image, 8)[None]
        values.append(float(psnr(taef2.decode(taef2.encode(to_float(image))), image)))
    assert sum(values) / 5 == pytest.approx(31.13, abs=0.02)


def test_published_weights_are_counted_as_stored(taef2):
    assert isinstance(taef2, Prior) and taef2.name == "TAEF2"
    assert taef2.bytes == 2 * 1_338_499
    assert taef2.code_shape(64) == (32, 8, 8)


def test_random_weights_give_codes_pictures_and_gradients(random_taef2):
    prior = load_taef2(random_taef2, check_hash=False)
    assert prior.bytes == 2 * 1_338_499 and not any(p.requires_grad for p in prior.parameters())
    codes = prior.encode(torch.rand(2, 3, 16, 16)).requires_grad_()
    images = prior.decode(codes)
    assert images.shape == (2, 3, 16, 16) and images.dtype == torch.float32
    (gradient,) = torch.autograd.grad(images.square().sum(), codes)
    assert gradient.isfinite().all() and gradient.abs().max() > 0


def test_codes_and_sizes_are_checked(random_taef2):
    prior = load_taef2(random_taef2, check_hash=False)
    with pytest.raises(PriorError, match=r"TAEF2: codes are float \(N, 32, h, w\), e.g. \(N, 32, 8, 8\)"):
        prior.decode(torch.zeros(1, 4, 8, 8))
    with pytest.raises(PriorError, match="TAEF2: 1 of 1 codes hold values that are not finite"):
        prior.decode(torch.full((1, 32, 2, 2), math.nan))
    with pytest.raises(PriorError, match="factor 8 does not divide 60 px; use 56 or 64 px"):
        prior.code_shape(60)
    with pytest.raises(PriorError, match="4 px is smaller than its 8 px"):
        prior.check_size(4)
    with pytest.raises(PriorError, match="not trained here"):
        prior.save(random_taef2 / "x")


def test_other_hash_is_refused_before_the_file_is_read(random_taef2):
    with pytest.raises(PriorError, match="taef2_encoder.pth: SHA-256 .* instead of 10a4e1021e.*fetch it again from https"):
        load_taef2(random_taef2)


def test_other_architecture_is_refused(random_taef2):
    (random_taef2 / "taef2_decoder.pth").write_bytes((random_taef2 / "taef2_encoder.pth").read_bytes())
    with pytest.raises(PriorError, match="taef2_decoder.pth: weights of another architecture than TAEF2 .*Missing key"):
        load_taef2(random_taef2, check_hash=False)
    torch.save([1, 2], random_taef2 / "taef2_decoder.pth")
    with pytest.raises(PriorError, match="holds list instead of a dictionary of weights"):
        load_taef2(random_taef2, check_hash=False)
    (random_taef2 / "taef2_decoder.pth").write_bytes(b"no weights")
    with pytest.raises(PriorError, match="no readable file of weights"):
        load_taef2(random_taef2, check_hash=False)


def test_missing_weights_say_where_and_how(nowhere):
    with pytest.raises(WeightsMissing) as error:
        load_taef2()
    for part in (
        nowhere / "weights/taesd/taef2_encoder.pth",
        nowhere / "cache",
        "SRDISTILL_WEIGHTS",
        "download=True",
        "https://",
    ):
        assert str(part) in str(error.value)
    with pytest.raises(WeightsMissing, match="mine/taef2_encoder.pth"):
        load_taef2(nowhere / "mine", download=True)


def test_failed_downloads_are_named(nowhere, monkeypatch):
    def refuse(*args, **kwargs):
        raise ConnectionRefusedError("nobody there")

    def damaged(*args, **kwargs):
        raise ValueError("SHA256 hash of downloaded file does not match")

    monkeypatch.setattr(pooch, "retrieve", refuse)
    with pytest.raises(WeightsMissing, match="could not download https://github.*nobody there.*put it at .*weights"):
        load_taef2(download=True)
    monkeypatch.setattr(pooch, "retrieve", damaged)
    with pytest.raises(PriorError, match="does not have the expected SHA-256, nothing was kept"):
        load_taef2(download=True)


def test_downloads_go_to_the_folder_of_the_environment_and_are_pinned(nowhere, monkeypatch):
    asked = []

    def fetch(url, known_hash, fname, path, progressbar):
        asked.append((url, known_hash, path))
        (nowhere / "weights/taesd").mkdir(parents=True)
        (nowhere / "weights/taesd" / fname).write_bytes(b"other")

    monkeypatch.setattr(pooch, "retrieve", fetch)
    # Whatever arrives is checked once more, as a file from anywhere else is.
    with pytest.raises(PriorError, match="SHA-256 .* instead of 10a4e102"):
        load_taef2(download=True)
    ((url, known_hash, path),) = asked
    assert "/5cccb12dc72074a4be35680c3b108548a7c69978/" in url
    assert known_hash == "sha256:" + tiny_autoencoder.TAEF2_ENCODER.sha256 and path == str(nowhere / "weights/taesd")
