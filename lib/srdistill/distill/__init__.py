"""A small training set from any folder of pictures: ``python -m srdistill.distill --data FOLDER --budget 1%``.

In reading order: what is asked for (``request``, ``budget``), which pictures there are (``sources``), what is remembered while
they are worked on (``work``), how tiles are chosen (``methods``, ``shrunk``, ``coverage``), the run (``make``), what it says of
itself (``card``).
"""

from srdistill.distill.make import Made, distill
from srdistill.distill.problem import DistillError
from srdistill.distill.request import Request

__all__ = ["DistillError", "Made", "Request", "distill"]
