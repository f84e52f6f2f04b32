"""Differentiable Siamese augmentation: what each operation does, by hand; one draw for two batches; derivatives."""

import math
from collections import Counter

import pytest
import torch
import torch.nn.functional as F

from srdistill.catalogue.photo_classes import photo_classes
from srdistill.images.pictures import to_float
from srdistill.training.dsa import OPERATIONS, draw_dsa


@pytest.fixture(scope="module")
def images():
    pictures = to_float(photo_classes("train", per_class=1).images)
    return (pictures - pictures.mean((0, 2, 3), keepdim=True)) / pictures.std((0, 2, 3), keepdim=True)


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def drawn(operation, size=32, count=None, seed=0):
    """The first draw of ``operation`` that a generator comes to."""
    draws = generator(seed)
    return next(draw for draw in iter(lambda: draw_dsa(draws, size, count), None) if draw.operation == operation)


def test_operations_are_equally_likely():
    draws = generator()
    found = Counter(draw_dsa(draws, 8).operation for _ in range(1200))
    assert set(found) == set(OPERATIONS) == {"color", "crop", "cutout", "flip", "scale", "rotate"}
    # Within four standard deviations of 200.
    assert all(abs(count - 200) < 4 * math.sqrt(1200 / 6 * 5 / 6) for count in found.values())


@pytest.mark.parametrize("operation", OPERATIONS)
def test_one_draw_does_the_same_to_two_batches(images, operation):
    draw = drawn(operation)
    real, synthetic = draw(images), draw(images[[7, 3]])
    assert torch.equal(synthetic, real[[7, 3]])
    assert torch.equal(draw(images), real) and real.shape == images.shape and real.is_contiguous()


@pytest.mark.parametrize("operation", OPERATIONS)
def test_each_picture_has_parameters_of_its_own(images, operation):
    draw = drawn(operation, count=len(images))
    changed = draw(images)
    alone = [type(draw)(operation, 32, draw.parameters[k : k + 1])(images[k : k + 1]) for k in range(len(images))]
    assert torch.allclose(changed, torch.cat(alone), atol=1e-6)
    assert len(draw.parameters.unique(dim=0)) == (2 if operation == "flip" else len(images))


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("count", [None, 3])
def test_derivatives_of_first_and_second_order(operation, count):
    draw = drawn(operation, size=5, count=count)
    images = torch.rand(3, 3, 5, 5, dtype=torch.float64, generator=generator(1), requires_grad=True)
    assert torch.autograd.gradcheck(draw, images)
    assert torch.autograd.gradgradcheck(draw, images)


@pytest.mark.parametrize("operation", ["scale", "rotate"])
def test_resampling_has_derivatives_of_third_order_and_for_vmap(operation):
    draw = drawn(operation, size=6)
    images = torch.rand(2, 3, 6, 6, dtype=torch.float64, generator=generator(1), requires_grad=True)

    def energy(x):
        return (draw(x) ** 4).sum()

    first = torch.autograd.grad(energy(images), images, create_graph=True)[0]
    second = torch.autograd.grad(first.sum(), images, create_graph=True)[0]
    third = torch.autograd.grad(second.sum(), images)[0]
    # The same map as a matrix, whose derivatives autograd knows.
    matrix = draw(torch.eye(36, dtype=torch.float64).view(36, 1, 6, 6)).flatten(1).T
    x = images.detach().flatten(2)
    seen, ones = x @ matrix.T, torch.ones_like(x) @ matrix.T
    assert torch.allclose(first.flatten(2), (4 * seen**3) @ matrix)
    assert torch.allclose(second.flatten(2), (12 * seen**2 * ones) @ matrix)
    assert torch.allclose(third.flatten(2), (24 * seen * ones**2) @ matrix)
    each = torch.func.vmap(torch.func.grad(lambda x: energy(x[None])))(images.detach())
    assert torch.allclose(each, first)


def test_color_is_brightness_then_saturation_then_contrast(images):
    draw = drawn("color", count=len(images))
    for image, changed, (shift, saturation, contrast) in zip(images, draw(images), draw.parameters.tolist(), strict=True):
        assert -0.5 <= shift <= 0.5 and 0 <= saturation <= 2 and 0.5 <= contrast <= 1.5
        bright = image + shift
        saturated = (bright - bright.mean(0)) * saturation + bright.mean(0)
        expected = (saturated - saturated.mean()) * contrast + saturated.mean()
        assert torch.allclose(changed, expected, atol=1e-5)


def test_a_crop_is_a_shift_with_zeros_behind_the_border(images):
    draw = drawn("crop", count=len(images))
    padded = F.pad(images, (4, 4, 4, 4))
    for image, changed, (down, right) in zip(padded, draw(images), draw.parameters.tolist(), strict=True):
        assert torch.equal(changed, image[:, 4 + down : 36 + down, 4 + right : 36 + right])
    many = drawn("crop", count=2000).parameters
    assert many.min() == -4 and many.max() == 4 and len(many.unique(dim=0)) == 81
    # The share of the side is rounded, halves up.
    assert {size: int(drawn("crop", size, 500).parameters.max()) for size in (12, 20, 128)} == {12: 2, 20: 3, 128: 16}


def test_a_cutout_is_a_square_of_half_the_side_cut_off_at_the_border():
    for size in (8, 10, 32):
        draw, side = drawn("cutout", size, count=400), size // 2 if size != 10 else 5
        holes = draw(torch.ones(400, 2, size, size)) == 0
        assert torch.equal(holes[:, 0], holes[:, 1])
        first, last = -(side // 2), size - side // 2 - (side % 2)
        for hole, (top, left) in zip(holes[:, 0], draw.parameters.tolist(), strict=True):
            assert first <= top <= last and first <= left <= last
            expected = torch.zeros(size, size, dtype=torch.bool)
            expected[max(top, 0) : top + side, max(left, 0) : left + side] = True
            assert torch.equal(hole, expected)
        assert sorted(draw.parameters.unique().tolist()) == list(range(first, last + 1))


def test_a_flip_is_left_right_half_of_the_time(images):
    many = images[:1].expand(400, -1, -1, -1)
    changed = drawn("flip", count=400)(many)
    mirrored = (changed == images[0].flip(-1)).flatten(1).all(1)
    assert torch.equal((changed == images[0]).flatten(1).all(1), ~mirrored)
    assert abs(int(mirrored.sum()) - 200) < 40


@pytest.mark.parametrize("operation", ["scale", "rotate"])
def test_affine_maps_are_those_of_grid_sample(images, operation):
    draw = drawn(operation, count=len(images))
    for image, changed, matrix in zip(images, draw(images), draw.parameters, strict=True):
        if operation == "scale":
            (x, a, shift_x), (b, y, shift_y) = matrix.tolist()
            assert 1 / 1.2 <= x <= 1.2 and 1 / 1.2 <= y <= 1.2 and x != y and a == b == 0
        else:
            angle = math.atan2(float(matrix[1, 0]), float(matrix[0, 0]))
            shift_x, shift_y = matrix[:, 2].tolist()
            assert abs(angle) <= math.radians(15)
            turn = [[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]]
            assert torch.allclose(matrix[:, :2], torch.tensor(turn, dtype=torch.float64))
        assert shift_x == shift_y == 0
        grid = F.affine_grid(matrix[None].float(), [1, 3, 32, 32], align_corners=True)
        assert torch.allclose(changed, F.grid_sample(image[None], grid, align_corners=True)[0], atol=1e-6)
    many = drawn(operation, count=1000).parameters[:, 0, 0 if operation == "scale" else 1]
    least, most = (1 / 1.2, 1.2) if operation == "scale" else (-math.sin(math.radians(15)), math.sin(math.radians(15)))
    assert many.min() < least + 0.01 and many.max() > most - 0.01


def test_factors_above_one_shrink_and_corners_are_pixel_centres():
    ramp = torch.linspace(-1, 1, 9, dtype=torch.float64).expand(1, 3, 9, 9)
    draw = type(drawn("scale"))("scale", 9, torch.tensor([[[1.1, 0, 0], [0, 1.0, 0]]], dtype=torch.float64))
    # The view of 1.1 sides: what was at x is now at x / 1.1.
    assert torch.allclose(draw(ramp)[0, 0, 0, 1:-1], ramp[0, 0, 0, 1:-1] * 1.1)
    same = type(draw)("scale", 9, torch.tensor([[[1.0, 0, 0], [0, 1.0, 0]]], dtype=torch.float64))
    assert torch.allclose(same(ramp), ramp)


def test_draws_depend_on_the_generator_alone(images):
    torch.manual_seed(3)
    state = torch.random.get_rng_state()
    draws, again = generator(5), generator(5)
    for _ in range(20):
        first = draw_dsa(draws, 32, len(images))
        torch.rand(7)
        second = draw_dsa(again, 32, len(images))
        assert first.operation == second.operation and torch.equal(first(images), second(images))
    torch.manual_seed(3)
    assert torch.equal(torch.random.get_rng_state(), state)
    torch.random.set_rng_state(state)
    draw_dsa(draws, 32)(images)
    assert torch.equal(torch.random.get_rng_state(), state)


def test_pictures_that_do_not_fit_a_draw(images):
    for wrong in (images[..., :16], images[..., :16, :16], images[0], images.byte()):
        with pytest.raises(ValueError, match=r"takes float pictures \(N, C, 32, 32\).*draw one for their size"):
            drawn("flip")(wrong)
    with pytest.raises(ValueError, match="drawn for 4 pictures, got 2; draw one with count=2, or with count=None"):
        drawn("flip", count=4)(images[:2])
    for size, count in ((0, None), (32, 0)):
        with pytest.raises(ValueError, match=f"1 or more, got {size} and {count}"):
            draw_dsa(generator(), size, count)
