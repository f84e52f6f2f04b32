"""DiffFit: the published count of what it trains, scale factors that change nothing at one."""

import copy

import pytest
import torch
from tiny_dit import tiny_dit

from srdistill.diffusion.diffit import add_scales, diffit_parameters, has_scales
from srdistill.diffusion.dit import LatentDiT
from srdistill.images.torchvision_import import import_torchvision


def inputs(model, count=3):
    draws = torch.Generator().manual_seed(1)
    latents = torch.randn(count, model.channels, model.side, model.side, generator=draws)
    return latents, torch.tensor([0, 400, 999])[:count], torch.tensor([2, 0, model.null_label])[:count]


def scatter_gammas(model):
    draws = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if name.endswith(".gamma"):
                weight.copy_(0.5 + torch.rand(weight.shape, generator=draws))


@pytest.fixture(scope="module")
def xl():
    """DiT-XL/2 without memory for its weights, as diffusers builds it."""
    import_torchvision()
    from diffusers import DiTTransformer2DModel

    with torch.device("meta"):
        return DiTTransformer2DModel(in_channels=4, out_channels=8)


def test_trains_as_many_weights_of_dit_xl_as_the_reference(xl):
    model = LatentDiT(copy.deepcopy(xl), "DiT-XL/2")
    add_scales(model.transformer)
    sizes = {name: weight.numel() for name, weight in diffit_parameters(model.transformer)}
    assert sum(sizes.values()) == 1_739_552
    table = {name: size for name, size in sizes.items() if "class_embedder" in name}
    assert sum(sizes.values()) - sum(table.values()) == 586_400
    gammas = {name: size for name, size in sizes.items() if name.endswith(".gamma")}
    assert sum(gammas.values()) == 14 * 6912 and not any(".14." in name for name in gammas)
    in_blocks = sum(size for name, size in sizes.items() if ".bias" in name and "_blocks" in name and ".emb." not in name)
    assert in_blocks == 28 * 17_280
    # 675 million weights of the model itself, the fixed position embedding apart.
    assert sum(weight.numel() for weight in model.parameters()) - sum(gammas.values()) == 675_129_632 - 256 * 1152


def test_copies_of_the_embedding_in_every_block_would_make_it_nineteen_times_as_many(xl):
    plain = copy.deepcopy(xl)
    add_scales(plain)
    assert sum(weight.numel() for _, weight in diffit_parameters(plain)) == 32_936_864


def test_factors_of_one_change_nothing_and_all_that_is_trained_gets_a_gradient():
    model = tiny_dit(depth=5)
    plain = model(*inputs(model))
    add_scales(model.transformer)
    assert has_scales(model.transformer)
    scaled = model(*inputs(model))
    assert torch.equal(scaled, plain)
    weights = dict(diffit_parameters(model.transformer))
    assert {name.split(".")[1] for name in weights if name.endswith(".gamma")} == {"0", "1"}
    gradients = torch.autograd.grad(scaled.square().sum(), list(weights.values()))
    # The bias of the keys moves all scores of a query alike, which the softmax does not see.
    silent = [name for name, g in zip(weights, gradients, strict=True) if g.abs().max() < 1e-4]
    assert all(name.endswith("to_k.bias") for name in silent)


def test_a_copy_has_factors_of_its_own():
    model = tiny_dit()
    add_scales(model.transformer)
    plain = model(*inputs(model))
    scatter_gammas(copy.deepcopy(model))
    assert torch.equal(model(*inputs(model)), plain)
    other = copy.deepcopy(model)
    scatter_gammas(other)
    assert not torch.equal(other(*inputs(model)), plain)


def test_factors_are_added_once_and_need_two_blocks():
    model = tiny_dit()
    add_scales(model.transformer)
    with pytest.raises(ValueError, match="has scale factors already; they are added once"):
        add_scales(model.transformer)
    with pytest.raises(ValueError, match="one block has none, use two or more"):
        add_scales(tiny_dit(depth=1).transformer)
