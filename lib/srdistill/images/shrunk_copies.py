"""Pictures at several scales: the oldest augmentation of super-resolution that is not a flip."""

from collections.abc import Sequence

from srdistill.images.pictures import PictureError, Pictures, to_float, to_uint8
from srdistill.images.resize import resize


def shrunk_copies(pictures: Pictures, scales: Sequence[float], least: int) -> Pictures:
    """The pictures, and of each its copies at ``scales`` (between 0 and 1) by antialiased bicubic, without those whose shorter
    side would have less than ``least`` px.

    Timofte et al. 2016 ("Seven ways to improve example-based single image super resolution", section 3.1) train on copies at
    0.9, 0.8, 0.7 and 0.6. Crops that are drawn in proportion to pixels come from the full size most often.

    Raises PictureError for a scale that does not shrink.
    """
    if not all(0 < scale < 1 for scale in scales):
        raise PictureError(f"copies have scales between 0 and 1, got {', '.join(map(str, scales))}")
    images, names = list(pictures.images), list(pictures.names)
    for scale in scales:
        for name, image in pictures:
            height, width = (round(side * scale) for side in image.shape[1:])
            if min(height, width) >= max(least, 1):
                images.append(to_uint8(resize(to_float(image), (height, width))))
                names.append(f"{name} at {scale:g}")
    return Pictures(tuple(images), tuple(names), f"{pictures.origin}, and copies at {', '.join(f'{s:g}' for s in scales)}")
