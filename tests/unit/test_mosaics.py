"""Tiles in mosaics: what goes in comes out, cells that are empty stay out, and damage is named."""

import pytest
import torch

from srdistill.sets.coding import Coding, decode, encode
from srdistill.sets.distilled_set import SetError
from srdistill.sets.mosaics import INDEX, columns_of, mosaics, read_mosaics, write_mosaics

CODINGS = [Coding("webp"), Coding("png")]


@pytest.fixture(scope="module")
def tiles(pictures):
    """Twenty-two tiles of 32 px from three photographs."""
    windows = (image[:, y : y + 32, x : x + 32] for image in pictures.images for y in (0, 20, 40) for x in (0, 16, 32))
    return torch.stack(list(windows)[:22])


def named(tiles):
    return [(tile, f"picture {index // 3}") for index, tile in enumerate(tiles)]


@pytest.mark.parametrize("coding", CODINGS, ids=lambda coding: coding.name)
@pytest.mark.parametrize("count", [1, 2, 4, 5, 9, 10, 22])
def test_read_back_equals_the_tiles(tiles, tmp_path, coding, count):
    written = write_mosaics(tmp_path, named(tiles[:count]), coding, side=3)
    back, sources = read_mosaics(tmp_path)
    assert torch.equal(back, tiles[:count])
    assert sources == tuple(name for _, name in named(tiles[:count]))
    files = [path for path in tmp_path.iterdir() if path.name != INDEX]
    assert (written.tiles, written.files) == (count, len(files)) and len(files) == -(-count // 9)
    assert written.bytes == sum(path.stat().st_size for path in files)


def test_a_side_of_one_is_a_file_for_each_tile(tiles, tmp_path):
    write_mosaics(tmp_path, named(tiles[:3]), Coding("png"), side=1)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["index.csv", *(f"tile_0000{n}.png" for n in range(3))]
    assert torch.equal(read_mosaics(tmp_path)[0], tiles[:3])
    assert torch.equal(decode((tmp_path / "tile_00002.png").read_bytes()), tiles[2])


@pytest.mark.parametrize(("count", "columns"), [(1, 1), (2, 2), (3, 2), (5, 3), (9, 3), (10, 4), (64, 8), (200, 8)])
def test_mosaics_are_nearly_square(count, columns):
    assert columns_of(count, 8) == columns


def test_empty_cells_are_in_no_line_and_never_read(tiles, tmp_path):
    write_mosaics(tmp_path, named(tiles[:5]), side=4)
    canvas = decode((tmp_path / "mosaic_00000.webp").read_bytes())
    assert canvas.shape == (3, 64, 96) and not canvas[:, 32:, 64:].any()
    canvas[:, 32:, 64:] = 200
    (tmp_path / "mosaic_00000.webp").write_bytes(encode(canvas, Coding("webp")))
    assert torch.equal(read_mosaics(tmp_path)[0], tiles[:5])


@pytest.mark.parametrize("quality", [95, 80])
def test_a_tile_of_a_jpeg_mosaic_is_the_tile_coded_alone(tiles, tmp_path, quality):
    write_mosaics(tmp_path, named(tiles), Coding("jpeg", quality), side=4)
    for tile, back in zip(tiles, read_mosaics(tmp_path)[0], strict=True):
        assert torch.equal(back, decode(encode(tile, Coding("jpeg", quality))))


def test_tiles_of_several_codings_keep_their_order(tiles, tmp_path):
    kinds = {0: Coding("webp"), 1: Coding("png"), 2: Coding("jpeg", 90)}
    order = iter(range(len(tiles)))
    write_mosaics(tmp_path, named(tiles), lambda tile: kinds[next(order) % 3], side=2)
    back, sources = read_mosaics(tmp_path)
    for index, tile in enumerate(tiles):
        assert torch.equal(back[index], decode(encode(tile, kinds[index % 3])))
    assert sources == tuple(name for _, name in named(tiles))


def test_mosaics_are_made_while_tiles_still_come(tiles):
    asked = []

    def stream():
        for index, tile in enumerate(tiles):
            asked.append(index)
            yield tile

    first = next(mosaics(stream(), side=2))
    assert first.tiles == (0, 1, 2, 3) and asked == [0, 1, 2, 3]


def test_mosaics_take_fewer_bytes_than_tiles(tiles, tmp_path):
    single = write_mosaics(tmp_path / "single", named(tiles), Coding("webp"), side=1)
    packed = write_mosaics(tmp_path / "packed", named(tiles), Coding("webp"), side=8)
    assert packed.bytes < single.bytes


def test_names_with_commas_quotes_and_lines_survive(tiles, tmp_path):
    names = ['a,b "c".png', "two\nlines", "ünï/çödé", ""]
    write_mosaics(tmp_path, zip(tiles[:4], names, strict=True))
    assert read_mosaics(tmp_path)[1] == tuple(names)


def test_writing_twice_gives_the_same_bytes(tiles, tmp_path):
    for folder in ("one", "two"):
        write_mosaics(tmp_path / folder, named(tiles), side=3)
    for path in (tmp_path / "one").iterdir():
        assert path.read_bytes() == (tmp_path / "two" / path.name).read_bytes()


def test_tiles_that_do_not_fit_together(tiles, tmp_path):
    with pytest.raises(SetError, match=r"tile 1 is torch.uint8 \(3, 16, 16\); all must be uint8 \(3, 32, 32\)"):
        list(mosaics([tiles[0], tiles[0][:, :16, :16]]))
    with pytest.raises(SetError, match="tile 0 is torch.float32"):
        list(mosaics([tiles[0].float()]))
    with pytest.raises(SetError, match="tiles of 30 px would share blocks of jpeg q90; use a multiple of 8"):
        list(mosaics([tiles[0][:, :30, :30]], Coding("jpeg", 90)))
    with pytest.raises(SetError, match="1 tile or more along each side, got 0"):
        list(mosaics(tiles, side=0))
    with pytest.raises(SetError, match="no tiles to write"):
        write_mosaics(tmp_path, [])
    assert not list(tmp_path.iterdir())


def test_damage_is_named(tiles, tmp_path):
    with pytest.raises(SetError, match="index.csv: no such file"):
        read_mosaics(tmp_path)
    write_mosaics(tmp_path, named(tiles), side=3)
    mosaic, index = tmp_path / "mosaic_00001.webp", tmp_path / INDEX
    whole, lines = mosaic.read_bytes(), index.read_text()
    mosaic.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(SetError, match="mosaic_00001.webp: .*damaged"):
        read_mosaics(tmp_path)
    mosaic.write_bytes(encode(tiles[0], Coding("webp")))
    with pytest.raises(SetError, match="mosaic_00001.webp: holds no tile of 32 px at row 0, column 1"):
        read_mosaics(tmp_path)
    mosaic.unlink()
    with pytest.raises(SetError, match="mosaic_00001.webp: no such file, though index.csv names it"):
        read_mosaics(tmp_path)
    for damaged in ("", "file,row\n", lines.replace(",0,", ",zero,"), lines.splitlines()[0] + "\n"):
        index.write_text(damaged)
        with pytest.raises(SetError, match="not an index of tiles, or damaged"):
            read_mosaics(tmp_path)
