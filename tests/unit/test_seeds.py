"""One generator per purpose: a function of its arguments and of nothing else."""

import subprocess
import sys

import torch

from srdistill.seeds import derive_seed, generator_for


def test_every_argument_counts():
    seeds = [
        derive_seed(0, "crops"),
        derive_seed(1, "crops"),
        derive_seed(0, "flips"),
        derive_seed(0, "crops", 0),
        derive_seed(0, "crops", 1),
        derive_seed(0, "crops", 0, 1),
        derive_seed(0, "crops", 1, 0),
        derive_seed(0, "crops", 11),
        derive_seed(0, "crops", 1, 1),
        derive_seed(-1, "crops"),
    ]
    assert len(set(seeds)) == len(seeds)


def test_purpose_is_never_mistaken_for_an_index():
    assert derive_seed(0, "crops/1") != derive_seed(0, "crops", 1)


def test_seeds_fit_torchs_generators():
    for index in range(200):
        seed = derive_seed(index, "any")
        assert 0 <= seed < 2**63
        assert torch.Generator().manual_seed(seed).initial_seed() == seed


def test_seeds_are_the_same_in_another_process():
    code = "from srdistill.seeds import derive_seed; print(derive_seed(7, 'crops', 3))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert int(done.stdout) == derive_seed(7, "crops", 3)


def test_generators_repeat_and_do_not_share_a_state():
    first, second = generator_for(0, "crops", 5), generator_for(0, "crops", 5)
    torch.rand(100, generator=second)
    assert torch.equal(torch.rand(3, generator=first), torch.rand(3, generator=generator_for(0, "crops", 5)))


def test_global_generator_is_left_alone():
    before = torch.random.get_rng_state()
    torch.rand(3, generator=generator_for(0, "crops"))
    assert torch.equal(before, torch.random.get_rng_state())
