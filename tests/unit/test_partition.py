"""Pictures of cells: there and back, and what students of IDM are shown."""

import pytest
import torch
import torch.nn.functional as F
from tiny_classes import few_photos

from srdistill.images.pictures import PictureError, to_float
from srdistill.papers.coreset.matching.partition import cut, gathered, joined, partition, partition_labels


@pytest.fixture(scope="module")
def pictures():
    return to_float(few_photos(per_class=4, size=12).images)


@pytest.mark.parametrize("factor", [1, 2, 3, 4])
def test_cells_lead_back(pictures, factor):
    cells = cut(pictures, factor)
    assert cells.shape == (12 * factor**2, 3, 12 // factor, 12 // factor)
    assert torch.equal(joined(cells, factor), pictures)


def test_cells_lie_row_by_row(pictures):
    cells = cut(pictures, 2)
    assert torch.equal(cells[4], pictures[1, :, :6, :6]) and torch.equal(cells[5], pictures[1, :, :6, 6:])
    assert torch.equal(cells[6], pictures[1, :, 6:, :6]) and torch.equal(cells[7], pictures[1, :, 6:, 6:])


def test_partition_enlarges_every_cell_by_itself(pictures):
    seen = partition(pictures, 2)
    assert seen.shape == (48, 3, 12, 12)
    alone = F.interpolate(pictures[1:2, :, 6:, :6], (12, 12), mode="bilinear", align_corners=False)
    torch.testing.assert_close(seen[6:7], alone)
    assert partition_labels(torch.tensor([2, 0])).tolist() == [2] * 4 + [0] * 4


def test_gathered_pictures_come_out_again_at_half_the_resolution(pictures):
    """What is cut out of the pictures that IDM starts from is each of its four real pictures, halved."""
    halved = F.avg_pool2d(pictures, 2)  # bilinear at exactly half the side
    torch.testing.assert_close(cut(gathered(pictures, 2), 2), halved)
    expected = F.interpolate(halved, (12, 12), mode="bilinear", align_corners=False)
    torch.testing.assert_close(partition(gathered(pictures, 2), 2), expected)


def test_partition_can_be_differentiated(pictures):
    leaf = pictures[:1].double().requires_grad_()
    assert torch.autograd.gradcheck(lambda x: partition(x[..., :4, :4], 2), leaf[..., :4, :4].detach().requires_grad_())
    assert partition(leaf).requires_grad


def test_what_does_not_divide_is_refused(pictures):
    with pytest.raises(PictureError, match="5 x 5 cells of one size do not fill pictures of 12 px; use a divisor of 12"):
        partition(pictures, 5)
    with pytest.raises(PictureError, match="7 cells do not make pictures of 2 x 2; give a multiple of 4"):
        joined(torch.zeros(7, 3, 2, 2), 2)
    with pytest.raises(PictureError, match="5 x 5 cells"):
        gathered(pictures, 5)
