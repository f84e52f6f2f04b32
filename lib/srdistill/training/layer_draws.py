"""What layers draw while they train, the masks of dropout: of torch's global generator, which is seeded for it and put back."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from srdistill.seeds import derive_seed


@contextmanager
def layer_draws(device: torch.device, seed: int) -> Iterator[None]:
    """Inside, layers draw what depends on ``seed`` alone, and on the kind of ``device``; outside nothing has changed."""
    cuda = device.type == "cuda"
    with torch.random.fork_rng(devices=[device] if cuda else []):
        found = derive_seed(seed, "layers")
        torch.default_generator.manual_seed(found)
        if cuda:
            with torch.cuda.device(device):
                torch.cuda.manual_seed(found)
        yield
