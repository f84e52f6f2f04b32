"""Checkpoints of long loops: written whole, refused when they belong to other work or are damaged."""

import io
import os
import warnings
from dataclasses import dataclass
from pathlib import Path

import torch

from srdistill.files import atomic_path


@dataclass(frozen=True)
class Checkpoint:
    """Where and how often to save. ``identity`` says what is being computed: another identity is never resumed."""

    path: Path
    identity: str
    every: int = 1000

    def load(self) -> dict | None:
        """The saved state, or None (with a warning if there was a file that cannot be used)."""
        if not self.path.exists():
            return None
        try:
            saved = torch.load(self.path, map_location="cpu", weights_only=True)
            if saved["identity"] == self.identity:
                return saved["state"]
            reason = "it belongs to other settings"
        except Exception as error:  # torch.load raises many kinds for a damaged file
            reason = f"it is damaged ({type(error).__name__})"
        warnings.warn(f"checkpoint {self.path.name} is not used: {reason}; starting from the beginning", stacklevel=2)
        return None

    def save(self, state: dict) -> None:
        """Replace the checkpoint by ``state``: tensors, numbers, strings, lists and dicts only."""
        # Through memory: torch.save to a path hides a full disk behind an error of its own.
        buffer = io.BytesIO()
        torch.save({"identity": self.identity, "state": state}, buffer)
        with atomic_path(self.path) as temporary:
            temporary.write_bytes(buffer.getbuffer())

    def due(self, step: int) -> bool:
        """Whether to save after ``step`` steps."""
        return step % self.every == 0

    def clear(self) -> None:
        """Remove it when the work is done."""
        if os.path.exists(self.path):
            os.unlink(self.path)
