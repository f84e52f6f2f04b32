"""The baselines' settings as their authors print them, or their code has them (protocol notes, sections 2 to 7).

Where a paper trains for a data set that is not in the coreset paper's tables, it is left out.
"""

from collections.abc import Mapping
from dataclasses import replace

from srdistill.papers.coreset.baselines import Baselines, Settings
from srdistill.papers.coreset.matching.dataset_condensation import Condensation
from srdistill.papers.coreset.matching.distribution_matching import DistributionMatching
from srdistill.papers.coreset.matching.idm import ImprovedMatching
from srdistill.papers.coreset.printed import DATM, DC, DM, IDM, MTT, TESLA
from srdistill.papers.coreset.recovery.gvbsm import GeneralRecovery
from srdistill.papers.coreset.trajectories.experts import ExpertRecipe
from srdistill.papers.coreset.trajectories.trajectory_matching import TrajectoryMatching
from srdistill.priors.autoencoder import AutoencoderRecipe
from srdistill.training.hard_label_recipe import HardLabelRecipe

_CIFAR10, _CIFAR100, _TINY, _IMAGENET = "cifar10", "cifar100", "tiny-imagenet", ""
# Pictures are whitened by MTT here, by TESLA for CIFAR-100 with 50 pictures a class, and by DATM always.
_WHITENED = {(_CIFAR10, 1), (_CIFAR10, 10), (_CIFAR100, 1), (_CIFAR100, 50)}
# Steps of a student, epochs of an expert, latest start, batch, rate of pixels and of the step size, where that begins.
_MTT = {
    (_CIFAR10, 1): (50, 2, 2, None, 100, 1e-7, 0.01), (_CIFAR10, 10): (30, 2, 20, None, 100, 1e-5, 0.001),
    (_CIFAR10, 50): (30, 2, 40, None, 1000, 1e-5, 0.001),
    (_CIFAR100, 1): (20, 3, 20, None, 1000, 1e-5, 0.01), (_CIFAR100, 10): (20, 2, 20, None, 1000, 1e-5, 0.01),
    (_CIFAR100, 50): (80, 2, 40, 125, 1000, 1e-5, 0.01),
    (_TINY, 1): (10, 2, 10, None, 1e4, 1e-4, 0.01), (_TINY, 10): (20, 2, 40, 200, 1e4, 1e-4, 0.01),
    (_TINY, 50): (20, 2, 40, 300, 1e4, 1e-4, 0.01),
    **{(_IMAGENET, ipc): (20, 2, 10, None, 1000, 1e-6, 0.01) for ipc in (1, 10, 50)},
}  # fmt: skip
# The same and: earliest start, where the latest one begins and over how many iterations it grows, rate of labels, threshold.
_DATM = {
    (_CIFAR10, 1): (80, 2, 4, 10, 100, 1e-7, 0.01, 0, None, 0, 5, 1.1),
    (_CIFAR10, 10): (80, 2, 20, 100, 100, 1e-5, 0.01, 0, 10, 1000, 2, 1.0),
    (_CIFAR10, 50): (80, 2, 40, 500, 1000, 1e-5, 0.01, 0, 20, 2000, 2, 1.0),
    (_CIFAR100, 1): (40, 3, 20, 1000, 1000, 1e-5, 0.01, 0, 10, 1000, 10, 1.0),
    (_CIFAR100, 10): (80, 2, 50, 1000, 1000, 1e-5, 0.01, 0, 30, 2000, 10, 1.0),
    (_CIFAR100, 50): (80, 2, 70, 1000, 1000, 1e-5, 0.01, 20, None, 0, 10, 1.0),
}  # fmt: skip


def _trajectories(values: tuple, iterations: int, **more) -> TrajectoryMatching:
    steps, span, below, batch, lr, lr_step, step_size = values
    return TrajectoryMatching(
        iterations, steps, span, batch, start_below=below, lr=lr, lr_step=lr_step, step_size=step_size, **more
    )  # fmt: skip


def _grown(values: tuple) -> TrajectoryMatching:
    *values, start_from, grow_from, grow_over, label_lr, threshold = values
    given = {"start_from": start_from, "grow_from": grow_from, "grow_over": grow_over}
    return _trajectories(tuple(values), 10_000, **given, label_lr=label_lr, threshold=threshold, zca=True)


def _settings() -> Mapping[str, Mapping]:
    mtt = {key: _trajectories(values, 5000, zca=key in _WHITENED) for key, values in _MTT.items()}
    # TESLA's own values for one picture a class of CIFAR-10; else MTT's, for twice as many iterations.
    others = {"iterations": 10_000, "unrolled": "truncated"}
    tesla = {key: replace(found, **others, zca=key == (_CIFAR100, 50)) for key, found in mtt.items()}
    tesla[_CIFAR10, 1] = replace(tesla[_CIFAR10, 1], start_below=5, lr=1000.0)
    # GLaD's scripts, which the rows without it are from, too: a thousand iterations of each, and TESLA's gradient.
    glad = TrajectoryMatching(1000, 20, 3, start_below=5, lr=1e4, lr_step=1e-6, unrolled="truncated")
    return {
        DC: {("", 1): Condensation(lr=1.0)},
        DM: {("", 1): DistributionMatching(iterations=1000, lr=10.0)},
        MTT: mtt | {("coreset_t5", 1): glad, ("coreset_t6", 1): glad},
        TESLA: tesla,
        DATM: {key: _grown(values) for key, values in _DATM.items()},
        IDM: {
            (_CIFAR10, 1): ImprovedMatching(real_batch=5000, every=5), (_CIFAR10, 10): ImprovedMatching(),
            (_CIFAR10, 50): ImprovedMatching(ce_weight=0.1),
            (_CIFAR100, 1): ImprovedMatching(real_batch=5000, every=5),
            (_CIFAR100, 10): ImprovedMatching(ce_weight=0.1, steps=40),
            (_CIFAR100, 50): ImprovedMatching(ce_weight=0.1, steps=40),
        },
    }  # fmt: skip


PUBLISHED = Baselines(
    network={"architecture": "ConvNet", "width": 128, "norm": "instance"},
    students=HardLabelRecipe(1000),
    rates={"VGG11": 1e-4},
    settings=_settings(),
    latent={DC: 1.0, DM: 10.0, MTT: 1e4},
    untrained_latent={DC: 1.0, DM: 10.0, MTT: 1e4},
    untrained=AutoencoderRecipe(),
    experts=100,
    expert=ExpertRecipe(),
    backbones=("ConvNet", "ResNet-18"),
    recovery=GeneralRecovery(),
    prior="stylegan_xl",
    other_experts={
        **{(MTT, table): ExpertRecipe(15) for table in ("coreset_t5", "coreset_t6")},
        # Flat trajectories (protocol notes, section 5.5).
        (DATM, _CIFAR10): ExpertRecipe(100, rho=0.01, alpha=0.3), (DATM, _CIFAR100): ExpertRecipe(100, rho=0.01, alpha=1.0),
    },
)


def scaled(
    runs: Mapping[str, tuple[int, float]], *, trajectory: TrajectoryMatching, batch10: int, real_batch: int, **others
) -> Baselines:  # fmt: skip
    """The same methods in a small run, whatever the data set and the number of pictures.

    ``runs``: iterations and rate of pixels, by method (MTT, TESLA and DATM share theirs). ``batch10``: pictures of a step of
    MTT's students where there are ten of each class.
    """

    def everywhere(settings: Settings) -> dict[tuple[str, int], Settings]:
        return {("", ipc): settings for ipc in (1, 10)}

    def matching(**changes) -> dict[tuple[str, int], Settings]:
        iterations, lr = runs[MTT]
        found = replace(trajectory, iterations=iterations, lr=lr, **changes)
        return {("", 1): found, ("", 10): replace(found, batch=batch10)}

    def both(method: str) -> dict:
        return {"iterations": runs[method][0], "lr": runs[method][1], "real_batch": real_batch}

    settings = {
        DC: everywhere(Condensation(**both(DC))),
        DM: everywhere(DistributionMatching(**both(DM))),
        MTT: matching(),
        TESLA: matching(unrolled="truncated"),
        DATM: matching(label_lr=5.0, threshold=1.1),
        IDM: everywhere(ImprovedMatching(**both(IDM), every=5, most=10, trained=1, steps=2, network_batch=64)),
    }
    return Baselines(settings=settings, **others)
