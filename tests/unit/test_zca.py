"""ZCA whitening against its formula."""

import numpy as np
import pytest
import torch

from srdistill.catalogue.photo_classes import photo_classes
from srdistill.images.labelled import LabelledPictures
from srdistill.images.pictures import PictureError, to_float
from srdistill.images.zca import fit_zca
from srdistill.networks.classifiers import build_classifier
from srdistill.seeds import generator_for

SIZE = 8
VALUES = 3 * SIZE * SIZE


@pytest.fixture(scope="module")
def data():
    return photo_classes("train", size=SIZE, per_class=60)


@pytest.fixture(scope="module")
def zca(data):
    return fit_zca(data)


@pytest.fixture(scope="module")
def spectrum(data):
    """Mean, U and S by numpy, from all pixels at once."""
    flat = data.images.numpy().reshape(len(data), -1) / 255.0
    vectors, values, _ = np.linalg.svd(np.cov(flat.T))
    return flat, vectors, values


def test_whitened_pictures_are_those_of_the_formula(data, zca, spectrum):
    flat, vectors, values = spectrum
    expected = (flat - flat.mean(0)) @ vectors @ np.diag((values + 0.1) ** -0.5) @ vectors.T
    found = zca.transform(to_float(data.images))
    assert found.shape == data.images.shape and found.dtype == torch.float32
    assert np.allclose(found.flatten(1).numpy(), expected, atol=1e-5)


def test_covariance_of_whitened_pictures_is_close_to_the_identity(data, zca, spectrum):
    _, vectors, values = spectrum
    found = np.cov(zca.transform(to_float(data.images)).flatten(1).double().numpy().T)
    assert np.allclose(found, vectors @ np.diag(values / (values + 0.1)) @ vectors.T, atol=1e-5)
    # Where there is much variance little is left of the difference from one.
    strong = values > 1
    assert strong.any() and np.allclose(np.diag(vectors.T @ found @ vectors)[strong], 1, atol=0.1)
    assert np.allclose(np.linalg.eigvalsh(found)[::-1], values / (values + 0.1), atol=1e-5)


def test_round_trip(data, zca):
    images = to_float(photo_classes("test", size=SIZE, per_class=2).images)
    assert torch.allclose(zca.inverse(zca.transform(images)), images, atol=1e-5)
    beyond = torch.randn(4, 3, SIZE, SIZE, generator=generator_for(0, "whitened")) * 3
    assert torch.allclose(zca.transform(zca.inverse(beyond)), beyond, atol=1e-4)
    assert zca.inverse(beyond).abs().max() > 1  # nothing is clamped
    # The mean picture is zero, and zero the mean picture.
    mean = to_float(data.images).mean(0, keepdim=True)
    assert zca.transform(mean).abs().max() < 1e-4
    assert torch.allclose(zca.inverse(torch.zeros_like(mean)), mean, atol=1e-6)


def test_gradients_pass_both_ways(zca):
    zca = zca.double()
    images = torch.rand(2, 3, SIZE, SIZE, dtype=torch.float64, requires_grad=True)
    for way, matrix in ((zca.transform, zca.forth), (zca.inverse, zca.back)):
        given = torch.rand(2, VALUES, dtype=torch.float64)
        found = torch.autograd.grad(way(images), images, given.view(images.shape))[0]
        assert torch.allclose(found.flatten(1), given @ matrix.T)
    zca.float()


def test_fitting_by_parts_is_fitting_at_once(data, zca, monkeypatch):
    monkeypatch.setattr("srdistill.images.zca._PART", 7)
    assert torch.allclose(fit_zca(data).forth, zca.forth, atol=1e-5)


def test_fewer_pictures_than_values_leave_directions_that_eps_scales(data):
    few = data.per_class(1)
    found = fit_zca(few, eps=0.25)
    eigenvalues = torch.linalg.eigvalsh(found.forth.double())
    # Rank 10 of 192: the others have no variance, and a factor of 1 / sqrt(eps).
    assert (eigenvalues > 2 - 1e-4).sum() >= VALUES - 10 and eigenvalues.max() < 2 + 1e-4
    assert not found.state_dict() and not list(found.parameters())


def test_what_cannot_be_whitened_is_refused(data, zca):
    for wrong in (torch.rand(2, 3, 16, 16), torch.rand(2, VALUES), data.images):
        for way in (zca.transform, zca.inverse):
            with pytest.raises(PictureError, match=r"takes float pictures \(N, 3, 8, 8\).*fit one to pictures of their size"):
                way(wrong)
    one = LabelledPictures(data.images[:1], data.labels[:1], data.classes, "one")
    with pytest.raises(PictureError, match="one: whitening needs two or more pictures, got 1"):
        fit_zca(one)
    with pytest.raises(ValueError, match="eps must be positive, got 0"):
        fit_zca(data, eps=0.0)


def test_a_classifier_may_whiten_instead_of_normalising(data, zca, tmp_path):
    given = {"classes": data.classes, "size": SIZE, "seed": 0, "depth": 2, "width": 8, "norm": "instance"}
    network, images = build_classifier("ConvNet", **given, whitening=zca), to_float(data.images[:4])
    assert torch.equal(network.normalise(images), zca.transform(images))
    assert torch.equal(network(images), network.body(zca.transform(images)))
    plain = build_classifier("ConvNet", **given)
    assert network.state_dict().keys() == plain.state_dict().keys()
    assert not torch.allclose(network(images), plain(images))
    with pytest.raises(ValueError, match="whitens its pictures, which its file would not hold"):
        network.save(tmp_path / "network.safetensors")
    assert not list(tmp_path.iterdir())
    with pytest.raises(ValueError, match="whitening is of pictures of 8 px, the classifier of 16 px"):
        build_classifier("ConvNet", **given | {"size": 16}, whitening=zca)
