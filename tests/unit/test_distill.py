"""A small training set from a folder: what is written, that it is the same however it was made, and what the card says."""

import csv
import re
import shlex

import pytest
import torch
from PIL import Image

from srdistill.distill import Request, card, distill, work
from srdistill.distill.methods import METHODS
from srdistill.distill.problem import DistillError
from srdistill.images.pictures import read_folder, to_uint8
from srdistill.sets.coding import Coding, encode, error_share
from srdistill.sets.mosaics import read_mosaics

METHOD_NAMES = sorted(METHODS)


@pytest.fixture(scope="module")
def folder(train_photos, tmp_path_factory):
    """Parts of the seven photographs, 160 x 240 px, and a truncated one among them."""
    place = tmp_path_factory.mktemp("own") / "my pictures"
    place.mkdir()
    for name, image in train_photos:
        (place / f"{name}.png").write_bytes(encode(image[:, 20:180, 40:280], Coding("png")))
    whole = (place / "flower.png").read_bytes()
    (place / "cut off.png").write_bytes(whole[: len(whole) // 2])
    (place / "small.png").write_bytes(encode(train_photos.images[0][:, :31, :90], Coding("png")))
    return place


def request(folder, out, **settings) -> Request:
    return Request(str(folder), str(out), **{"budget": "6%", "tile": 32, "scale": 2} | settings)


def contents(folder) -> dict[str, bytes]:
    """Of all files but the card, which says the seconds."""
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.name != "card.md"}


@pytest.mark.parametrize("method", METHOD_NAMES)
def test_tiles_are_written_with_their_index(folder, tmp_path, method):
    made = distill(request(folder, tmp_path / "out", method=method))
    tiles, sources = read_mosaics(tmp_path / "out")
    assert tiles.shape == (made.written.tiles, 3, 32, 32)
    # 6 % of 7 (the one that is cut off counts, as its header can be read) x 160 x 240 px.
    assert 0.85 * 18 <= len(tiles) <= 18
    assert set(sources) <= {f"{path.stem}.png" for path in folder.iterdir()} - {"cut off.png", "small.png"}
    assert torch.equal(torch.stack(read_folder(tmp_path / "out").images), tiles)
    assert [name for name, _ in made.unreadable] == ["cut off.png"] and made.found.small == ("small.png",)
    assert not (tmp_path / "out" / ".partial").exists()


def test_mosaics_hold_the_same_tiles(folder, tmp_path):
    single = distill(request(folder, tmp_path / "png"))
    packed = distill(request(folder, tmp_path / "webp", format="webp"))
    assert torch.equal(read_mosaics(tmp_path / "png")[0], read_mosaics(tmp_path / "webp")[0])
    assert packed.written.bytes < single.written.bytes and packed.written.files == 1


def test_the_cheapest_coding_keeps_its_share(folder, tmp_path):
    distill(request(folder, tmp_path / "png"))
    coded = distill(request(folder, tmp_path / "cheap", format="cheapest", share=0.1))
    pairs = zip(read_mosaics(tmp_path / "png")[0], read_mosaics(tmp_path / "cheap")[0], strict=True)
    assert all(error_share(before, after, 2) <= 0.1 for before, after in pairs)
    assert coded.written.bytes < distill(request(folder, tmp_path / "webp", format="webp")).written.bytes


@pytest.mark.parametrize("format", ["png", "webp", "cheapest"])
def test_a_budget_of_bytes_is_kept_and_used(folder, tmp_path, format):
    made = distill(request(folder, tmp_path / "out", budget="", bytes="60kB", format=format))
    files = sum(len(data) for name, data in contents(tmp_path / "out").items() if name != "index.csv")
    assert 40_000 < files == made.written.bytes <= 60_000


def test_more_bytes_than_there_are_take_everything(folder, tmp_path):
    made = distill(request(folder, tmp_path / "out", budget="", bytes="1GB"))
    assert made.written.tiles == 7 * 5 * 7


@pytest.mark.parametrize("method", METHOD_NAMES)
def test_workers_change_nothing(folder, tmp_path, method):
    distill(request(folder, tmp_path / "one", method=method), workers=1)
    distill(request(folder, tmp_path / "three", method=method), workers=3)
    assert contents(tmp_path / "one") == contents(tmp_path / "three")


def test_seeds_choose_others(folder, tmp_path):
    for seed in range(4):
        distill(request(folder, tmp_path / str(seed), seed=seed, budget="1%"))
    assert len({str(contents(tmp_path / str(seed))) for seed in range(4)}) > 1


@pytest.mark.parametrize("settings", [{}, {"format": "webp", "budget": "", "bytes": "60kB"}], ids=["pixels", "bytes"])
@pytest.mark.parametrize("at", [0, 3, 6, 9])
def test_interrupted_equals_uninterrupted(folder, tmp_path, monkeypatch, at, settings):
    distill(request(folder, tmp_path / "whole", **settings))
    turns = iter(range(10**6))

    def bar(items, label, total=None, initial=0):
        for item in items:
            if next(turns) == at:
                raise KeyboardInterrupt
            yield item

    with monkeypatch.context() as patch:
        patch.setattr(work, "bar", bar)
        with pytest.raises(KeyboardInterrupt):
            distill(request(folder, tmp_path / "cut", **settings))
    assert (tmp_path / "cut" / ".partial").is_dir() and not (tmp_path / "cut" / "card.md").exists()
    made = distill(request(folder, tmp_path / "cut", **settings))
    assert min(at + 1, 7) <= made.resumed <= at + 1
    assert contents(tmp_path / "cut") == contents(tmp_path / "whole")


def test_half_an_answer_of_a_crash_is_made_again(folder, tmp_path, monkeypatch):
    distill(request(folder, tmp_path / "whole"))
    monkeypatch.setattr("srdistill.distill.make.write_mosaics", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        distill(request(folder, tmp_path / "cut"))
    monkeypatch.undo()
    for path in sorted((tmp_path / "cut" / ".partial").glob("*.safetensors"))[:2]:
        path.write_bytes(path.read_bytes()[:100])
    distill(request(folder, tmp_path / "cut"))
    assert contents(tmp_path / "cut") == contents(tmp_path / "whole")


def test_pictures_that_are_held_otherwise_are_turned(train_photos, tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    image = train_photos.images[0][:, :100, :60]
    (tmp_path / "in").mkdir()
    Image.fromarray(image.permute(1, 2, 0).numpy()).save(tmp_path / "in" / "a.png", exif=exif)
    distill(request(tmp_path / "in", tmp_path / "out", budget="100%", tile=60))
    turned = torch.rot90(image, -1, (1, 2))[:, :, 20:80]
    assert torch.equal(read_mosaics(tmp_path / "out")[0][0], turned)


def test_the_folder_of_pictures_is_only_read(folder, tmp_path):
    before = {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in folder.rglob("*")}
    distill(request(folder, tmp_path / "out"))
    assert {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in folder.rglob("*")} == before


def test_the_card_says_how_it_was_made(folder, tmp_path):
    command = shlex.join(["python", "-m", "srdistill.distill", "--data", str(folder)])
    made = distill(request(folder, tmp_path / "out", format="webp"), command=command)
    text = (tmp_path / "out" / "card.md").read_text()
    assert command in text and "- method: shrunk" in text and "6.0000% of the pixels" in text and "seed 0" in text
    assert f"| after | {made.written.tiles} | 1 | {made.written.tiles * 1024:,} | {made.written.bytes:,} |" in text
    assert f"| before | 8 | 8 | {made.found.pixels:,} | {made.found.bytes:,} |" in text
    assert "1 unreadable pictures, 1 smaller than a tile" in text
    assert "- `cut off.png`: damaged or cut off" in text and "- `small.png`: smaller than a tile" in text
    assert "torch 2." in text and f"factor 1/{made.request.scale}" in text
    assert re.search(r"- seconds: \d+\.\d", text)


def test_the_python_of_the_card_cuts_the_tiles(folder, tmp_path, monkeypatch):
    distill(request(folder, tmp_path / "out", format="webp"))
    (code,) = re.findall(r"```python\n(.*?)```", (tmp_path / "out" / "card.md").read_text(), re.DOTALL)
    monkeypatch.chdir(tmp_path / "out")
    found = []
    exec(code + "    found.append(tile)\n", {"found": found})
    tiles, _ = read_mosaics(tmp_path / "out")
    assert [image.tobytes() for image in found] == [tile.permute(1, 2, 0).numpy().tobytes() for tile in tiles]


def test_expected_quality_comes_from_the_table_or_is_said_to_be_unknown(folder, tmp_path):
    made = distill(request(folder, tmp_path / "out"))
    assert "Not measured for the method shrunk at x2." in card._expected(made, tmp_path)
    (tmp_path / "desktop").mkdir()
    with open(tmp_path / "desktop" / "beyond_t1.csv", "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow("row,network,testset,metric,mean,std,n,published,scale,budget".split(","))
        writer.writerow(["Downscaled, smaller", "SRCNN", "set5", "psnr", 33.5, 0.1, 9, "", 2, "1 %"])
        writer.writerow(["Downscaled, smaller", "SRCNN", "set5", "recovered_gain", 95.4, 0.1, 9, "", 2, "1 %"])
        writer.writerow(["Downscaled, smaller", "SRCNN", "set5", "ssim", 0.9, 0.1, 9, "", 2, "1 %"])
        writer.writerow(["Downscaled, smaller", "SRCNN", "set5", "psnr", 29.5, 0.1, 9, "", 4, "1 %"])
        writer.writerow(["Random crops", "SRCNN", "set5", "psnr", 31.5, 0.1, 9, "", 2, "1 %"])
    text = card._expected(made, tmp_path)
    assert "| Downscaled, smaller | 1 % | SRCNN | Set5 | PSNR | 33.50 | 9 |" in text
    assert "| Downscaled, smaller | 1 % | SRCNN | Set5 | gain % | 95 | 9 |" in text
    assert not any(word in text for word in ("29.5", "Random", "SSIM"))


def test_a_flat_picture_is_no_trouble(tmp_path):
    (tmp_path / "in").mkdir()
    flat = to_uint8(torch.full((3, 64, 64), 0.5))
    (tmp_path / "in" / "flat.png").write_bytes(encode(flat, Coding("png")))
    made = distill(request(tmp_path / "in", tmp_path / "out", budget="50%", format="cheapest"))
    assert made.written.tiles == 1


@pytest.mark.parametrize(("scale", "tile"), [(2, 48), (3, 72), (4, 96)])
def test_a_tile_is_as_large_as_the_scale_asks(folder, tmp_path, scale, tile):
    assert Request(str(folder), str(tmp_path / "out"), scale=scale).tile == tile
    assert Request(str(folder), str(tmp_path / "out"), scale=scale, tile=24).tile == 24
    with pytest.raises(DistillError, match="--tile -24 must be a multiple"):
        Request(str(folder), str(tmp_path / "out"), scale=scale, tile=-24)
