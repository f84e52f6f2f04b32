"""Greedy facility location: the choices of brute force, the bound of theory, budgets, caps, and what cannot be."""

import itertools
import math

import pytest
import torch

from srdistill.papers.beyond.tiles import facility_location as module
from srdistill.papers.beyond.tiles.facility_location import covered_share, facility_location
from srdistill.sets.distilled_set import SelectionError


def unit(count, width, seed=0):
    rows = torch.randn(count, width, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return (rows / rows.norm(dim=1, keepdim=True)).float()


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def likeness(rows):
    exact = (rows.double() * 2048).round() / 2048
    return (exact @ exact.T).clamp(min=0)


def value(similar, chosen, weights=None):
    weights = torch.ones(len(similar)).double() if weights is None else weights.double()
    return float(similar[:, list(chosen)].amax(1) @ weights) if chosen else 0.0


def plain_greedy(rows, budget, costs, groups, cap, weights):
    """Every gain computed anew at every step, in float64."""
    similar, chosen = likeness(rows), []
    while True:
        spent = sum(costs[i] for i in chosen)
        free = [
            i
            for i in range(len(rows))
            if i not in chosen
            and costs[i] <= budget - spent
            and (cap is None or sum(groups[j] == groups[i] for j in chosen) < cap)
        ]
        if not free:
            return chosen
        now = value(similar, chosen, weights)
        chosen.append(max(free, key=lambda i: ((value(similar, [*chosen, i], weights) - now) / costs[i], -i)))


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("case", ["plain", "cap", "costs", "weights", "all"])
def test_choices_are_those_of_brute_force(seed, case):
    draws = torch.Generator().manual_seed(seed + 10)
    rows = unit(40, 5, seed)
    rows[7] = rows[3]  # a tie
    costs = torch.randint(1, 6, (40,), generator=draws) if case in ("costs", "all") else torch.ones(40)
    groups = torch.randint(6, (40,), generator=draws)
    cap = 2 if case in ("cap", "all") else None
    weights = torch.randint(1, 9, (40,), generator=draws) if case in ("weights", "all") else torch.ones(40).long()
    budget = 9
    ours = facility_location(rows, budget=budget, generator=generator(), costs=costs, groups=groups, cap=cap, weights=weights)
    assert ours.tolist() == plain_greedy(rows, budget, costs.tolist(), groups.tolist(), cap, weights)
    assert float(costs[ours].sum()) <= budget
    if cap:
        assert int(groups[ours].bincount().max()) <= cap


@pytest.mark.parametrize("seed", range(6))
def test_value_is_within_the_bound_of_the_best(seed):
    rows = unit(11, 3, seed)
    similar = likeness(rows)
    for budget in (1, 2, 3, 4):
        best = max(value(similar, chosen) for chosen in itertools.combinations(range(11), budget))
        ours = value(similar, facility_location(rows, budget=budget, generator=generator()).tolist())
        assert (1 - 1 / math.e) * best <= ours <= best + 1e-12


def test_value_under_a_cap_is_at_least_half_of_the_best():
    groups = torch.arange(11) % 3
    for seed in range(6):
        rows = unit(11, 3, seed)
        similar = likeness(rows)
        allowed = [c for c in itertools.combinations(range(11), 3) if len({int(groups[i]) for i in c}) == 3]
        chosen = facility_location(rows, budget=3, generator=generator(), groups=groups, cap=1).tolist()
        assert len({int(groups[i]) for i in chosen}) == 3
        assert value(similar, chosen) >= max(value(similar, c) for c in allowed) / 2


def test_by_hand():
    """Two clusters on the axes, the larger first; then what is left of it brings nothing, and the first position counts."""
    x, y = [1.0, 0.0], [0.0, 1.0]
    rows = torch.tensor([y, x, x, y, x])
    assert facility_location(rows, budget=2, generator=generator()).tolist() == [1, 0]
    assert facility_location(rows, budget=4, generator=generator()).tolist() == [1, 0, 2, 3]
    weighed = facility_location(rows, budget=1, generator=generator(), weights=torch.tensor([3, 1, 1, 1, 1]))
    assert weighed.tolist() == [0]
    cheap = facility_location(rows, budget=3, generator=generator(), costs=torch.tensor([1.0, 3, 3, 3, 3]))
    assert cheap.tolist() == [0], "gain 2 for 1 against 3 for 3; then nothing else fits"
    assert covered_share(rows, rows[[1]]) == pytest.approx(3 / 5)
    assert covered_share(rows, rows[[1, 0]]) == 1.0
    assert covered_share(rows, -rows) == 0.0


def test_smaller_budget_is_a_beginning():
    rows = unit(60, 6)
    long = facility_location(rows, budget=20, generator=generator())
    assert long[:7].tolist() == facility_location(rows, budget=7, generator=generator()).tolist()


def test_blocks_cannot_change_a_choice(monkeypatch):
    rows = unit(300, 16)
    expected = facility_location(rows, budget=30, generator=generator())
    for block, again in ((1, 1), (17, 300)):
        monkeypatch.setattr(module, "_BLOCK", block)
        monkeypatch.setattr(module, "_AGAIN", again)
        assert torch.equal(facility_location(rows, budget=30, generator=generator()), expected)


def test_ground_sample_is_drawn_by_the_seed_and_covers_nearly_as_well():
    rows = unit(3000, 4)
    whole = facility_location(rows, budget=20, generator=generator())
    some = facility_location(rows, budget=20, generator=generator(1), ground=300)
    assert torch.equal(some, facility_location(rows, budget=20, generator=generator(1), ground=300))
    assert not torch.equal(some, facility_location(rows, budget=20, generator=generator(2), ground=300))
    assert covered_share(rows, rows[some]) > 0.97 * covered_share(rows, rows[whole])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"budget": 0.5}, "budget of 0.5 is below the cheapest point, 1; raise"),
        ({"budget": 11}, "budget of 11 is above all that can be chosen, 10; lower the budget$"),
        ({"budget": 7, "cap": 3, "groups": torch.tensor([0] * 8 + [1, 1])}, "7 is above .* 5; lower .* raise the cap of 3"),
        ({"costs": torch.zeros(10)}, "costs must be finite and above 0, got 0 to 0"),
        ({"costs": torch.ones(9)}, r"10 points need as many costs, groups and weights, got \[9, 10, 10\]"),
        ({"weights": torch.zeros(10).long()}, "weights must be whole numbers from 1 to 1000, got 0 to 0"),
        ({"weights": torch.ones(10)}, "weights must be whole numbers"),
        ({"cap": 0}, "ground and cap must be 1 or more, got 20000 and 0"),
        ({"ground": 0}, "ground and cap must be 1 or more, got 0 and None"),
        ({"rows": 2 * unit(10, 3)}, "rows must have length 1, the longest has 2"),
        ({"rows": torch.full((10, 3), math.nan)}, "rows must have length 1, the longest has nan"),
        ({"rows": torch.zeros(0, 3)}, r"rows must be \(N, d\) with N of 1 or more, got \(0, 3\)"),
    ],
)
def test_what_cannot_be_is_refused(change, message):
    with pytest.raises(SelectionError, match=message):
        facility_location(**({"rows": unit(10, 3), "budget": 3, "generator": generator()} | change))
