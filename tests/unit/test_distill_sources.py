"""Finding pictures: everywhere below a folder, upright, with a word on those that cannot be used."""

import os

import pytest
import torch
from PIL import Image, ImageOps

from srdistill.distill.problem import DistillError
from srdistill.distill.sources import Turned, find
from srdistill.images.pictures import PictureError
from srdistill.sets.coding import Coding, decode, encode


@pytest.fixture
def folder(pictures, tmp_path):
    """Three pictures in two folders with suffixes of any case, and files that are no pictures."""
    place = tmp_path / "pictures"
    for (_, image), name in zip(pictures, ("b.PNG", "deep/er/a.Png", "deep/c.WebP"), strict=True):
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        coding = Coding("webp") if name.endswith("P") and "W" in name else Coding("png")
        (place / name).write_bytes(encode(image, coding))
    (place / "notes.txt").write_text("no picture")
    (place / "._b.png").write_bytes(b"what a Mac leaves")
    (place / ".hidden").mkdir()
    (place / ".hidden" / "x.png").write_bytes(encode(pictures.images[0], Coding("png")))
    return place


def test_pictures_are_found_measured_and_read(folder, pictures):
    found = find(folder, 32)
    assert [source.name for source in found.sources] == ["b.PNG", "deep/c.WebP", "deep/er/a.Png"]
    assert [(source.height, source.width) for source in found.sources] == [(96, 120), (104, 72), (80, 80)]
    assert found.pixels == pictures.pixels and found.small == found.unreadable == ()
    assert found.bytes == sum(source.path.stat().st_size for source in found.sources)
    turned = Turned(found.sources, "here")
    for place, image in zip((0, 2, 1), pictures.images, strict=True):
        assert torch.equal(turned.images[place], image)
    assert len(turned) == 3 and turned.names[0] == "b.PNG"


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", [".png", ".jpg", ".tif"])
def test_pictures_are_turned_as_they_were_held(pictures, tmp_path, orientation, suffix):
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = Image.fromarray(pictures.images[0].permute(1, 2, 0).numpy())
    stored.save(tmp_path / f"held{suffix}", exif=exif)
    (source,) = find(tmp_path, 32).sources
    with Image.open(tmp_path / f"held{suffix}") as file:
        expected = ImageOps.exif_transpose(file).convert("RGB")
    image = source.read()
    assert (source.width, source.height) == expected.size == (image.shape[2], image.shape[1])
    assert image.permute(1, 2, 0).numpy().tobytes() == expected.tobytes()
    assert (source.height, source.width) == ((120, 96) if orientation > 4 else (96, 120))


def test_what_cannot_be_used_is_named(folder, pictures):
    (folder / "empty.jpg").write_bytes(b"")
    (folder / "text.png").write_text("not a picture")
    (folder / "small.png").write_bytes(encode(pictures.images[0][:, :31, :60], Coding("png")))
    found = find(folder, 32)
    assert [name for name, _ in found.unreadable] == ["empty.jpg", "text.png"] and found.small == ("small.png",)
    assert all("not a picture that Pillow can read" in why and str(folder) not in why for _, why in found.unreadable)
    assert len(found.sources) == 3 and found.pixels == pictures.pixels + 31 * 60


def test_kinds_that_are_not_read_are_named(folder, tmp_path):
    Image.new("RGB", (64, 64)).save(folder / "deep" / "waving.GIF")
    (folder / "phone.heic").touch()
    (folder / ".hidden.gif").touch()
    found = find(folder, 32)
    assert found.unreadable == (
        ("deep/waving.GIF", ".GIF files are not read; save it as PNG"),
        ("phone.heic", ".heic files are not read; save it as PNG"),
    )
    assert len(found.sources) == 3
    (tmp_path / "raw").mkdir()
    (tmp_path / "raw" / "a.nef").touch()
    with pytest.raises(DistillError, match="none of the 1 pictures under .* can be read; the first is a.nef: .nef files"):
        find(tmp_path / "raw", 32)


def test_damage_behind_the_header_shows_when_read(folder):
    whole = (folder / "b.PNG").read_bytes()
    (folder / "b.PNG").write_bytes(whole[: len(whole) // 2])
    source = find(folder, 32).sources[0]
    with pytest.raises(PictureError, match="b.PNG: damaged or cut off"):
        source.read()


def test_names_that_are_no_text(folder, pictures):
    path = os.fsencode(folder) + b"/\xff\xfe.png"
    with open(path, "wb") as file:
        file.write(encode(pictures.images[0], Coding("png")))
    found = find(folder, 32)
    assert found.sources[-1].name == r"\xff\xfe.png" and found.sources[-1].read().shape == (3, 96, 120)
    assert decode(found.sources[-1].path.read_bytes()).shape == (3, 96, 120)


def test_links_to_folders_are_not_followed(folder):
    (folder / "deep" / "round").symlink_to(folder)
    assert len(find(folder, 32).sources) == 3


def test_the_digest_is_of_names_sizes_and_times(folder):
    before = find(folder, 32).digest
    assert find(folder, 32).digest == before
    os.utime(folder / "b.PNG", (1, 1))
    assert find(folder, 32).digest != before


def test_folders_without_anything_to_use(folder, tmp_path):
    with pytest.raises(DistillError, match="nowhere is not a folder"):
        find(tmp_path / "nowhere", 32)
    with pytest.raises(DistillError, match="b.PNG is not a folder"):
        find(folder / "b.PNG", 32)
    (tmp_path / "bare").mkdir()
    with pytest.raises(DistillError, match="bare holds no pictures; it needs files ending in .png, .jpg"):
        find(tmp_path / "bare", 32)
    with pytest.raises(DistillError, match="none of the 3 pictures under .* has 200 px on its shorter side; .*smaller --tile"):
        find(folder, 200)
    (tmp_path / "bare" / "a.png").write_bytes(b"nothing")
    with pytest.raises(DistillError, match="none of the 1 pictures under .* can be read; the first is a.png: not a picture"):
        find(tmp_path / "bare", 32)
