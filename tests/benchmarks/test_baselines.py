"""Baselines that distil pictures: trajectories without a graph of all steps, classes matched together, experts in parallel."""

from dataclasses import replace

import torch
import torch.nn.functional as F
from workers import one_and_two

from srdistill.catalogue.labelled_collections import load_labelled
from srdistill.images.pictures import to_float
from srdistill.papers import coreset
from srdistill.papers.coreset.baselines import matched
from srdistill.papers.coreset.matching.distribution_matching import class_means, distances
from srdistill.papers.coreset.matching.units import channel_units, unit_network
from srdistill.papers.coreset.trajectories.flat_network import FlatNetwork
from srdistill.papers.coreset.trajectories.trajectory_gradient import StudentRun, StudentStep
from srdistill.study.rows import FromCell

NETWORK = {"architecture": "ConvNet", "depth": 3, "width": 32, "norm": "instance"}


def _case(dtype: torch.dtype):
    real = load_labelled("photos", "train", size=32, per_class=16)
    net = FlatNetwork(unit_network(NETWORK, real, 0).to(dtype))
    begin = net.weights
    target = begin + 0.01 * torch.randn(len(net), generator=torch.Generator().manual_seed(0), dtype=dtype)
    pictures = channel_units(real).normalised(to_float(real.images[::16])).to(dtype)
    return net, begin, target, pictures, torch.arange(len(pictures))


def _unrolled(net, begin, target, pictures, labels, beta, count):
    pictures, weights = pictures.clone().requires_grad_(), begin.clone().requires_grad_()
    kept = weights
    for _ in range(count):
        loss = F.cross_entropy(net(kept, pictures), labels)
        kept = kept - beta * torch.autograd.grad(loss, kept, create_graph=True)[0]
    return torch.autograd.grad((kept - target).square().sum() / (begin - target).square().sum(), pictures)[0]


def _adjoint(net, begin, target, pictures, labels, beta, count):
    steps = [StudentStep(labels, lambda shown: shown)] * count
    return StudentRun(net, begin, target, pictures, labels, torch.tensor(beta, dtype=begin.dtype), steps).gradient().pictures


def _saved(work) -> int:
    """The most bytes of tensors that graphs hold at any time."""
    held = most = 0

    class Kept:
        def __init__(self, tensor):
            nonlocal held, most
            self.tensor, self.bytes = tensor, tensor.numel() * tensor.element_size()
            held += self.bytes
            most = max(most, held)

        def __del__(self):
            nonlocal held
            held -= self.bytes

    with torch.autograd.graph.saved_tensors_hooks(Kept, lambda kept: kept.tensor):
        work()
    return most


def test_trajectories_without_a_graph_of_all_steps(ratio, note):
    """20 steps of a student on 11 pictures: each step made again on the way back, against one graph of all of them."""
    exact = _case(torch.float64)
    found, wanted = (way(*exact, 0.02, 5) for way in (_adjoint, _unrolled))
    assert float((found - wanted).norm() / wanted.norm()) < 1e-10
    case = _case(torch.float32)
    ratio(lambda: _unrolled(*case, 0.02, 20), lambda: _adjoint(*case, 0.02, 20), rounds=3)
    for count in (5, 20):
        plain, ours = (_saved(lambda way=way, count=count: way(*case, 0.02, count)) for way in (_unrolled, _adjoint))
        note(f"graphs of {count} steps: unrolled {plain / 2**20:.0f} MiB, step by step {ours / 2**20:.0f} MiB")


def test_classes_matched_together(ratio):
    """A step of distribution matching, 11 classes of 16 real pictures and one to learn: together against class by class."""
    real = load_labelled("photos", "train", size=32, per_class=16)
    network, units = unit_network(NETWORK, real, 0), channel_units(real)
    theirs = units.normalised(to_float(real.images)).split(16)
    ours = units.normalised(to_float(real.images[::16]))

    def together():
        leaf = ours.clone().requires_grad_()
        return torch.autograd.grad(distances(network, leaf, class_means(network, theirs)).sum(), leaf)[0]

    def one_by_one():
        found = []
        for real_of_class, own in zip(theirs, ours.split(1), strict=True):
            leaf = own.clone().requires_grad_()
            with torch.no_grad():
                target = network.embed(real_of_class).mean(0)
            found.append(torch.autograd.grad((network.embed(leaf).mean(0) - target).square().sum(), leaf)[0])
        return torch.cat(found)

    assert torch.allclose(together(), one_by_one(), rtol=1e-4, atol=1e-5)
    ratio(one_by_one, together)


def test_experts_of_two_workers(monkeypatch, tmp_path, note):
    """Six experts of 32 px with one worker and with two: the same trajectories, bit for bit."""

    def experts(place):
        monkeypatch.setenv("SRDISTILL_STORE", str(place))
        study = coreset.PAPER.open("coreset_t5", profile="laptop", seeds=1)
        baselines = replace(study.plan.baselines, experts=6)
        study.plan = replace(study.plan, baselines=baselines)
        which = FromCell("experts", {"method": coreset.MTT, "ipc": 1})
        return study.resolved(which, study.cells([matched(coreset.MTT, 1, coreset.MTT)])[0])

    seconds = one_and_two(tmp_path, "srdistill.papers.coreset.trajectories.experts", experts)
    note(f"6 experts: 1 worker {seconds[1]:.1f} s, 2 workers {seconds[2]:.1f} s, {seconds[1] / seconds[2]:.2f} x")
