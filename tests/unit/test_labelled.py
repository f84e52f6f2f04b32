"""Labelled pictures: what they are, the photographs as classes, class folders, CIFAR, and every way they can be wrong."""

import pickle
import shutil

import numpy as np
import pytest
import torch
from PIL import Image

from srdistill.catalogue import labelled_collections
from srdistill.catalogue.collections import CollectionError
from srdistill.catalogue.downloads import DownloadError
from srdistill.catalogue.labelled_collections import IMAGENETTE, IMAGEWOOF, load_labelled, read_class_folders
from srdistill.catalogue.photo_classes import GRID, cells, photo_classes, picture_classes
from srdistill.images import picture_files
from srdistill.images.labelled import LabelError, LabelledPictures
from srdistill.images.picture_files import PictureFiles, square_picture
from srdistill.images.pictures import PictureError, Pictures, read_picture
from srdistill.images.torchvision_import import import_torchvision
from srdistill.networks.classifiers import build_classifier
from srdistill.training.classification import train_classifier
from srdistill.training.classification_recipe import ClassificationRecipe


@pytest.fixture(scope="module")
def task():
    return photo_classes("test", per_class=6)


# --- What a labelled collection is.


def test_photo_classes_have_what_was_asked_for(task):
    assert task.images.shape == (66, 3, 32, 32) and task.images.dtype == torch.uint8
    assert len(task) == 66 and task.size == 32 and len(task.classes) == 11 and "chelsea" in task.classes
    assert task.labels.tolist() == [label for label in range(11) for _ in range(6)]
    assert torch.equal(task.of_class(3), task.images[18:24])


def test_statistics_are_those_of_the_float_pictures(task):
    floats = task.images.double() / 255
    mean, std = task.statistics
    assert mean == pytest.approx(floats.mean((0, 2, 3)).tolist(), abs=1e-12)
    assert std == pytest.approx(floats.std((0, 2, 3), correction=0).tolist(), abs=1e-12)


def test_digest_depends_on_pixels_labels_and_names(task):
    again = LabelledPictures(task.images.clone(), task.labels.clone(), task.classes, task.name)
    assert again.digest == task.digest
    pixels = task.images.clone()
    pixels[0, 0, 0, 0] ^= 1
    labels = task.labels.clone()
    labels[0] = 1
    others = [
        LabelledPictures(pixels, task.labels, task.classes, task.name),
        LabelledPictures(task.images, labels, task.classes, task.name),
        LabelledPictures(task.images, task.labels, task.classes[::-1], task.name),
    ]
    assert len({task.digest, *(other.digest for other in others)}) == 4


def test_pixels_with_labels(task):
    images, labels = task.labelled()
    assert torch.equal(images, task.images) and torch.equal(labels, task.labels)


def test_per_class_takes_the_first_or_draws(task):
    first = task.per_class(2)
    assert torch.equal(first.images, torch.cat([task.of_class(k)[:2] for k in range(11)]))
    drawn = [task.per_class(2, torch.Generator().manual_seed(seed)).digest for seed in (0, 0, 1)]
    assert drawn[0] == drawn[1] != drawn[2]
    with pytest.raises(LabelError, match="class 'astronaut' has 6 pictures, 7 are asked for"):
        task.per_class(7)
    with pytest.raises(LabelError, match="ask for 1 or more"):
        task.per_class(0)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"images": torch.zeros(2, 3, 8, 8)}, "uint8 pictures"),
        ({"images": torch.zeros(2, 3, 8, 9, dtype=torch.uint8)}, "square"),
        ({"images": torch.zeros(2, 1, 8, 8, dtype=torch.uint8)}, r"\(2, 1, 8, 8\)"),
        ({"labels": torch.tensor([0])}, "2 pictures need 2 int64 labels"),
        ({"labels": torch.tensor([0, 1], dtype=torch.int32)}, "int32"),
        ({"labels": torch.tensor([0, 2])}, "label 2 is outside 0..1"),
        ({"labels": torch.tensor([-1, 0])}, "label -1 is outside"),
        ({"classes": ("cat", "cat")}, "two classes are called 'cat'"),
        ({"images": torch.zeros(0, 3, 8, 8, dtype=torch.uint8), "labels": torch.zeros(0, dtype=torch.int64)}, "no pictures"),
    ],
)
def test_malformed_collections_are_refused(change, message):
    good = {"images": torch.zeros(2, 3, 8, 8, dtype=torch.uint8), "labels": torch.tensor([0, 1]), "classes": ("cat", "dog")}
    LabelledPictures(**good)
    with pytest.raises(LabelError, match=message):
        LabelledPictures(**good | change)


def test_unknown_class_is_refused(task):
    with pytest.raises(LabelError, match="no class 11; there are 11"):
        task.of_class(11)


# --- The photographs as classes.


def test_cells_of_the_two_splits_cover_a_photograph_without_overlap():
    seen = np.zeros((2, 427, 641), int)
    for k, split in enumerate(("train", "test")):
        for top, left, height, width in cells(427, 641, split):
            seen[k, top : top + height, left : left + width] += 1
    assert (seen.sum(0) == 1).all()
    assert 0.25 < seen[1].mean() < 0.4


@pytest.mark.parametrize(("split", "other"), [("train", "test"), ("test", "train")])
def test_pictures_of_one_split_see_no_pixel_of_the_other(train_photos, split, other):
    """Everything in the other split's cells is painted over: not one bit of the crops may change."""
    some = train_photos.select(["astronaut", "rocket"])
    painted = []
    for image in some.images:
        image = image.clone()
        for top, left, height, width in cells(*image.shape[1:], other):
            image[:, top : top + height, left : left + width] = 255 - image[:, top : top + height, left : left + width]
        painted.append(image)
    options = {"size": 24, "per_class": 40, "seed": 5, "shorter_side": 200}
    before = picture_classes(some, split, **options)
    after = picture_classes(Pictures(painted, some.names), split, **options)
    assert torch.equal(before.images, after.images)
    assert not torch.equal(before.images, picture_classes(Pictures(painted, some.names), other, **options).images)


def test_photo_classes_depend_on_the_seed_alone():
    sets = [photo_classes("train", per_class=3, seed=seed) for seed in (0, 0, 1)]
    assert sets[0].digest == sets[1].digest != sets[2].digest
    assert load_labelled("photos", "train", size=32, per_class=3).digest == sets[0].digest


def test_photo_classes_refuse_what_does_not_fit():
    with pytest.raises(LabelError, match=rf"crop of 80 px does not fit a cell of \d+ px.*shorter_side of {GRID * 81} px"):
        photo_classes("train", size=80)
    with pytest.raises(LabelError, match="0 pictures per class"):
        photo_classes("train", per_class=0)
    with pytest.raises(ValueError, match="unknown split 'val'"):
        cells(100, 100, "val")


# --- Class folders.


@pytest.mark.parametrize("shape", [(60, 91), (91, 60), (64, 64), (20, 31)])
def test_square_picture_is_the_central_square_of_the_resized_picture(train_photos, shape):
    image = train_photos.images[0][:, 100 : 100 + shape[0], 100 : 100 + shape[1]]
    square = square_picture(image, 32)
    assert square.shape == (3, 32, 32) and square.dtype == torch.uint8
    # Pillow's bicubic has the same kernel and antialiasing; only borders and rounding differ.
    height, width = shape
    scaled = (round(width * 32 / min(shape)), round(height * 32 / min(shape)))
    plain_one = np.asarray(Image.fromarray(image.permute(1, 2, 0).numpy()).resize(scaled, Image.Resampling.BICUBIC))
    top, left = (plain_one.shape[0] - 32) // 2, (plain_one.shape[1] - 32) // 2
    wanted = torch.from_numpy(plain_one[top : top + 32, left : left + 32].copy()).permute(2, 0, 1)
    assert (square.int() - wanted.int()).abs().float().mean() < 1.0


def test_square_picture_keeps_a_picture_of_the_right_size(task):
    assert torch.equal(square_picture(task.images[0], 32), task.images[0])
    with pytest.raises(PictureError, match="0 px"):
        square_picture(task.images[0], 0)


@pytest.fixture
def folders(tmp_path, task, monkeypatch):
    """ImageNette in small: three pieces of a photograph for each class, 40 x 32 px."""
    for split in ("train", "val"):
        for label, entry in enumerate(IMAGENETTE):
            place = tmp_path / "imagenette" / split / entry
            place.mkdir(parents=True)
            for number in range(3):
                image = task.of_class(label)[number].permute(1, 2, 0).numpy()
                Image.fromarray(np.concatenate([image, image[:8]])).save(place / f"{number}.png")
    monkeypatch.setenv("SRDISTILL_DATA", str(tmp_path))
    return tmp_path / "imagenette"


def test_imagenette_comes_in_the_order_of_its_ids(folders, task):
    data = load_labelled("imagenette", "train", size=32)
    assert data.classes == tuple(IMAGENETTE.values()) and data.classes[0] == "tench" and data.name == "imagenette/train"
    assert data.labels.tolist() == [label for label in range(10) for _ in range(3)]
    expected = read_picture(folders / "train" / "n02102040" / "1.png")[:, 4:36]
    assert torch.equal(data.of_class(1)[1], expected)
    assert len(load_labelled("imagenette", "test", size=16, per_class=1)) == 10


def test_part_of_the_pictures_is_drawn_by_a_seed(folders):
    first = load_labelled("imagenette", "train", size=8, per_class=2)
    whole = load_labelled("imagenette", "train", size=8)
    assert torch.equal(first.images, whole.per_class(2).images)
    drawn = [load_labelled("imagenette", "train", size=8, per_class=2, seed=seed).digest for seed in (3, 3, 4)]
    assert drawn[0] == drawn[1] != drawn[2]


def test_large_folders_stay_in_their_files(folders, monkeypatch, tmp_path):
    """Beyond a size nothing is held: the same pictures, read when they are asked for, and known by their files."""
    held = load_labelled("imagenette", "train", size=16)
    monkeypatch.setattr(labelled_collections, "HELD", 10_000)
    monkeypatch.setattr(picture_files.pooch, "os_cache", lambda name: tmp_path / "cache")
    decoded = []

    def read(path):
        decoded.append(path.name)
        return read_picture(path)

    monkeypatch.setattr(picture_files, "read_picture", read)
    data = load_labelled("imagenette", "train", size=16)
    assert isinstance(data.images, PictureFiles) and len(data) == 30 and data.size == 16 and data.images.nbytes == 0
    digest = data.digest
    assert digest != held.digest and not decoded  # files are hashed, not decoded
    assert torch.equal(data.images[torch.tensor([4, 0])], held.images[[4, 0]]) and len(decoded) == 2
    assert torch.equal(data.of_class(1), held.of_class(1)) and torch.equal(data.images[7], held.images[7])
    assert torch.equal(torch.cat(list(data.images.split(7))), held.images) and torch.equal(
        torch.stack(list(data.images)), held.images
    )
    assert data.statistics == held.statistics
    part = data.per_class(2)
    assert isinstance(part.images, PictureFiles) and torch.equal(part.images[:], held.per_class(2).images)
    assert load_labelled("imagenette", "train", size=16).digest == digest
    path = data.images.paths[0]
    path.write_bytes(data.images.paths[1].read_bytes())
    assert load_labelled("imagenette", "train", size=16).digest != digest


def test_hashes_of_files_are_kept_per_machine(folders, monkeypatch, tmp_path):
    monkeypatch.setattr(picture_files.pooch, "os_cache", lambda name: tmp_path / "cache")
    paths, read = sorted((folders / "train").rglob("*.png")), []
    content = picture_files._content
    monkeypatch.setattr(picture_files, "_content", lambda path: read.append(path) or content(path))
    digests = [PictureFiles(paths, 16).digest for _ in range(2)]
    assert digests[0] == digests[1] and len(read) == len(paths)
    assert PictureFiles(paths, 8).digest != digests[0]
    moved = tmp_path / "elsewhere"
    shutil.copytree(folders / "train", moved)
    assert PictureFiles(sorted(moved.rglob("*.png")), 16).digest == digests[0]  # wherever they lie


def test_a_classifier_trains_on_pictures_in_files(folders, monkeypatch):
    held = load_labelled("imagenette", "train", size=16)
    monkeypatch.setattr(labelled_collections, "HELD", 10_000)
    files = load_labelled("imagenette", "train", size=16)
    recipe, losses = ClassificationRecipe(2, batch=7), []
    for data in (held, files):
        network = build_classifier("ConvNet", classes=data.classes, size=16, seed=0, depth=2, width=4)
        history = train_classifier(network, data, recipe, generator=torch.Generator().manual_seed(0), test=data)
        losses.append(history)
    assert losses[0] == losses[1]


def test_missing_class_folder(folders):
    (folders / "train" / "n03000684").rename(folders / "train" / "00003")
    with pytest.raises(LabelError, match=r"no folder for class n03000684, 1 of 10 are missing \(and 00003 is none"):
        load_labelled("imagenette", "train", size=8)


def test_additional_class_folder(folders):
    (folders / "train" / "n99999999").mkdir()
    with pytest.raises(LabelError, match="n99999999 is none of the 10 classes; move it elsewhere"):
        load_labelled("imagenette", "train", size=8)


def test_empty_class_and_too_few_pictures(folders):
    with pytest.raises(LabelError, match=r"n01440764 \(tench\) has 3 pictures, 4 are asked for; ask for 3 or fewer"):
        load_labelled("imagenette", "train", size=8, per_class=4)
    for path in (folders / "val" / "n03028079").iterdir():
        path.unlink()
    with pytest.raises(LabelError, match=r"class n03028079 \(church\) holds no pictures"):
        load_labelled("imagenette", "test", size=8)


def test_damaged_picture_is_named(folders):
    (folders / "train" / "n03028079" / "1.png").write_bytes(b"no picture")
    with pytest.raises(PictureError, match=r"n03028079/1.png"):
        load_labelled("imagenette", "train", size=8)


def test_collections_that_are_not_at_hand(folders):
    with pytest.raises(CollectionError, match=r"imagewoof: not at hand.*class folders into .*imagewoof/train"):
        load_labelled("imagewoof", "train", size=8)
    with pytest.raises(CollectionError, match="'nothing' is neither a folder nor a known labelled collection"):
        load_labelled("nothing", "train", size=8)
    with pytest.raises(CollectionError, match="cifar10: not at hand"):
        load_labelled("cifar10", "train", size=32)
    with pytest.raises(ValueError, match="unknown split 'valid'"):
        load_labelled("imagenette", "valid", size=8)
    (folders / "val").rename(folders / "elsewhere")
    with pytest.raises(CollectionError, match="has no folder val or test"):
        load_labelled("imagenette", "test", size=8)


def test_any_folder_has_its_classes_by_name(folders):
    assert load_labelled(str(folders), "train", size=8).classes == tuple(IMAGENETTE)
    (folders / "empty").mkdir()
    with pytest.raises(LabelError, match="holds no class folders"):
        read_class_folders(folders / "empty", size=8)
    with pytest.raises(CollectionError, match="nowhere: no such folder; give a folder that holds one folder"):
        read_class_folders(folders / "nowhere", size=8)


def test_names_of_the_subsets_are_those_of_imagenet():
    import_torchvision()
    from torchvision.models import ResNet18_Weights

    names = ResNet18_Weights.IMAGENET1K_V1.meta["categories"]
    for subset in (IMAGENETTE, IMAGEWOOF):
        # Ids and ImageNet's numbers are in the same order.
        places = [names.index(name) for name in subset.values()]
        assert places == sorted(places) and list(subset) == sorted(subset)


def test_imagenet_needs_its_thousand_folders(tmp_path, task, monkeypatch):
    monkeypatch.setenv("SRDISTILL_DATA", str(tmp_path))
    for number in range(1000):
        place = tmp_path / "imagenet" / "val" / f"n{10000000 + number}"
        place.mkdir(parents=True)
        Image.fromarray(task.images[number % 66].permute(1, 2, 0).numpy()).save(place / "1.png")
    data = load_labelled("imagenet", "test", size=8, per_class=1)
    assert len(data.classes) == 1000 and data.classes[0] == "tench" and data.classes[-1] == "toilet tissue"
    (place / "1.png").unlink()
    place.rmdir()
    with pytest.raises(LabelError, match="1000 class folders called by WordNet id, here are 999"):
        load_labelled("imagenet", "test", size=8)


@pytest.fixture
def tiny(tmp_path, task, monkeypatch):
    """Tiny-ImageNet's layout with three classes, two of the same name."""
    monkeypatch.setenv("SRDISTILL_DATA", str(tmp_path))
    root = tmp_path / "tiny-imagenet-200"
    ids = ("n00000003", "n00000001", "n00000002")
    (root / "val" / "images").mkdir(parents=True)
    (root / "wnids.txt").write_text("\n".join(ids))
    (root / "words.txt").write_text("n00000001\tcrane, a bird\nn00000002\tfrog\nn00000003\tcrane\nn00000009\tfrog\n")
    lines = []
    for label, entry in enumerate(ids):
        (root / "train" / entry / "images").mkdir(parents=True)
        Image.fromarray(task.images[label].permute(1, 2, 0).numpy()).save(root / "train" / entry / "images" / "a.png")
        Image.fromarray(task.images[label].permute(1, 2, 0).numpy()).save(root / "val" / "images" / f"val_{label}.png")
        lines.append(f"val_{label}.png\t{entry}\t0\t0\t32\t32")
    (root / "val" / "val_annotations.txt").write_text("\n".join(lines))
    return root


def test_tiny_imagenet_is_read_as_its_archive_has_it(tiny, task):
    for split in ("train", "test"):
        data = load_labelled("tiny-imagenet", split, size=32)
        assert data.classes == ("crane (n00000001)", "frog", "crane (n00000003)")
        assert torch.equal(data.images, task.images[[1, 2, 0]])
    (tiny / "val" / "val_annotations.txt").write_text("val_0.png\tn00000077\t0\t0\t32\t32")
    with pytest.raises(LabelError, match="n00000077 of val_0.png is not in wnids.txt"):
        load_labelled("tiny-imagenet", "test", size=32)
    (tiny / "words.txt").unlink()
    with pytest.raises(LabelError, match="words.txt"):
        load_labelled("tiny-imagenet", "train", size=32)


def test_cifar_through_torchvision(tmp_path, task, monkeypatch):
    """The archive's format in small; its MD5 sums, which nothing small can have, are left out."""
    import_torchvision()
    from torchvision.datasets import CIFAR10

    monkeypatch.setenv("SRDISTILL_DATA", str(tmp_path))
    monkeypatch.setattr(CIFAR10, "_check_integrity", lambda self: True)
    monkeypatch.setattr("torchvision.datasets.cifar.check_integrity", lambda *_: True)
    monkeypatch.setattr(CIFAR10, "train_list", [["data_batch_1", ""]])
    place = tmp_path / CIFAR10.base_folder
    place.mkdir()
    names = [f"class {label}" for label in range(3)]
    labels = [2, 0, 1, 0, 1, 2]
    with open(place / "data_batch_1", "wb") as file:
        pickle.dump({"data": task.images[:6].reshape(6, -1).numpy(), "labels": labels}, file)
    with open(place / CIFAR10.meta["filename"], "wb") as file:
        pickle.dump({"label_names": names}, file)
    data = load_labelled("cifar10", "train", size=32)
    assert data.classes == tuple(names) and data.labels.tolist() == [0, 0, 1, 1, 2, 2]
    assert torch.equal(data.images, task.images[[1, 3, 2, 4, 0, 5]])
    small = load_labelled("cifar10", "train", size=16, per_class=1)
    assert torch.equal(small.images[0], square_picture(task.images[1], 16)) and len(small) == 3
    with pytest.raises(LabelError, match="class class 0 has 2 pictures, 3 are asked for"):
        load_labelled("cifar10", "train", size=32, per_class=3)


def test_failed_download_is_named(tmp_path, monkeypatch):
    def refuse(name, archive):
        raise DownloadError(f"{name}: could not download {archive.url} (no route to host)")

    monkeypatch.setenv("SRDISTILL_DATA", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(labelled_collections, "fetch", refuse)
    with pytest.raises(CollectionError, match="imagenette2.tgz .no route to host.*imagenette/train"):
        load_labelled("imagenette", "train", size=8, download=True)
    with pytest.raises(CollectionError, match="no download is known"):
        load_labelled("imagenet", "train", size=8, download=True)


def test_real_imagenette(shared_data):
    if not (shared_data / "imagenette_224").is_dir():
        pytest.skip("no imagenette_224 in the folder that SRDISTILL_DATA names")
    data = load_labelled("imagenette", "test", size=64, per_class=3, seed=1)
    assert data.images.shape == (30, 3, 64, 64) and labelled_collections.FOLDERS["imagenette"][1] == "imagenette_224"
    assert data.images.float().std() > 40
