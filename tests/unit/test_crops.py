"""Crops drawn in one gather equal plain slicing and flipping."""

import pytest
import torch

from srdistill.images.crops import CropBank, d4
from srdistill.images.pictures import PictureError


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def test_eight_elements_are_all_flips_and_turns():
    image = torch.arange(9).view(1, 3, 3)
    ours = {tuple(d4(image, element).flatten().tolist()) for element in range(8)}
    turns = [torch.rot90(image, k, (1, 2)) for k in range(4)]
    theirs = {tuple(t.flatten().tolist()) for turn in turns for t in (turn, turn.flip(-1))}
    assert ours == theirs and len(ours) == 8
    assert torch.equal(d4(image, 0), image)


@pytest.mark.parametrize("element", range(8))
def test_crop_equals_slicing_and_flipping(pictures, element):
    bank = CropBank(pictures.images)
    places = [(0, 0, 0), (0, 73, 97), (1, 57, 57), (1, 11, 3), (2, 81, 49), (2, 0, 49), (0, 73, 0)]
    which, top, left = torch.tensor(places).T
    crops = bank.crop(which, top, left, 23, torch.full((len(places),), element))
    expected = [d4(pictures.images[i][:, y : y + 23, x : x + 23], element) for i, y, x in places]
    assert crops.dtype == torch.uint8 and torch.equal(crops, torch.stack(expected))


def test_each_crop_of_a_batch_has_its_own_flip(pictures):
    bank = CropBank(pictures.images)
    zeros, elements = torch.zeros(8, dtype=torch.long), torch.arange(8)
    crops = bank.crop(zeros, zeros + 4, zeros + 9, 16, elements)
    patch = pictures.images[0][:, 4:20, 9:25]
    assert torch.equal(crops, torch.stack([d4(patch, element) for element in range(8)]))


def test_crop_without_flips_is_plain(pictures):
    bank = CropBank(pictures.images)
    crops = bank.crop(torch.tensor([2]), torch.tensor([5]), torch.tensor([6]), 30)
    assert torch.equal(crops[0], pictures.images[2][:, 5:35, 6:36])


def test_size_may_change_from_call_to_call(pictures):
    bank = CropBank(pictures.images)
    for size in (8, 12, 8):
        crop = bank.crop(torch.tensor([1]), torch.tensor([1]), torch.tensor([2]), size, torch.tensor([5]))
        assert torch.equal(crop[0], d4(pictures.images[1][:, 1 : 1 + size, 2 : 2 + size], 5))


def test_random_crops_depend_on_the_generator_alone(pictures):
    first = CropBank(pictures.images).random_crops(6, 24, seeded(1))
    torch.rand(3)
    assert torch.equal(first, CropBank(pictures.images).random_crops(6, 24, seeded(1)))
    assert not torch.equal(first, CropBank(pictures.images).random_crops(6, 24, seeded(2)))


def test_random_crops_are_pieces_of_the_pictures_and_reach_every_corner(pictures):
    image = pictures.images[1][:, :9, :9].contiguous()
    crops = CropBank([image]).random_crops(400, 8, seeded())
    pieces = {
        d4(image[:, y : y + 8, x : x + 8], e).contiguous().numpy().tobytes()
        for y in range(2)
        for x in range(2)
        for e in range(8)
    }
    assert {crop.contiguous().numpy().tobytes() for crop in crops} == pieces


def test_crop_as_large_as_the_picture(pictures):
    crops = CropBank([pictures.images[1]]).random_crops(4, 80, seeded())
    assert crops.shape == (4, 3, 80, 80)
    assert all(torch.equal(crop.float().sum(), pictures.images[1].float().sum()) for crop in crops)


def test_pictures_are_drawn_by_their_pixels_or_as_asked():
    images = [torch.full((3, 30, 30), 10, dtype=torch.uint8), torch.full((3, 30, 90), 20, dtype=torch.uint8)]
    bank = CropBank(images)
    share = (bank.random_crops(2000, 4, seeded())[:, 0, 0, 0] == 20).double().mean()
    assert share == pytest.approx(0.75, abs=0.04)
    asked = torch.tensor([1, 0, 0, 1])
    assert bank.random_crops(4, 4, seeded(), asked)[:, 0, 0, 0].tolist() == [20, 10, 10, 20]


def test_crop_larger_than_the_picture_is_refused(pictures):
    with pytest.raises(PictureError, match="crops of 73 px do not fit a picture of 72 px"):
        CropBank(pictures.images[2:]).random_crops(2, 73, seeded())


def test_no_pictures_are_refused():
    with pytest.raises(PictureError, match="no pictures"):
        CropBank([])
