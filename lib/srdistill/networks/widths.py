"""Networks that are narrower than printed: the same layers with a share of the channels."""

_MULTIPLE = 4


def scaled(channels: int, factor: float, multiple: int = _MULTIPLE) -> int:
    """``factor`` times ``channels``, rounded to the nearest multiple of ``multiple`` above zero; as they are at factor 1.

    Raises ValueError for a factor that is not positive.
    """
    if not factor > 0:
        raise ValueError(f"width_factor must be positive, got {factor}; 1.0 is the printed width")
    return channels if factor == 1 else max(1, round(channels * factor / multiple)) * multiple
