"""The command for one's own pictures: what it refuses, with the value, the remedy and exit status 2, and never a traceback."""

import errno
import os
import shutil
import subprocess
import sys
from collections import namedtuple
from pathlib import Path

import pytest
from filelock import FileLock

from srdistill.catalogue.upright import read_upright
from srdistill.distill import make
from srdistill.distill.__main__ import main
from srdistill.distill.methods import METHODS
from srdistill.distill.sources import Source
from srdistill.files import DiskError
from srdistill.sets.coding import Coding, encode


@pytest.fixture
def folder(pictures, tmp_path) -> Path:
    """Three pictures of 72 px and more."""
    place = tmp_path / "pictures"
    place.mkdir()
    for name, image in pictures:
        (place / f"{name}.png").write_bytes(encode(image, Coding("png")))
    return place


@pytest.fixture
def refused(folder, tmp_path, capsys):
    """The message of a request with these options, which must be refused and leave nothing behind."""

    def run(*options: str, data: Path | None = None, out: Path | None = None) -> str:
        target = out or tmp_path / "out"
        before = sorted(target.rglob("*")) if target.is_dir() else target.exists()
        usual = ["--data", str(data or folder), "--out", str(target), "--tile", "48", "--budget", "20%", "--workers", "1"]
        assert main([*usual, *options]) == 2
        error = capsys.readouterr().err.splitlines()[-1]
        assert error.startswith("error: ")
        assert (sorted(target.rglob("*")) if target.is_dir() else target.exists()) == before
        return error

    return run


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--budget", "much"], "--budget 'much' is no percentage; write 1%"),
        (["--budget", "0%"], "--budget '0%' must be above 0 %"),
        (["--budget=-3%"], "--budget '-3%' must be above 0 %"),
        (["--budget", "101%"], "--budget '101%' must be above 0 % and at most 100 %"),
        (["--budget", "1%"], "less than one tile of 48 x 48 = 2,304 pixels; ask for 9."),
        (["--budget", "", "--bytes", "many"], "--bytes 'many' is no size; write e.g. 500kB"),
        (["--bytes", "5MB"], "--budget 20% and --bytes 5MB: give one of the two"),
        (["--budget", "", "--bytes", "100"], "--bytes 100 is less than one tile of 48 px takes as png"),
        (["--format", "gif"], "unknown --format 'gif'; there are: png, webp, cheapest"),
        (["--method", "magic"], "unknown --method 'magic'; there are: shrunk"),
        (["--scale", "5"], "--scale 5 is none of 2, 3, 4"),
        (["--tile", "50"], "--tile 50 must be a multiple of 4, 16 or more; 96 suits"),
        (["--tile", "0"], "--tile 0 must be a multiple of 4"),
        (["--tile", "200"], "none of the 3 pictures under"),
        (["--share", "-1"], "--share -1 must be between 0 (lossless) and 1"),
        (["--workers", "-2"], "--workers must be 1 or more, got -2"),
    ],
)
def test_wrong_values_are_named_with_the_remedy(refused, options, message):
    assert message in refused(*options)


def test_no_folder_of_pictures(capsys):
    assert main([]) == 2
    assert "no folder of pictures; name one with --data FOLDER (make distill DATA=FOLDER)" in capsys.readouterr().err


def test_folders_without_pictures(refused, folder, tmp_path):
    assert "nowhere is not a folder" in refused(data=tmp_path / "nowhere")
    bare = tmp_path / "bare"
    bare.mkdir()
    (bare / "notes.txt").write_text("no picture")
    assert "bare holds no pictures; it needs files ending in .png" in refused(data=bare)
    (bare / "a.png").write_text("no picture")
    assert "none of the 1 pictures" in refused(data=bare)


def test_pictures_whose_damage_shows_late(refused, folder, tmp_path):
    for path in folder.iterdir():
        path.write_bytes(path.read_bytes()[:3000])
    assert "gave a tile; the first is astronaut.png: damaged or cut off" in refused()


def test_an_output_inside_the_pictures(refused, folder, tmp_path):
    assert f"lies inside the folder of pictures {folder}" in refused(out=folder / "small")
    assert "lies inside the folder of pictures" in refused(out=folder)
    (tmp_path / "link").symlink_to(folder)
    assert "lies inside the folder of pictures" in refused(out=tmp_path / "link" / "small")
    assert sorted(path.suffix for path in folder.iterdir()) == [".png"] * 3


def test_an_output_that_holds_something(refused, folder, tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    (other / "letter.txt").write_text("dear")
    assert f"--out {other} is not empty; name a folder that is empty or new" in refused(out=other)
    assert "is a file; name a folder" in refused(out=other / "letter.txt")
    assert (other / "letter.txt").read_text() == "dear"


def test_a_finished_set_is_not_overwritten(refused, folder, tmp_path, capsys):
    assert main(["--data", str(folder), "--out", str(tmp_path / "out"), "--tile", "48", "--budget", "20%"]) == 0
    assert "is not empty" in refused()


def test_an_interrupted_run_of_other_settings_or_pictures(refused, folder, tmp_path, monkeypatch, capsys):
    def interrupted(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(make, "_write", interrupted)
        usual = ["--data", str(folder), "--out", str(tmp_path / "out"), "--tile", "48", "--budget", "20%"]
        assert main(usual) == 130
    assert "give the same command again to go on" in capsys.readouterr().err
    assert "interrupted run with other settings (budget '20%')" in refused("--budget", "30%")
    shutil.copy(folder / "flower.png", folder / "flower 2.png")
    assert "interrupted run with other settings (other pictures)" in refused()
    (folder / "flower 2.png").unlink()
    assert main(usual) == 0


@pytest.mark.parametrize("method", sorted(METHODS))
def test_the_same_command_goes_on_after_an_interruption(folder, tmp_path, capsys, method):
    usual = ["--data", str(folder), "--tile", "48", "--budget", "20%", "--workers", "1", "--method", method]
    assert main([*usual, "--out", str(tmp_path / "whole")]) == 0
    reads = iter(range(10**6))

    def read(source):
        if next(reads) == 1:
            raise KeyboardInterrupt
        return read_upright(source.path)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Source, "read", read)
        assert main([*usual, "--out", str(tmp_path / "out")]) == 130
    assert "give the same command again to go on" in capsys.readouterr().err
    assert main([*usual, "--out", str(tmp_path / "out")]) == 0
    assert "with 1 answers of an interrupted run" in (tmp_path / "out" / "card.md").read_text()
    whole, resumed = ({path.name: path.read_bytes() for path in (tmp_path / name).iterdir() if path.name != "card.md"}
                      for name in ("whole", "out"))  # fmt: skip
    assert resumed == whole


def test_a_picture_that_goes_away_on_the_way(folder, tmp_path, capsys):
    """It is named, whatever step needs it."""
    usual = ["--data", str(folder), "--tile", "48", "--budget", "20%", "--workers", "1", "--method", "coverage"]
    reads = iter(range(10**6))

    def read(source):
        # Three pictures are scored; then the first is read again.
        if next(reads) == 3:
            source.path.unlink()
        return read_upright(source.path)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Source, "read", read)
        assert main([*usual, "--out", str(tmp_path / "out")]) == 2
    error = capsys.readouterr().err
    assert "astronaut.png" in error and "it could be read before" in error and "Traceback" not in error


def test_two_runs_in_one_folder(refused, tmp_path):
    (tmp_path / "out" / ".partial").mkdir(parents=True)
    with FileLock(tmp_path / "out" / ".partial" / "lock"):
        assert "another run is writing to" in refused()


def test_too_little_room(refused, monkeypatch):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(10**9, 10**9 - 1000, 1000))
    assert "too little room for" in refused() and "free some space, name another disk with --out" in refused()


def test_a_disk_that_fills_up_on_the_way(folder, tmp_path, monkeypatch, capsys):
    def full(*_):
        raise DiskError(errno.ENOSPC, "no room to write tile_00000.png; free some space and run again")

    usual = ["--data", str(folder), "--out", str(tmp_path / "out"), "--tile", "48", "--budget", "20%"]
    with monkeypatch.context() as patch:
        patch.setattr(make, "write_mosaics", full)
        assert main(usual) == 2
    assert "no room to write tile_00000.png; free some space and run again" in capsys.readouterr().err
    assert main(usual) == 0 and not (tmp_path / "out" / ".partial").exists()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_an_output_that_may_not_be_written(refused, tmp_path):
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o500)
    assert "no permission in" in refused(out=closed / "out")


def test_unreadable_and_small_pictures_are_skipped_named_and_counted(folder, pictures, tmp_path, capsys):
    (folder / "text.jpg").write_text("no picture")
    whole = (folder / "flower.png").read_bytes()
    (folder / "half.png").write_bytes(whole[: len(whole) // 2])
    (folder / "tiny.png").write_bytes(encode(pictures.images[0][:, :20, :20], Coding("png")))
    assert main(["--data", str(folder), "--out", str(tmp_path / "out"), "--tile", "48", "--budget", "60%"]) == 0
    said = capsys.readouterr()
    assert "skipped text.jpg: not a picture that Pillow can read" in said.err
    assert "skipped half.png: damaged or cut off" in said.err and "Traceback" not in said.err
    assert "left out: 2 unreadable, 1 smaller than a tile" in said.out
    card = (tmp_path / "out" / "card.md").read_text()
    assert "`half.png`" in card and "`text.jpg`" in card and "`tiny.png`" in card


def test_help_lists_every_option_with_its_default(capsys):
    with pytest.raises(SystemExit) as exit_:
        main(["--help"])
    assert exit_.value.code == 0
    text = " ".join(capsys.readouterr().out.split())
    for word in ("--data FOLDER", "--budget PERCENT", "(default: 1%)", "--bytes SIZE", "2, 3, 4 (default: 4)", "(default: 96)",
                 "(default: shrunk)", "(default: png)", "--share X", "(default: 0.05)", "--seed N", "--workers N"):  # fmt: skip
        assert word in text, word


def test_as_a_command(folder, tmp_path):
    def run(*options: str) -> subprocess.CompletedProcess:
        command = [sys.executable, "-m", "srdistill.distill", "--data", str(folder), *options]
        return subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, timeout=120, check=False)

    done = run("--tile", "48", "--budget", "20%")
    assert done.returncode == 0 and "written to" in done.stdout and (tmp_path / "distilled_pictures" / "card.md").exists()
    again = run("--tile", "48", "--budget", "20%")
    assert again.returncode == 2 and "is not empty" in again.stderr and "Traceback" not in again.stderr
