"""Gradient matching: all classes at once against the per-class double loop of the reference codes."""

import pytest
import torch
import torch.nn.functional as F

from srdistill.catalogue.photos import photos
from srdistill.images.pictures import to_float
from srdistill.images.resize import downscale
from srdistill.images.subimages import extract_sub_images
from srdistill.networks import build_network
from srdistill.papers.dietz.class_gradients import match, matched_weights, real_gradients

CLASSES, SIZE, SUB_IMAGES, ITERATIONS = 32, 64, 4, 4
DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")


@pytest.fixture(scope="module")
def classes():
    """32 classes of four real 64 px sub-images, and one synthetic image each, from real photographs."""
    windows = extract_sub_images(photos("train").center_crop(512), SIZE, SIZE)
    parts = torch.cat([windows.of(label) for label in range(7)])[: CLASSES * (SUB_IMAGES + 1)]
    images = to_float(parts).view(CLASSES, SUB_IMAGES + 1, 3, SIZE, SIZE).to(DEVICE)
    return list(images[:, 1:].contiguous()), images[:, :1].contiguous()


def plain_iteration(network, real, synthetic):
    """One iteration as Dataset Condensation's code does it: class by class, one backward pass for their sum."""
    images = synthetic.clone().requires_grad_()
    parameters = list(network.parameters())
    total = 0
    for real_images, synthetic_images in zip(real, images, strict=True):
        loss = F.mse_loss(network(downscale(real_images, 2)), real_images)
        theirs = [g.detach().clone() for g in torch.autograd.grad(loss, parameters)]
        loss = F.mse_loss(network(downscale(synthetic_images, 2)), synthetic_images)
        for a, b in zip(torch.autograd.grad(loss, parameters, create_graph=True), theirs, strict=True):
            if a.ndim > 1:
                a, b = a.flatten(1), b.flatten(1)
                total = total + (1 - (a * b).sum(1) / (a.norm(dim=1) * b.norm(dim=1) + 1e-6)).sum()
    network.zero_grad()
    total.backward()
    return total.detach(), images.grad


def our_iteration(network, real, synthetic):
    weights = matched_weights(network, "rows")
    values, gradient = match(network, weights, synthetic, real_gradients(network, weights, real, 2), 2)
    return values.sum(), gradient


def assert_equal(first, second):
    for a, b in zip(first, second, strict=True):
        assert (a - b).abs().max() <= 1e-5 * b.abs().max()


@pytest.mark.parametrize("sizes", [{}, {"kernels": (9, 1, 5)}, {"widths": (16, 8)}], ids=["9-5-5", "9-1-5", "16-8"])
def test_random_network(ratio, classes, sizes):
    """A new network every iteration: real gradients every time."""
    real, synthetic = classes
    network = build_network("SRCNN", 2, 0, **sizes).to(DEVICE)
    assert_equal(our_iteration(network, real, synthetic), plain_iteration(network, real, synthetic))
    ratio(lambda: plain_iteration(network, real, synthetic), lambda: our_iteration(network, real, synthetic))


def test_fixed_network(ratio, classes):
    """A trained, fixed network, four iterations: the real gradients are needed once."""
    real, synthetic = classes
    network = build_network("SRCNN", 2, 0).to(DEVICE)

    def ours():
        weights = matched_weights(network, "rows")
        targets = real_gradients(network, weights, real, 2)
        for _ in range(ITERATIONS):
            values, gradient = match(network, weights, synthetic, targets, 2)
        return values.sum(), gradient

    def plain():
        for _ in range(ITERATIONS):
            found = plain_iteration(network, real, synthetic)
        return found

    assert_equal(ours(), plain())
    ratio(plain, ours, rounds=3)
