"""Shared fixtures: small real pictures, the optional shared data and weights, interruptions of long loops."""

import os
from pathlib import Path

import pytest
import torch

from srdistill.catalogue.photos import photos
from srdistill.images.pictures import Pictures

# (photograph, top, left, height, width): textured places, all of different sizes.
_CUTS = (("astronaut", 20, 170, 96, 120), ("flower", 120, 240, 80, 80), ("motorcycle_left", 200, 300, 104, 72))


@pytest.fixture(scope="session", autouse=True)
def one_thread():
    """The networks here are so small that a second thread costs more than it brings, above all on a shared machine."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def train_photos() -> Pictures:
    """The seven embedded training photographs."""
    return photos("train")


@pytest.fixture(scope="session")
def test_photos() -> Pictures:
    """The four embedded test photographs."""
    return photos("test")


@pytest.fixture(scope="session")
def pictures(train_photos) -> Pictures:
    """Three small pieces of real photographs, 96 x 120, 80 x 80 and 104 x 72 px."""
    known = dict(train_photos)
    return Pictures(
        tuple(known[name][:, y : y + h, x : x + w].contiguous() for name, y, x, h, w in _CUTS),
        tuple(name for name, *_ in _CUTS),
        "pieces",
    )


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real benchmark pictures, where there is one."""
    return _place("SRDISTILL_DATA", "set5", "set14")


@pytest.fixture(scope="session")
def shared_weights() -> Path:
    """The folder of pretrained weights, where there is one."""
    return _place("SRDISTILL_WEIGHTS", "lpips_backbones/alexnet_features.pth")


def _place(variable: str, *needed: str) -> Path:
    if not os.environ.get(variable):
        pytest.skip(f"{variable} is not set: it names the folder with {', '.join(needed)}")
    place = Path(os.environ[variable])
    for name in needed:
        if not (place / name).exists():
            pytest.skip(f"no {name} in the folder that {variable} names")
    return place


@pytest.fixture
def without_places(monkeypatch, tmp_path):
    """Neither data nor weights are named by the environment, nor were any downloaded before."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("SRDISTILL_DATA", raising=False)
    monkeypatch.delenv("SRDISTILL_WEIGHTS", raising=False)


@pytest.fixture
def interrupt(monkeypatch):
    """``interrupt(module, at)``: the next loop under a bar of ``module`` gets Ctrl-C before step ``at``; None: never."""

    def arm(module, at: int | None):
        def bar(items, label, total=None, initial=0):
            for item in items:
                if item == at:
                    raise KeyboardInterrupt
                yield item

        monkeypatch.setattr(module, "bar", bar)

    return arm
