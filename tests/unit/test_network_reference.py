"""RCAN, RRDBNet, SRFormer and HiT-SR against spandrel's networks and against plain loops over positions."""

import itertools

import numpy as np
import pytest
import torch

from srdistill.images.pictures import to_float
from srdistill.images.torchvision_import import import_torchvision
from srdistill.networks import build_network
from srdistill.networks.hit_sr import Correlation
from srdistill.networks.srformer import Block, PermutedAttention
from srdistill.networks.transformer import from_windows, reflect_to_multiple, relative_bias, to_windows


@pytest.fixture
def lr(pictures):
    """Two real pieces, (2, 3, 10, 12) in [0, 1]."""
    return to_float(torch.stack([image[:, 20:30, 30:42] for image in pictures.images[:2]]))


@pytest.fixture
def architectures():
    import_torchvision()
    from spandrel import architectures

    return architectures


@pytest.mark.parametrize("scale", [2, 4])
def test_rcan_equals_spandrels_own_colours(lr, architectures, scale):
    """Its own centring gives the same before training, but changes the input and would learn."""
    from spandrel.architectures.RCAN import RCAN

    network = build_network("RCAN", scale, 0, width=8, groups=2, depth=2, reduction=4)
    reference = RCAN(scale=scale, n_feats=8, n_resgroups=2, n_resblocks=2, reduction=4, norm=True)
    assert reference.load_state_dict(network.body.state_dict(), strict=False).missing_keys == [
        f"{name}_mean.{kind}" for name in ("sub", "add") for kind in ("weight", "bias")
    ]
    assert torch.allclose(network(lr), reference(lr.clone()), atol=1e-5)


@pytest.mark.parametrize("scale", [2, 4])
def test_rrdbnet_equals_spandrels(lr, architectures, scale):
    from spandrel.architectures.ESRGAN import ESRGAN

    network = build_network("RRDBNet", scale, 0, width=8, depth=2, growth=32)
    reference = ESRGAN(scale=scale, num_filters=8, num_blocks=2)
    state = dict(zip(reference.state_dict(), network.state_dict().values(), strict=True))
    reference.load_state_dict(state)
    assert torch.allclose(network(lr), reference(lr), atol=1e-6)


def test_rrdbnet_starts_with_small_dense_blocks():
    network = build_network("RRDBNet", 4, 0, width=32, depth=1, growth=16)
    layer = network.body[0].blocks[1].layers[2]
    fan_in = 9 * (32 + 2 * 16)
    assert layer.weight.std().item() == pytest.approx(0.1 * (2 / fan_in) ** 0.5, rel=0.05)
    assert not layer.bias.any()


@pytest.mark.parametrize("shape", [(1, 1), (2, 3), (5, 8), (8, 16), (9, 7), (3, 30)])
def test_reflection_reaches_as_far_as_it_must(shape):
    x = torch.rand(2, *shape, 3)
    ours = reflect_to_multiple(x, 8, (1, 2))
    missing = [-side % 8 for side in shape]
    expected = np.pad(x.numpy(), [(0, 0), (0, missing[0]), (0, missing[1]), (0, 0)], mode="reflect")
    assert np.array_equal(ours.numpy(), expected)


def test_windows_are_cut_row_by_row_and_put_back():
    x = torch.rand(2, 6, 9, 4)
    windows = to_windows(x, 3)
    cut = [x[n, y : y + 3, z : z + 3].reshape(9, 4) for n in range(2) for y in (0, 3) for z in (0, 3, 6)]
    assert torch.equal(windows, torch.stack(cut))
    assert torch.equal(from_windows(windows, 3, 6, 9), x)


@pytest.mark.parametrize(("size", "cell"), [(3, 1), (4, 2), (6, 3), (4, 4)])
def test_bias_belongs_to_the_offset_of_query_minus_key(size, cell):
    table = torch.rand(2, 2 * size - 1, 2 * size - 1)
    ours = relative_bias(table, size, cell)
    cells = size // cell
    assert ours.shape == (2, size**2, cells**2)
    for (qy, qx), (cy, cx) in itertools.product(np.ndindex(size, size), np.ndindex(cells, cells)):
        keys = itertools.product(range(cy * cell, (cy + 1) * cell), range(cx * cell, (cx + 1) * cell))
        mean = torch.stack([table[:, qy - ky + size - 1, qx - kx + size - 1] for ky, kx in keys]).mean(0)
        assert torch.allclose(ours[:, qy * size + qx, cy * cells + cx], mean, atol=1e-6)


@torch.no_grad()
def test_permuted_attention_equals_loops_over_queries_and_cells():
    width, heads, window = 8, 2, 4
    torch.manual_seed(0)
    attention = PermutedAttention(width, heads, window)
    attention.bias.normal_()
    x = torch.randn(1, window**2, width)
    queries = attention.query(x)[0].view(window, window, width)
    folded = attention.key_value(x)[0].view(window, window, width // 2)
    half, each = window // 2, width // heads
    expected = torch.zeros(window, window, width)
    for head, y, z in itertools.product(range(heads), range(window), range(window)):
        scores, values = [], []
        for cy, cx in np.ndindex(half, half):
            four = [folded[2 * cy + dy, 2 * cx + dx] for dy, dx in np.ndindex(2, 2)]
            key = torch.cat([f[: width // 4] for f in four])[head * each : (head + 1) * each]
            values.append(torch.cat([f[width // 4 :] for f in four])[head * each : (head + 1) * each])
            score = queries[y, z, head * each : (head + 1) * each] @ key / each**0.5
            scores.append(score + attention.bias[head, y // 2 - cy + half - 1, z // 2 - cx + half - 1])
        weights = torch.softmax(torch.stack(scores), 0)
        expected[y, z, head * each : (head + 1) * each] = sum(w * v for w, v in zip(weights, values, strict=True))
    expected = attention.project(expected.view(1, window**2, width))
    assert torch.allclose(attention(x), expected, atol=1e-5)


@torch.no_grad()
def test_shifted_windows_do_not_look_across_the_border():
    """What a position sees: its window after the shift, as far as that lies on its own side of the picture."""
    torch.manual_seed(0)
    attention = Block(8, 2, 4, 2, 2)
    attention.feed_forward = torch.nn.Identity()  # whose convolution would take it further
    x = torch.randn(1, 8, 12, 8)
    windows_y, windows_x = [(0, 2), (2, 6), (6, 8)], [(0, 2), (2, 6), (6, 10), (10, 12)]
    for y, z in np.ndindex(8, 12):
        changed = x.clone()
        changed[0, y, z] = torch.randn(8)
        seen = (attention(changed) != attention(x)).any(-1)[0]
        (top, bottom), (left, right) = (next(w for w in ws if w[0] <= p < w[1]) for ws, p in ((windows_y, y), (windows_x, z)))
        expected = torch.zeros(8, 12, dtype=torch.bool)
        expected[top:bottom, left:right] = True
        assert torch.equal(seen, expected), (y, z)


@torch.no_grad()
@pytest.mark.parametrize(("window", "base"), [(2, 4), (4, 4), (4, 2), (6, 2)])
def test_correlation_equals_loops_over_queries_and_cells(window, base):
    width, heads = 12, 2
    torch.manual_seed(0)
    correlation = Correlation(width, heads, base, window)
    x = torch.randn(1, window, window, width)
    features = correlation.features(x.permute(0, 3, 1, 2))[0].permute(1, 2, 0)
    queries, values = features[..., : width // 2], features[..., width // 2 :]
    cell = max(1, window // base)
    cells, each = window // cell, width // 2 // heads
    table = correlation.position(window)
    pooled = {}
    for cy, cx in np.ndindex(cells, cells):
        inside = [values[cy * cell + dy, cx * cell + dx] for dy, dx in np.ndindex(cell, cell)]
        weight, bias = correlation.pool.weight[0], correlation.pool.bias[0]
        pooled[cy, cx] = sum(w * v for w, v in zip(weight, inside, strict=True)) + bias
    spatial = torch.zeros(window, window, width // 2)
    for head, y, z in itertools.product(range(heads), range(window), range(window)):
        part = slice(head * each, (head + 1) * each)
        for (cy, cx), value in pooled.items():
            offsets = [
                table[head, y - cy * cell - dy + window - 1, z - cx * cell - dx + window - 1]
                for dy, dx in np.ndindex(cell, cell)
            ]
            score = queries[y, z, part] @ value[part] / each + torch.stack(offsets).mean()
            spatial[y, z, part] += score * value[part]
    flat_q, flat_v = queries.reshape(-1, width // 2), values.reshape(-1, width // 2)
    channel = torch.zeros(window**2, width // 2)
    for i, j in np.ndindex(width // 2, width // 2):
        channel[:, i] += (flat_q[:, i] * flat_v[:, j]).mean() * flat_v[:, j]
    expected = correlation.project(torch.cat([spatial, channel.view(window, window, -1)], -1))
    assert torch.allclose(correlation(x)[0], expected, atol=1e-5)


@torch.no_grad()
def test_position_bias_is_a_function_of_the_offset():
    position = Correlation(32, 2, 4, 4).position
    small, large = position(4), position(7)
    assert small.shape == (2, 7, 7) and large.shape == (2, 13, 13)
    assert torch.allclose(large[:, 3:-3, 3:-3], small, atol=1e-6)
    assert small.std() > 0


@torch.no_grad()
def test_srformer_cuts_back_what_it_added(lr):
    network = build_network("SRFormer", 2, 0, width=8, depths=(2,), heads=2, window=8)
    padded = torch.from_numpy(np.pad(lr.numpy(), [(0, 0), (0, 0), (0, 6), (0, 4)], mode="reflect"))
    assert torch.equal(network(lr), network(padded)[..., :20, :24])


@pytest.mark.parametrize("architecture", ["RCAN", "SRFormer", "HiTSR", "RRDBNet"])
def test_batches_do_not_mix(lr, architecture):
    sizes = {
        "RCAN": {"width": 8, "groups": 1, "depth": 1, "reduction": 4},
        "SRFormer": {"width": 8, "depths": (2,), "heads": 2, "window": 4},
        "HiTSR": {"width": 16, "groups": 1, "heads": 2, "base": 4, "windows": (4, 8)},
        "RRDBNet": {"width": 8, "depth": 1, "growth": 4},
    }
    network = build_network(architecture, 2, 0, **sizes[architecture])
    assert torch.allclose(network(lr)[1:], network(lr[1:]), atol=1e-6)
