"""DATA=folder: a reader's own photographs, with and without test pictures, and folders that cannot be used."""

import re
import struct
import zlib

import numpy as np
import pytest
from PIL import Image, ImageOps

from srdistill.catalogue.collections import CollectionError
from srdistill.catalogue.labelled_collections import IMAGENETTE
from srdistill.images.pictures import PictureError
from srdistill.sets.distilled_set import png_bytes
from srdistill.sets.noise import noise
from srdistill.study.class_pictures import class_pictures
from srdistill.study.own_label import REGISTRY, own_label
from srdistill.study.own_pictures import own_classes
from srdistill.study.paths import store_root
from srdistill.study.pictures import cut_collection
from srdistill.study.rows import ORIGINAL


@pytest.fixture
def holidays(tmp_path, pictures):
    """A folder with three training pictures."""
    folder = tmp_path / "holidays"
    _fill(folder, pictures)
    return folder


def _fill(folder, pictures, side=None):
    folder.mkdir()
    for name, image in pictures:
        (folder / f"{name}.png").write_bytes(png_bytes(image[:, :side, :side]))


def declared(study):
    """What a run has to know before its first task: keys, and so all pictures."""
    return [cell.task.key for cell in study.cells([study.row(ORIGINAL)], ["SRCNN"])]


def test_training_on_ones_own_and_testing_on_the_profiles(holidays, smoke_study):
    study = smoke_study(data=str(holidays))
    assert study.train.names == ("astronaut", "flower", "motorcycle_left")
    assert list(study.tests) == ["photos"]
    assert study.label == "own-holidays"


def test_a_test_folder_replaces_the_profiles_test_pictures(holidays, smoke_study, pictures):
    _fill(holidays / "test", pictures.select(["flower"]))
    study = smoke_study(data=str(holidays))
    assert list(study.tests) == ["own"]
    assert study.tests["own"].names == ("flower",)
    assert len(study.train) == 3


def test_a_whole_run_on_ones_own_pictures(holidays, smoke_study, pictures):
    _fill(holidays / "test", pictures.select(["flower"]))
    study = smoke_study(data=str(holidays))
    results = study.run([study.row(ORIGINAL), study.row("Noise", noise, ipc=1)], ["SRCNN"])
    assert results.failures == []
    assert set(results.scores.testset) == {"own"}
    assert len(results.scores) == 3


def test_ones_own_pictures_have_cells_of_their_own(holidays, smoke_study):
    ours = smoke_study()
    ours.run([ours.row(ORIGINAL)], ["SRCNN"])
    own = smoke_study(data=str(holidays))
    assert own.run([own.row(ORIGINAL)], ["SRCNN"]).computed == 1


def test_pictures_that_are_too_small_are_left_out(holidays, smoke_study, pictures):
    tiny = pictures.images[0][:, :20, :20]
    (holidays / "tiny.png").write_bytes(png_bytes(tiny))
    assert smoke_study(data=str(holidays)).train.names == ("astronaut", "flower", "motorcycle_left")


def test_a_folder_of_too_small_pictures_says_how_large_they_must_be(tmp_path, smoke_study, pictures):
    _fill(tmp_path / "small", pictures, side=40)
    with pytest.raises(PictureError, match="none of the 3 pictures.*48 px.*use larger pictures"):
        declared(smoke_study(data=str(tmp_path / "small")))


def test_an_empty_folder_says_what_it_needs(tmp_path, smoke_study):
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "notes.txt").write_text("no pictures")
    with pytest.raises(PictureError, match="holds no pictures; it needs files ending in .png"):
        declared(smoke_study(data=str(tmp_path / "empty")))


def test_an_empty_test_folder_says_what_it_needs(holidays, smoke_study):
    (holidays / "test").mkdir()
    with pytest.raises(PictureError, match="test: holds no pictures; it needs"):
        declared(smoke_study(data=str(holidays)))


def test_a_missing_folder_is_named_with_what_else_could_be_given(tmp_path, smoke_study):
    with pytest.raises(CollectionError, match="nowhere.*neither a folder nor a known collection; known: photos, set5"):
        declared(smoke_study(data=str(tmp_path / "nowhere")))


def test_a_damaged_picture_is_named_with_the_remedy(holidays, smoke_study):
    path = holidays / "flower.png"
    path.write_bytes(path.read_bytes()[:500])
    with pytest.raises(PictureError, match="flower.png: damaged or cut off.*fetch the file again or remove it"):
        declared(smoke_study(data=str(holidays)))


def test_test_pictures_too_small_to_score_are_named(holidays, smoke_study, pictures):
    _fill(holidays / "test", pictures.select(["flower"]), side=10)
    study = smoke_study(data=str(holidays))
    results = study.run([study.row(ORIGINAL)], ["SRCNN"])
    assert results.scores.empty and len(results.failures) == 2
    assert re.search("scores of Bicubic: PictureError: .*flower.*px", results.failures[0])


@pytest.mark.parametrize("seeds", [-1, 1.5])
def test_a_wrong_number_of_seeds_is_refused(smoke_study, seeds):
    with pytest.raises(ValueError, match=f"seeds must be a whole number, 1 or more.*got {seeds}"):
        smoke_study(seeds=seeds)


@pytest.mark.parametrize(("seeds", "expected"), [(0, 1), (1, 1), (3, 3)])
def test_zero_seeds_mean_the_profiles_own(smoke_study, seeds, expected):
    assert len(smoke_study(seeds=seeds).seeds) == expected


def test_two_folders_of_one_name_are_told_apart_by_what_is_in_them(tmp_path, smoke_study, pictures):
    for place in ("here", "there"):
        (tmp_path / place).mkdir()
    _fill(tmp_path / "here" / "mine", pictures)
    _fill(tmp_path / "there" / "mine", pictures.select(["flower"]))
    here, there = (declared(smoke_study(data=str(tmp_path / place / "mine"))) for place in ("here", "there"))
    assert here[0] == there[0] and here[1] != there[1]  # bicubic is the same


def test_a_folder_has_one_label_however_it_is_written(holidays, monkeypatch):
    monkeypatch.chdir(holidays)
    (holidays / "test").mkdir()
    ways = (str(holidays), ".", "test/..", f"{holidays}/")
    assert {own_label(way) for way in ways} == {"own-holidays"}
    monkeypatch.chdir(holidays / "test")
    assert own_label("..") == "own-holidays"
    assert own_label("/") == "own-root"


def test_a_second_folder_of_the_same_name_has_a_label_of_its_own(tmp_path):
    first, second = tmp_path / "a" / "garden", tmp_path / "b" / "garden"
    assert own_label(str(first)) == "own-garden"
    other = own_label(str(second))
    assert re.fullmatch(r"own-garden-[0-9a-f]{6}", other)
    assert [own_label(str(folder)) for folder in (first, second)] == ["own-garden", other]


def test_a_damaged_list_of_labels_is_begun_anew(tmp_path):
    assert own_label(str(tmp_path / "a" / "garden")) == "own-garden"
    (store_root() / REGISTRY).write_text("{")
    assert own_label(str(tmp_path / "b" / "garden")) == "own-garden"


@pytest.mark.parametrize("tag", range(1, 9))
def test_pictures_are_held_as_their_exif_data_ask(tmp_path, pictures, tag):
    """Pillow's own turning is the reference."""
    (tmp_path / "camera").mkdir()
    file = tmp_path / "camera" / "lying.jpg"
    exif = Image.Exif()
    exif[0x0112] = tag
    Image.fromarray(pictures.images[0].permute(1, 2, 0).numpy()).save(file, exif=exif, quality=95)
    with Image.open(file) as stored:
        expected = np.asarray(ImageOps.exif_transpose(stored).convert("RGB"))
    found = cut_collection(str(tmp_path / "camera"), "train", 0, 0).images[0]
    assert np.array_equal(found.permute(1, 2, 0).numpy(), expected)
    assert (found.shape[1] == pictures.images[0].shape[2]) == (tag >= 5)


def test_what_looks_like_a_picture_and_is_not_read_is_named(holidays):
    frames = [Image.new("RGB", (64, 64), color) for color in ("red", "blue")]
    frames[0].save(holidays / "waving.gif", save_all=True, append_images=frames[1:])
    for number in range(4):
        (holidays / f"raw{number}.heic").touch()
    (holidays / "notes.txt").touch()
    with pytest.warns(UserWarning, match=r"raw0.heic, raw1.heic, raw2.heic and 2 more not read; save them as one of"):
        assert len(cut_collection(str(holidays), "train", 0, 0)) == 3


def test_a_picture_that_no_memory_would_hold_is_refused_from_its_header(holidays, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr("srdistill.catalogue.upright.MOST_PIXELS", 96 * 100)
        with pytest.raises(PictureError, match="astronaut.png: 120 x 96 px are more than the .* shrink it or cut it up"):
            cut_collection(str(holidays), "train", 0, 0)
    # Headers alone, of pictures that would take half a gigabyte, and two.
    for side, words in ((13_300, "13300 x 13300 px are more than the 150 megapixels"), (26_600, "has too many pixels")):
        (holidays / "huge.png").write_bytes(_header(side))
        with pytest.raises(PictureError, match=f"huge.png: {words}"):
            cut_collection(str(holidays), "train", 0, 0)


def _header(side):
    """A PNG file without pixels, whose header says that it is square."""
    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        for name, data in ((b"IHDR", header), (b"IDAT", b""))
    )


def _class_folders(root, image):
    """Two classes of three pictures each to train on; what is stored of ``cups`` lies on its side, and says so."""
    picture = Image.fromarray(image.permute(1, 2, 0).numpy())
    for name, held in (("cats", 1), ("cups", 6)):
        folder = root / "train" / name
        folder.mkdir(parents=True)
        for k in range(3):
            upright = picture.crop((8 * k, 0, 8 * k + 40, 32))
            lying = upright.transpose(Image.Transpose.ROTATE_90) if held == 6 else upright
            exif = Image.Exif()
            exif[0x0112] = held
            lying.save(folder / f"{k}.png", exif=exif)
    return root


def test_class_folders_are_read_as_their_pictures_are_held(tmp_path, pictures):
    folder = _class_folders(tmp_path / "mine", pictures.images[0])
    found = own_classes(str(folder), "train", size=16)
    assert found.classes == ("cats", "cups") and found.labels.tolist() == [0, 0, 0, 1, 1, 1]
    assert found.images[:3].equal(found.images[3:])
    assert own_classes(str(folder), "train", size=16, per_class=2).images[2:].equal(found.images[:2])


def test_a_published_collection_stays_as_it_lies_and_the_same_files_of_ones_own_are_turned(tmp_path, pictures, monkeypatch):
    monkeypatch.setenv("SRDISTILL_DATA", str(tmp_path))
    exif = Image.Exif()
    exif[0x0112] = 6
    for entry in IMAGENETTE:
        folder = tmp_path / "imagenette" / "train" / entry
        folder.mkdir(parents=True)
        lying = pictures.images[0][:, :32, :32].permute(1, 2, 0).numpy()
        Image.fromarray(lying).save(folder / "0.png", exif=exif)
    published, own = (class_pictures(name, "train", 32, None) for name in ("imagenette", str(tmp_path / "imagenette")))
    stored, turned = (found.loader(**found.settings).images[0] for found in (published, own))
    assert stored.equal(pictures.images[0][:, :32, :32]) and turned.equal(stored.rot90(-1, (1, 2)))
    assert published.digest != own.digest


def test_class_folders_too_large_to_be_held_are_not_turned_in_silence(tmp_path, pictures, monkeypatch):
    folder = _class_folders(tmp_path / "mine", pictures.images[0])
    monkeypatch.setattr("srdistill.catalogue.labelled_collections.HELD", 0)
    with pytest.raises(PictureError, match=r"3 pictures, e\.g\. 0\.png, .*auto-orient"):
        own_classes(str(folder), "train", size=16)
    (folder / "train" / "cups").rename(tmp_path / "cups")
    assert len(own_classes(str(folder), "train", size=16)) == 3


def test_moving_pictures_in_class_folders_are_named(tmp_path, pictures):
    folder = _class_folders(tmp_path / "mine", pictures.images[0])
    Image.new("RGB", (40, 32)).save(folder / "train" / "cats" / "dance.gif")
    with pytest.warns(UserWarning, match="cats: dance.gif not read"):
        assert len(own_classes(str(folder), "train", size=16)) == 6


def test_a_picture_that_no_memory_would_hold_is_refused_in_class_folders_too(tmp_path, pictures, monkeypatch):
    folder = _class_folders(tmp_path / "mine", pictures.images[0])
    (folder / "train" / "cups" / "huge.png").write_bytes(_header(13_300))
    with pytest.raises(PictureError, match="huge.png: 13300 x 13300 px are more than the 150 megapixels"):
        own_classes(str(folder), "train", size=16)
    assert len(own_classes(str(folder), "train", size=16, per_class=3)) == 6  # it is the fourth
    # Also where pictures stay in their files, to be read one by one.
    monkeypatch.setattr("srdistill.catalogue.labelled_collections.HELD", 0)
    with pytest.raises(PictureError, match="huge.png: 13300 x 13300 px are more than the 150 megapixels"):
        own_classes(str(folder), "train", size=16)


def test_class_folders_that_are_not_there_are_named(tmp_path, pictures):
    folder = _class_folders(tmp_path / "mine", pictures.images[0])
    with pytest.raises(CollectionError, match="mine"):
        own_classes(str(folder), "test", size=16)
    with pytest.raises(ValueError, match="unknown split 'tests'"):
        own_classes(str(folder), "tests", size=16)
