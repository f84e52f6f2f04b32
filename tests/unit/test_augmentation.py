"""Augmentation of batches, against one picture at a time."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from srdistill.catalogue.photo_classes import photo_classes
from srdistill.images.pictures import to_float
from srdistill.images.torchvision_import import import_torchvision
from srdistill.training.augmentation import augment, cut_box, random_boxes, resized_crops, shuffle_cells
from srdistill.training.classification_recipe import ClassificationRecipe


@pytest.fixture(scope="module")
def images():
    return to_float(photo_classes("train", per_class=3).images)


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def test_resized_crops_are_crops_that_are_resized_one_by_one(images):
    boxes = random_boxes(len(images), 32, (0.05, 1.0), generator())
    flips = torch.rand(len(images), generator=generator()) < 0.5
    wanted = []
    for image, (top, left, height, width), flip in zip(images, boxes.tolist(), flips.tolist(), strict=True):
        crop = image[:, top : top + height, left : left + width]
        resized = F.interpolate(crop[None], (32, 32), mode="bilinear", align_corners=False)[0]
        wanted.append(resized.flip(-1) if flip else resized)
    assert torch.allclose(resized_crops(images, boxes, flips), torch.stack(wanted), atol=1e-5)
    assert flips.any() and not flips.all()


def test_boxes_are_distributed_as_torchvisions():
    import_torchvision()
    from torchvision.transforms import RandomResizedCrop

    torch.manual_seed(0)
    for scale in ((0.08, 1.0), (0.5, 1.0)):
        theirs = np.array([RandomResizedCrop.get_params(torch.zeros(1, 64, 64), scale, (3 / 4, 4 / 3)) for _ in range(3000)])
        ours = random_boxes(3000, 64, scale, generator()).numpy()
        assert (ours[:, :2] >= 0).all() and (ours[:, :2] + ours[:, 2:] <= 64).all() and (ours[:, 2:] >= 1).all()
        assert np.allclose(ours.mean(0), theirs.mean(0), atol=1.0)
        assert np.allclose(ours.std(0), theirs.std(0), atol=1.0)


def test_whole_pictures_stay_as_they_are(images):
    recipe = ClassificationRecipe(1, crop_scale=(1.0, 1.0), flip=False, cutmix=False)
    assert torch.equal(augment(images, recipe, generator()).images, images)
    flipped = augment(images, ClassificationRecipe(1, crop_scale=(1.0, 1.0), cutmix=False), generator()).images
    same = [torch.allclose(a, b, atol=1e-5) for a, b in zip(flipped, images, strict=True)]
    mirrored = [torch.allclose(a, b.flip(-1), atol=1e-5) for a, b in zip(flipped, images, strict=True)]
    assert all(a or b for a, b in zip(same, mirrored, strict=True)) and any(same) and any(mirrored)


def test_cutmix_pastes_one_box_of_the_partner_and_mixes_labels_by_its_area(images):
    recipe = ClassificationRecipe(1, crop_scale=(1.0, 1.0), flip=False)
    labels = F.one_hot(torch.arange(11).repeat_interleave(3), 11).double()
    areas = set()
    for seed in range(10):
        mixed = augment(images, recipe, generator(seed))
        partner = mixed.partner.tolist()
        assert sorted(partner) == list(range(len(images)))
        # Where is the box? Recover it from pictures that are all of one colour, the number of the picture.
        numbers = torch.arange(len(images)).float().view(-1, 1, 1, 1).expand(-1, 3, 32, 32)
        marks = augment(numbers, recipe, generator(seed)).images
        pasted = next((marks[i, 0] == partner[i] for i in range(len(images)) if partner[i] != i), None)
        rows, columns = pasted.any(1).nonzero().flatten(), pasted.any(0).nonzero().flatten()
        wanted = images.clone()
        if len(rows):
            box = (slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1))
            for i, j in enumerate(partner):
                for channel in range(3):
                    wanted[i, channel][box] = images[j, channel][box]
        assert torch.equal(mixed.images, wanted)
        area = pasted.double().mean().item()
        assert mixed.share == pytest.approx(1 - area, abs=1e-12)
        expected = torch.stack([(1 - area) * labels[i] + area * labels[j] for i, j in enumerate(partner)])
        assert torch.allclose(mixed.mix(labels), expected)
        areas.add(round(area, 3))
    assert len(areas) > 5


def test_boxes_of_cutmix_are_distributed_as_in_its_plain_form():
    rng = np.random.default_rng(0)
    plain = []
    for _ in range(4000):
        cut = np.sqrt(1.0 - rng.beta(1.0, 1.0))
        side, (x, y) = int(64 * cut), rng.integers(64, size=2)
        corners = np.clip([x - side // 2, x + side // 2, y - side // 2, y + side // 2], 0, 64)
        plain.append((corners[1] - corners[0]) * (corners[3] - corners[2]) / 64**2)
    draws, ours = generator(), []
    for _ in range(4000):
        top, bottom, left, right = cut_box(64, draws)
        ours.append((bottom - top) * (right - left) / 64**2)
    assert np.mean(ours) == pytest.approx(np.mean(plain), abs=0.015)
    assert np.quantile(ours, (0.25, 0.75)) == pytest.approx(np.quantile(plain, (0.25, 0.75)), abs=0.03)


def test_cells_of_a_collage_change_places_by_rows_and_columns(images):
    count = 4
    collages = torch.arange(9.0).view(1, 1, 3, 3).repeat_interleave(2, -1).repeat_interleave(2, -2).repeat(count, 3, 1, 1)
    shuffled = shuffle_cells(collages, 3, generator())
    layouts = [shuffled[i, 0, ::2, ::2] for i in range(count)]
    for i, layout in enumerate(layouts):
        assert sorted(layout.flatten().tolist()) == list(range(9))
        # Cells of one row stay in one row, cells of one column in one column.
        assert all(len(set((row // 3).tolist())) == 1 for row in layout.int())
        assert all(len(set((column % 3).tolist())) == 1 for column in layout.T.int())
        assert torch.equal(shuffled[i, 0], layout.repeat_interleave(2, 0).repeat_interleave(2, 1))
    assert len({tuple(layout.flatten().tolist()) for layout in layouts}) > 1
    # Inside a cell nothing moves.
    real = shuffle_cells(images, 2, generator())
    pieces = {tuple(images[0, :, y : y + 16, x : x + 16].flatten().tolist()) for y in (0, 16) for x in (0, 16)}
    assert {tuple(real[0, :, y : y + 16, x : x + 16].flatten().tolist()) for y in (0, 16) for x in (0, 16)} == pieces
    with pytest.raises(ValueError, match="collage of 33 x 33 cells cannot be 32 px"):
        shuffle_cells(images, 33, generator())


def test_cells_of_different_length_change_places_whole(images):
    # 32 px in three cells: 11, 11 and 10 px.
    shuffled, edges = shuffle_cells(images, 3, generator()), (0, 11, 22, 32)
    orders = torch.rand(2, len(images), 3, generator=generator()).argsort(-1)
    for image, made, rows, columns in zip(images, shuffled, *orders.tolist(), strict=True):
        plain = torch.cat([image[:, edges[k] : edges[k + 1]] for k in rows], 1)
        plain = torch.cat([plain[:, :, edges[k] : edges[k + 1]] for k in columns], 2)
        assert torch.equal(made, plain)


def test_augmentation_depends_on_its_generator_alone(images):
    recipe = ClassificationRecipe(1, collage=2, crop_scale=(0.25, 1.0))
    first = augment(images, recipe, generator(1))
    torch.manual_seed(77)
    again, other = augment(images, recipe, generator(1)), augment(images, recipe, generator(2))
    assert torch.equal(first.images, again.images) and first.share == again.share
    assert not torch.equal(first.images, other.images)
    assert first.images.min() >= 0 and first.images.max() <= 1
