"""Checkpoints of long loops: written whole, refused when they belong to other work or are damaged."""

import io
import os
import time
import warnings
from pathlib import Path

import torch

from srdistill.files import atomic_path

# Seconds between two saves, and so about what an interruption costs.
PAUSE = 10.0


class _Clock:
    """Seconds of this attempt and of earlier ones, as far as they were saved; one for a checkpoint and all its parts."""

    def __init__(self):
        self.before, self.began = 0.0, time.monotonic()

    @property
    def seconds(self) -> float:
        return self.before + time.monotonic() - self.began


class Checkpoint:
    """Where and how often to save. ``identity`` says what is being computed: another identity is never resumed.

    ``every``: steps between two saves; None: whenever ten seconds have passed, whatever a step takes. When it is saved
    changes no result. ``seconds``: what the work has taken so far, earlier attempts included.
    """

    def __init__(self, path: str | Path, identity: str, every: int | None = None):
        self.path, self.identity, self.every = Path(path), identity, every
        self._clock, self._saved = _Clock(), time.monotonic()

    def part(self, name: str) -> "Checkpoint":
        """A checkpoint of one phase of the same work, in a file of its own; ``clear`` removes it with the rest."""
        found = Checkpoint(self.path.with_name(f"{self.path.name}.{name}"), self.identity, self.every)
        found._clock = self._clock
        return found

    @property
    def seconds(self) -> float:
        """Seconds since this attempt began, and those that earlier attempts had come to when they last saved."""
        return self._clock.seconds

    def load(self) -> dict | None:
        """The saved state, or None (with a warning if there was a file that cannot be used)."""
        if not self.path.exists():
            return None
        try:
            saved = torch.load(self.path, map_location="cpu", weights_only=True)
            if saved["identity"] == self.identity:
                state = saved["state"]
                # Of several parts the last one that was saved knows most.
                self._clock.before = max(self._clock.before, float(saved["seconds"]))
                return state
            reason = "it belongs to other settings"
        except Exception as error:  # torch.load raises many kinds for a damaged file
            reason = f"it is damaged ({type(error).__name__})"
        warnings.warn(f"checkpoint {self.path.name} is not used: {reason}; starting from the beginning", stacklevel=2)
        return None

    def save(self, state: dict) -> None:
        """Replace the checkpoint by ``state``: tensors, numbers, strings, lists and dicts only."""
        # Through memory: torch.save to a path hides a full disk behind an error of its own.
        buffer = io.BytesIO()
        torch.save({"identity": self.identity, "seconds": self.seconds, "state": state}, buffer)
        with atomic_path(self.path) as temporary:
            temporary.write_bytes(buffer.getbuffer())
        self._saved = time.monotonic()

    def due(self, step: int) -> bool:
        """Whether to save after ``step`` steps."""
        return time.monotonic() - self._saved >= PAUSE if self.every is None else step % self.every == 0

    def clear(self) -> None:
        """Remove it and its parts when the work is done."""
        for path in (self.path, *self.path.parent.glob(f"{self.path.name}.*")):
            if os.path.exists(path):
                os.unlink(path)
