"""Scores of patches: those of a loop over the windows, of another library's bicubic, and of 200 known pictures."""

import math

import numpy as np
import pytest
import torch
from PIL import Image

from srdistill.images.convention import mod_crop
from srdistill.images.pictures import PictureError, Pictures, read_folder
from srdistill.images.resize import ScaleError
from srdistill.images.subimages import extract_sub_images
from srdistill.measures.detail import restored
from srdistill.measures.metrics import psnr
from srdistill.measures.patch_scores import score_windows, window_scores


def plain_scores(pictures, size, stride):
    """Down and up once per picture, then window by window."""
    found = []
    for image in pictures.images:
        image = mod_crop(image, 4)
        back = restored(image, 4)
        height, width = image.shape[1:]
        tops = sorted({*range(0, height - size + 1, stride), height - size})
        lefts = sorted({*range(0, width - size + 1, stride), width - size})
        for y in tops:
            for x in lefts:
                window = (slice(None), slice(y, y + size), slice(x, x + size))
                found.append(float(psnr(back[window][None], image[window][None])))
    return torch.tensor(found, dtype=torch.float64)


@pytest.mark.parametrize(("size", "stride"), [(32, 8), (48, 20), (16, 3), (64, 64)])
def test_scores_are_those_of_a_loop(pictures, size, stride):
    windows, scores = score_windows(pictures, size, stride)
    expected = plain_scores(pictures, size, stride)
    assert len(windows) == len(scores) == len(expected) and scores.dtype == torch.float64
    assert (scores - expected).abs().max() < 1e-9


def test_whole_photographs_score_as_in_a_loop(test_photos):
    _, scores = score_windows(test_photos, 128, 64)
    assert (scores - plain_scores(test_photos, 128, 64)).abs().max() < 1e-9


def test_sides_that_four_does_not_divide_lose_their_last_pixels(pictures):
    uneven = Pictures(tuple(image[:, :-3, :-1] for image in pictures.images), pictures.names)
    windows, scores = score_windows(uneven, 32, 12)
    assert windows.pictures is uneven
    for label, image in enumerate(uneven.images):
        mine = windows.labels == label
        assert int(windows.top[mine].max()) + 32 == image.shape[1] // 4 * 4
        assert int(windows.left[mine].max()) + 32 == image.shape[2] // 4 * 4
    assert (scores - plain_scores(uneven, 32, 12)).abs().max() < 1e-9


def test_windows_are_the_sub_images_of_the_pictures(pictures):
    windows, _ = score_windows(pictures, 32, 12)
    expected = extract_sub_images(pictures, 32, 12)
    for name in ("labels", "top", "left"):
        assert torch.equal(getattr(windows, name), getattr(expected, name))


def test_down_and_up_is_what_pillow_makes_of_it(train_photos):
    """Pillow's bicubic has the same kernel; it differs at the borders of the picture, and in ties of rounding."""

    def scaled(channel, side):
        picture = Image.fromarray(channel.astype(np.float32)).resize((side, side), Image.Resampling.BICUBIC)
        return np.array(picture).round().clip(0, 255)

    for image in train_photos.center_crop(256).images:
        theirs = torch.from_numpy(np.stack([scaled(scaled(channel, 64), 256) for channel in image.numpy()]))
        apart = (theirs - restored(image, 4)).abs()[:, 16:-16, 16:-16]
        assert apart.max() <= 1 and apart.mean() < 1e-3


def test_patch_scaled_by_itself_differs_near_its_borders_only(train_photos):
    image = dict(train_photos)["astronaut"]
    back = restored(image, 4)
    differences = []
    for y, x in ((0, 0), (100, 200), (384, 384), (252, 40)):
        patch = image[:, y : y + 128, x : x + 128]
        own = restored(patch, 4)
        assert torch.equal(own[:, 16:-16, 16:-16], back[:, y + 16 : y + 112, x + 16 : x + 112])
        whole = window_scores(image, 128, [y], [x])[0, 0]
        differences.append(float(psnr(own[None], patch[None])[0] - whole))
    assert all(0 < abs(difference) < 0.3 for difference in differences)


def test_window_that_comes_back_without_error_is_infinitely_good():
    image = torch.full((3, 64, 64), 77, dtype=torch.uint8)
    image[:, :32, :32] = torch.randint(256, (3, 32, 32), generator=torch.Generator().manual_seed(0)).to(torch.uint8)
    scores = window_scores(image, 16, [0, 48], [0, 48])
    assert scores[0, 0] < 15 and scores[1].tolist() == [math.inf, math.inf]


def test_median_of_the_200_training_pictures_of_bsds(shared_data):
    folder = shared_data / "bsds200"
    if not folder.is_dir():
        pytest.skip("no bsds200 in the folder that SRDISTILL_DATA names")
    _, scores = score_windows(read_folder(folder), 128, 32)
    assert len(scores) == 16_800
    assert float(scores.median()) == pytest.approx(24.84, abs=0.02)
    assert float((scores < 23).double().mean()) == pytest.approx(0.326, abs=0.002)


def test_what_cannot_be_scored_is_refused(pictures):
    with pytest.raises(ScaleError, match="scale 4 does not divide the patch size 30; use a multiple of 4"):
        score_windows(pictures, 30, 8)
    with pytest.raises(PictureError, match="motorcycle_left: 104 x 72 px is smaller than the sub-image size 76"):
        score_windows(pictures, 76, 8)
    with pytest.raises(PictureError, match="step 0 must be 1 px or more"):
        score_windows(pictures, 32, 0)
    with pytest.raises(PictureError, match="no pictures"):
        score_windows(Pictures((), ()), 32, 8)
