"""Tiles of all scales for the command: those of the study's method, and no picture scored or embedded twice."""

import os
from pathlib import Path

import pytest
import torch

from srdistill.distill import Request, coverage, distill, work
from srdistill.distill.methods import METHODS
from srdistill.distill.sources import Turned, find
from srdistill.distill.work import Work
from srdistill.papers.beyond.selecting.pyramid_coverage import Coverage, pyramid_coverage
from srdistill.papers.beyond.tiles.tile_budget import tile_count
from srdistill.papers.beyond.tiles.trimming import trimmed
from srdistill.sets.coding import Coding, encode
from srdistill.sets.mosaics import read_mosaics
from srdistill.sets.pyramid import Pyramid
from srdistill.sets.pyramid_tiles import for_each_tile, scored_tiles

PICTURES = 7


@pytest.fixture
def folder(train_photos, tmp_path):
    """Parts of the seven photographs, 100 x 140 px, of some ten candidates each: a batch holds those of several pictures."""
    place = tmp_path / "pictures"
    place.mkdir()
    for name, image in train_photos:
        (place / f"{name}.png").write_bytes(encode(image[:, 60:160, 100:240], Coding("png")))
    return place


@pytest.fixture
def counted(monkeypatch):
    """How many pictures were scored, and how many batches embedded, since it was cleared."""
    calls = {"scores": 0, "embeddings": 0}
    scan, spectra = coverage.scan_picture, coverage.spectrum_embedding

    def counted_scan(*given):
        calls["scores"] += 1
        return scan(*given)

    def counted_spectra(scale):
        made = spectra(scale)

        def features(tiles):
            calls["embeddings"] += 1
            return made.features(tiles)

        return type(made)(made.name, features, made.standardise)

    monkeypatch.setattr(coverage, "scan_picture", counted_scan)
    monkeypatch.setattr(coverage, "spectrum_embedding", counted_spectra)
    return calls


def request(folder, out, **settings) -> Request:
    usual = {"budget": "10%", "tile": 32, "scale": 2, "method": "coverage"}
    return Request(str(folder), str(out), **usual | settings)


def contents(folder) -> dict[str, bytes]:
    """Of all files but the card, which says the seconds."""
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.name != "card.md"}


def interrupted(folder, out, monkeypatch, at, **settings):
    """A run that gets Ctrl-C when ``at`` answers are finished."""
    turns = iter(range(10**6))

    def bar(items, label, total=None, initial=0):
        items = iter(items)
        for _ in range(total):
            if next(turns) == at:
                raise KeyboardInterrupt
            yield next(items)

    with monkeypatch.context() as patch:
        patch.setattr(work, "bar", bar)
        with pytest.raises(KeyboardInterrupt):
            distill(request(folder, out, **settings))


def selected(folder, partial: Path, tile=32, scale=2) -> torch.Tensor:
    """Ten tiles, with the answers that lie in ``partial``."""
    partial.mkdir(exist_ok=True)
    found, generator = find(folder, tile), torch.Generator().manual_seed(0)
    select = METHODS["coverage"].select
    pairs = select(found.sources, 10, tile=tile, scale=scale, generator=generator, work=Work(partial))
    return torch.cat([tiles for _, tiles in pairs])


@pytest.mark.parametrize(("scale", "tile", "damaged"), [(2, 32, 0), (3, 48, 0), (4, 32, 2)])
def test_tiles_are_those_of_the_study(folder, tmp_path, scale, tile, damaged):
    for path in sorted(folder.iterdir())[1 : 1 + damaged]:
        path.write_bytes(path.read_bytes()[:3000])
    made = distill(request(folder, tmp_path / "out", scale=scale, tile=tile, seed=3))
    sources = [source for source in find(folder, tile).sources if source.name not in dict(made.unreadable)]
    assert len(sources) == PICTURES - damaged
    # What could not be read counted in the budget of the request.
    expected = pyramid_coverage(
        Turned(sources, ""), scale=scale, tile=tile, generator=torch.Generator().manual_seed(3),
        budget=tile_count(0.1, made.found.pixels, tile) * tile**2 / sum(source.pixels for source in sources),
    )  # fmt: skip
    tiles, names = read_mosaics(tmp_path / "out")
    assert torch.equal(tiles, expected.images)
    assert list(names) == [sources[label].name for label in expected.labels.tolist()]


def test_batches_are_those_of_the_library(folder):
    """Else the last bits of products, and with them choices, might differ."""

    def batched(sizes):
        return lambda tiles: sizes.append(len(tiles)) or tiles[:, 0, 0]

    pictures = Turned(find(folder, 32).sources, "")
    everything = scored_tiles(pictures, Pyramid(32, 24), 2)
    for low in (0.0, 0.6, 0.9):
        tiles, batches = everything.at(trimmed(everything, low, 0.03)), []
        for_each_tile(pictures, tiles, batched(batches), "sizes", coverage._BATCH)
        groups = coverage._groups(tiles.picture)
        parts = [torch.arange(group.stop - group.start).split(coverage._BATCH) for group in groups]
        assert [len(batch) for part in parts for batch in part] == batches
        assert groups[0].start == 0 and groups[-1].stop == len(tiles)
    assert len(groups) < PICTURES, "no batch of several pictures was seen"


@pytest.mark.parametrize("at", [0, 1, 3, 7, 8])
def test_an_interrupted_run_works_on_the_rest_only(folder, tmp_path, monkeypatch, counted, at):
    distill(request(folder, tmp_path / "whole"))
    whole = dict(counted)
    assert whole["scores"] == PICTURES and whole["embeddings"] > 1
    counted.update(scores=0, embeddings=0)
    interrupted(folder, tmp_path / "cut", monkeypatch, at)
    assert counted["scores"] == min(at, PICTURES)
    counted.update(scores=0, embeddings=0)
    made = distill(request(folder, tmp_path / "cut"))
    assert counted["scores"] == PICTURES - min(at, PICTURES) and made.resumed == at
    assert (counted["embeddings"] == whole["embeddings"]) == (at <= PICTURES)
    assert contents(tmp_path / "cut") == contents(tmp_path / "whole")
    assert not (tmp_path / "cut" / ".partial").exists()


def test_an_interruption_of_several_workers(folder, tmp_path, monkeypatch):
    distill(request(folder, tmp_path / "whole"))
    interrupted(folder, tmp_path / "cut", monkeypatch, 8)
    assert distill(request(folder, tmp_path / "cut"), workers=3).resumed == 8
    assert contents(tmp_path / "cut") == contents(tmp_path / "whole")


def test_damaged_answers_are_made_again(folder, tmp_path, monkeypatch, counted):
    distill(request(folder, tmp_path / "whole"))
    interrupted(folder, tmp_path / "cut", monkeypatch, PICTURES)
    answers = sorted((tmp_path / "cut" / ".partial").glob("*.safetensors"))
    assert len(answers) == PICTURES
    answers[0].write_bytes(answers[0].read_bytes()[:100])
    answers[1].write_bytes(b"")
    answers[2].unlink()
    counted.update(scores=0)
    distill(request(folder, tmp_path / "cut"))
    assert counted["scores"] == 3
    assert contents(tmp_path / "cut") == contents(tmp_path / "whole")


def test_a_changed_picture_or_setting_is_scored_anew(folder, tmp_path, counted, train_photos):
    def work_for(**settings):
        counted.update(scores=0, embeddings=0)
        tiles = selected(folder, tmp_path / "partial", **settings)
        return tiles, counted["scores"]

    first, scores = work_for()
    assert scores == PICTURES
    again, scores = work_for()
    assert scores == counted["embeddings"] == 0 and torch.equal(again, first)
    changed = folder / "flower.png"
    changed.write_bytes(encode(train_photos.images[0][:, 200:300, 60:200], Coding("png")))
    other, scores = work_for()
    assert scores == 1 and counted["embeddings"] >= 1 and not torch.equal(other, first)
    assert torch.equal(other, selected(folder, tmp_path / "fresh"))
    state = changed.stat()
    os.utime(changed, ns=(state.st_atime_ns, state.st_mtime_ns + 1))
    assert work_for()[1] == 1
    assert work_for(scale=4)[1] == PICTURES
    assert work_for(tile=48)[1] == PICTURES


def test_settings_of_the_pyramid_are_settings(folder, tmp_path, counted, monkeypatch):
    selected(folder, tmp_path / "partial")
    monkeypatch.setattr(coverage, "Coverage", lambda: Coverage(stride=24))
    counted.update(scores=0)
    selected(folder, tmp_path / "partial")
    assert counted["scores"] == PICTURES


def test_a_budget_of_bytes_scores_once(folder, tmp_path, counted):
    made = distill(request(folder, tmp_path / "out", budget="", bytes="30kB"))
    assert made.written.bytes <= 30_000 and made.resumed == 0
    assert counted["scores"] == PICTURES
