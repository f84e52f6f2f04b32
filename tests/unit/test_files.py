"""Whole files or none, also when the disk is full."""

import errno
import hashlib
import os
import subprocess
import sys

import pytest
import torch

from srdistill.files import (
    UNREADABLE,
    DiskError,
    atomic_path,
    brief,
    read_tensors,
    sha256_of,
    write_tensors,
    write_text,
)


@pytest.fixture
def old(tmp_path):
    path = tmp_path / "table.md"
    path.write_text("old")
    return path


def assert_untouched(path):
    assert path.read_text() == "old"
    assert os.listdir(path.parent) == [path.name]


def test_new_file_takes_the_place_of_the_old(old):
    write_text(old, "new: äöü")
    assert old.read_text(encoding="utf-8") == "new: äöü"
    assert os.listdir(old.parent) == ["table.md"]


def test_missing_folders_are_made(tmp_path):
    write_text(tmp_path / "a" / "b" / "c.txt", "x")
    assert (tmp_path / "a" / "b" / "c.txt").read_text() == "x"


def test_old_file_stands_until_the_new_one_is_whole(old):
    with atomic_path(old) as temporary:
        assert temporary.parent == old.parent and temporary != old
        temporary.write_text("half")
        assert old.read_text() == "old"
    assert old.read_text() == "half"


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit])
def test_error_leaves_the_old_file_and_nothing_else(old, error):
    with pytest.raises(error), atomic_path(old) as temporary:
        temporary.write_text("half")
        raise error
    assert_untouched(old)


def test_two_writers_do_not_meet(old):
    with atomic_path(old) as first, atomic_path(old) as second:
        assert first != second
        first.write_text("first")
        second.write_text("second")
    assert old.read_text() == "first"
    assert os.listdir(old.parent) == [old.name]


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_full_disk_is_named_with_the_remedy(old, monkeypatch, call, code):
    def full(*args):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, call, full)
    with pytest.raises(DiskError, match="no room to write .*table.md.*free some space") as error:
        write_text(old, "new")
    assert error.value.errno == code
    assert_untouched(old)


def test_full_disk_inside_the_block_is_named(old):
    with pytest.raises(DiskError), atomic_path(old) as temporary:
        temporary.write_text("half")
        raise OSError(errno.ENOSPC, "No space left on device")
    assert_untouched(old)


def test_other_errors_stay_what_they_are(old):
    with pytest.raises(PermissionError), atomic_path(old):
        raise PermissionError(errno.EACCES, "Permission denied")
    assert_untouched(old)


WRITERS = {
    "text": "write_text(path, 'x' * 100_000)",
    "checkpoint": "Checkpoint(path, 'identity').save({'weight': torch.rand(50_000)})",
    "set": "DistilledSet(torch.zeros(4, 3, 99, 99, dtype=torch.uint8), torch.zeros(4).long(), ('a',), 'm').save(path)",
    "export": "DistilledSet(torch.randint(256, (1, 3, 99, 99)).to(torch.uint8), torch.zeros(1).long(), ('a',), 'm')"
    ".export(path.parent)",
}

FULL_DISK = """
import resource, signal, sys
from pathlib import Path
import torch
from srdistill.sets.distilled_set import DistilledSet
from srdistill.files import (
    UNREADABLE,
    DiskError,
    atomic_path,
    brief,
    read_tensors,
    sha256_of,
    write_tensors,
    write_text,
)
from srdistill.training.checkpoint import Checkpoint

path = Path(sys.argv[1])
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, resource.RLIM_INFINITY))
try:
    {writer}
except DiskError as error:
    print("DiskError", error)
except BaseException as error:
    print(type(error).__name__, error)
else:
    print("written")
"""


@pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX resource limits")
@pytest.mark.parametrize("writer", WRITERS)
def test_file_that_cannot_grow_is_a_disk_error(old, writer):
    code = FULL_DISK.format(writer=WRITERS[writer])
    done = subprocess.run([sys.executable, "-c", code, str(old)], capture_output=True, text=True)
    assert done.stdout.startswith("DiskError"), done.stdout + done.stderr
    assert "no room to write" in done.stdout
    assert_untouched(old)


# --- tensors, hashes, messages -----------------------------------------------------------------------------------


def test_tensors_come_back_with_what_they_are_about(tmp_path):
    path, tensors, about = tmp_path / "deep" / "some.safetensors", {"a": torch.arange(6).view(2, 3)}, {"x": [1, None, "ä"]}
    write_tensors(path, "thing", tensors, about)
    found, said = read_tensors(path, "thing")
    assert found.keys() == {"a"} and torch.equal(found["a"], tensors["a"]) and said == about
    assert os.listdir(path.parent) == [path.name]


def test_files_of_another_kind_and_damaged_ones_are_unreadable(tmp_path):
    path = tmp_path / "some.safetensors"
    write_tensors(path, "thing", {"a": torch.zeros(9)}, {})
    with pytest.raises(UNREADABLE, match="it says nothing of a pool"):
        read_tensors(path, "pool")
    whole = path.read_bytes()
    for content in (whole[:-1], whole[:7], b"", b"{}", b"no safetensors file at all", whole.replace(b'"{}"', b'"{]"')):
        path.write_bytes(content)
        with pytest.raises(UNREADABLE):
            read_tensors(path, "thing")
    path.unlink()
    with pytest.raises(FileNotFoundError):
        read_tensors(path, "thing")


def test_hash_of_a_file(old):
    assert sha256_of(old) == hashlib.sha256(b"old").hexdigest()


def test_long_errors_in_one_line():
    assert brief(ValueError("a\n\t  b ")) == "a b"
    assert brief(RuntimeError("word\n" * 100)) == ("word " * 100)[:200]
