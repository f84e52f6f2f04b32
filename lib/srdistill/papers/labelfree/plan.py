"""How large a run of the labelfree paper's tables is in each profile: pictures, students, patches, diffusion model."""

from dataclasses import dataclass, field, replace

from srdistill.diffusion.recipe import DiffusionRecipe
from srdistill.diffusion.sampling import Sampling
from srdistill.papers.labelfree.fine_tuning import FineTuning
from srdistill.papers.labelfree.gsdd import FeatureMatching
from srdistill.papers.labelfree.selection import Selection
from srdistill.priors.autoencoder import AutoencoderRecipe
from srdistill.priors.inversion_recipe import InversionRecipe
from srdistill.study.settings import CITED, OURS, PRINTED, TestSet, departures, recipe_for
from srdistill.training.adversarial_recipe import REAL_ESRGAN, REAL_SR, AdversarialRecipe
from srdistill.training.recipe import Recipe

# The students of each table; the third names none, but its numbers are Real-ESRGAN's.
STUDENTS = {
    "labelfree_t1": ("Real-ESRGAN", "RealSR"),
    "labelfree_t2": ("EDSR", "RCAN", "SRFormer", "HiT-SR"),
    "labelfree_t3": ("Real-ESRGAN",),
}


# Where the settings of the methods at the paper's scale are from; what is not named is a choice of ours.
_SELECTION = dict.fromkeys(("threshold", "clusters", "features"), PRINTED) | {"stride": CITED}
_FINE_TUNING = dict.fromkeys(("representative", "diverse"), PRINTED)
_FINE_TUNING |= dict.fromkeys(("recipe", "trained", "rows", "memory"), CITED)


@dataclass(frozen=True)
class LabelFreePlan:
    """Everything that the size of such a run depends on, beside seeds, LPIPS and checkpoints of the profile.

    ``size``: of the patches, in px.
    """

    train: str = field(metadata={"about": "training pictures", "source": PRINTED})
    train_side: int = field(metadata={"about": "central crop of each training picture, px (0: whole)"})
    train_min_side: int = field(metadata={"about": "training pictures smaller than this are left out, px"})
    tests: tuple[TestSet, ...] = field(metadata={"about": "test sets", "source": PRINTED})
    networks: dict[str, dict] = field(metadata={"about": "students", "source": PRINTED})
    recipes_x4: dict[str, AdversarialRecipe | Recipe] = field(metadata={"about": "training recipes", "source": OURS})
    size: int = field(metadata={"about": "side of the patches, px", "source": CITED})
    selection: Selection = field(metadata={"about": "selection of patches", "source": _SELECTION})
    counts: tuple[int, ...] = field(
        metadata={"about": "images in a set", "source": PRINTED, "tables": ("labelfree_t1", "labelfree_t2")}
    )
    control_counts: tuple[int, ...] = field(
        metadata={"about": "images in random and undistilled sets", "tables": ("labelfree_t1", "labelfree_t2")}
    )
    selection_counts: tuple[int, ...] = field(
        metadata={"about": "images in a set", "source": PRINTED, "tables": ("labelfree_t3",)}
    )
    prior: str = field(metadata={"about": "autoencoder of the diffusion model", "source": CITED})
    prior_recipe: AutoencoderRecipe | None = field(metadata={"about": "training of the autoencoder"})
    transformer: dict = field(metadata={"about": "diffusion model, trained from scratch (empty: DiT-XL/2 for this size)"})
    pretraining: DiffusionRecipe | None = field(metadata={"about": "training from scratch"})
    pretraining_pictures: str = field(metadata={"about": "what it is trained on (empty: the patches)"})
    fine_tuning: FineTuning = field(metadata={"about": "fine-tuning", "source": _FINE_TUNING})
    sampling: Sampling = field(metadata={"about": "sampling", "source": CITED})
    gsdd: FeatureMatching = field(metadata={"about": "GSDD", "tables": ("labelfree_t1",)})

    @property
    def crop(self) -> int:
        """The smallest side that a training picture may have."""
        return self.size

    @property
    def stand_ins(self) -> dict[str, str]:
        """Components of the paper that something small, trained here, stands in for."""
        return {"diffusion": "a small transformer trained here, for DiT-XL/2"} if self.pretraining else {}

    def of_table(self, table: str) -> "LabelFreePlan":
        """The same plan with the students of one table only."""
        chosen = {name: getattr(self, name) for name in ("networks", "recipes_x4")}
        return replace(self, **{
            name: {student: entries[student] for student in STUDENTS[table]} for name, entries in chosen.items()
        })  # fmt: skip

    def rehearsed(self) -> "LabelFreePlan":
        """For a rehearsal, after what ``study.rehearsal.shortened`` does: one image of every class; of a few pictures all
        windows, side by side."""
        one = (self.selection.clusters,)
        chosen = replace(self.selection, quantile=1.0, stride=self.size)
        counts = {"counts": one, "control_counts": one, "selection_counts": one}
        return replace(self, **counts, selection=chosen, gsdd=replace(self.gsdd, most_real=2))

    def recipe(self, network: str, scale: int) -> AdversarialRecipe | Recipe:
        """How a student is trained; raises ValueError for a network or scale without a recipe."""
        return recipe_for(network, scale, {4: self.recipes_x4})

    def deviations(self, table: str = "") -> list[str]:
        """How this plan departs from the paper's, one sentence per field."""
        return departures(self, PAPER.of_table(table) if table else PAPER, table)


# The weight of the high-frequency term is lost; on a small model this one brings samples near the detail of the patches.
_DETAIL = 0.005
# Where the text is silent this follows the authors' code; where both speak and differ, see ``authors_code``.
PAPER = LabelFreePlan(
    train="ost",
    train_side=0,
    # Their code takes no patches from smaller pictures; here no row does, so that all choose from the same ones.
    train_min_side=512,
    tests=(TestSet("ost300", "ost300"),),
    networks={
        "Real-ESRGAN": {"architecture": "RRDBNet"},
        "RealSR": {"architecture": "RRDBNet"},
        # The papers' own sizes; the text names EDSR without one, so this is the large one of its paper.
        "EDSR": {"width": 256, "depth": 32, "residual_scale": 0.1},
        "RCAN": {},
        "SRFormer": {},
        "HiT-SR": {"architecture": "HiTSR"},
    },
    # From a random start: the published ones start from weights that have seen OST. About an hour each, as the paper's.
    recipes_x4={
        "Real-ESRGAN": replace(REAL_ESRGAN, iterations=10_000, warm_up=10_000, batch=12),
        "RealSR": replace(REAL_SR, iterations=20_000, warm_up=20_000),
        "EDSR": Recipe(50_000, 16, 192, lr=1e-4, schedule="cosine"),
        "RCAN": Recipe(30_000, 16, 192, lr=1e-4, schedule="cosine"),
        "SRFormer": Recipe(30_000, 32, 256, lr=5e-4, schedule="cosine"),
        "HiT-SR": Recipe(20_000, 32, 256, lr=5e-4, schedule="cosine"),
    },
    size=512,
    selection=Selection(
        threshold=23.0, stride=256, border=False, measure="published", features="clip", normalise=False
    ),
    counts=(7, 35, 70, 140, 280, 420),
    control_counts=(7, 35, 70, 140, 280, 420),
    selection_counts=(140, 280, 420),
    prior="sd_vae",
    prior_recipe=None,
    transformer={},
    pretraining=None,
    pretraining_pictures="imagenet",
    # 70 epochs at batch 8, as printed, of some four thousand patches; how many there were is not said.
    fine_tuning=FineTuning(DiffusionRecipe(35_000), detail=_DETAIL, crop=16, rows="keep"),
    sampling=Sampling(guidance=4.0, guided_channels=3),
    gsdd=FeatureMatching(iterations=2000, inversion=InversionRecipe(iterations=1000)),
)
_GPU = LabelFreePlan(
    train="sr291",
    train_side=0,
    train_min_side=128,
    tests=(TestSet("set14", "set14"), TestSet("div2k_test16", "div2k_test16", optional=True)),
    networks={
        "Real-ESRGAN": {"architecture": "RRDBNet", "depth": 8}, "RealSR": {"architecture": "RRDBNet", "depth": 8},
        "EDSR": {"width": 64, "depth": 16}, "RCAN": {"groups": 5, "depth": 5}, "SRFormer": {},
        "HiT-SR": {"architecture": "HiTSR"},
    },
    # The profile's LPIPS is AlexNet's: a student trained on the features that judge it would be judged too well.
    recipes_x4={
        "Real-ESRGAN": replace(REAL_ESRGAN, iterations=600, warm_up=600, batch=16, patch=128, perceptual="squeeze",
                               precision="bf16", channels_last=True),
        "RealSR": replace(REAL_SR, iterations=600, warm_up=600, milestones=(), perceptual="squeeze",
                          precision="bf16", channels_last=True),
        "EDSR": Recipe(2000, 16, 128, lr=2e-4, schedule="cosine", precision="bf16", channels_last=True),
        "RCAN": Recipe(1500, 16, 128, lr=2e-4, schedule="cosine", precision="bf16", channels_last=True),
        "SRFormer": Recipe(1000, 16, 128, lr=5e-4, schedule="cosine", precision="bf16"),
        "HiT-SR": Recipe(800, 16, 128, lr=5e-4, schedule="cosine", precision="bf16"),
    },
    size=128,
    selection=Selection(threshold=23.0, stride=32, features="mobilenet_torchvision"),
    counts=(7, 35, 140),
    control_counts=(140,),
    selection_counts=(140,),
    prior="taef2",
    prior_recipe=None,
    transformer={"width": 384, "depth": 12, "heads": 6},
    pretraining=DiffusionRecipe(6000, batch=32, ema=0.999, precision="bf16"),
    pretraining_pictures="",
    fine_tuning=FineTuning(DiffusionRecipe(1000, ema=0.99), detail=_DETAIL, rows="keep"),
    sampling=Sampling(guidance=1.5),
    gsdd=FeatureMatching(iterations=500, inversion=InversionRecipe(iterations=300)),
)  # fmt: skip
_OVER = {"over_bicubic": True}
_DESKTOP = LabelFreePlan(
    train="sr291",
    train_side=0,
    train_min_side=64,
    tests=(
        TestSet("set5", "set5"), TestSet("set14", "set14"),
        TestSet("div2k_test16", "div2k_test16", side=256, optional=True),
    ),
    networks={
        "Real-ESRGAN": {"architecture": "RRDBNet", "width": 24, "depth": 2, "growth": 12} | _OVER,
        "RealSR": {"architecture": "RRDBNet", "width": 24, "depth": 2, "growth": 12} | _OVER,
        "EDSR": {"width": 32, "depth": 4} | _OVER,
        "RCAN": {"width": 32, "groups": 1, "depth": 4, "reduction": 8} | _OVER,
        "SRFormer": {"width": 24, "depths": (2, 2), "heads": 2, "window": 8} | _OVER,
        "HiT-SR": {"architecture": "HiTSR", "width": 24, "groups": 1, "heads": 2, "base": 4, "windows": (4, 8)} | _OVER,
    },
    # On 16 training crops of DIV2K, which are neither trained on nor tested, seed 0. Of the first two the highest SSIM, bicubic
    # 0.5964: Real-ESRGAN 0.6226 at 1e-4 after 3e-3, 0.6083 at 3e-4 and 0.6055 at 1e-3 after 2e-3. RealSR, on the middles of 256
    # px, gain over bicubic of three seeds: 0.032, 0.034, 0.024 at 1e-4 after 1200 steps at 1e-3; 0.021, 0.016, 0.015 at 3e-4
    # and 0.022, 0.011, 0.017 at 1e-3 after the same; 0.017, 0.005, 0.028 at 3e-4 after as many at 2e-3; and 0.012, 0.005, 0.019
    # at 1e-3 after 400 at 2e-3, where LPIPS ends anywhere between 0.31 and 0.54. Of the others the gain over bicubic in dB, at
    # these steps, at rates by factors of two: EDSR 0.88, 0.89, 0.59 at 1e-3, 2e-3, 4e-3; RCAN 0.71, 0.82, 0.74 at the same;
    # SRFormer 0.53, 0.71, 0.78, 0.67 at 1e-3 to 8e-3; HiT-SR 0.72, 0.72, 0.65 at 1.5e-3, 3e-3, 6e-3. A third of the steps gives
    # 0.69, 0.57, 0.41 and 0.40, too little for the transformers to tell sets apart.
    recipes_x4={
        "Real-ESRGAN": replace(REAL_ESRGAN, iterations=100, warm_up=400, batch=4, patch=48, lr=1e-4, warm_up_lr=3e-3, ema=0.95,
                               perceptual="squeeze", discriminator_sizes={"width": 8}, channels_last=True),
        "RealSR": replace(REAL_SR, iterations=100, warm_up=1200, batch=4, patch=48, lr=1e-4, warm_up_lr=1e-3, ema=0.95,
                          milestones=(), perceptual="squeeze", discriminator_sizes={"width": 8, "stages": 3},
                          channels_last=True),
        "EDSR": Recipe(2400, 4, 48, lr=2e-3, schedule="cosine", channels_last=True),
        "RCAN": Recipe(2100, 4, 48, lr=2e-3, schedule="cosine", channels_last=True),
        "SRFormer": Recipe(2700, 4, 64, lr=4e-3, schedule="cosine"),
        "HiT-SR": Recipe(3000, 4, 64, lr=3e-3, schedule="cosine"),
    },
    size=64,
    selection=Selection(threshold=23.0, stride=64, features="mobilenet"),
    counts=(7, 140),
    control_counts=(140,),
    selection_counts=(140,),
    prior="taef2",
    prior_recipe=None,
    transformer={"width": 256, "depth": 6, "heads": 4},
    pretraining=DiffusionRecipe(5000, batch=32, lr=1e-3, ema=0.998, schedule="cosine", warm_up=200),
    pretraining_pictures="imagenette",
    # The lowest total on fixed draws of 448 of the patches after 150 steps, 0.2395 before: 0.2370, 0.2368, 0.2371 at 1e-3, 3e-3
    # and 1e-2.
    fine_tuning=FineTuning(DiffusionRecipe(400, lr=3e-3, ema=0.98), detail=_DETAIL, crop=4, rows="keep"),
    sampling=Sampling(guidance=1.5),
    gsdd=FeatureMatching(iterations=10, lr=0.08, most_real=32, inversion=InversionRecipe(iterations=20, lr=0.05)),
)  # fmt: skip
_LAPTOP = LabelFreePlan(
    train="photos",
    train_side=512,
    train_min_side=0,
    tests=(TestSet("photos", "photos", side=252),),
    networks={
        "Real-ESRGAN": {"architecture": "RRDBNet", "width": 16, "depth": 1, "growth": 8, "over_bicubic": True},
        "RealSR": {"architecture": "RRDBNet", "width": 16, "depth": 1, "growth": 8, "over_bicubic": True},
        "EDSR": {"width": 16, "depth": 2, "over_bicubic": True},
        "RCAN": {"width": 16, "groups": 1, "depth": 3, "reduction": 4, "over_bicubic": True},
        "SRFormer": {"width": 16, "depths": (2,), "heads": 2, "window": 8, "over_bicubic": True},
        "HiT-SR": {"architecture": "HiTSR", "width": 16, "groups": 1, "heads": 2, "base": 4, "windows": (4, 8),
                   "over_bicubic": True},
    },
    # No perceptual loss: it needs weights that have to be fetched. In RealSR, where it outweighs L1 by a hundred, L1 with
    # its weight takes its place.
    recipes_x4={
        # The highest SSIM on 13 pictures of BSDS200, seed 0, bicubic 0.6536, of nine pairs of rates (after, in the warm-up), a
        # third of each, each, and three times each of those tried first: Real-ESRGAN 0.6595 (0.6576 at 1e-3, 3e-3), RealSR
        # 0.6609 (0.6556 at 2e-4, 1.5e-3; 0.6564 at 2e-3, 5e-4).
        "Real-ESRGAN": replace(REAL_ESRGAN, iterations=40, warm_up=100, batch=8, patch=32, lr=1e-3, warm_up_lr=1e-3, ema=0.9,
                               perceptual_weight=0.0, discriminator_sizes={"width": 4}, channels_last=True),
        "RealSR": replace(REAL_SR, iterations=40, warm_up=100, batch=8, patch=32, lr=6e-4, warm_up_lr=5e-4, ema=0.9,
                          milestones=(), l1_weight=1.0, perceptual_weight=0.0,
                          discriminator_sizes={"width": 8, "stages": 3}, channels_last=True),
        # Trained on these photographs, the gain over bicubic on 13 pictures of BSDS200 after 120 steps (EDSR 200), seed 0: EDSR
        # 0.29, 0.31, 0.28 dB at 1e-3, 3e-3, 1e-2; RCAN 0.23, 0.30, 0.02 at the same; SRFormer 0.15, 0.12, 0.05 at 1e-3, 3e-3,
        # 1e-2; HiT-SR 0.05, 0.06, 0.07 at 5e-4, 2e-3, 5e-3.
        "EDSR": Recipe(200, 8, 32, lr=3e-3, schedule="cosine", channels_last=True),
        "RCAN": Recipe(200, 8, 32, lr=3e-3, schedule="cosine", channels_last=True),
        "SRFormer": Recipe(200, 8, 32, lr=1e-3, schedule="cosine"),
        "HiT-SR": Recipe(200, 8, 32, lr=5e-3, schedule="cosine"),
    },
    size=64,
    # 23 dB would leave three pictures out altogether; the paper says that its threshold is the median.
    selection=Selection(quantile=0.5, stride=32, features="hog"),
    counts=(7, 35),
    control_counts=(35,),
    selection_counts=(35,),
    prior="autoencoder",
    prior_recipe=AutoencoderRecipe(iterations=1000),
    transformer={"width": 96, "depth": 2, "heads": 3},
    pretraining=DiffusionRecipe(800, batch=8, lr=4e-3, ema=0.98, schedule="cosine", warm_up=50),
    pretraining_pictures="",
    # The lowest total on fixed draws of the training patches (``fixed_losses``), of six rates from 1e-5 to 1e-2 after 50,
    # 150 and 400 steps: 0.1485 before; 0.1483, 0.1479, 0.1475, 0.1472, 0.1470 and 0.1470 at 1e-5, 1e-4, 3e-4, 1e-3, 3e-3 and
    # 1e-2 after 400. A cosine schedule was no better. The noise loss has nothing left to fall by, as the model was trained on
    # these very patches: 0.1317 before, 0.1316 with that loss alone, 0.1324 here, which is what the detail costs.
    fine_tuning=FineTuning(DiffusionRecipe(200, lr=3e-3, ema=0.98), detail=_DETAIL, rows="keep"),
    sampling=Sampling(guidance=1.5),
    # The lowest distance after these iterations: 0.025, 0.0037, 0.0021 at 0.005, 0.02, 0.08, from 0.071; 0.037 at 0.3.
    gsdd=FeatureMatching(iterations=10, lr=0.08, most_real=32, inversion=InversionRecipe(iterations=12, lr=0.05)),
)  # fmt: skip
_SMOKE = LabelFreePlan(
    train="photos",
    train_side=96,
    train_min_side=0,
    tests=(TestSet("photos", "photos", side=60),),
    networks={
        "Real-ESRGAN": {"architecture": "RRDBNet", "width": 8, "depth": 1, "growth": 4},
        "RealSR": {"architecture": "RRDBNet", "width": 8, "depth": 1, "growth": 4},
        "EDSR": {"width": 8, "depth": 1}, "RCAN": {"width": 8, "groups": 1, "depth": 1, "reduction": 4},
        "SRFormer": {"width": 8, "depths": (1,), "heads": 1, "window": 4},
        "HiT-SR": {"architecture": "HiTSR", "width": 8, "groups": 1, "heads": 1, "base": 2, "windows": (2, 4)},
    },
    recipes_x4={
        "Real-ESRGAN": replace(REAL_ESRGAN, iterations=2, warm_up=1, batch=2, patch=24, perceptual_weight=0.0,
                               discriminator_sizes={"width": 4}),
        "RealSR": replace(REAL_SR, iterations=2, warm_up=1, batch=2, patch=24, perceptual_weight=0.0,
                          discriminator_sizes={"width": 4, "stages": 2}),
        "EDSR": Recipe(2, 2, 24), "RCAN": Recipe(2, 2, 24), "SRFormer": Recipe(2, 2, 24), "HiT-SR": Recipe(2, 2, 24),
    },
    size=32,
    selection=Selection(quantile=0.9, stride=16, features="hog"),
    counts=(7,),
    control_counts=(7,),
    selection_counts=(7,),
    prior="autoencoder",
    prior_recipe=AutoencoderRecipe(iterations=10, width=8, patch=16),
    transformer={"width": 24, "depth": 2, "heads": 1},
    pretraining=DiffusionRecipe(2, batch=4),
    pretraining_pictures="",
    fine_tuning=FineTuning(DiffusionRecipe(2, batch=4), detail=_DETAIL, rows="keep"),
    sampling=Sampling(guidance=1.5, steps=3),
    gsdd=FeatureMatching(iterations=2, inversion=InversionRecipe(iterations=2)),
)  # fmt: skip
PLANS = {"smoke": _SMOKE, "laptop": _LAPTOP, "desktop": _DESKTOP, "gpu": _GPU, "paper": PAPER}
