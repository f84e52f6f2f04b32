"""Each format is read back: by the real loader where it can be installed, else by the loader's documented rules."""

import re

import pytest
import torch
from PIL import Image

from srdistill.images.convention import low_resolution
from srdistill.images.pictures import read_folder, to_float, to_uint8
from srdistill.sets.distilled_set import DistilledSet
from srdistill.sets.learned_set import LearnedSet
from srdistill.sets.mosaics import read_mosaics
from srdistill.study.export import FORMATS, NothingToExport, export_table, main
from srdistill.study.formats.basicsr import write_basicsr
from srdistill.study.formats.dd_ranking import write_dd_ranking
from srdistill.study.formats.mosaics import write_as_mosaics
from srdistill.study.formats.pictures import write_pictures
from srdistill.study.formats.problem import FormatError
from srdistill.study.paths import TABLES

ABOUT = {"table": "dietz table 1", "row": 'Noise, "IPC=1"', "seed": 0, "use": "To train on.", "task": "image-to-image"}


@pytest.fixture
def made(pictures) -> DistilledSet:
    images = torch.stack([image[:, :50, :53] for image in pictures.images])
    return DistilledSet(images, torch.tensor([0, 2, 1]), pictures.names, "cut", {"size": 50})


def test_hugging_faces_loader_reads_pictures_and_metadata(made, tmp_path):
    datasets = pytest.importorskip("datasets", reason="needs Hugging Face's datasets")
    folder = write_pictures(made, tmp_path / "set", ABOUT)
    found = datasets.load_dataset("imagefolder", data_dir=str(folder), split="train", cache_dir=str(tmp_path / "cache"))
    assert len(found) == 3 and set(found.column_names) == {"image", "label", "source"}
    for line, image, label in zip(found, made.images, made.labels.tolist(), strict=True):
        assert line["label"] == label and line["source"] == made.names[label]
        assert line["image"].tobytes() == image.permute(1, 2, 0).contiguous().numpy().tobytes()


def test_the_card_begins_with_yaml_that_names_the_set(made, tmp_path):
    yaml = pytest.importorskip("yaml")
    text = (write_pictures(made, tmp_path, ABOUT) / "README.md").read_text()
    head = yaml.safe_load(re.match(r"---\n(.*?)---\n", text, re.DOTALL)[1])
    assert head["pretty_name"] == 'Noise, "IPC=1", dietz table 1, seed 0'
    assert head["task_categories"] == ["image-to-image"] and head["size_categories"] == ["n<1K"]
    assert "Method: cut" in text


def test_basicsrs_rules_find_every_pair(made, tmp_path):
    """``paired_paths_from_meta_info_file``: the text split into lines, of each the first word, the same name in both folders;
    then both pictures cropped at places that the scale divides.

    Not by BasicSR's own reader: any part of basicsr 1.4.2 imports ``basicsr.data.degradations``, and that imports
    ``torchvision.transforms.functional_tensor``, which torchvision no longer has (deprecated in 0.15, to be gone in 0.17).
    """
    folder = write_basicsr(made, tmp_path / "set", ABOUT)
    lines = (folder / "meta_info.txt").read_text().split("\n")
    assert len(lines) == 3 and all(line.strip() for line in lines)
    for line, image in zip(lines, made.images, strict=True):
        name, size = line.split(" ")
        hr = Image.open(folder / "GTmod12" / name)
        assert size == f"({hr.height},{hr.width},3)" == "(48,48,3)"
        for scale in (2, 4):
            lr = Image.open(folder / f"LRbicx{scale}" / name)
            assert (lr.width * scale, lr.height * scale) == hr.size
            expected = low_resolution(image[:, :48, :48], scale).permute(1, 2, 0).contiguous().numpy()
            assert lr.tobytes() == expected.tobytes()
    yaml = pytest.importorskip("yaml")
    options = yaml.safe_load((folder / "options.yml").read_text())["datasets"]["train"]
    assert options["type"] == "PairedImageDataset" and options["gt_size"] == 48 and options["filename_tmpl"] == "{}"
    assert (tmp_path / options["dataroot_gt"]).is_dir() and (tmp_path / options["meta_info_file"]).is_file()


def test_mosaics_give_the_same_tiles_from_fewer_bytes(made, tmp_path):
    square = DistilledSet(made.images[:, :, :48, :48], made.labels, made.names, "cut", {"size": 48})
    folder = write_as_mosaics(square, tmp_path / "set", ABOUT)
    tiles, sources = read_mosaics(folder)
    assert torch.equal(tiles, square.images) and sources == tuple(made.names[k] for k in (0, 2, 1))
    assert sum(path.stat().st_size for path in folder.glob("mosaic_*")) < square.sizes.lossless_bytes
    text = (folder / "README.md").read_text()
    assert "3 tiles of 48 x 48 px in 1 mosaics" in text and "Method: cut" in text and "- size: 48" in text
    write_as_mosaics(DistilledSet(square.images[:1], square.labels[:1], made.names, "cut"), folder, ABOUT)
    assert len(read_mosaics(folder)[0]) == 1
    with pytest.raises(FormatError, match="53 x 50 px are not square"):
        write_as_mosaics(made, tmp_path, ABOUT)


def test_the_set_that_lies_beside_the_tables_is_whole():
    folder = TABLES / "desktop" / "sets" / "beyond_t2" / "downscaled-smaller-3" / "seed0"
    tiles, sources = read_mosaics(folder)
    assert tiles.shape == (679, 3, 40, 40) and len(set(sources)) == 290
    assert sum(path.stat().st_size for path in folder.iterdir()) < 5_000_000


def test_dd_rankings_tensors(made, tmp_path):
    about = ABOUT | {"normalisation": [[0.5, 0.4, 0.3], [0.2, 0.25, 0.3]]}
    folder = write_dd_ranking(made, tmp_path / "plain", about)
    images, labels = (torch.load(folder / f"{name}.pt", weights_only=True) for name in ("images", "labels"))
    assert images.dtype == torch.float32 and labels.tolist() == [0, 2, 1] and labels.dtype == torch.int64
    mean, deviation = (torch.tensor(values)[:, None, None] for values in about["normalisation"])
    assert torch.equal(to_uint8(images * deviation + mean), made.images)
    floats = to_float(made.images)
    logits = torch.tensor([[2.0, 0.0, 0.0], [0.0, 0.0, 1.0], [0.0, 3.0, 0.0]])
    learned = LearnedSet(made.images, made.labels, made.names, "learned", floats=floats, label_logits=logits)
    soft = torch.load(write_dd_ranking(learned, tmp_path / "soft", about) / "labels.pt", weights_only=True)
    assert torch.allclose(soft.sum(1), torch.ones(3)) and soft.argmax(1).tolist() == [0, 2, 1]


def test_what_a_format_cannot_hold_is_said(made, tmp_path):
    with pytest.raises(FormatError, match="DD-Ranking compares classifiers"):
        write_dd_ranking(made, tmp_path, ABOUT)
    small = DistilledSet(made.images[:, :, :8, :8], made.labels, made.names, "small")
    with pytest.raises(FormatError, match=r"images of \(8, 8\) px have no side of 12 px"):
        write_basicsr(small, tmp_path, ABOUT)


def test_one_row_of_a_table(saved_table, tmp_path, capsys, monkeypatch):
    export_table("dietz_t1", "smoke", to=tmp_path)
    folder = export_table("dietz_t1", "smoke", to=tmp_path, row="Noise, IPC=1", form="basicsr")
    assert folder == tmp_path / "smoke-basicsr" / "dietz_t1"
    assert [path.name for path in folder.iterdir() if path.is_dir()] == ["noise-ipc-1"]
    # The other row's pictures stay when one is exported again.
    export_table("dietz_t1", "smoke", to=tmp_path, row="noise-ipc-1")
    assert len(read_folder(tmp_path / "smoke" / "dietz_t1" / "real-crops" / "seed0")) == 14
    with pytest.raises(NothingToExport, match="dietz_t1 has no seed 7; there are: 0"):
        export_table("dietz_t1", "smoke", to=tmp_path, seed=7)
    with pytest.raises(NothingToExport, match="no row 'Nois'.*there are: Noise, IPC=1; Real"):
        export_table("dietz_t1", "smoke", to=tmp_path, row="Nois")
    with pytest.raises(NothingToExport, match=f"unknown format 'jpeg'; there are: {', '.join(FORMATS)}"):
        export_table("dietz_t1", "smoke", to=tmp_path, form="jpeg")
    assert main(["dietz_t1", "--profile", "smoke", "--format", "dd-ranking", "--to", str(tmp_path)]) == 2
    assert "DD-Ranking compares classifiers" in capsys.readouterr().err
    # make hands over what was written, and not every shell expands TO=~/sets.
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert main(["dietz_t1", "--profile", "smoke", "--row", "Noise, IPC=1", "--to", "~/sets"]) == 0
    assert (tmp_path / "home" / "sets" / "smoke" / "dietz_t1" / "README.md").is_file()
