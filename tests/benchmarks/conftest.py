"""Ratios against the plain way of doing the same work, measured in one run, after an equality check."""

import statistics
import time
from collections.abc import Callable

import pytest
import torch

RESULTS: list[tuple[str, float, float, float]] = []
NOTES: list[str] = []


def _timed(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter() - start


@pytest.fixture(scope="session", autouse=True)
def one_thread():
    """Unlike the unit tests, measurements use every core."""


@pytest.fixture
def ratio(benchmark, request):
    """``ratio(plain, ours)``: both timed in turns; returns how many times faster ours is (medians)."""

    def measure(plain: Callable[[], object], ours: Callable[[], object], rounds: int = 5) -> float:
        plain_times: list[float] = []
        our_times: list[float] = []
        plain(), ours()  # warm-up
        benchmark.pedantic(
            lambda: our_times.append(_timed(ours)), setup=lambda: plain_times.append(_timed(plain)), rounds=rounds
        )
        value = statistics.median(plain_times) / statistics.median(our_times)
        benchmark.extra_info |= {"ratio": value, "plain_seconds": plain_times, "our_seconds": our_times}
        name = request.node.name.removeprefix("test_")
        RESULTS.append((name, statistics.median(plain_times), statistics.median(our_times), value))
        return value

    return measure


@pytest.fixture
def note():
    """``note(text)``: a line for the summary, of what is no time."""
    return NOTES.append


def pytest_terminal_summary(terminalreporter):
    """The ratios, which are what these benchmarks are for."""
    where = torch.cuda.get_device_name() if torch.cuda.is_available() else f"CPU, {torch.get_num_threads()} threads"
    terminalreporter.section(f"times faster than the plain way ({where})")
    for name, plain, ours, value in RESULTS:
        terminalreporter.write_line(f"{name:50} plain {plain:8.3f} s   ours {ours:8.3f} s   {value:8.2f} x")
    for text in NOTES:
        terminalreporter.write_line(text)
