"""What it costs to select tiles: seconds and memory over growing collections, and lazy against plain greedy choice."""

import resource
import time
from collections.abc import Sequence

import pytest
import torch

from srdistill.images.collections import CollectionError, load_collection
from srdistill.images.photos import photos
from srdistill.papers.beyond.facility_location import facility_location
from srdistill.papers.beyond.pyramid_coverage import Coverage, pyramid_coverage
from srdistill.seeds import generator_for

HEIGHT, WIDTH = 192, 256


class ManyPictures(Sequence):
    """Crops of the embedded photographs, flipped at random, made anew at each access as a file would be read anew."""

    def __init__(self, count):
        self.sources = [image for image in photos("train").images if min(image.shape[1:]) >= WIDTH]
        self.names = tuple(f"{index:05d}" for index in range(count))
        self.images = self

    def __len__(self):
        return len(self.names)

    def __getitem__(self, index):
        draws = generator_for(0, "crop", index)
        source = self.sources[index % len(self.sources)]
        top, left = (
            int(torch.randint(side - crop + 1, (), generator=draws))
            for side, crop in zip(source.shape[1:], (HEIGHT, WIDTH), strict=True)
        )
        image = source[:, top : top + HEIGHT, left : left + WIDTH]
        return image.flip(2) if torch.rand((), generator=draws) < 0.5 else image


def peak():
    """Megabytes that this process has held at most; never falls."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def test_cost_of_growing_collections(note):
    """Near linear: a hundred times the pictures take no more than two hundred times the seconds, and hardly more memory than
    their own candidates (some 400 bytes each) and chosen tiles."""
    settings = Coverage(stride=24, ground=2_000)
    seconds, memory = {}, {}
    for count in (10, 100, 1000):
        many, start = ManyPictures(count), time.perf_counter()
        made = pyramid_coverage(
            many, scale=2, budget=0.03, generator=torch.Generator().manual_seed(0), tile=48, settings=settings
        )
        seconds[count], memory[count] = time.perf_counter() - start, peak()
        assert len(made) == int(0.03 * count * HEIGHT * WIDTH / 48**2)
        note(
            f"selecting {len(made):4} of {made.settings['candidates']:6} candidates from {count:4} pictures of "
            f"{HEIGHT} x {WIDTH} px: {seconds[count]:6.2f} s, {1000 * seconds[count] / count:5.1f} ms a picture, "
            f"peak memory {memory[count]:.0f} MB"
        )
    assert seconds[1000] < 20 * seconds[100]
    assert memory[1000] - memory[100] < 300


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
