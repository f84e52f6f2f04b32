"""Few points with the mean of many: herding, then exchanges.

Herding takes, again and again, the point that brings the mean of those taken nearest to the mean of all (Welling, "Herding
dynamical weights to learn", ICML 2009; of samples, Chen, Welling and Smola, "Super-samples from kernel herding", UAI 2010).
With gradients for points the few then give a network the step that all would (GRAD-MATCH, Killamsetty et al., ICML 2021, whose
weights are one here). What is taken early is not always what the later ones would have wanted, so each is exchanged while that
helps.
"""

import torch
from torch import Tensor

from srdistill.sets.distilled_set import SelectionError

# Rows and their mean are rounded to multiples of this: all sums of products are then exact in float64, in any order, and every
# processor makes the same choice.
_QUANTUM = 2.0**-16


def herd(rows: Tensor, count: int, *, groups: Tensor | None = None, cap: int | None = None, passes: int = 3) -> Tensor:
    """Positions of ``count`` points, int64, whose mean is near the mean of all.

    ``rows``: (N, d) of length 1 at most. ``groups``: (N,) whole numbers; at most ``cap`` points of a group are taken.
    ``passes``: how many times each taken point may be exchanged for the best in its place; it ends when no exchange helps. Of
    equal ones the first is taken.

    Raises SelectionError for more points than there are, or than the cap admits.
    """
    if not 0 < count <= len(rows):
        raise SelectionError(f"{count} of {len(rows)} candidates cannot be taken; lower the budget, or give more candidates")
    points = _rounded(rows.double()) - _rounded(rows.double().mean(0))
    squares = points.square().sum(1)
    groups = torch.arange(len(rows)) if groups is None else groups.long()
    most = len(rows) if cap is None else cap
    used, free = torch.zeros(int(groups.max()) + 1, dtype=torch.long), torch.ones(len(rows), dtype=torch.bool)
    chosen: list[int] = []
    held = torch.zeros_like(points[0])

    def distances() -> Tensor:
        """Squared, but for a constant: of what is held and one point more from the mean."""
        return squares + 2 * (points @ held)

    def best() -> int:
        far = distances()
        far[~free | (used[groups] >= most)] = torch.inf
        found = int(far.argmin())
        if not bool(far[found].isfinite()):
            raise SelectionError(f"only {len(chosen)} of {count} can be taken, at most {most} of one picture; raise the cap")
        return found

    def put(index: int, sign: int) -> None:
        nonlocal held
        held = held + sign * points[index]
        used[groups[index]] += sign
        free[index] = sign < 0

    for _ in range(count):
        chosen.append(best())
        put(chosen[-1], 1)
    for _ in range(passes):
        before = list(chosen)
        for place, index in enumerate(before):
            put(index, -1)
            far, found = distances(), best()
            chosen[place] = found if far[found] < far[index] else index
            put(chosen[place], 1)
        if chosen == before:
            break
    return torch.tensor(chosen)


def _rounded(values: Tensor) -> Tensor:
    return (values / _QUANTUM).round() * _QUANTUM
