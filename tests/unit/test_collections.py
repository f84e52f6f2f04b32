"""Named collections: embedded, local, downloaded with a checksum, or clearly missing."""

import hashlib
import io
import re
import socket
import tarfile
import threading
import zipfile
from dataclasses import replace
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest
import torch
from PIL import Image

from srdistill.catalogue import collections, downloads, labelled_collections
from srdistill.catalogue.collections import CATALOGUE, CollectionError, collection_needs, load_collection
from srdistill.catalogue.downloads import Archive, FileList
from srdistill.catalogue.labelled_collections import labelled_needs, load_labelled
from srdistill.images.pictures import PictureError
from srdistill.sets.distilled_set import png_bytes

pytestmark = pytest.mark.usefixtures("without_places", "no_waiting")

COLOUR = np.random.default_rng(0).integers(0, 256, (16, 20, 3), dtype=np.uint8)
LISTS = {name: source for name, source in CATALOGUE.items() if isinstance(source, FileList)}


@pytest.fixture
def no_waiting(monkeypatch):
    """Downloads are retried at once and never go through a proxy."""
    monkeypatch.setattr("pooch.core.time.sleep", lambda seconds: None)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("no_proxy", "127.0.0.1")


def picture_folder(folder, *names):
    folder.mkdir(parents=True)
    for name in names:
        Image.fromarray(COLOUR).save(folder / f"{name}.png")
    return folder


@pytest.fixture
def data(monkeypatch, tmp_path):
    root = tmp_path / "data"
    monkeypatch.setenv("SRDISTILL_DATA", str(root))
    return root


@pytest.fixture
def closed_port(monkeypatch):
    """Every download goes to a port where nobody listens."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    for name, source in CATALOGUE.items():
        if source:
            monkeypatch.setitem(CATALOGUE, name, replace(source, url=f"http://127.0.0.1:{port}/{name}.tar"))
    return port


class Host:
    """A server on this machine: ``files`` by path, ``asked`` paths in order, and paths that it refuses for so many times."""

    def __init__(self, root):
        self.root, self.asked, self.refused = root, [], {}

    def put(self, path, content):
        (self.root / path).parent.mkdir(parents=True, exist_ok=True)
        (self.root / path).write_bytes(content)
        return content


@pytest.fixture
def host(tmp_path):
    host = Host(tmp_path / "served")
    host.root.mkdir()

    class Handler(SimpleHTTPRequestHandler):
        def do_GET(self):
            path = self.path.lstrip("/")
            host.asked.append(path)
            if host.refused.get(path, 0):
                host.refused[path] -= 1
                self.send_error(429)
            else:
                super().do_GET()

        def log_message(self, *args):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=host.root))
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    host.url = f"http://127.0.0.1:{server.server_port}/"
    yield host
    server.shutdown()
    server.server_close()


@pytest.fixture
def listed(host, monkeypatch, pictures, data):
    """Set5 as two files of a repository, ``a_SRF_2_HR.png`` and ``b_SRF_2_HR.png``; returns their paths."""
    hashes = {}
    for name, image in zip("ab", pictures.images[:2], strict=True):
        path = f"repository/deep/{name}_SRF_2_HR.png"
        hashes[path] = hashlib.sha256(host.put(path, png_bytes(image))).hexdigest()
    monkeypatch.setattr(FileList, "hashes", hashes)
    monkeypatch.setitem(CATALOGUE, "set5", FileList(host.url, "set5", 1, "_SRF_2_HR"))
    return list(hashes)


def packed_folder(names_and_pictures, member):
    """A tar file with pictures in the folder ``member``, and one beside it."""
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w:gz") as tar:
        for path, image in [*((f"{member}/{name}", image) for name, image in names_and_pictures), ("top/other.png", None)]:
            body = png_bytes(image) if image is not None else b"nothing"
            entry = tarfile.TarInfo(path)
            entry.size = len(body)
            tar.addfile(entry, io.BytesIO(body))
    return content.getvalue()


@pytest.fixture
def packed(host, monkeypatch, pictures, data):
    """BSDS's archive with two small pictures, under the hash that a test states."""
    content = host.put("BSR.tgz", packed_folder([(f"{name}.png", image) for name, image in list(pictures)[:2]], "top/train"))

    right = "md5:" + hashlib.md5(content).hexdigest()

    def state(known_hash=right, member="top/train"):
        monkeypatch.setitem(CATALOGUE, "bsds200", Archive(host.url + "BSR.tgz", known_hash, "this test", 1, member))

    state()
    return state


def left(folder):
    """Files below ``folder`` other than locks."""
    return [path for path in folder.rglob("*") if path.is_file() and path.suffix != ".lock"]


def test_embedded_photographs_need_no_folder(train_photos, test_photos):
    assert load_collection("photos").digest == train_photos.digest
    assert load_collection("photos", "test").digest == test_photos.digest


def test_local_folder_by_its_path(tmp_path):
    folder = picture_folder(tmp_path / "mine", "b", "a")
    loaded = load_collection(str(folder))
    assert loaded.names == ("a", "b") and loaded.origin == str(folder)
    assert torch.equal(loaded.images[0], torch.from_numpy(COLOUR.transpose(2, 0, 1).copy()))


def test_local_folder_relative_to_the_working_folder(tmp_path, monkeypatch):
    picture_folder(tmp_path / "mine", "a")
    monkeypatch.chdir(tmp_path)
    assert load_collection("mine").names == ("a",)


def test_folder_under_the_data_folder(data):
    picture_folder(data / "div2k_crops512" / "train16", "x")
    assert load_collection("div2k_crops512/train16").names == ("x",)


def test_data_folder_is_preferred_to_a_download(data, closed_port):
    picture_folder(data / "set5", "here")
    loaded = load_collection("set5")
    assert loaded.names == ("here",) and loaded.origin == "set5"


def test_catalogue_name_is_not_taken_from_the_working_folder(tmp_path, monkeypatch, data, closed_port):
    picture_folder(tmp_path / "set5", "anything")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(CollectionError):
        load_collection("set5")


def test_empty_data_folder_of_a_collection_is_named(data):
    (data / "set5").mkdir(parents=True)
    with pytest.raises(PictureError, match="set5: holds no pictures"):
        load_collection("set5")


def test_unknown_name_lists_the_known_ones():
    with pytest.raises(CollectionError, match="'set15' is neither a folder nor a known collection.*photos.*set14.*sr291"):
        load_collection("set15")


@pytest.mark.parametrize("name", [name for name, source in CATALOGUE.items() if source])
def test_without_a_network_the_message_says_where_to_put_the_files(name, data, closed_port):
    with pytest.raises(CollectionError) as error:
        load_collection(name)
    assert f"{name}: could not download http://127.0.0.1:{closed_port}/" in str(error.value)
    assert f"put its HR pictures into the folder {data / name} and set SRDISTILL_DATA={data}" in str(error.value)


@pytest.mark.parametrize("name", ["ost", "ost300", "div2k_test16", "div2k_train16"])
def test_what_nobody_offers_says_where_to_put_it(name, data):
    with pytest.raises(CollectionError, match=f"{name}: no download with a published checksum exists; put .*{data / name}"):
        load_collection(name)


def test_crops_of_div2k_are_found_under_either_name(data):
    picture_folder(data / "div2k_crops512" / "test16", "x")
    assert load_collection("div2k_test16").origin == "div2k_test16"
    picture_folder(data / "div2k_test16", "y")
    assert load_collection("div2k_test16").names == ("y",)


def test_only_the_first_pictures_are_read_if_so_asked(data):
    picture_folder(data / "t91", "t1", "t2", "t3")
    picture_folder(data / "bsds200", "1", "2")
    (data / "t91" / "t3.png").write_bytes(b"not a picture")
    assert load_collection("sr291", limit=2).names == ("t91/t1", "t91/t2", "bsds200/1", "bsds200/2")
    assert len(load_collection("photos", limit=3)) == 3


def test_sr291_is_the_union_of_two_folders(data):
    picture_folder(data / "t91", "t1", "t2")
    picture_folder(data / "bsds200", "100", "t1")
    union = load_collection("sr291")
    assert union.names == ("t91/t1", "t91/t2", "bsds200/100", "bsds200/t1")
    assert union.origin == "sr291"


def test_sr291_with_one_half_missing_names_that_half(data, closed_port):
    picture_folder(data / "t91", "t1")
    with pytest.raises(CollectionError, match="bsds200: could not download"):
        load_collection("sr291")


# --- file by file -----------------------------------------------------------------------------------------------------


def test_listed_files_are_fetched_once_each(listed, host, data, pictures):
    for _ in range(2):
        loaded = load_collection("set5")
        assert loaded.names == ("a", "b") and loaded.origin == "set5"
        assert torch.equal(loaded.images[0], pictures.images[0])
    assert host.asked == listed
    assert sorted(path.name for path in (data / "set5").iterdir()) == ["a.png", "b.png"]
    assert len(left(data)) == 2


def test_throttled_requests_are_repeated(listed, host):
    host.refused = {listed[1]: 3}
    assert len(load_collection("set5")) == 2
    assert host.asked == [listed[0]] + [listed[1]] * 4


def test_what_is_verified_is_kept_when_a_later_file_fails(listed, host, data):
    host.refused = {listed[1]: 100}
    expected = re.escape(f"set5: could not download {host.url}{listed[1]} (429") + ".*put its HR"
    with pytest.raises(CollectionError, match=expected):
        load_collection("set5")
    assert not (data / "set5").exists(), "half a collection must not be taken for a whole one"
    host.refused, host.asked[:] = {}, []
    assert load_collection("set5").names == ("a", "b")
    assert host.asked == listed[1:]


def test_a_file_with_another_hash_is_refused_and_not_kept(listed, host, data):
    host.put(listed[1], b"something else")
    with pytest.raises(CollectionError, match="set5: .*b_SRF_2_HR.png does not have the published hash.*put its HR pictures"):
        load_collection("set5")
    assert [path.name for path in left(data)] == ["a.png"]


def test_a_damaged_file_among_those_kept_is_fetched_again(listed, host, data):
    host.refused = {listed[1]: 100}
    with pytest.raises(CollectionError):
        load_collection("set5")
    left(data)[0].write_bytes(b"cut off")
    host.refused = {}
    assert len(load_collection("set5")) == 2


# --- archives ---------------------------------------------------------------------------------------------------------


def test_archive_is_fetched_once_and_only_the_wanted_folder_stays(packed, host, data, pictures):
    for _ in range(2):
        assert load_collection("bsds200").names == pictures.names[:2]
    assert host.asked == ["BSR.tgz"]
    assert {path.parent for path in left(data)} == {data / "bsds200"}


def test_archive_with_another_hash_is_refused_and_not_kept(packed, data):
    packed(known_hash="sha256:" + "0" * 64)
    with pytest.raises(CollectionError, match="bsds200: .*does not have the published hash.*put its HR pictures"):
        load_collection("bsds200")
    assert not left(data)


def test_unpacking_that_was_interrupted_is_done_again_without_fetching(packed, host, data, monkeypatch):
    whole = downloads._unpack

    def half(archive, member, into):
        whole(archive, member, into)
        next(into.rglob("*.png")).unlink()
        raise KeyboardInterrupt

    monkeypatch.setattr(downloads, "_unpack", half)
    with pytest.raises(KeyboardInterrupt):
        load_collection("bsds200")
    assert not (data / "bsds200").exists()
    monkeypatch.setattr(downloads, "_unpack", whole)
    assert len(load_collection("bsds200")) == 2 and host.asked == ["BSR.tgz"]


def test_damaged_archive_among_those_kept_is_fetched_again(packed, host, data):
    (data / ".bsds200.part").mkdir(parents=True)
    (data / ".bsds200.part" / "BSR.tgz").write_bytes(b"half")
    assert len(load_collection("bsds200")) == 2 and host.asked == ["BSR.tgz"]


def test_archive_without_the_expected_folder_is_named(packed):
    packed(member="top/elsewhere")
    with pytest.raises(CollectionError, match="bsds200: BSR.tgz holds no folder top/elsewhere"):
        load_collection("bsds200")


def test_zip_files_are_unpacked_too(host, monkeypatch, data, pictures):
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as file:
        file.writestr("HR/a.png", png_bytes(pictures.images[0]))
        file.writestr("LR/a.png", b"not wanted")
    known = "sha256:" + hashlib.sha256(host.put("D.zip", content.getvalue())).hexdigest()
    monkeypatch.setitem(CATALOGUE, "div2k", Archive(host.url + "D.zip", known, "this test", 1, "HR"))
    assert load_collection("div2k").names == ("a",) and len(left(data)) == 1


def test_classes_are_fetched_the_same_way(host, monkeypatch, data, pictures):
    classes = labelled_collections.IMAGENETTE
    entries = [(f"{split}/{entry}/{name}.png", image)
               for split in ("train", "val") for entry in classes for name, image in pictures]  # fmt: skip
    content = host.put("nette.tgz", packed_folder(entries, "imagenette2"))
    known = "md5:" + hashlib.md5(content).hexdigest()
    source = Archive(host.url + "nette.tgz", known, "this test", 1, "imagenette2")
    monkeypatch.setitem(labelled_collections.ARCHIVES, "imagenette", source)
    assert labelled_needs("imagenette", "train")[0].found == ()
    with pytest.raises(CollectionError, match="not to be downloaded here"):
        load_labelled("imagenette", "train", size=8)
    found = load_labelled("imagenette", "test", size=8, download=True)
    assert len(found) == 30 and found.classes == tuple(classes.values())
    assert load_labelled("imagenette", "train", size=8).classes == found.classes and host.asked == ["nette.tgz"]
    assert labelled_needs("imagenette", "train")[0].found == (data / "imagenette" / "train",)


# --- the lists and places ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "count"), {"set5": 5, "set14": 14, "t91": 91, "bsd100": 100, "urban100": 100}.items())
def test_every_listed_file_has_a_hash_and_a_name_of_its_own(name, count):
    source = LISTS[name]
    assert len(source.hashes) == count
    assert all(re.fullmatch("[0-9a-f]{64}", digest) for digest in source.hashes.values())
    assert len({path.rsplit("/", 1)[1].replace(source.dropped or "?", "") for path in source.hashes}) == count
    assert re.search("/[0-9a-f]{40}/$", source.url), "a list of hashes belongs to a commit"


def test_every_archive_has_a_hash():
    archives = [*CATALOGUE.values(), *labelled_collections.ARCHIVES.values()]
    for archive in archives:
        if isinstance(archive, Archive):
            kind, value = archive.known_hash.split(":")
            assert re.fullmatch("[0-9a-f]+", value) and len(value) == {"sha256": 64, "md5": 32}[kind]


def test_benchmarks_at_hand_are_what_the_lists_say(shared_data_for_lists):
    for name in ("set5", "set14"):
        hashes = sorted(LISTS[name].hashes.values())
        found = sorted(hashlib.sha256(path.read_bytes()).hexdigest() for path in (shared_data_for_lists / name).iterdir())
        assert found == hashes


@pytest.fixture(scope="module")
def shared_data_for_lists(shared_data):
    """Asked for before a test takes the folder away from the environment."""
    return shared_data


def test_downloads_go_to_the_cache_where_the_data_folder_cannot_be_written(listed, data, monkeypatch):
    monkeypatch.setattr(downloads, "writable", lambda folder: folder != data)
    assert len(load_collection("set5")) == 2
    assert not data.exists() and collection_needs("set5")[0].found == (downloads.data_folders()[-1] / "set5",)


def test_needs_say_what_is_at_hand_without_reading_it(data):
    (data / "t91").mkdir(parents=True)
    t91, bsds = collection_needs("sr291")
    assert t91.found == (data / "t91",) and not bsds.found
    assert bsds.fetched and bsds.source.endswith("BSR_bsds500.tgz") and str(data / "bsds200") in bsds.remedy
    assert not collection_needs("ost")[0].fetched and collection_needs("photos") == []


def test_a_rehearsal_fetches_nothing(listed, host, monkeypatch):
    monkeypatch.setenv("SRDISTILL_REHEARSE", "1")
    with pytest.raises(CollectionError, match="not to be downloaded here"):
        load_collection("set5")
    assert not host.asked


def test_unions_are_made_of_known_names():
    assert {part for parts in collections.UNIONS.values() for part in parts} <= set(CATALOGUE)
