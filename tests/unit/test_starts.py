"""The undistilled starts and controls: noise, downscaled pictures, real crops."""

import pytest
import torch

from srdistill.images.pictures import PictureError, Pictures, to_float, to_uint8
from srdistill.images.resize import resize
from srdistill.papers.dietz.gradient_matching import gradient_matching
from srdistill.papers.dietz.settings import Matching
from srdistill.sets.downscaled import downscaled
from srdistill.sets.noise import noise
from srdistill.sets.random_crops import random_crops

METHODS = [noise, downscaled, random_crops]


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("ipc", [1, 3])
def test_set_holds_ipc_images_per_picture_in_order(pictures, method, ipc):
    made = method(pictures, ipc=ipc, size=32, generator=seeded())
    assert made.images.shape == (3 * ipc, 3, 32, 32)
    assert made.labels.tolist() == [0] * ipc + [1] * ipc + [2] * ipc and made.labels.dtype == torch.int64
    assert made.names == pictures.names and made.method == method.__name__
    assert (made.settings["ipc"], made.settings["size"]) == (ipc, 32)


@pytest.mark.parametrize("method", METHODS)
def test_set_depends_on_the_seed_alone(pictures, method):
    def digest(seed, advance=0):
        generator = seeded(seed)
        torch.rand(advance, generator=generator)
        return method(pictures, ipc=2, size=32, generator=generator).digest

    before = torch.random.get_rng_state()
    assert digest(4) == digest(4) == digest(4, advance=9) != digest(5)
    assert torch.equal(before, torch.random.get_rng_state())


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("ipc", [0, -1])
def test_less_than_one_image_per_class_is_refused(pictures, method, ipc):
    with pytest.raises(ValueError, match=f"ipc .* must be 1 or more, got {ipc}"):
        method(pictures, ipc=ipc, size=32, generator=seeded())


@pytest.mark.parametrize("method", [downscaled, random_crops])
def test_picture_smaller_than_the_images_is_named(pictures, method):
    with pytest.raises(PictureError, match="motorcycle_left: 104 x 72 px is smaller than the synthetic images of 73 px"):
        method(pictures, ipc=1, size=73, generator=seeded())


def test_normal_noise_is_clipped_to_the_range_of_pictures(pictures):
    values = noise(pictures, ipc=4, size=64, generator=seeded()).images.double() / 255
    assert (values == 0).double().mean() == pytest.approx(0.5, abs=0.01)
    assert (values == 1).double().mean() == pytest.approx(0.1587, abs=0.01)
    assert values.mean() == pytest.approx(0.3156, abs=0.01)


def test_uniform_noise_is_flat(pictures):
    made = noise(pictures, ipc=4, size=64, generator=seeded(), kind="uniform")
    values = made.images.double() / 255
    assert values.mean() == pytest.approx(0.5, abs=0.01) and values.std() == pytest.approx(12**-0.5, abs=0.01)
    assert made.settings["kind"] == "uniform"


def test_unknown_noise_is_refused(pictures):
    with pytest.raises(ValueError, match="'salt'; there are: normal, uniform"):
        noise(pictures, ipc=1, size=32, generator=seeded(), kind="salt")


def test_downscaled_crop_is_the_central_square(pictures):
    made = downscaled(pictures, ipc=1, size=36, generator=seeded())
    squares = [pictures.images[0][:, :, 12:108], pictures.images[1], pictures.images[2][:, 16:88]]
    expected = [to_uint8(resize(to_float(square), (36, 36))) for square in squares]
    assert torch.equal(made.images, torch.stack(expected))


def test_downscaled_squash_takes_the_whole_picture(pictures):
    made = downscaled(pictures, ipc=1, size=36, generator=seeded(), geometry="squash")
    expected = [to_uint8(resize(to_float(image), (36, 36))) for image in pictures.images]
    assert torch.equal(made.images, torch.stack(expected))


@pytest.mark.parametrize("geometry", ["crop", "squash"])
def test_first_image_is_the_whole_picture_whatever_the_ipc(pictures, geometry):
    one = downscaled(pictures, ipc=1, size=36, generator=seeded(), geometry=geometry)
    three = downscaled(pictures, ipc=3, size=36, generator=seeded(), geometry=geometry)
    assert torch.equal(three.images[::3], one.images)
    assert len({image.numpy().tobytes() for image in three.images}) == 9


def test_unknown_geometry_is_refused(pictures):
    with pytest.raises(ValueError, match="'stretch'; there are: crop, squash"):
        downscaled(pictures, ipc=1, size=32, generator=seeded(), geometry="stretch")


def test_downscaled_to_the_full_side_is_the_picture():
    square = Pictures((torch.randint(256, (3, 40, 40), generator=seeded()).to(torch.uint8),), ("square",))
    made = downscaled(square, ipc=2, size=40, generator=seeded())
    assert torch.equal(made.images[0], square.images[0]) and torch.equal(made.images[1], square.images[0])


def test_random_crops_are_pixels_of_their_picture():
    generator = seeded()
    image = torch.randint(256, (3, 20, 23), generator=generator).to(torch.uint8)
    made = random_crops(Pictures((image,), ("random",)), ipc=200, size=18, generator=generator)
    windows = {image[:, y : y + 18, x : x + 18].contiguous().numpy().tobytes() for y in range(3) for x in range(6)}
    assert {crop.numpy().tobytes() for crop in made.images} == windows


def test_random_crop_of_the_full_size_is_the_picture(pictures):
    made = random_crops(pictures.select(["flower"]), ipc=2, size=80, generator=seeded())
    assert torch.equal(made.images[1], pictures.images[1])


@pytest.mark.parametrize(("name", "method"), [("real", random_crops), ("downscaled", downscaled), ("noise", noise)])
def test_matching_that_does_not_move_returns_its_start(pictures, name, method):
    start = method(pictures, ipc=2, size=24, generator=seeded(8))
    network = {"architecture": "SRCNN", "kernels": (3, 1, 3), "widths": (4, 4)}
    matched = gradient_matching(
        pictures, ipc=2, size=24, generator=seeded(8), start=name, network=network,
        matching=Matching(lr=0, iterations=1, crop=32, step=32),
    )
    assert torch.equal(matched.images, start.images) and torch.equal(matched.labels, start.labels)
