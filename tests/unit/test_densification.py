"""Data densification: nothing at one picture of a class, two by hand, and what it does to pictures."""

import math

import pytest
import torch
import torch.nn.functional as F

from srdistill.papers.coreset.recovery.densification import densification


def noise(count, size=32, scale=0.03, seed=0):
    draws = torch.Generator().manual_seed(seed)
    return scale * torch.randn(count, 3, size, size, generator=draws, dtype=torch.float64)


def eigenvalues(a, b):
    """Of the Gram matrix of two pictures, by the quadratic formula."""
    aa, ab, bb = ((x * y).sum() for x, y in ((a, a), (a, b), (b, b)))
    root = ((aa - bb) ** 2 + 4 * ab**2).sqrt()
    return torch.stack([(aa + bb - root) / 2, (aa + bb + root) / 2])


def test_one_picture_of_a_class_costs_nothing():
    assert float(densification(noise(5), torch.tensor([3, 1, 0, 2, 4]))) == 0.0


def test_two_pictures_by_hand():
    pictures = noise(2)
    values = eigenvalues(*pictures).tolist()
    p, q = ([math.exp(value / share) for value in values] for share in (4.0, 1.0))
    p, q = [x / sum(p) for x in p], [x / sum(q) for x in q]
    expected = sum(a * math.log(a / b) for a, b in zip(p, q, strict=True))
    assert expected > 1e-4
    assert float(densification(pictures, torch.tensor([0, 0]))) == pytest.approx(expected, rel=1e-6)


def test_the_first_distribution_has_no_gradient():
    pictures = noise(2).requires_grad_()
    (found,) = torch.autograd.grad(densification(pictures, torch.tensor([1, 1]), 2.0), pictures)
    values = eigenvalues(*pictures)
    wanted = torch.softmax(values.detach() / 2, 0)
    (expected,) = torch.autograd.grad(-(wanted * F.log_softmax(values, 0)).sum(), pictures)
    assert torch.allclose(found, expected, atol=1e-10) and float(found.abs().max()) > 0


def test_classes_are_summed_wherever_their_pictures_stand():
    pictures, labels = noise(5), torch.tensor([1, 0, 1, 2, 0])
    apart = sum(float(densification(pictures[places], torch.zeros(2))) for places in ([0, 2], [1, 4]))
    assert float(densification(pictures, labels)) == pytest.approx(apart, rel=1e-9)


def test_lowering_it_makes_pictures_less_alike():
    base = noise(1)
    pictures = (base + noise(2, scale=0.01, seed=1)).requires_grad_()
    labels, before = torch.zeros(2), eigenvalues(*pictures.detach())
    cost = densification(pictures, labels)
    moved = (pictures - 0.05 * torch.autograd.grad(cost, pictures)[0]).detach()
    assert densification(moved, labels).item() < cost.item()
    after = eigenvalues(*moved)
    assert float(after[1] - after[0]) < float(before[1] - before[0])


def test_of_normalised_noise_next_to_nothing_is_left():
    """Where the recovery starts from; pictures of one class that are alike are further from it still."""
    pictures = noise(10, scale=1.0).float()
    assert 0 <= densification(pictures, torch.zeros(10)).item() < 1e-6
    assert densification(pictures + pictures[:1], torch.zeros(10)).item() < 1e-6


def test_other_sizes_are_pooled_to_32_px():
    labels = torch.zeros(2)
    large, small, odd = noise(2, 64), noise(2, 16), noise(2, 48)
    assert torch.allclose(densification(large, labels), densification(F.avg_pool2d(large, 2), labels))
    repeated = small.repeat_interleave(2, 2).repeat_interleave(2, 3)
    assert torch.allclose(densification(small, labels), densification(repeated, labels))
    assert torch.allclose(densification(odd, labels), densification(F.adaptive_avg_pool2d(odd, 32), labels))
