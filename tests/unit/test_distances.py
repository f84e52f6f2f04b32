"""Distances between gradients: small cases by hand and the formula of Dataset Condensation written out."""

import pytest
import torch

from srdistill.training.gradient_distances import DISTANCES, cosine_distance, literal_row_distance, mse_distance, row_distance


def gradients(seed, classes=4):
    """As of a convolution with 5 outputs, its bias, and a linear layer with 3 outputs, per class."""
    generator = torch.Generator().manual_seed(seed)
    shapes = [(5, 2, 3, 3), (5,), (3, 4)]
    return [torch.randn(classes, *shape, generator=generator, dtype=torch.float64) for shape in shapes]


def dataset_condensation(ours, theirs):
    """VICO-UoE/DatasetCondensation's "ours" for one class, row by row."""
    total = 0.0
    for s, t in zip(ours, theirs, strict=True):
        if s.ndim == 1:
            continue
        for s_row, t_row in zip(s.reshape(s.shape[0], -1).tolist(), t.reshape(t.shape[0], -1).tolist(), strict=True):
            dot = sum(a * b for a, b in zip(s_row, t_row, strict=True))
            norms = sum(a * a for a in s_row) ** 0.5 * sum(b * b for b in t_row) ** 0.5
            total += 1 - dot / (norms + 1e-6)
    return total


def over_the_largest(gradients):
    """Each weight's gradient of a class, divided by the norm of its largest row."""
    return [g / g.flatten(1).norm(dim=-1).max() if g.ndim > 1 else g for g in gradients]


def test_literal_rows_equal_the_formula_of_dataset_condensation():
    s, r = gradients(0), gradients(1)
    expected = [dataset_condensation([g[c] for g in s], [g[c] for g in r]) for c in range(4)]
    assert literal_row_distance(s, r).tolist() == pytest.approx(expected, abs=1e-12)


def test_rows_equal_that_formula_of_gradients_in_units_of_their_largest_row():
    s, r = times(1e-3, gradients(0)), gradients(1)
    expected = [
        dataset_condensation(over_the_largest([g[c] for g in s]), over_the_largest([g[c] for g in r])) for c in range(4)
    ]
    assert row_distance(s, r).tolist() == pytest.approx(expected, abs=1e-12)


def times(factor, gradients):
    return [factor * g for g in gradients]


@pytest.mark.parametrize("name", ["rows", "cosine"])
@pytest.mark.parametrize("factor", [1e-4, 1e4])
def test_the_unit_of_the_loss_changes_nothing(name, factor):
    s, r = gradients(0), gradients(1)
    assert DISTANCES[name](times(factor, s), times(factor, r)).tolist() == pytest.approx(DISTANCES[name](s, r).tolist())
    assert DISTANCES[name](times(factor, s), r).tolist() == pytest.approx(DISTANCES[name](s, r).tolist())


def test_to_the_letter_the_unit_of_the_loss_changes_nearly_all():
    s, r = gradients(0), gradients(1)
    assert ((literal_row_distance(times(1e-4, s), times(1e-4, r)) - 8).abs() < 0.5).all()
    assert literal_row_distance(s, s)[0] < 1e-5 < 7 < literal_row_distance(times(1e-4, s), times(1e-4, s))[0]


def test_equal_gradients_are_no_distance_apart_however_small():
    """64 rows of norm 1.6e-4, as in the first layer of an SRCNN."""
    directions = torch.randn(1, 64, 243, generator=torch.Generator().manual_seed(0))
    s = [1.6e-4 * directions / directions.norm(dim=-1, keepdim=True)]
    assert row_distance(s, s).item() == pytest.approx(0, abs=1e-4)
    assert literal_row_distance(s, s).item() == pytest.approx(64 * (1 - 2.56e-8 / 1.0256e-6), abs=1e-3)
    assert literal_row_distance(s, s).item() == pytest.approx(62.4, abs=0.1)


@pytest.mark.parametrize(("ours", "theirs", "counts"), [(0, 0, 0), (0, 1, 1), (1, 0, 1), (1e-13, 1, 1), (1e-13, 1e-13, 1)])
def test_dead_rows_count_by_rule_and_pull_at_nothing(ours, theirs, counts):
    """The first row of five is zero, or nearly, on one side or on both; the others are equal."""
    s, r = gradients(0)[:1], gradients(0)[:1]
    s[0][:, 0] *= ours
    r[0][:, 0] *= theirs
    s[0].requires_grad_()
    distance = row_distance(s, r)
    others = lost_by_epsilon([s[0].detach()[:, 1:], *s[1:]])
    assert (distance.detach() - others).tolist() == pytest.approx([counts] * 4, abs=1e-6)
    (derivative,) = torch.autograd.grad(distance.sum(), s)
    assert torch.isfinite(derivative).all()
    assert bool(derivative[:, 0].any()) == (theirs > 0 < ours)


def test_rows_by_hand():
    s = [torch.tensor([[[3.0, 4.0], [1.0, 0.0], [0.0, 2.0]]])]
    r = [torch.tensor([[[3.0, 4.0], [0.0, 5.0], [0.0, -3.0]]])]
    assert row_distance(s, r).tolist() == pytest.approx([0 + 1 + 2], abs=1e-5)


def test_rows_ignore_biases():
    s, r = gradients(0), gradients(1)
    other = [s[0], 1000 * s[1] + 7, s[2]]
    assert torch.equal(row_distance(other, r), row_distance(s, r))
    assert not torch.allclose(cosine_distance(other, r), cosine_distance(s, r))
    assert not torch.allclose(mse_distance(other, r), mse_distance(s, r))


def lost_by_epsilon(s):
    """What equal gradients are apart, per class: next to nothing, as long as no row is much smaller than the largest."""
    squares = [g.flatten(2).square().sum(-1) for g in s if g.ndim > 2]
    shares = torch.cat([square / square.amax(1, keepdim=True) for square in squares], 1)
    return (1e-6 / (shares + 1e-6)).sum(1)


def test_rows_lie_between_zero_and_twice_their_number():
    s = gradients(0)
    opposite, lost = [-g for g in s], lost_by_epsilon(s)
    assert (lost < 1e-4).all()
    assert row_distance(s, s).tolist() == pytest.approx(lost.tolist(), abs=1e-12)
    assert row_distance(s, opposite).tolist() == pytest.approx((2 * (5 + 3) - lost).tolist(), abs=1e-12)
    apart = row_distance(s, gradients(1))
    assert (apart > 0).all() and (apart < 16).all()


def test_rows_do_not_see_the_length_of_a_row():
    s, r = gradients(0), gradients(1)
    lengths = torch.tensor([1, 10, 100, 5, 50], dtype=torch.float64)[:, None, None, None]
    assert torch.allclose(row_distance([s[0] * lengths, *s[1:]], r), row_distance(s, r), atol=1e-5)


def test_srcnn_has_at_most_198():
    s = [torch.ones(1, rows, 8) for rows in (64, 32, 3)]
    assert row_distance(s, [-g for g in s]).item() == pytest.approx(198, abs=1e-3)


def test_cosine_by_hand_over_all_gradients_at_once():
    s = [torch.tensor([[[1.0, 2.0]], [[1.0, 0.0]]]), torch.tensor([[2.0], [0.0]])]
    r = [torch.tensor([[[2.0, 1.0]], [[0.0, 3.0]]]), torch.tensor([[-2.0], [1.0]])]
    assert cosine_distance(s, r).tolist() == pytest.approx([1 - 0 / 9, 1 - 0 / 10**0.5], abs=1e-6)
    r[1][0] = 2.0
    assert cosine_distance(s, r)[0].item() == pytest.approx(1 - 8 / 9, abs=1e-6)


def test_cosine_lies_between_zero_and_two():
    s = gradients(3)
    assert cosine_distance(s, [5 * g for g in s]).tolist() == pytest.approx([0] * 4, abs=1e-6)
    assert cosine_distance(s, [-g for g in s]).tolist() == pytest.approx([2] * 4, abs=1e-6)


def test_mse_is_the_sum_of_squares_by_hand():
    s = [torch.tensor([[[1.0, 2.0]], [[0.0, 0.0]]]), torch.tensor([[3.0], [1.0]])]
    r = [torch.tensor([[[0.0, 4.0]], [[0.0, 0.0]]]), torch.tensor([[6.0], [1.0]])]
    assert mse_distance(s, r).tolist() == [1 + 4 + 9, 0]


@pytest.mark.parametrize("name", DISTANCES)
def test_classes_do_not_interact(name):
    s, r = gradients(0), gradients(1)
    alone = [DISTANCES[name]([g[c : c + 1] for g in s], [g[c : c + 1] for g in r]).item() for c in range(4)]
    assert DISTANCES[name](s, r).tolist() == pytest.approx(alone, abs=1e-12)


@pytest.mark.parametrize("name", DISTANCES)
def test_gradients_that_vanish_give_a_finite_distance_and_derivative(name):
    s = [torch.zeros_like(g).requires_grad_() for g in gradients(0)]
    distance = DISTANCES[name](s, gradients(1))
    assert torch.isfinite(distance).all()
    derivatives = torch.autograd.grad(distance.sum(), s, allow_unused=True)
    assert all(torch.isfinite(d).all() for d in derivatives if d is not None)
