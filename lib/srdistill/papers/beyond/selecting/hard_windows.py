"""Full data as strong as it can be: the windows that are hardest to restore, also of smaller copies, as pictures to crop from.

SamplingAug (Wang et al., BMVC 2021, "SamplingAug: On the Importance of Patch Sampling Augmentation for Single Image
Super-Resolution") trains on the patches whose linear enlargement has the lowest PSNR, a tenth of them or so, instead of
uniform ones. Here windows somewhat larger than the training's crops are chosen once, so that the training itself stays the
same: crops fall anywhere in them.
"""

from collections.abc import Sequence

from srdistill.catalogue.collections import collection_needs
from srdistill.images.pictures import Pictures
from srdistill.measures.patch_scores import score_windows
from srdistill.needs import needing
from srdistill.sets.distilled_set import SelectionError
from srdistill.study.engine.tasks import Resource
from srdistill.study.pictures import cut_collection


def hard_windows(real: Pictures, *, share: float, size: int, scale: int = 2) -> Pictures:
    """The ``share`` of all windows of ``size`` px, every half window, that bicubic restores worst at ``scale``, hardest first.

    Windows overlap: what lies in several hard ones is drawn more often. They are views: no pixel is copied. Of equal scores the
    first window counts as harder. Names are those of the pictures with the corner.

    Raises:
        SelectionError: the share is not within 0 and 1, or the windows do not suit the scale. PictureError: a picture is
        smaller than a window.
    """
    if not 0 < share <= 1:
        raise SelectionError(f"the share of hard windows is above 0 and at most 1, got {share}")
    step = size // 2
    if size < 2 * scale or size % scale or step % scale:
        raise SelectionError(f"windows of {size} px do not suit scale {scale}; use a multiple of {2 * scale}")
    windows, scores = score_windows(real, size, step, scale)
    hardest = scores.argsort(stable=True)[: max(1, round(share * len(scores)))].tolist()
    images, names = [], []
    for index in hardest:
        label, top, left = int(windows.labels[index]), int(windows.top[index]), int(windows.left[index])
        images.append(real.images[label][:, top : top + size, left : left + size])
        names.append(f"{real.names[label]} at {top}, {left}")
    return Pictures(tuple(images), tuple(names), f"{real.origin}, hardest {100 * share:g} % of {size}-px windows")


@needing(lambda collection, **_: collection_needs(collection))
def hard_collection(
    collection: str, split: str, side: int, least: int, share: float, size: int, scale: int, scales: Sequence[float] = ()
) -> Pictures:
    """``hard_windows`` of ``size`` px of what ``cut_collection`` gives, the central ``side`` px of each picture (0: whole).

    ``scales``: and of smaller copies of the pictures. Raises what both raise.
    """
    return hard_windows(
        cut_collection(collection, split, side, max(least, size), 0, scales), share=share, size=size, scale=scale
    )


def hard_data(real: Resource, *, share: float, size: int, scale: int, scales: Sequence[float] = ()) -> Resource:
    """The hard windows of ``size`` px of a study's training pictures (``SRStudy.real()``), for ``pictures=`` of a row
    without a method.

    Of a rehearsal's handful of pictures there is nothing to choose from: it stays.
    """
    if real.loader is not cut_collection:
        return real
    given = {name: real.settings[name] for name in ("collection", "split", "side", "least")}
    settings = given | {"share": share, "size": size, "scale": scale, "scales": tuple(scales)}
    return Resource(hard_collection, settings, hashed=True)
