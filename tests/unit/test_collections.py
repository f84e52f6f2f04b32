"""Named collections: embedded, local, downloaded with a checksum, or clearly missing."""

import hashlib
import io
import socket
import tarfile
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest
import torch
from PIL import Image

from srdistill.images import collections
from srdistill.images.collections import Archive, CollectionError, load_collection
from srdistill.images.pictures import PictureError
from srdistill.sets.distilled_set import png_bytes

pytestmark = pytest.mark.usefixtures("without_places", "no_waiting")

COLOUR = np.random.default_rng(0).integers(0, 256, (16, 20, 3), dtype=np.uint8)


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
    for file, archive in collections.ARCHIVES.items():
        redirected = Archive(f"http://127.0.0.1:{port}/{file}", archive.known_hash, archive.stated_by)
        monkeypatch.setitem(collections.ARCHIVES, file, redirected)
    return port


@pytest.fixture
def served_benchmark(monkeypatch, tmp_path, pictures):
    """``benchmark.tar`` with two small Set5 pictures, served on this machine; yields the requests and the content."""
    served = tmp_path / "served"
    served.mkdir()
    with tarfile.open(served / "benchmark.tar", "w") as tar:
        for name, image in list(pictures)[:2]:
            content = png_bytes(image)
            entry = tarfile.TarInfo(f"benchmark/Set5/HR/{name}.png")
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    requests = []

    class Handler(SimpleHTTPRequestHandler):
        def log_message(self, *args):
            requests.append(args)

    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=served))
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}/benchmark.tar"
    content = (served / "benchmark.tar").read_bytes()

    def state(known_hash):
        monkeypatch.setitem(collections.ARCHIVES, "benchmark.tar", Archive(url, known_hash, "this test"))

    yield content, state, requests
    server.shutdown()
    server.server_close()


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


@pytest.mark.parametrize("name", ["set5", "set14", "bsd100", "urban100", "div2k", "div2k_valid", "bsds200"])
def test_without_a_network_the_message_says_where_to_put_the_files(name, data, closed_port):
    with pytest.raises(CollectionError) as error:
        load_collection(name)
    assert f"{name}: could not download http://127.0.0.1:{closed_port}/" in str(error.value)
    assert f"put its HR pictures into the folder {data / name} and set SRDISTILL_DATA={data}" in str(error.value)


def test_t91_has_no_download_and_says_where_to_put_it(data):
    with pytest.raises(CollectionError, match=f"t91: no download with a published checksum exists; put .*{data / 't91'}"):
        load_collection("t91")


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


def test_download_with_the_right_checksum_is_loaded_once(served_benchmark, data, pictures):
    content, state, requests = served_benchmark
    state("md5:" + hashlib.md5(content).hexdigest())
    for _ in range(2):
        loaded = load_collection("set5")
        assert loaded.names == pictures.names[:2] and loaded.origin == "set5"
        assert torch.equal(loaded.images[0], pictures.images[0])
    assert len(requests) == 1


def test_download_with_a_wrong_checksum_is_refused_and_not_kept(served_benchmark, data):
    _, state, _ = served_benchmark
    state("sha256:" + "0" * 64)
    with pytest.raises(CollectionError, match="set5: .*does not have the published checksum.*put its HR pictures"):
        load_collection("set5")
    assert not [path for path in data.rglob("*") if path.is_file()]


def test_damaged_archive_in_the_cache_is_fetched_again(served_benchmark, data):
    content, state, requests = served_benchmark
    state("md5:" + hashlib.md5(content).hexdigest())
    data.mkdir()
    (data / "benchmark.tar").write_bytes(content[:100])
    assert len(load_collection("set5")) == 2
    assert len(requests) == 1


def test_unpacking_that_was_interrupted_is_done_again(served_benchmark, data):
    content, state, _ = served_benchmark
    state("md5:" + hashlib.md5(content).hexdigest())
    load_collection("set5")
    next(data.rglob("flower.png")).unlink()
    assert load_collection("set5").names == ("astronaut", "flower")


def test_unpacking_that_was_interrupted_inside_a_picture_is_noticed(served_benchmark, data):
    content, state, _ = served_benchmark
    state("md5:" + hashlib.md5(content).hexdigest())
    load_collection("set5")
    half = next(data.rglob("flower.png"))
    half.write_bytes(half.read_bytes()[:1000])
    with pytest.raises(PictureError, match="flower.png: damaged or cut off"):
        load_collection("set5")


def test_archive_without_the_expected_folder_is_named(served_benchmark, data):
    content, state, _ = served_benchmark
    state("md5:" + hashlib.md5(content).hexdigest())
    with pytest.raises(PictureError, match="set14: benchmark.tar holds no folder benchmark/Set14/HR"):
        load_collection("set14")


def test_every_download_has_a_checksum():
    for file, archive in collections.ARCHIVES.items():
        kind, value = archive.known_hash.split(":")
        assert archive.url.startswith("https://") and archive.url.endswith(file)
        assert len(value) == {"sha256": 64, "md5": 32}[kind]
    assert {entry[0] for entry in collections.CATALOGUE.values() if entry} == set(collections.ARCHIVES)
