"""Reading pictures of every kind, and the named collection they make."""

import io
import pickle

import numpy as np
import pytest
import torch
from PIL import Image

from srdistill.catalogue.photos import photos
from srdistill.images import labelled
from srdistill.images import pictures as module
from srdistill.images.labelled import LabelledPictures
from srdistill.images.pictures import (
    PictureError,
    Pictures,
    check_patches,
    read_folder,
    read_picture,
    to_float,
    to_uint8,
)

RNG = np.random.default_rng(3)
COLOUR = RNG.integers(0, 256, (9, 7, 3), dtype=np.uint8)
GREY = RNG.integers(0, 256, (9, 7), dtype=np.uint8)
ALPHA = RNG.integers(0, 256, (9, 7), dtype=np.uint8)


def chw(array: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(array.transpose(2, 0, 1).copy())


def saved(path, array, **options):
    Image.fromarray(array).save(path, **options)
    return path


def test_colour_is_read_as_it_is(tmp_path):
    picture = read_picture(saved(tmp_path / "a.png", COLOUR))
    assert picture.dtype == torch.uint8 and picture.is_contiguous()
    assert torch.equal(picture, chw(COLOUR))


@pytest.mark.parametrize("suffix", ["bmp", "tif", "webp"])
def test_other_lossless_formats_give_the_same_pixels(tmp_path, suffix):
    options = {"lossless": True} if suffix == "webp" else {}
    assert torch.equal(read_picture(saved(tmp_path / f"a.{suffix}", COLOUR, **options)), chw(COLOUR))


def test_jpeg_is_read_as_its_decoder_says(tmp_path):
    path = saved(tmp_path / "a.jpg", COLOUR, quality=95)
    with Image.open(path) as file:
        assert torch.equal(read_picture(path), chw(np.asarray(file)))


def test_grey_is_replicated(tmp_path):
    assert torch.equal(read_picture(saved(tmp_path / "a.png", GREY)), chw(np.stack([GREY] * 3, -1)))


def test_grey_with_alpha_drops_the_alpha(tmp_path):
    path = saved(tmp_path / "a.png", np.stack([GREY, ALPHA], -1))
    with Image.open(path) as file:
        assert file.mode == "LA"
    assert torch.equal(read_picture(path), chw(np.stack([GREY] * 3, -1)))


def test_alpha_is_dropped_not_blended(tmp_path):
    path = saved(tmp_path / "a.png", np.dstack([COLOUR, ALPHA]))
    assert torch.equal(read_picture(path), chw(COLOUR))


def test_bilevel_becomes_black_and_white(tmp_path):
    path = saved(tmp_path / "a.png", GREY > 127)
    assert torch.equal(read_picture(path), chw(np.stack([np.where(GREY > 127, 255, 0).astype(np.uint8)] * 3, -1)))


def test_16_bit_grey_is_scaled_by_257(tmp_path):
    levels = np.arange(256, dtype=np.uint16).reshape(16, 16)
    path = saved(tmp_path / "a.png", levels * 257)
    with Image.open(path) as file:
        assert file.mode == "I;16"
    assert torch.equal(read_picture(path), chw(np.stack([levels.astype(np.uint8)] * 3, -1)))


def test_16_bit_grey_is_rounded_to_the_nearest_level(tmp_path):
    path = saved(tmp_path / "a.png", np.array([[0, 128, 129, 385, 386, 65535 - 128, 65535]], dtype=np.uint16))
    assert read_picture(path)[0].tolist() == [[0, 0, 1, 1, 2, 255, 255]]


@pytest.mark.parametrize("transparent", [False, True])
def test_palette_is_looked_up(tmp_path, transparent):
    index = RNG.integers(0, 4, (9, 7), dtype=np.uint8)
    colours = np.array([[255, 0, 0], [10, 200, 30], [0, 0, 0], [250, 251, 252]], dtype=np.uint8)
    image = Image.fromarray(index).convert("P")
    image.putdata(index.flatten().tolist())
    image.putpalette(colours.flatten().tolist())
    options = {"transparency": bytes([0, 128, 255, 7])} if transparent else {}
    image.save(tmp_path / "a.png", **options)
    with Image.open(tmp_path / "a.png") as file:
        assert file.mode == "P" and ("transparency" in file.info) is transparent
    assert torch.equal(read_picture(tmp_path / "a.png"), chw(colours[index]))


def test_missing_file_is_named(tmp_path):
    with pytest.raises(PictureError, match="gone.png: no such file"):
        read_picture(tmp_path / "gone.png")


def test_text_named_png_is_named(tmp_path):
    (tmp_path / "notes.png").write_text("not pixels at all")
    with pytest.raises(PictureError, match="notes.png: not a picture"):
        read_picture(tmp_path / "notes.png")


@pytest.mark.filterwarnings("ignore:Truncated File Read")
@pytest.mark.parametrize("suffix", ["png", "jpg", "webp", "bmp", "tif"])
@pytest.mark.parametrize("share", [0.0, 0.02, 0.3, 0.6, 0.95])
def test_cut_off_file_is_named(tmp_path, suffix, share):
    whole = saved(tmp_path / f"whole.{suffix}", RNG.integers(0, 256, (40, 40, 3), dtype=np.uint8)).read_bytes()
    cut = tmp_path / f"cut.{suffix}"
    cut.write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(PictureError, match=f"cut.{suffix}"):
        read_picture(cut)


def test_damaged_pixels_of_a_png_are_noticed(tmp_path):
    path = saved(tmp_path / "a.png", RNG.integers(0, 256, (40, 40, 3), dtype=np.uint8))
    raw = bytearray(path.read_bytes())
    raw[len(raw) // 2] ^= 255
    path.write_bytes(raw)
    with pytest.raises(PictureError, match="a.png: damaged"):
        read_picture(path)


def test_absurd_size_in_a_header_is_a_picture_error(tmp_path):
    buffer = io.BytesIO()
    Image.fromarray(COLOUR).save(buffer, "BMP")
    raw = bytearray(buffer.getvalue())
    raw[18:26] = (60000).to_bytes(4, "little") * 2
    (tmp_path / "huge.bmp").write_bytes(raw)
    with pytest.raises(PictureError, match="huge.bmp"):
        read_picture(tmp_path / "huge.bmp")


def test_folder_is_sorted_by_name_and_passes_over_other_files(tmp_path):
    saved(tmp_path / "b.PNG", COLOUR)
    saved(tmp_path / "a.jpeg", GREY)
    (tmp_path / "README.md").write_text("about")
    (tmp_path / "Thumbs.db").write_bytes(b"\x00")
    found = read_folder(tmp_path)
    assert found.names == ("a", "b") and found.origin == tmp_path.name
    assert torch.equal(found.images[1], chw(COLOUR))


def test_missing_folder_is_named(tmp_path):
    with pytest.raises(PictureError, match="nowhere: no such folder"):
        read_folder(tmp_path / "nowhere")


def test_folder_without_pictures_is_named(tmp_path):
    (tmp_path / "set" / "deeper").mkdir(parents=True)
    (tmp_path / "set" / "list.txt").write_text("a.png")
    with pytest.raises(PictureError, match="set: holds no pictures"):
        read_folder(tmp_path / "set")


def test_one_bad_picture_in_a_folder_is_named(tmp_path):
    saved(tmp_path / "good.png", COLOUR)
    (tmp_path / "bad.png").write_text("x")
    with pytest.raises(PictureError, match="bad.png"):
        read_folder(tmp_path)


@pytest.mark.parametrize(
    "image", [torch.zeros(3, 4, 4), torch.zeros(4, 4, dtype=torch.uint8), torch.zeros(1, 4, 4, dtype=torch.uint8)]
)
def test_pictures_are_uint8_rgb(image):
    with pytest.raises(PictureError, match=r"odd: expected a uint8 tensor of shape \(3, H, W\)"):
        Pictures((image,), ("odd",))


def test_each_picture_has_a_name():
    with pytest.raises(PictureError, match="1 pictures but 2 names"):
        Pictures((torch.zeros(3, 4, 4, dtype=torch.uint8),), ("a", "b"))


def test_select_keeps_the_order_asked_for(pictures):
    chosen = pictures.select(["motorcycle_left", "astronaut"])
    assert chosen.names == ("motorcycle_left", "astronaut")
    assert torch.equal(chosen.images[1], pictures.images[0])
    with pytest.raises(PictureError, match="'lenna'.*astronaut, flower, motorcycle_left"):
        pictures.select(["lenna"])


def test_at_least_looks_at_the_shorter_side(pictures):
    assert pictures.at_least(80).names == ("astronaut", "flower")
    assert pictures.at_least(81).names == ("astronaut",)
    with pytest.raises(PictureError, match="none of the 3 pictures of pieces has 97 px"):
        pictures.at_least(97)


def test_center_crop_is_central_and_keeps_shorter_sides(pictures):
    cropped = pictures.center_crop(80)
    assert [tuple(image.shape) for image in cropped.images] == [(3, 80, 80), (3, 80, 80), (3, 80, 72)]
    assert torch.equal(cropped.images[0], pictures.images[0][:, 8:88, 20:100])
    assert torch.equal(cropped.images[2], pictures.images[2][:, 12:92])


def test_pixels_are_counted(pictures):
    assert pictures.pixels == 96 * 120 + 80 * 80 + 104 * 72


@pytest.mark.parametrize("kind", [Pictures, LabelledPictures])
def test_a_digest_is_computed_once_and_travels_along(monkeypatch, kind):
    """Identities of tasks ask for it again and again, and a collection may have gigabytes."""
    pixels = torch.zeros(2, 3, 8, 8, dtype=torch.uint8)
    made = Pictures(tuple(pixels), ("a", "b")) if kind is Pictures else LabelledPictures(pixels, torch.arange(2), ("a", "b"))
    before = made.digest

    def again(*args):
        raise AssertionError("hashed again")

    monkeypatch.setattr((module if kind is Pictures else labelled).hashlib, "sha256", again)
    assert made.digest == before == pickle.loads(pickle.dumps(made)).digest


def test_pictures_that_are_too_small_for_something_are_named(pictures):
    pictures.require(72, "crops of 72 px")
    with pytest.raises(PictureError, match="motorcycle_left: 104 x 72 px is smaller than crops of 73 px; leave it out"):
        pictures.require(73, "crops of 73 px")


def test_patches_may_be_none_unless_they_have_labels():
    none = torch.zeros(0, 3, 8, 8, dtype=torch.uint8)
    check_patches(none)
    with pytest.raises(PictureError, match="no patches; select some first"):
        check_patches(none, torch.zeros(0).long())
    check_patches(torch.zeros(2, 3, 8, 8, dtype=torch.uint8), torch.tensor([0, 5]))


def test_digest_changes_with_a_pixel_a_name_a_shape_and_nothing_else(pictures):
    copy = Pictures(tuple(image.clone() for image in pictures.images), pictures.names, "elsewhere")
    assert copy.digest == pictures.digest
    changed = [image.clone() for image in pictures.images]
    changed[1][2, 5, 5] ^= 1
    others = {
        Pictures(changed, pictures.names).digest,
        Pictures(pictures.images, ("astronaut", "flower", "motorcycle")).digest,
        Pictures(pictures.images[::-1], pictures.names[::-1]).digest,
        Pictures([pictures.images[0].view(3, 120, 96), *pictures.images[1:]], pictures.names).digest,
        pictures.digest,
    }
    assert len(others) == 5


def test_conversions_round_to_the_nearest_level_and_clamp():
    levels = torch.arange(256, dtype=torch.uint8)
    assert torch.equal(to_uint8(to_float(levels)), levels)
    assert to_uint8(torch.tensor([-1.0, 0.4999 / 255, 0.5001 / 255, 254.6 / 255, 7.0])).tolist() == [0, 0, 1, 255, 255]


def test_conversion_to_float_leaves_its_argument_alone():
    values = torch.full((2,), 255.0)
    to_float(values)
    assert values.tolist() == [255.0, 255.0]


def test_photographs_are_split_seven_to_four_without_overlap(train_photos, test_photos):
    assert (len(train_photos), len(test_photos)) == (7, 4)
    assert not set(train_photos.names) & set(test_photos.names)
    digests = {Pictures((image,), ("",)).digest for image in train_photos.images + test_photos.images}
    assert len(digests) == 11
    assert min(min(image.shape[1:]) for image in train_photos.images + test_photos.images) >= 300


def test_photographs_have_no_third_split():
    with pytest.raises(ValueError, match="'valid'.*train, test"):
        photos("valid")


@pytest.mark.parametrize(("most", "chosen"), [(1, "a"), (2, "ad"), (3, "ace"), (7, "abcdefg"), (9, "abcdefg")])
def test_spread_takes_pictures_at_even_distances(most, chosen):
    images = tuple(torch.zeros(3, 4, 4, dtype=torch.uint8) for _ in "abcdefg")
    assert "".join(Pictures(images, tuple("abcdefg")).spread(most).names) == chosen
