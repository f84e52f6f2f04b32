"""What it costs to select tiles: seconds and memory over growing collections, and lazy against plain greedy choice.

Each collection is selected from in a fresh process of one thread. Its seconds are those of the processor, which a machine that
is shared does not stretch; its peak memory is the growth of its resident set (VmHWM, on Linux) over that of ten pictures, good
to some 5 MB. ``python tests/benchmarks/test_selection.py "in turn" 1000`` prints all figures of one.
"""

import json
import os
import subprocess
import sys
import time
import weakref
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch

from srdistill.catalogue.collections import CollectionError, load_collection
from srdistill.catalogue.photos import photos
from srdistill.images.pictures import Pictures
from srdistill.papers.beyond.selecting import pyramid_coverage as method
from srdistill.papers.beyond.selecting.pyramid_coverage import Coverage, pyramid_coverage
from srdistill.papers.beyond.tiles import facility_location as greedy
from srdistill.papers.beyond.tiles.facility_location import facility_location
from srdistill.seeds import generator_for

HEIGHT, WIDTH = 96, 128
BUDGET, TILE = 0.03, 48
COUNTS = (10, 100, 1_000, 10_000)
# As many as LSDIR has for training, the largest collection of photographs that super-resolution is trained on.
MANY = 85_000
linux = pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="peak memory is read from Linux's /proc")


class ManyPictures(Sequence):
    """Crops of the embedded photographs, flipped at random, made anew at each access as a file would be read anew.

    ``read``: how often one was. ``held``: how many at most were in use at the same time.
    """

    def __init__(self, count):
        self.sources = [image for image in photos("train").images if min(image.shape[1:]) >= WIDTH]
        self.names = tuple(f"{index:05d}" for index in range(count))
        self.images = self
        self.read = self.held = self._in_use = 0

    def __len__(self):
        return len(self.names)

    def __getitem__(self, index):
        if not 0 <= index < len(self):
            raise IndexError(index)
        draws = generator_for(0, "crop", index)
        source = self.sources[index % len(self.sources)]
        top, left = (
            int(torch.randint(side - crop + 1, (), generator=draws))
            for side, crop in zip(source.shape[1:], (HEIGHT, WIDTH), strict=True)
        )
        image = source[:, top : top + HEIGHT, left : left + WIDTH].clone()
        image = image.flip(2) if torch.rand((), generator=draws) < 0.5 else image
        self.read, self._in_use = self.read + 1, self._in_use + 1
        self.held = max(self.held, self._in_use)
        weakref.finalize(image, self._released)
        return image

    def _released(self):
        self._in_use -= 1


def selected(pictures):
    """3 % of the pixels, in tiles of 48 px."""
    settings, generator = Coverage(stride=24, ground=2_000), torch.Generator().manual_seed(0)
    return pyramid_coverage(pictures, scale=2, budget=BUDGET, generator=generator, tile=TILE, settings=settings)


def in_memory(many):
    """The plain way: all pictures at once."""
    return Pictures(tuple(many), many.names)


def peak():
    """Megabytes that this process has held at most."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM"))


def cost(way, count):
    """Of a selection in a fresh process, see ``_measure``."""
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, __file__, way, str(count)], env=environment, check=True, stdout=subprocess.PIPE, text=True
    )
    return json.loads(done.stdout.splitlines()[-1])


@linux
def test_cost_of_growing_collections(note):
    """Near linear, by what can be counted: seconds are told, and fail nothing.

    Each picture is made three times at most (scores, embedding, chosen tiles), and no more than the one at hand and the one
    before are in use. Ten times the pictures, and so ten times the chosen tiles, need little more than ten times the gains;
    and the memory that is needed on top is less than the pixels of the further pictures take.
    """
    costs = {count: cost("in turn", count) for count in COUNTS}
    for count, found in costs.items():
        assert found["tiles"] == int(BUDGET * count * HEIGHT * WIDTH / TILE**2)
        assert found["read"] <= 3 * count and found["held"] <= 2
        note(
            f"selecting {found['tiles']:4} of {found['candidates']:6} candidates from {count:6,} pictures of {HEIGHT} x "
            f"{WIDTH} px: {found['seconds']:6.2f} s, {1000 * found['seconds'] / count:5.1f} ms a picture; the choice among "
            f"them {found['choice']:6.2f} s, {found['gains'] / found['candidates']:.2f} gains a candidate; peak memory "
            f"{found['megabytes']:.0f} MB"
        )
    few, most = (costs[count] for count in COUNTS[-2:])
    times = COUNTS[-1] / COUNTS[-2]
    grown = ", ".join(f"{what} {most[what] / few[what]:.1f}" for what in ("seconds", "choice", "gains", "megabytes"))
    note(f"{times:.0f} times the pictures, so many times the: {grown}")
    further = (MANY - COUNTS[-1]) / (COUNTS[-1] - COUNTS[-2])
    ahead = {what: most[what] + further * (most[what] - few[what]) for what in ("seconds", "megabytes")}
    note(
        f"in a straight line, {MANY:,} pictures of this size, as many as LSDIR has: {ahead['seconds'] / 60:.0f} minutes on one "
        f"core, {ahead['megabytes'] / 1000:.1f} GB"
    )
    assert most["gains"] < 1.5 * times * few["gains"]
    assert most["megabytes"] - few["megabytes"] < (COUNTS[-1] - COUNTS[-2]) * 3 * HEIGHT * WIDTH / 2**20


@linux
def test_memory_of_pictures_in_turn(note):
    """The same tiles as with all pictures in memory, in less of it."""
    many = ManyPictures(100)
    assert selected(many).digest == selected(in_memory(many)).digest
    ours, plain = (cost(way, 1_000)["megabytes"] for way in ("in turn", "in memory"))
    note(f"peak memory of 1,000 pictures: in turn {ours:.0f} MB, all in memory {plain:.0f} MB, {plain / ours:.2f} x")
    assert ours < plain


def test_lazy_greedy(ratio):
    """Facility location over 3,000 points, 100 chosen; the plain way has all similarities and takes every gain each time."""
    rows = torch.randn(3000, 64, generator=torch.Generator().manual_seed(0))
    rows = rows / rows.norm(dim=1, keepdim=True)
    exact = (rows * 2048).round() / 2048

    def plain():
        similar, covered, chosen = (exact @ exact.T).clamp(min=0), torch.zeros(3000), []
        for _ in range(100):
            gains = (similar - covered).clamp(min=0).sum(1, dtype=torch.float64)
            gains[chosen] = -1
            chosen.append(int(gains.argmax()))
            covered = torch.maximum(covered, similar[chosen[-1]])
        return chosen

    def ours():
        return facility_location(rows, budget=100, generator=torch.Generator().manual_seed(0)).tolist()

    assert plain() == ours()
    assert ratio(plain, ours, rounds=3) > 1


def test_scoring_and_selecting_the_training_pictures(note):
    """The 291 pictures at 3 %: 60 seconds on two cores at most, in processor time, which a shared machine does not stretch."""
    try:
        real = load_collection("sr291", download=False)
    except CollectionError as error:
        pytest.skip(str(error))
    start, used = time.perf_counter(), time.process_time()
    pyramid_coverage(real, scale=2, budget=0.03, generator=torch.Generator().manual_seed(0), workers=2)
    seconds, used = time.perf_counter() - start, time.process_time() - used
    note(f"scoring and selecting {len(real)} pictures with 2 workers: {seconds:.1f} s, of processors {used:.1f} s")
    assert used < 2 * 60


def _measure(way, count):
    """Seconds in all and of the choice alone, gains computed, pictures made and in use, peak memory in megabytes."""
    torch.set_num_threads(1)
    selected(ManyPictures(10))
    counted = {"gains": 0, "choice": 0.0}
    gains, choose = greedy._gains, method.facility_location

    def counted_gains(points, *given):
        counted["gains"] += len(points)
        return gains(points, *given)

    def timed_choice(*given, **settings):
        start = time.process_time()
        chosen = choose(*given, **settings)
        counted["choice"] += time.process_time() - start
        return chosen

    greedy._gains, method.facility_location = counted_gains, timed_choice
    Path("/proc/self/clear_refs").write_text("5")
    before, start = peak(), time.process_time()
    many = ManyPictures(count)
    made = selected(many if way == "in turn" else in_memory(many))
    return counted | {
        "seconds": time.process_time() - start, "megabytes": peak() - before, "tiles": len(made), "read": many.read,
        "held": many.held, "candidates": made.settings["candidates"],
    }  # fmt: skip


if __name__ == "__main__":
    print(json.dumps(_measure(sys.argv[1], int(sys.argv[2]))))
