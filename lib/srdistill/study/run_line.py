"""What a run says of itself while it goes on: tasks done of all, what runs now, the time that is left. One line, renewed twice
a second on a terminal; in a log, a line a minute."""

import shutil
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from statistics import median
from typing import IO

_PAUSE, _PAUSE_IN_A_LOG = 0.5, 60.0


@dataclass(frozen=True)
class Expected:
    """A task that a run will compute. ``alike``: the same for tasks that take equally long; ``seconds``: what those took that
    the store has, None if it has none."""

    alike: str
    seconds: float | None = None


class RunLine:
    """``expected``: what is to be computed, by key. ``workers``: that compute it. ``out``: where the line goes.

    A context manager: in the block the line is renewed.
    """

    def __init__(self, notebooks: int, expected: Mapping[str, Expected], workers: int, out: IO | None = None):
        self.notebooks, self.expected, self.workers = notebooks, dict(expected), workers
        self.out = out or sys.stderr
        self.notebooks_done, self.running = 0, {}
        self._took: dict[str, list[float]] = {}
        self._finished: set[str] = set()
        self._began, self._lock, self._stop = time.monotonic(), threading.Lock(), threading.Event()
        self._here = self.out.isatty()

    def hear(self, message: dict) -> None:
        """A message of a worker or kernel: a task has started, has come to a step, has finished."""
        key = message.get("key", message.get("label"))
        with self._lock:
            if message.get("event") == "finished":
                self.running.pop(key, None)
                self._finished.add(key)
                if message["fresh"] and key in self.expected:
                    self._took.setdefault(self.expected[key].alike, []).append(message["seconds"])
            elif message.get("event") == "started" or "key" in message:
                steps = f" {message['done']}/{message['total']}" if message.get("total") else ""
                self.running[key] = f"{message.get('task') or message.get('label')}{steps}"

    def forget(self) -> None:
        """What was running no longer is: its worker, or all of them, are gone."""
        with self._lock:
            self.running.clear()

    @property
    def done(self) -> int:
        """How many of the expected tasks have finished."""
        return len(self._finished & self.expected.keys())

    def seconds_left(self) -> float | None:
        """From what such tasks took in this run, or else before; None if that is not known of the half."""
        known, unknown = [], 0
        for key, task in self.expected.items():
            if key not in self._finished:
                took = self._took.get(task.alike)
                seconds = median(took) if took else task.seconds
                known.append(seconds) if seconds is not None else None
                unknown += seconds is None
        if unknown > len(known):
            return None
        mean = sum(known) / len(known) if known else 0.0
        return (sum(known) + unknown * mean) / self.workers

    def text(self) -> str:
        """The line."""
        with self._lock:
            left, now = self.seconds_left(), list(self.running.values())
            done = self.done
        parts = [f"{self.notebooks_done} of {self.notebooks} notebooks", f"{done} of {len(self.expected)} tasks"]
        parts.append(in_words(time.monotonic() - self._began))
        if done < len(self.expected):
            parts.append(f"about {in_words(left)} left" if left is not None else "time left not known yet")
        return ", ".join(parts) + (f"; now {'; '.join(now[: self.workers])}" if now else "")

    def say(self, text: str) -> None:
        """A line of its own, which stays."""
        with self._lock:
            print(f"\r\x1b[2K{text}" if self._here else text, file=self.out, flush=True)

    def __enter__(self) -> "RunLine":
        self._ticker = threading.Thread(target=self._tick, daemon=True)
        self._ticker.start()
        return self

    def __exit__(self, *_) -> None:
        self._stop.set()
        self._ticker.join()
        if self._here:
            print("\r\x1b[2K", end="", file=self.out, flush=True)

    def _tick(self) -> None:
        while not self._stop.wait(_PAUSE if self._here else _PAUSE_IN_A_LOG):
            text = self.text()
            if self._here:
                text = text[: shutil.get_terminal_size().columns - 1]
            with self._lock:
                print(f"\r\x1b[2K{text}" if self._here else text, end="" if self._here else "\n", file=self.out, flush=True)


def in_words(seconds: float) -> str:
    """``40 s``, ``12 min``, ``3 h 20 min``, ``2 days 4 h``."""
    minutes = round(seconds / 60)
    if seconds < 59.5:
        return f"{seconds:.0f} s"
    if minutes < 60:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    if hours < 48:
        return f"{hours} h {minutes:02d} min"
    return f"{hours // 24} days {hours % 24} h"
