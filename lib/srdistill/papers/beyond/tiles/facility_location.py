"""Few points that stand for many: greedy facility location under a budget.

Chosen points S cover all others by F(S) = sum over i of w_i max over j in S of s_ij, with s_ij the inner product of the rows i
and j where that is positive, and 0 elsewhere. F is monotone and submodular: for equal costs, taking the largest gain again and
again reaches at least 1 - 1/e of the best F (Nemhauser, Wolsey and Fisher 1978), half of it with a cap (Fisher, Nemhauser and
Wolsey 1978). For unequal costs nothing is promised. Gains can only fall, so that most need not be computed again (lazy greedy,
Minoux 1978).
"""

import heapq
import math

import torch
from torch import Tensor

from srdistill.progress import bar
from srdistill.seeds import generator_for
from srdistill.sets.distilled_set import SelectionError

# Rows are rounded to multiples of this. Inner products of rows of length 1 are then multiples of 2**-22 below 4, which float32
# holds exactly, and their weighted sums are exact in float64: blocks, threads and the order of sums cannot change a choice.
_QUANTUM = 2.0**-11
# Similarities are computed for so many points at a time: all at first, and those whose gains are out of date later.
_BLOCK, _AGAIN = 512, 32


def facility_location(
    rows: Tensor,
    *,
    budget: float,
    generator: torch.Generator,
    costs: Tensor | None = None,
    groups: Tensor | None = None,
    cap: int | None = None,
    weights: Tensor | None = None,
    ground: int = 20_000,
) -> Tensor:
    """Positions of the chosen points, int64 (k,), in the order of choice, so that a beginning of it is a smaller choice.

    Each time the point with the largest gain in F per cost is taken of those that still fit; of equal ones the first. It ends
    when nothing fits any more, so that points without gain are taken, too, as long as there is budget.

    Time is N * ground for the first gains and some ten times k * ground after that; memory holds the rows, one number a point
    and 512 x ground similarities.

    Args:
        rows: (N, d) of length 1 (or 0), as ``embedded`` makes them.
        budget: what the costs of the chosen may sum up to.
        generator: its seed draws the ground set.
        costs: (N,), above 0; None: 1 each. groups: (N,) integers; at most ``cap`` points of a group are chosen.
        weights: (N,) whole numbers from 1 to 1000, w: how much it matters that a point is covered; None: 1 each.
        ground: F sums over that many random points instead of all, if there are more: near linear in N. Its mean is then off
            by less than 1 in sqrt(ground), whatever is chosen.

    Raises:
        SelectionError: the budget is below the cheapest point, or above all that the cap admits; rows longer than 1; a cost or
            a weight that is not positive.
    """
    count = len(rows)
    costs = torch.ones(count, dtype=torch.float64) if costs is None else costs.double()
    groups = torch.zeros(count, dtype=torch.int64) if groups is None else groups.long()
    weights = torch.ones(count, dtype=torch.int64) if weights is None else weights
    _check(rows, budget, costs, groups, weights, cap, ground)
    exact = _rounded(rows)
    draws = generator_for(generator.initial_seed(), "facility ground")
    sample = torch.arange(count) if count <= ground else torch.randperm(count, generator=draws)[:ground].sort().values
    base, weigh = exact[sample], weights[sample].double()

    covered = torch.zeros(len(base))
    # Filled in place: small results that are kept between large ones that are freed would break the heap into pieces, and it
    # would grow by the similarities of every block.
    gains = torch.empty(count, dtype=torch.float64)
    for part, into in zip(bar(exact.split(_BLOCK), "first gains"), gains.split(_BLOCK), strict=True):
        into.copy_(_gains(part, base, covered, weigh))
    cost, group = costs.tolist(), groups.tolist()
    queue = [(-gain / cost[i], i) for i, gain in enumerate(gains.tolist())]
    heapq.heapify(queue)
    # In which round a gain was computed; it is up to date if nothing was chosen since.
    fresh, taken, spent, chosen = [0] * count, {}, 0.0, []

    def fits(i: int) -> bool:
        return cost[i] <= budget - spent and (cap is None or taken.get(group[i], 0) < cap)

    while queue:
        best = queue[0][1]
        if not fits(best):
            heapq.heappop(queue)
        elif fresh[best] == len(chosen):
            heapq.heappop(queue)
            chosen.append(best)
            spent += cost[best]
            taken[group[best]] = taken.get(group[best], 0) + 1
            covered = torch.maximum(covered, base @ exact[best])
        else:
            stale = []
            while queue and len(stale) < _AGAIN and fresh[queue[0][1]] < len(chosen):
                point = heapq.heappop(queue)[1]
                if fits(point):
                    stale.append(point)
            for point, gain in zip(stale, _gains(exact[stale], base, covered, weigh).tolist(), strict=True):
                fresh[point] = len(chosen)
                heapq.heappush(queue, (-gain / cost[point], point))
    return torch.tensor(chosen)


def covered_share(rows: Tensor, chosen: Tensor) -> float:
    """F of the ``chosen`` rows (k, d) over the number of all ``rows`` (N, d): 1 if each of these has its like among the chosen,
    0 if none has any likeness."""
    chosen = _rounded(chosen).T
    parts = (_rounded(part) @ chosen for part in rows.split(_BLOCK))
    return sum(float(part.amax(1).clamp(min=0).sum(dtype=torch.float64)) for part in parts) / len(rows)


def _rounded(rows: Tensor) -> Tensor:
    return (rows.float() / _QUANTUM).round() * _QUANTUM


def _gains(points: Tensor, base: Tensor, covered: Tensor, weights: Tensor) -> Tensor:
    """By how much each point would raise F, float64 (n,)."""
    return (points @ base.T - covered).clamp_(min=0).double() @ weights


def _check(rows: Tensor, budget: float, costs: Tensor, groups: Tensor, weights: Tensor, cap: int | None, ground: int):
    if rows.ndim != 2 or not len(rows):
        raise SelectionError(f"rows must be (N, d) with N of 1 or more, got {tuple(rows.shape)}")
    longest = float(rows.norm(dim=1).max())
    if not longest <= 1.001:
        raise SelectionError(f"rows must have length 1, the longest has {longest:g}; divide them by their norms")
    lengths = [len(costs), len(groups), len(weights)]
    if lengths != [len(rows)] * 3:
        raise SelectionError(f"{len(rows)} points need as many costs, groups and weights, got {lengths}")
    if weights.is_floating_point() or not 1 <= int(weights.min()) <= int(weights.max()) <= 1000:
        raise SelectionError(f"weights must be whole numbers from 1 to 1000, got {weights.min():g} to {weights.max():g}")
    if not float(costs.min()) > 0 or not math.isfinite(float(costs.max())):
        raise SelectionError(f"costs must be finite and above 0, got {float(costs.min()):g} to {float(costs.max()):g}")
    if ground < 1 or (cap is not None and cap < 1):
        raise SelectionError(f"ground and cap must be 1 or more, got {ground} and {cap}")
    if not budget >= float(costs.min()):
        raise SelectionError(f"a budget of {budget:g} is below the cheapest point, {float(costs.min()):g}; raise the budget")
    most = _most(costs, groups, cap)
    if budget > most:
        remedy = "lower the budget" if cap is None else f"lower the budget or raise the cap of {cap} a group"
        raise SelectionError(f"a budget of {budget:g} is above all that can be chosen, {most:g}; {remedy}")


def _most(costs: Tensor, groups: Tensor, cap: int | None) -> float:
    """The sum of the costs of the dearest points that the cap admits."""
    if cap is None:
        return float(costs.sum())
    dearest = costs.argsort(descending=True, stable=True)
    dearest = dearest[groups[dearest].argsort(stable=True)]
    _, sizes = groups[dearest].unique_consecutive(return_counts=True)
    rank = torch.arange(len(costs)) - (sizes.cumsum(0) - sizes).repeat_interleave(sizes)
    return float(costs[dearest[rank < cap]].sum())
