"""Files of pretrained weights: where they are looked for, and how a missing one is reported."""

import os
from pathlib import Path

# Names the folder with pretrained weights, laid out as the loaders say.
VARIABLE = "SRDISTILL_WEIGHTS"


class WeightsMissing(FileNotFoundError):
    """No weights are at hand; the message says where they are looked for."""


def weights_folder() -> Path | None:
    """The folder that ``SRDISTILL_WEIGHTS`` names, if it is set."""
    return Path(os.environ[VARIABLE]).expanduser() if os.environ.get(VARIABLE) else None
