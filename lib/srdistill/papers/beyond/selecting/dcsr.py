"""DCSR: textured tiles, as many of each kind of texture ("Not All Patches Are Equal: Hierarchical Dataset Condensation for
Single Image Super-Resolution", Ding et al., IEEE Signal Processing Letters 30, 2023).

The half of the tiles with the least Sobel gradient goes; k-means groups the rest by texture; each group gives the same number.
The authors' features are those of DeepTEN, trained on a texture data set; here they are energies in bands of the spectrum.
"""

import math
import warnings

import torch
from torch import Tensor

from srdistill.images.pictures import Pictures
from srdistill.images.pictures_in_turn import PicturesInTurn
from srdistill.papers.beyond.tiles.sobel import sobel_complexity
from srdistill.papers.beyond.tiles.spectrum_embedding import spectrum_embedding
from srdistill.papers.beyond.tiles.tile_budget import tile_count, tile_set
from srdistill.papers.beyond.tiles.tile_embedding import embedded
from srdistill.seeds import derive_seed, generator_for
from srdistill.sets.distilled_set import DistilledSet, SelectionError
from srdistill.sets.pyramid import Pyramid
from srdistill.sets.pyramid_tiles import for_each_tile, scored_tiles


def dcsr(
    real: Pictures | PicturesInTurn,
    *,
    budget: float,
    scale: int,
    generator: torch.Generator,
    tile: int = 96,
    stride: int = 96,
    keep: float = 0.5,
    clusters: int = 15,
    n_init: int = 10,
) -> DistilledSet:
    """Tiles of full size, evenly from ``clusters`` kinds of texture; 96 px every 96 px, half and 15 as in the authors' code.

    ``keep``: share of the tiles with the largest ``sobel_complexity`` that are grouped, rounded up. ``n_init``: starts of
    k-means. A group that has less than its part gives all it has, and the others more.

    Raises what ``pyramid_coverage`` raises, and SelectionError for impossible settings or fewer tiles than groups.
    """
    if not 0 < keep <= 1 or clusters < 1 or n_init < 1:
        raise SelectionError(f"keep must lie in (0, 1], clusters and n_init be 1 or more, got {keep}, {clusters}, {n_init}")
    tiles = scored_tiles(real.images, Pyramid(tile, stride, (1.0,)), scale)
    count = tile_count(budget, tiles.pixels, tile)
    texture = for_each_tile(real.images, tiles, sobel_complexity, "textures of tiles")
    most = texture.argsort(descending=True, stable=True)[: math.ceil(keep * len(tiles))]
    tiles = tiles.at(most.sort().values)
    if len(tiles) < max(count, clusters):
        raise SelectionError(
            f"{len(tiles)} textured tiles are too few for {clusters} groups and a budget of {count}; "
            "use more pictures, a smaller stride, or a smaller budget"
        )
    labels = _grouped(embedded(real.images, tiles, spectrum_embedding(scale)), clusters, n_init, generator)
    chosen = even_choice(labels, count, generator)
    settings = {"budget": budget, "scale": scale, "keep": keep, "clusters": clusters, "n_init": n_init}
    return tile_set(real.images, real.names, tiles, chosen, "dcsr", settings)


def even_choice(labels: Tensor, count: int, generator: torch.Generator) -> Tensor:
    """``count`` positions of ``labels`` (N,), as evenly from all labels as these allow: round after round one of each that has
    any left, in random order."""
    draws = generator_for(generator.initial_seed(), "even choice")
    order = torch.randperm(len(labels), generator=draws)
    order = order[labels[order].argsort(stable=True)]
    _, sizes = labels[order].unique_consecutive(return_counts=True)
    turn = torch.arange(len(order)) - (sizes.cumsum(0) - sizes).repeat_interleave(sizes)
    # Which groups come first in the last, unfinished round is drawn, too.
    lot = torch.randperm(len(sizes), generator=draws).repeat_interleave(sizes)
    return order[(turn * len(sizes) + lot).argsort()][:count]


def _grouped(rows: Tensor, clusters: int, n_init: int, generator: torch.Generator) -> Tensor:
    from sklearn.cluster import KMeans
    from sklearn.exceptions import ConvergenceWarning
    from threadpoolctl import threadpool_limits

    seed = derive_seed(generator.initial_seed(), "textures") % 2**32
    # With several threads, sums come in whatever order the threads finish, and two runs differ in the last bits.
    with threadpool_limits(limits=1), warnings.catch_warnings():
        # Equal tiles make fewer groups, which is no harm here.
        warnings.simplefilter("ignore", ConvergenceWarning)
        model = KMeans(clusters, n_init=n_init, random_state=seed).fit(rows.double().numpy())
    return torch.from_numpy(model.labels_).long()
