"""Freeing what resizing keeps. A module of its own, so that whatever resizes does not depend on it."""

from srdistill.images.resize import _matrix, bicubic_matrix


def forget_matrices() -> None:
    """Free the matrices that are kept: hundreds of large pictures of different sizes would fill gigabytes with them."""
    _matrix.cache_clear()
    bicubic_matrix.cache_clear()
