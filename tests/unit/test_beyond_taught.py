"""A teacher's images in place of shrunken ones."""

import pytest
import torch

from srdistill.catalogue.photos import photos
from srdistill.images.convention import bicubic, low_resolution
from srdistill.images.pictures import to_float, to_uint8
from srdistill.networks import build_network
from srdistill.papers.beyond.shaping.shaped import shaped
from srdistill.papers.beyond.shaping.taught import taught
from srdistill.seeds import generator_for
from srdistill.sets.distilled_set import SelectionError


@pytest.fixture(scope="module")
def real():
    return photos("train")


@pytest.fixture(scope="module")
def source(real):
    return shaped(real, size=24, count=40, generator=generator_for(0, "set"))


class Bicubic(torch.nn.Module):
    """A teacher whose answers are known."""

    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.ones(1))

    def forward(self, lr):
        return bicubic(lr, 2)


def make(real, source, teacher, **given):
    return taught(real, source=source, teacher=teacher, scale=2, generator=generator_for(0, "set"), **given)


def test_images_are_what_the_teacher_makes_of_their_lr_versions(real, source):
    made = make(real, source, Bicubic())
    assert torch.equal(made.images, to_uint8(bicubic(to_float(low_resolution(source.images, 2)), 2)))
    assert torch.equal(made.labels, source.labels) and made.names == source.names
    assert (made.method, made.settings["source"], made.settings["teacher"]) == ("taught", "shaped", "Bicubic")


def test_half_taught_lies_half_way(real, source):
    whole, half = make(real, source, Bicubic()).images.float(), make(real, source, Bicubic(), share=0.5).images.float()
    assert (half - (whole + source.images.float()) / 2).abs().max() <= 1


def test_a_network_teaches_without_being_changed(real, source):
    teacher = build_network("EDSR", 2, 0, width=4, depth=1)
    before = {name: value.clone() for name, value in teacher.state_dict().items()}
    made = make(real, source, teacher)
    assert not torch.equal(made.images, source.images)
    assert all(torch.equal(value, before[name]) for name, value in teacher.state_dict().items())
    assert all(weight.grad is None for weight in teacher.parameters())


@pytest.mark.parametrize("share", [0.0, -0.1, 1.1])
def test_a_share_that_means_nothing_is_refused(real, source, share):
    with pytest.raises(SelectionError, match="share"):
        make(real, source, Bicubic(), share=share)


def test_sides_that_the_scale_does_not_divide_are_refused(real):
    odd = shaped(real, size=25, count=7, generator=generator_for(0, "set"))
    with pytest.raises(SelectionError, match="25 x 25"):
        make(real, odd, Bicubic())
