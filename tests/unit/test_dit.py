"""The diffusion transformer: against a plain implementation, tables of labels, files, published weights."""

import copy
import math
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file
from test_diffit import inputs, scatter_gammas
from tiny_dit import tiny_dit
from tiny_prior import TinyPrior

from srdistill.diffusion import dit
from srdistill.diffusion.diffit import add_scales
from srdistill.diffusion.dit import DiTError, LatentDiT, load_dit, new_dit, pretrained_dit, use_label_rows
from srdistill.images.torchvision_import import import_torchvision
from srdistill.priors.prior import PriorError
from srdistill.weights import WeightsMissing


def plain_dit(model, latents, times, labels):
    """DiT as its paper and code describe it, from the weights alone."""
    w = {name.removeprefix("transformer."): value for name, value in model.named_parameters()}
    config = model.transformer.config
    width, heads, patch, side = (
        config.num_attention_heads * config.attention_head_dim,
        config.num_attention_heads,
        config.patch_size,
        model.side,
    )

    def linear(x, name):
        return F.linear(x, w[f"{name}.weight"], w[f"{name}.bias"])

    def norm(x):
        centred = x - x.mean(-1, keepdim=True)
        return centred / (centred.square().mean(-1, keepdim=True) + 1e-6).sqrt()

    place = torch.arange(width // 4, dtype=torch.float64)
    axis = torch.arange(side // patch, dtype=torch.float64) / (side // patch) * (side // patch)
    angles = axis[:, None] / 10000 ** (place / (width // 4))
    one = torch.cat([angles.sin(), angles.cos()], dim=1)
    across = one[None, :, :].expand(len(axis), -1, -1)
    down = one[:, None, :].expand(-1, len(axis), -1)
    x = F.conv2d(latents, w["pos_embed.proj.weight"], w["pos_embed.proj.bias"], stride=patch).flatten(2).transpose(1, 2)
    x = x + torch.cat([across, down], dim=2).flatten(0, 1).float()

    frequencies = torch.exp(-math.log(10000) * torch.arange(128) / 128)
    waves = times[:, None].float() * frequencies
    emb = "transformer_blocks.0.norm1.emb."
    c = linear(torch.cat([waves.cos(), waves.sin()], dim=1), f"{emb}timestep_embedder.linear_1")
    c = linear(F.silu(c), f"{emb}timestep_embedder.linear_2") + w[f"{emb}class_embedder.embedding_table.weight"][labels]
    for index in range(config.num_layers):
        b = f"transformer_blocks.{index}."
        gamma = {
            part: w.get(f"{b}{part}.gamma", 1)
            for part in ("attn1.to_q", "attn1.to_k", "attn1.to_v", "attn1.to_out.0", "attn1", "ff")
        }
        shift1, scale1, gate1, shift2, scale2, gate2 = linear(F.silu(c), f"{b}norm1.linear")[:, None].chunk(6, dim=2)
        y = norm(x) * (1 + scale1) + shift1
        q, k, v = (
            (gamma[f"attn1.{n}"] * linear(y, f"{b}attn1.{n}")).unflatten(2, (heads, -1)).transpose(1, 2)
            for n in ("to_q", "to_k", "to_v")
        )
        scores = (q @ k.transpose(2, 3) / math.sqrt(width / heads)).softmax(3)
        y = gamma["attn1.to_out.0"] * linear((scores @ v).transpose(1, 2).flatten(2), f"{b}attn1.to_out.0")
        x = x + gate1 * gamma["attn1"] * y
        y = norm(x) * (1 + scale2) + shift2
        y = linear(F.gelu(linear(y, f"{b}ff.net.0.proj"), approximate="tanh"), f"{b}ff.net.2")
        x = x + gate2 * gamma["ff"] * y
    shift, scale = linear(F.silu(c), "proj_out_1")[:, None].chunk(2, dim=2)
    x = linear(norm(x) * (1 + scale) + shift, "proj_out_2")
    grid = side // patch
    return x.view(len(x), grid, grid, patch, patch, -1).permute(0, 5, 1, 3, 2, 4).reshape(len(x), -1, side, side)


@pytest.mark.parametrize(
    "changes", [{}, {"learn_variance": True, "heads": 4}, {"patch": 1, "depth": 3, "scales": True}], ids=str
)
def test_is_the_transformer_of_the_paper(changes):
    scales = changes.pop("scales", False)
    model = tiny_dit(**changes)
    if scales:
        add_scales(model.transformer)
        scatter_gammas(model)
    with torch.no_grad():
        found, expected = model(*inputs(model)), plain_dit(model, *inputs(model))
    assert found.shape == expected.shape == (3, 12 if model.learns_variance else 6, 8, 8)
    assert (found - expected).abs().max() < 1e-3 * expected.abs().max()


def test_starts_as_the_paper_says_and_the_same_for_the_same_seed():
    before = torch.get_rng_state()
    first, again, other = (
        new_dit(channels=4, side=4, classes=2, width=8, heads=1, depth=3, generator=torch.Generator().manual_seed(seed))
        for seed in (1, 1, 2)
    )
    assert torch.equal(torch.get_rng_state(), before)
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), again.parameters(), strict=True))
    assert not torch.equal(first.label_table, other.label_table)
    assert torch.equal(first(*inputs(first)), torch.zeros(3, 4, 4, 4))
    assert 0.01 < float(first.label_table.detach().std()) < 0.03


def test_training_mode_drops_no_labels_and_draws_nothing():
    model = tiny_dit()
    before = torch.get_rng_state()
    evaluated = model(*inputs(model))
    assert torch.equal(model.train()(*inputs(model)), evaluated)
    assert torch.equal(torch.get_rng_state(), before)


def test_latents_are_normalised_channel_by_channel_and_back():
    model = tiny_dit()
    codes = torch.randn(5, 2, 6, 8, 8, generator=torch.Generator().manual_seed(0)) * torch.arange(6).view(6, 1, 1) + 3
    model.normalise_for(codes)
    latents = model.to_latents(codes)
    assert latents.mean((0, 1, 3, 4)).abs().max() < 1e-5
    assert (latents.std((0, 1, 3, 4))[1:] - 1).abs().max() < 1e-5 and latents[:, :, 0].abs().max() < 1e-5
    assert (model.to_codes(latents) - codes).abs().max() < 1e-5


def test_blocks_that_embed_for_themselves_are_refused():
    import_torchvision()
    from diffusers import DiTTransformer2DModel

    # As diffusers builds it: every block draws an embedding of its own.
    loose = DiTTransformer2DModel(
        num_attention_heads=1, attention_head_dim=8, num_layers=2, sample_size=4, num_embeds_ada_norm=3
    )
    with pytest.raises(DiTError, match="block 1 embeds time and label otherwise than block 0"):
        LatentDiT(loose, "loose")


def test_a_model_without_the_expected_label_table_is_refused():
    tied = tiny_dit().transformer
    embedder = tied.transformer_blocks[0].norm1.emb.class_embedder
    embedder.embedding_table = torch.nn.Embedding(3, 16)  # trained without label dropout: no null label
    with pytest.raises(DiTError, match="label table has 3 rows where 3 classes and the null label need 4.*label dropout"):
        LatentDiT(tied, "x")


def test_outputs_that_are_no_noise_are_refused():
    import_torchvision()
    from diffusers import DiTTransformer2DModel

    three = DiTTransformer2DModel(
        num_attention_heads=1, attention_head_dim=8, in_channels=4, out_channels=3, num_layers=1, sample_size=4
    )
    with pytest.raises(DiTError, match="3 output channels for 4 of the latents"):
        LatentDiT(three, "x")


@pytest.mark.parametrize("rows", ["null", "mean", "keep"])
def test_label_rows_start_from_what_is_asked_for(rows):
    model = tiny_dit(classes=5)
    table = model.label_table.detach().clone()
    use_label_rows(model, 2, rows)
    expected = {"null": table[5], "mean": table[:5].mean(0), "keep": table[:2]}[rows]
    assert torch.equal(model.label_table[:2], expected.expand(2, -1))
    assert torch.equal(model.label_table[2:], table[2:]) and model.classes == 2
    with pytest.raises(DiTError, match=r"labels in 0..2, but it has classes 0..1"):
        model.check_labels(torch.tensor([0, 2]))


def test_label_rows_that_cannot_be_are_named():
    with pytest.raises(DiTError, match="unknown start 'zero' of the label rows; there are: null, mean, keep"):
        use_label_rows(tiny_dit(), 2, "zero")
    with pytest.raises(DiTError, match="4 pseudo-classes do not fit its label table of 3 classes"):
        use_label_rows(tiny_dit(), 4)


@pytest.mark.parametrize(
    "labels", [torch.tensor([0, -1]), torch.tensor([3]), torch.tensor([0.0]), torch.tensor([[0]]), torch.tensor([True])]
)
def test_labels_that_the_model_has_not_are_refused(labels):
    with pytest.raises(DiTError, match="labels"):
        tiny_dit().check_labels(labels)


def test_a_prior_with_other_codes_is_refused():
    model = tiny_dit()
    model.check_prior(TinyPrior(), 16)
    with pytest.raises(
        DiTError, match=r"works on latents \(6, 8, 8\), but codes of tiny for pictures of 16 px are \(5, 8, 8\)"
    ):
        model.check_prior(TinyPrior(channels=5), 16)
    with pytest.raises(DiTError, match=r"pictures of 32 px are \(6, 16, 16\)"):
        model.check_prior(TinyPrior(), 32)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"depth": 0}, "must be 1 or more, got 6, 8, 3, 16, 0"),
        ({"patch": 3}, "tokens of 3 cells do not divide latents of 8 x 8"),
        ({"width": 18}, "width 18 must be a multiple of the 2 heads and of 4"),
    ],
)
def test_sizes_that_cannot_work_are_named(changes, words):
    with pytest.raises(DiTError, match=words):
        tiny_dit(**changes)


@pytest.mark.parametrize("scaled", [False, True])
def test_saved_and_loaded_it_is_the_same(tmp_path, scaled):
    model = tiny_dit(classes=4)
    use_label_rows(model, 3)
    model.normalise_for(torch.randn(2, 1, 6, 8, 8, generator=torch.Generator().manual_seed(0)) + 1)
    if scaled:
        add_scales(model.transformer)
        scatter_gammas(model)
    model.save(tmp_path / "dit")
    # What the blocks share is stored once.
    assert (
        sum(tensor.numel() for tensor in load_file(tmp_path / "dit").values())
        == sum(p.numel() for p in model.parameters()) + 12
    )
    before = torch.get_rng_state()
    loaded = load_dit(tmp_path / "dit")
    assert torch.equal(torch.get_rng_state(), before)
    assert (loaded.name, loaded.classes, loaded.null_label, loaded.bytes) == (model.name, 3, 4, model.bytes)
    assert torch.equal(loaded.mean, model.mean) and torch.equal(loaded.std, model.std)
    assert torch.equal(loaded(*inputs(model)), model(*inputs(model)))
    assert not loaded.training and not any(p.requires_grad for p in loaded.parameters())
    embeddings = {id(block.norm1.emb) for block in loaded.transformer.transformer_blocks}
    assert len(embeddings) == 1


def test_files_of_something_else_are_refused(tmp_path):
    model = tiny_dit()
    model.save(tmp_path / "dit")
    content = (tmp_path / "dit").read_bytes()
    (tmp_path / "cut").write_bytes(content[: len(content) // 2])
    (tmp_path / "deeper").write_bytes(content.replace(b'\\"num_layers\\": 2', b'\\"num_layers\\": 3'))
    assert (tmp_path / "deeper").read_bytes() != content
    save_file({"x": torch.zeros(1)}, tmp_path / "other")
    for name in ("cut", "deeper", "other", "absent"):
        with pytest.raises(DiTError, match=f"{name}: not a diffusion transformer saved here, or damaged .*train it again"):
            load_dit(tmp_path / name)


@pytest.fixture
def published(tmp_path, monkeypatch):
    """The folder of the environment with a small DiT in the layout of DiT-XL/2's repository: copies of one embedding."""
    monkeypatch.setenv("SRDISTILL_WEIGHTS", str(tmp_path))
    transformer = copy.deepcopy(tiny_dit(learn_variance=True).transformer)
    transformer.save_pretrained(tmp_path / "DiT-XL-2-256" / "transformer", safe_serialization=False)
    return tmp_path / "DiT-XL-2-256"


def test_published_weights_are_found_in_the_folder_of_the_environment(published):
    model, source = pretrained_dit(), tiny_dit(learn_variance=True)
    assert model.name == "DiT-XL-2-256" and model.classes == 3 and model.learns_variance
    assert torch.equal(model(*inputs(model)), source(*inputs(source)))
    assert not any(p.requires_grad for p in model.parameters())
    elsewhere = pretrained_dit(published / "transformer")
    assert elsewhere.name == "transformer" and torch.equal(elsewhere.label_table, model.label_table)


def test_weights_of_another_model_are_refused(published):
    file = published / "transformer" / "diffusion_pytorch_model.bin"
    state = torch.load(file)
    torch.save({name: tensor for name, tensor in state.items() if "proj_out_2" not in name}, file)
    with pytest.raises(PriorError, match="DiT-XL-2-256: the weights lack proj_out_2"):
        pretrained_dit()
    torch.save(state | {"proj_out_2.bias": torch.zeros(5)}, file)
    with pytest.raises(PriorError, match="weights that do not fit DiTTransformer2DModel"):
        pretrained_dit()
    file.write_bytes(b"no weights")
    with pytest.raises(PriorError, match="no readable weights"):
        pretrained_dit()


def test_missing_weights_say_where_and_how(tmp_path, monkeypatch):
    monkeypatch.setenv("SRDISTILL_WEIGHTS", str(tmp_path))
    # Nobody has this one among their downloads.
    monkeypatch.setitem(dit.DIT_XL, 256, replace(dit.DIT_XL[256], repository="nobody/nothing"))
    with pytest.raises(WeightsMissing) as error:
        pretrained_dit()
    for part in ("nobody/nothing", "eab87f77", str(tmp_path / "DiT-XL-2-256"), "download=True"):
        assert part in str(error.value)
    with pytest.raises(WeightsMissing, match="no config.json in .*mine; give the folder of a DiTTransformer2DModel"):
        pretrained_dit(tmp_path / "mine")


@pytest.mark.parametrize(
    ("size", "revision"),
    [(256, "eab87f77abd5aef071a632f08807fbaab0b704d0"), (512, "101a3d462b22d64c4afdd4d0c8c59a2c0b961b99")],
)
def test_downloads_are_pinned_and_their_failure_is_named(tmp_path, monkeypatch, size, revision):
    import_torchvision()
    from diffusers import DiTTransformer2DModel

    asked = {}

    def refuse(**given):
        asked.update(given)
        raise OSError("nobody there")

    monkeypatch.setenv("SRDISTILL_WEIGHTS", str(tmp_path))
    monkeypatch.setattr(DiTTransformer2DModel, "from_pretrained", refuse)
    with pytest.raises(WeightsMissing, match="nobody there.*put the repository's files at"):
        pretrained_dit(size=size, download=True)
    assert asked["pretrained_model_name_or_path"] == f"facebook/DiT-XL-2-{size}" and asked["local_files_only"] is False
    assert asked["revision"] == revision and asked["subfolder"] == "transformer"


def test_a_size_without_published_weights_is_named():
    with pytest.raises(DiTError, match="no published DiT-XL/2 for 128 px, only for 256 and 512 px"):
        pretrained_dit(size=128)
