"""Import torchvision beside a CPU build of torch.

The wheel of torchvision registers metadata for two compiled operators that exist only together with the CUDA
build of torch; with a CPU build its import stops at "operator torchvision::nms does not exist". Declaring the two
schemas first lets it import; nothing here calls them.
"""

import functools
import importlib
from types import ModuleType

import torch

_SCHEMA = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"


@functools.cache
def _library() -> torch.library.Library:
    return torch.library.Library("torchvision", "DEF")


def import_torchvision() -> ModuleType:
    """Return torchvision, declaring its missing operators first where that is needed."""
    try:
        return importlib.import_module("torchvision")
    except RuntimeError as error:
        if "does not exist" not in str(error):
            raise
    for name in ("nms", "qnms"):
        try:
            getattr(torch.ops.torchvision, name)
        except AttributeError:
            _library().define(name + _SCHEMA)
    return importlib.import_module("torchvision")
