"""StyleGAN-XL's code path on a small random generator with the same parts."""

import hashlib
import math
import pickle
import sys
from types import SimpleNamespace

import pooch
import pytest
import torch
from torch import nn

from srdistill.priors.prior import Prior, PriorError
from srdistill.priors.stylegan_xl import StyleGANXLPrior, load_stylegan_xl
from srdistill.seeds import generator_for
from srdistill.weights import WeightsMissing


class Mapping(nn.Module):
    def __init__(self, z_dim, c_dim, w_dim, num_ws):
        super().__init__()
        self.num_ws = num_ws
        self.linear = nn.Linear(z_dim + c_dim, w_dim)

    def forward(self, z, c):
        return self.linear(torch.cat([z, c], 1))[:, None].repeat(1, self.num_ws, 1)


class Input(nn.Module):
    def __init__(self, w_dim, channels, size):
        super().__init__()
        self.basis = nn.Parameter(torch.randn(channels, size, size))
        self.affine = nn.Linear(w_dim, channels)

    def forward(self, w):
        return self.basis * self.affine(w)[:, :, None, None]


class Layer(nn.Module):
    def __init__(self, w_dim, channels_in, channels_out, size):
        super().__init__()
        self.size = size
        self.affine = nn.Linear(w_dim, channels_in)
        self.conv = nn.Conv2d(channels_in, channels_out, 3, padding=1)
        self.asked = []

    def forward(self, x, w, force_fp32=False):
        self.asked.append(force_fp32)
        x = nn.functional.interpolate(x, size=(self.size, self.size))
        return torch.tanh(self.conv(x * (1 + self.affine(w)[:, :, None, None])))


class Synthesis(nn.Module):
    output_scale = 0.5
    # (channels, size) of the input block and of each layer.
    sizes = ((4, 4), (4, 6), (5, 10), (3, 16))

    def __init__(self, w_dim):
        super().__init__()
        self.input = Input(w_dim, *self.sizes[0])
        self.layer_names = []
        for index, ((before, _), (after, size)) in enumerate(zip(self.sizes, self.sizes[1:], strict=False)):
            self.layer_names.append(f"L{index}_{size}_{after}")
            setattr(self, self.layer_names[-1], Layer(w_dim, before, after, size))

    def forward(self, ws):
        x = self.input(ws[:, 0])
        for name, w in zip(self.layer_names, ws.unbind(1)[1:], strict=True):
            x = getattr(self, name)(x, w)
        return x * self.output_scale


class Generator(nn.Module):
    z_dim, c_dim, w_dim, num_ws, img_resolution = 3, 5, 6, 4, 16

    def __init__(self, c_dim=5):
        super().__init__()
        torch.manual_seed(0)
        self.c_dim = c_dim
        self.mapping = Mapping(self.z_dim, c_dim, self.w_dim, self.num_ws)
        self.synthesis = Synthesis(self.w_dim)


@pytest.fixture
def generator():
    return Generator()


@pytest.fixture
def ws():
    return torch.randn(2, 4, 6, generator=generator_for(0, "ws"))


IMAGES = torch.full((2, 3, 16, 16), 0.5)


def test_decoding_in_w_plus_is_the_generators_own_forward_pass(generator, ws):
    prior = StyleGANXLPrior(generator)
    assert isinstance(prior, Prior) and prior.name == "StyleGAN-XL W+"
    assert prior.code_shape(16) == (24,)
    with torch.no_grad():
        expected = (generator.synthesis(ws) + 1) / 2
    assert torch.equal(prior.decode(ws.flatten(1)), expected)


@pytest.mark.parametrize("layer, features", [(0, (4, 4, 4)), (1, (4, 6, 6)), (2, (5, 10, 10))])
def test_every_layer_continues_to_the_picture_that_the_whole_network_makes(generator, ws, layer, features):
    prior = StyleGANXLPrior(generator, layer=layer)
    assert prior.name == f"StyleGAN-XL F{layer}"
    assert prior.code_shape(16) == (math.prod(features) + (3 - layer) * 6,)
    with torch.no_grad():
        x = generator.synthesis.input(ws[:, 0])
        for name, w in zip(generator.synthesis.layer_names[:layer], ws.unbind(1)[1:], strict=False):
            x = getattr(generator.synthesis, name)(x, w)
        expected = (generator.synthesis(ws) + 1) / 2
    codes = torch.cat([x.flatten(1), ws[:, layer + 1 :].flatten(1)], 1)
    assert torch.allclose(prior.decode(codes), expected, atol=1e-6)
    split, left = prior.split(codes)
    assert torch.equal(split, x) and torch.equal(left, ws[:, layer + 1 :])


@pytest.mark.parametrize("layer", [None, 0, 2])
def test_start_is_the_mean_code_and_the_same_each_time(generator, layer):
    prior = StyleGANXLPrior(generator, layer=layer)
    codes = prior.encode(IMAGES)
    assert codes.shape == (2, *prior.code_shape(16)) and not codes.requires_grad
    assert torch.equal(codes, prior.encode(IMAGES)) and torch.equal(codes[0], codes[1])
    assert not torch.equal(codes, StyleGANXLPrior(generator, layer=layer, seed=1).encode(IMAGES))
    # z has mean 0, and each of the five classes comes with probability 1/5.
    weight, bias = generator.mapping.linear.weight, generator.mapping.linear.bias
    _, left = prior.split(codes)
    assert torch.allclose(left[0, -1], bias + weight[:, 3:].mean(1), atol=0.02)


def test_generator_without_classes_works():
    prior = StyleGANXLPrior(Generator(c_dim=0))
    assert prior.decode(prior.encode(IMAGES)).shape == IMAGES.shape


def test_starting_features_are_made_finite_and_clipped(generator):
    with torch.no_grad():
        generator.synthesis.input.basis[0, 0, :3] = torch.tensor([math.nan, math.inf, -1e6])
    prior = StyleGANXLPrior(generator, layer=0)
    features, _ = prior.split(prior.encode(IMAGES))
    assert features.isfinite().all() and features.abs().max() == 10
    assert features[0, 0, 0, 0] == 0


@pytest.mark.parametrize("layer", [None, 1])
def test_gradient_of_a_code_agrees_with_finite_differences(generator, layer):
    prior = StyleGANXLPrior(generator, layer=layer)
    codes = prior.encode(IMAGES[:1]).double().requires_grad_()
    prior.double()
    # decode promises float32; finite differences need more, so its weights and codes are doubled and the step is large.
    assert torch.autograd.gradcheck(prior.decode, (codes,), eps=1e-3, atol=1e-2, rtol=1e-2, nondet_tol=0, fast_mode=True)


def test_comes_frozen_and_counts_the_synthesis_only(generator):
    prior = StyleGANXLPrior(generator)
    assert not any(p.requires_grad for p in prior.parameters()) and not prior.training
    assert prior.bytes == 4 * sum(p.numel() for p in generator.synthesis.parameters())


def test_full_precision_is_asked_for_only_when_wanted(generator, ws):
    layer = generator.synthesis.L0_6_4
    StyleGANXLPrior(generator).decode(ws.flatten(1))
    StyleGANXLPrior(generator, force_fp32=True).decode(ws.flatten(1))
    assert layer.asked == [False, True]


@pytest.mark.parametrize("layer", [-1, 3, 1.5])
def test_layers_out_of_range_come_with_the_table(generator, layer):
    with pytest.raises(PriorError) as error:
        StyleGANXLPrior(generator, layer=layer)
    message = str(error.value)
    assert f"no space F_{layer}: layer must be 0 to 2, or None for W+" in message
    rows = [line.split() for line in message.splitlines()[2:]]
    assert rows == [
        ["0", "input", *"4 x 4 x 4".split(), "3"],
        ["1", "L0_6_4", *"4 x 6 x 6".split(), "2"],
        ["2", "L1_10_5", *"5 x 10 x 10".split(), "1"],
    ]


def test_other_sizes_are_refused(generator):
    prior = StyleGANXLPrior(generator)
    with pytest.raises(PriorError, match="pictures of 8 px are smaller than the 16 px that it makes; use sub-images of 16 px"):
        prior.check_size(8)
    with pytest.raises(PriorError, match="32 px are larger"):
        prior.code_shape(32)
    with pytest.raises(PriorError, match="pictures of 12 px are smaller"):
        prior.encode(torch.zeros(1, 3, 16, 12))


@pytest.mark.parametrize("layer, length", [(None, 24), (1, 156)])
def test_codes_are_checked(generator, layer, length):
    prior = StyleGANXLPrior(generator, layer=layer)
    with pytest.raises(PriorError, match=rf"codes are float \(N, {length}\), got torch.float32 \(2, 23\)"):
        prior.decode(torch.zeros(2, 23))
    codes = torch.zeros(2, length)
    codes[1, -1] = math.nan
    with pytest.raises(PriorError, match=r"1 of 2 codes .*\(code 1: nan\)"):
        prior.decode(codes)


def test_other_architectures_are_named_by_what_they_lack(generator):
    with pytest.raises(PriorError, match="Linear is another architecture: it has no mapping, synthesis, num_ws"):
        StyleGANXLPrior(nn.Linear(1, 1))
    del generator.synthesis.L1_10_5
    with pytest.raises(PriorError, match="it has no synthesis.L1_10_5"):
        StyleGANXLPrior(generator)
    generator.synthesis.layer_names.remove("L1_10_5")
    with pytest.raises(PriorError, match="4 vectors w do not fit an input block and 2 layers"):
        StyleGANXLPrior(generator)


def written(path, content):
    data = content if isinstance(content, bytes) else pickle.dumps(content)
    path.write_bytes(data)
    return {"path": path, "sha256": hashlib.sha256(data).hexdigest(), "trust_pickle": True}


class Malicious:
    """Unpickled, it creates a file."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


def test_checkpoint_is_loaded_when_trusted_and_of_the_right_hash(generator, ws, tmp_path):
    prior = load_stylegan_xl(**written(tmp_path / "g.pkl", {"G": 1, "G_ema": generator}), layer=1)
    assert prior.name == "StyleGAN-XL F1"
    in_w = load_stylegan_xl(**written(tmp_path / "g.pkl", {"G_ema": generator}))
    with torch.no_grad():
        assert torch.equal(in_w.decode(ws.flatten(1)), (generator.synthesis(ws) + 1) / 2)


def test_pickle_is_not_opened_unasked_or_with_another_hash(tmp_path):
    mark = tmp_path / "ran"
    known = written(tmp_path / "g.pkl", Malicious(mark))
    with pytest.raises(PriorError, match="pickle.*can run any code.*trust_pickle=True"):
        load_stylegan_xl(**known | {"trust_pickle": False})
    with pytest.raises(PriorError, match="no hash of https://s3.eu-central.* is published; pass sha256=.*sha256sum g.pkl"):
        load_stylegan_xl(**known | {"sha256": None})
    with pytest.raises(PriorError, match=f"SHA-256 {known['sha256']} instead of 00"):
        load_stylegan_xl(**known | {"sha256": "00" * 32})
    assert not mark.exists()


def test_pickles_of_something_else_are_named(tmp_path):
    path = tmp_path / "g.pkl"
    with pytest.raises(PriorError, match="no generator G_ema but D, E"):
        load_stylegan_xl(**written(path, {"D": 1, "E": 2}))
    with pytest.raises(PriorError, match="no generator G_ema but list"):
        load_stylegan_xl(**written(path, [1]))
    with pytest.raises(PriorError, match="Linear is another architecture"):
        load_stylegan_xl(**written(path, {"G_ema": nn.Linear(1, 1)}))
    with pytest.raises(PriorError, match="cannot be unpickled"):
        load_stylegan_xl(**written(path, b"no pickle"))


def test_missing_modules_are_named_and_found_in_the_folder_of_the_code(tmp_path, generator):
    path = tmp_path / "g.pkl"
    # Protocol 0 names the module of a function in plain text: c<module>\n<name>\n, called with no arguments.
    known = written(path, b"csgxl_test_only_module\nmake\n)R.")
    expected = "needs the Python module 'sgxl_test_only_module'; .*checkout.*code=.*timm==0.4.12.*nvcc"
    with pytest.raises(PriorError, match=expected):
        load_stylegan_xl(**known)
    code = tmp_path / "code"
    code.mkdir()
    (code / "sgxl_test_only_module.py").write_text("def make():\n    return 'made'\n")
    with pytest.raises(PriorError, match="no generator G_ema but str"):
        load_stylegan_xl(**known, code=code)
    assert str(code) not in sys.path


def test_missing_checkpoint_says_where_it_comes_from(tmp_path, monkeypatch):
    monkeypatch.setenv("SRDISTILL_WEIGHTS", str(tmp_path))
    monkeypatch.setattr(pooch, "os_cache", lambda name: tmp_path / "cache")
    with pytest.raises(WeightsMissing, match="stylegan_xl/imagenet512.pkl.*download=True.*avg-projects/stylegan_xl/models"):
        load_stylegan_xl(sha256="00" * 32, trust_pickle=True)
    with pytest.raises(WeightsMissing, match="mine.pkl"):
        load_stylegan_xl(tmp_path / "mine.pkl", sha256="00" * 32, trust_pickle=True)


def test_generator_needs_no_base_class(generator):
    parts = SimpleNamespace(**{name: getattr(generator, name) for name in ("z_dim", "w_dim")})
    with pytest.raises(PriorError, match="SimpleNamespace is another architecture"):
        StyleGANXLPrior(parts)
