"""Latent space: matching in chunks against one graph through everything, and inverting pictures together.

Peak memory is that of a fresh process: the growth of its resident set to the peak during one iteration (VmHWM, on Linux),
or on a GPU what torch allocated at most. ``python tests/benchmarks/test_latent.py direct|ours CLASSES IPC CHUNK`` prints one
figure.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F

from srdistill.catalogue.photos import photos
from srdistill.images.pictures import to_float
from srdistill.images.resize import downscale
from srdistill.networks import build_network
from srdistill.papers.dietz.class_gradients import matched_weights, real_gradients
from srdistill.papers.dietz.latent_matching import CodeMatcher
from srdistill.priors.autoencoder import AutoencoderRecipe, train_autoencoder
from srdistill.priors.code_gradients import code_gradients
from srdistill.priors.inversion import InversionRecipe, invert
from srdistill.seeds import generator_for
from srdistill.training.gradient_distances import DISTANCES

DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")
SIZE = 64
linux_or_gpu = pytest.mark.skipif(
    DEVICE.type == "cpu" and not Path("/proc/self/clear_refs").exists(), reason="peak memory is read from Linux's /proc"
)


def patches_of(count: int) -> torch.Tensor:
    """Real patches, float (count, 3, SIZE, SIZE)."""
    tiles = [image[:, :256, :256].unfold(1, SIZE, SIZE).unfold(2, SIZE, SIZE).flatten(1, 2).transpose(0, 1)
             for image in photos("train").images]  # fmt: skip
    return to_float(torch.cat(tiles)[:count]).to(DEVICE)


def small_autoencoder():
    """The laptop profile's autoencoder, hardly trained: what it costs does not depend on its weights."""
    recipe = AutoencoderRecipe(iterations=2)
    return train_autoencoder(photos("train"), generator=generator_for(0, "prior"), recipe=recipe).to(DEVICE)


def problem(classes: int, ipc: int):
    """Prior, network, its weights, real gradients of ``classes`` patches, and codes."""
    prior, network = small_autoencoder(), build_network("SRCNN", 2, 0).to(DEVICE)
    weights = matched_weights(network, "rows")
    patches = patches_of(classes)
    targets = real_gradients(network, weights, list(patches[:, None]), 2)
    codes = prior.encode(patches).repeat_interleave(ipc, 0)
    codes = codes + 0.1 * torch.randn(codes.shape, generator=generator_for(0, "codes")).to(DEVICE)
    return prior, network, weights, targets, codes


def direct(prior, network, weights, targets, codes, ipc):
    """One graph from all codes to the sum of all distances."""
    codes = codes.clone().requires_grad_()
    images = prior.decode(codes).clamp(0, 1)
    parameters = [dict(network.named_parameters())[name] for name in weights[0]]
    total = 0
    for label, hr in enumerate(images.split(ipc)):
        loss = F.mse_loss(network(downscale(hr, 2)), hr)
        ours = [g[None] for g in torch.autograd.grad(loss, parameters, create_graph=True)]
        total = total + DISTANCES["rows"](ours, [target[label : label + 1] for target in targets]).sum()
    return torch.autograd.grad(total, codes)[0]


def chunked(prior, network, weights, targets, codes, ipc, chunk):
    matcher = CodeMatcher(network, weights, targets, 2, "rows", 0, ipc)
    return code_gradients(prior, codes, matcher, ipc, chunk)[1]


def peak_megabytes(way: str, classes: int, ipc: int, chunk: int) -> float:
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    command = [sys.executable, __file__, way, str(classes), str(ipc), str(chunk)]
    return float(subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout.split()[-1])


@linux_or_gpu
@pytest.mark.parametrize(("ipc", "chunk"), [(1, 10), (4, 2)], ids=["kept graph", "second run"])
def test_latent_iteration(ratio, note, benchmark, ipc, chunk):
    """One iteration on 16 classes: time; and peak memory for 4 and for 16 classes."""
    given = problem(16, ipc)
    expected, found = direct(*given, ipc), chunked(*given, ipc, chunk)
    assert ((found - expected).norm() / expected.norm()).item() < 1e-4
    ratio(lambda: direct(*given, ipc), lambda: chunked(*given, ipc, chunk), rounds=3)
    memory = {
        (way, classes): peak_megabytes(way, classes, ipc, chunk) for way in ("direct", "ours") for classes in (4, 16)
    }
    benchmark.extra_info["peak_megabytes"] = {f"{way}, {classes} classes": value for (way, classes), value in memory.items()}
    note(f"peak memory from 4 to 16 classes, IPC {ipc}, chunks of {chunk}: direct {memory['direct', 4]:.0f} to "
         f"{memory['direct', 16]:.0f} MB, ours {memory['ours', 4]:.0f} to {memory['ours', 16]:.0f} MB")  # fmt: skip
    assert memory["ours", 16] < 0.6 * memory["direct", 16]


def test_inversion_step(ratio):
    """Four steps for each of 16 pictures: in one batch against one by one."""
    prior, patches = small_autoencoder(), patches_of(16)

    def run(batch):
        return invert(prior, patches, recipe=InversionRecipe(iterations=4, batch=batch), device=DEVICE)

    assert (run(16).codes - run(1).codes).abs().max() < 1e-2
    ratio(lambda: run(1), lambda: run(16), rounds=3)


def _reset_peak() -> None:
    if DEVICE.type == "cuda":
        torch.cuda.reset_peak_memory_stats()
    else:
        Path("/proc/self/clear_refs").write_text("5")


def _peak() -> int:
    """Bytes."""
    if DEVICE.type == "cuda":
        return torch.cuda.max_memory_allocated()
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))


def _measure(way: str, classes: int, ipc: int, chunk: int) -> float:
    torch.set_num_threads(1)
    given = problem(classes, ipc)
    # Warm both libraries up on the smallest piece, so that only the iteration's own memory is counted.
    prior, network, weights, targets, codes = given
    chunked(prior, network, weights, [target[:1] for target in targets], codes[:ipc], ipc, 1)
    _reset_peak()
    before = _peak()
    direct(*given, ipc) if way == "direct" else chunked(*given, ipc, chunk)
    return (_peak() - before) / 2**20


if __name__ == "__main__":
    print(_measure(sys.argv[1], *(int(value) for value in sys.argv[2:])))
