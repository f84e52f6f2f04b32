"""Mixup of latents: the formula, what it does to the variance, and partners of the same class."""

import math

import pytest
import torch

from srdistill.papers.coreset.expanding.latent_mixup import draw_partners, mix_latents


def latents(seed, alike=0.0):
    draws = torch.Generator().manual_seed(seed)
    common = torch.randn(1, 4, 16, 16, generator=torch.Generator().manual_seed(9))
    own = torch.randn(3, 4, 16, 16, generator=draws)
    return alike**0.5 * common + (1 - alike) ** 0.5 * own


def test_ends_are_the_two_latents():
    a, b = latents(0), latents(1)
    assert torch.equal(mix_latents(a, b, torch.ones(3)), a)
    assert torch.equal(mix_latents(a, b, torch.zeros(3)), b)


def test_is_the_formula_and_loses_variance():
    a, b, gamma = latents(0), latents(1), torch.tensor([0.5, 0.7, 0.9])
    mixed = mix_latents(a, b, gamma)
    for index, share in enumerate(gamma.tolist()):
        assert torch.allclose(mixed[index], share * a[index] + (1 - share) * b[index])
        assert float(mixed[index].var()) == pytest.approx(share**2 + (1 - share) ** 2, rel=0.1)


@pytest.mark.parametrize("alike", [0.0, 0.5, 0.95])
def test_the_more_alike_the_less_is_lost(alike):
    mixed = mix_latents(latents(0, alike), latents(1, alike), torch.full((3,), 0.5))
    assert float(mixed.square().mean()) == pytest.approx((1 + alike) / 2, rel=0.1)


def test_a_latent_with_itself_or_nothing_stays_finite():
    a = latents(0)
    for other in (a, -a, torch.zeros_like(a)):
        assert bool(torch.isfinite(mix_latents(a, other, torch.full((3,), 0.5))).all())
    assert torch.allclose(mix_latents(a, a, torch.full((3,), 0.3)), a, atol=1e-5)


def test_partners_are_others_of_the_class():
    labels = torch.tensor([0, 1, 0, 2, 1, 0, 1])
    seen = set()
    for epoch in range(20):
        partners, gamma = draw_partners(labels, epoch, 3, gamma=(0.6, 0.8))
        assert torch.equal(labels[partners], labels)
        for index, partner in enumerate(partners.tolist()):
            assert partner != index or labels[index] == 2  # the only one of its class
        assert bool(((gamma >= 0.6) & (gamma <= 0.8)).all()) and len(set(gamma.tolist())) == 7
        seen.add(tuple(partners.tolist()))
    assert len(seen) > 5
    assert all(torch.equal(a, b) for a, b in zip(draw_partners(labels, 4, 3), draw_partners(labels, 4, 3), strict=True))
    assert not torch.equal(draw_partners(labels, 4, 3)[1], draw_partners(labels, 4, 5)[1])
    # A patch's own draw does not move when patches of another class come after it.
    assert torch.equal(draw_partners(labels, 4, 3)[1][:3], draw_partners(labels[:3], 4, 3)[1])


def test_impossible_shares_are_refused():
    for gamma in ((0.8, 0.2), (-0.1, 1), (0, 1.1), (math.nan, 1)):
        with pytest.raises(ValueError, match=r"range of shares in \[0, 1\], got"):
            draw_partners(torch.zeros(2, dtype=torch.int64), 0, 0, gamma=gamma)
