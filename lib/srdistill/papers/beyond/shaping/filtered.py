"""Candidate D on top of another set: its tiles, brought nearer to the spectrum of full-size pictures."""

import torch

from srdistill.images.pictures import Pictures, to_float, to_uint8
from srdistill.papers.beyond.shaping.radial_filter import fit_radial_filter
from srdistill.papers.beyond.shaping.shaped import full_size_windows
from srdistill.sets.distilled_set import DistilledSet


def filtered(real: Pictures, *, source: DistilledSet, generator: torch.Generator, match: float = 1.0) -> DistilledSet:
    """The images of ``source``, (N, 3, S, S), through a radial filter of strength ``match``; shape and labels stay.

    The filter is fitted to them and to windows of S px of ``real``. Raises PictureError if a picture is smaller than that.
    """
    images = to_float(source.images)
    radial = fit_radial_filter(images, full_size_windows(real, images.shape[-1], generator), match)
    settings = {"source": source.method, "match": match, "gains": [round(gain, 4) for gain in radial.gains]}
    return DistilledSet(to_uint8(radial(images)), source.labels, source.names, "filtered", source.settings | settings)
