"""One random generator per purpose, derived from (seed, purpose, index).

A draw added for one purpose never shifts the draws of another, and the draws of step ``k`` can be repeated
without those of the steps before: that is what makes a resumed run equal to an uninterrupted one. Generators live
on the CPU, so that the same numbers are drawn whatever device the work runs on.
"""

import hashlib

import torch


def derive_seed(seed: int, purpose: str, *index: int) -> int:
    """A 63-bit seed that depends on every argument and on nothing else."""
    text = repr((int(seed), purpose, *(int(i) for i in index)))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def generator_for(seed: int, purpose: str, *index: int) -> torch.Generator:
    """A CPU generator for one purpose, e.g. ``generator_for(seed, "crops", step)``."""
    return torch.Generator().manual_seed(derive_seed(seed, purpose, *index))
