"""How much may be kept: a share of the pixels, or a number of encoded bytes."""

import math
import re

from srdistill.distill.problem import DistillError

_UNITS = {"": 1, "b": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9, "kib": 2**10, "mib": 2**20, "gib": 2**30}


def parse_share(text: str) -> float:
    """``1%`` or ``0.5 %`` as a share of the pixels in (0, 1]. Raises DistillError for anything else.

    The sign is required: 1 may mean all or a hundredth.
    """
    given = text.strip()
    if not given.endswith("%"):
        raise DistillError(f"--budget {text!r} is no percentage; write 1% for one hundredth of the pixels")
    try:
        percent = float(given[:-1])
    except ValueError:
        raise DistillError(f"--budget {text!r} is no number before the %; write e.g. 1% or 0.5%") from None
    if not 0 < percent <= 100:
        raise DistillError(f"--budget {text!r} must be above 0 % and at most 100 %; 1% is a good start")
    return percent / 100


def parse_bytes(text: str) -> int:
    """``500kB``, ``5 MB``, ``2MiB`` or a plain number as bytes, 1 or more. Raises DistillError for anything else."""
    match = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)\s*([A-Za-z]*)", text.strip())
    if not match or match[2].lower() not in _UNITS:
        raise DistillError(f"--bytes {text!r} is no size; write e.g. 500kB, 5MB, 2MiB or a number of bytes")
    found = math.floor(float(match[1]) * _UNITS[match[2].lower()])
    if found < 1:
        raise DistillError(f"--bytes {text!r} must be 1 byte or more")
    return found


def tiles_in(share: float, pixels: int, tile: int) -> int:
    """Tiles of ``tile`` px squared in a ``share`` of ``pixels``, rounded down. Raises DistillError below one."""
    # A decimal share of a whole number may fall short of a whole number by rounding.
    count = math.floor(share * pixels / tile**2 + 1e-9)
    if not count:
        least = -(-(tile**2) * 100_000 // pixels) / 1000
        remedy = f"ask for {least:g}% or more, or for smaller tiles" if least <= 100 else "use more pictures or smaller tiles"
        raise DistillError(
            f"a budget of {share * 100:g} % of {pixels:,} pixels is {share * pixels:,.0f}, less than one tile of "
            f"{tile} x {tile} = {tile**2:,} pixels; {remedy}"
        )
    return count
