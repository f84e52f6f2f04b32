"""How large a run of Dietz et al.'s tables is in each profile: pictures, students, matching, generator."""

from dataclasses import dataclass, field

from srdistill.papers.dietz.settings import LatentMatching, Matching, Rate
from srdistill.priors.autoencoder import AutoencoderRecipe
from srdistill.priors.inversion_recipe import InversionRecipe
from srdistill.study.settings import CITED, PRINTED, TestSet, departures, recipe_for
from srdistill.training.recipe import Recipe

# The tables that images made from codes have a part in.
_LATENT = ("dietz_t4", "dietz_t5")


# Where the settings of the methods at the paper's scale are from; what is not named is a choice of ours.
_LATENT_MATCHING = {"scale": PRINTED} | dict.fromkeys(("momentum", "distance", "crop", "step", "batch_real"), CITED)
_MATCHING = _LATENT_MATCHING | {"iterations": CITED}
_INVERSION = dict.fromkeys(("loss", "iterations", "lr", "tuning_iterations"), CITED)


@dataclass(frozen=True)
class DietzPlan:
    """Everything that the size of a run depends on, beside the profile. ``tables`` of a field: where it matters, all of them
    if it has none. Sizes of images in px."""

    train: str = field(metadata={"about": "training pictures", "source": PRINTED})
    train_side: int = field(metadata={"about": "central crop of each training picture, px (0: whole)", "source": PRINTED})
    train_min_side: int = field(metadata={"about": "training pictures smaller than this are left out, px", "source": CITED})
    source_pictures: int = field(metadata={"about": "pictures that sets are made of (0: all)", "source": PRINTED})
    tests: tuple[TestSet, ...] = field(metadata={"about": "test sets", "source": PRINTED})
    networks: dict[str, dict] = field(metadata={"about": "students", "source": PRINTED})
    recipes: dict[str, Recipe] = field(metadata={"about": "training recipes", "source": {"EDSR": CITED}})
    recipes_x4: dict[str, Recipe] = field(
        metadata={"about": "training recipes at x4", "source": CITED, "tables": ("dietz_t5",)}
    )
    size: int = field(metadata={"about": "side of the synthetic images, px", "source": PRINTED})
    matching_network: dict = field(metadata={"about": "matching network", "source": PRINTED})
    matching: Matching = field(metadata={"about": "matching", "source": _MATCHING})
    rates: dict[str, Rate] = field(metadata={"about": "optimiser and rate of the images", "source": CITED})
    iterations_ipc10: int = field(metadata={"about": "distillation iterations at IPC 10"})
    prior: str = field(metadata={"about": "generator", "source": PRINTED, "tables": _LATENT})
    prior_recipe: AutoencoderRecipe | None = field(metadata={"about": "training of the generator", "tables": _LATENT})
    latent_size: int = field(metadata={"about": "side of the images made from codes, px", "source": PRINTED, "tables": _LATENT})
    inversion: InversionRecipe = field(metadata={"about": "GAN inversion", "source": _INVERSION, "tables": _LATENT})
    perceptual: str = field(
        metadata={"about": "perceptual distance in the published inversion", "source": CITED, "tables": _LATENT}
    )
    latent: LatentMatching = field(metadata={"about": "latent distillation", "source": _LATENT_MATCHING, "tables": _LATENT})

    def rate(self, start: object) -> Rate:
        """What moves images from ``noise`` or ``downscaled`` pictures, or against a ``trained`` network; any other start
        counts as downscaled pictures."""
        return self.rates[start if isinstance(start, str) and start in self.rates else "downscaled"]

    @property
    def crop(self) -> int:
        """The smallest side that a training picture may have."""
        return self.matching.crop

    @property
    def stand_ins(self) -> dict[str, str]:
        """Components of the paper that something small stands in for."""
        small = "an autoencoder trained here" if self.prior_recipe else "TAEF2's decoder"
        return {} if self.prior == PAPER.prior else {"generator": f"{small}, for StyleGAN-XL"}

    def of_table(self, table: str) -> "DietzPlan":
        """The plan is the same for all tables."""
        return self

    def recipe(self, network: str, scale: int) -> Recipe:
        """How a student is trained; raises ValueError for a network or scale without a recipe."""
        return recipe_for(network, scale, {2: self.recipes, 4: self.recipes_x4})

    def deviations(self, table: str = "") -> list[str]:
        """How this plan departs from the paper's in what ``table`` depends on (empty: any), one sentence per field."""
        return departures(self, PAPER, table)


_FULL_NETWORKS = {"SRCNN": {}, "VDSR": {}, "EDSR": {}}
PAPER = DietzPlan(
    train="div2k",
    train_side=0,
    train_min_side=480,
    source_pictures=0,
    tests=(TestSet("set5", "set5"), TestSet("set14", "set14"), TestSet("div2k", "div2k_valid")),
    networks=_FULL_NETWORKS,
    # EDSR as BasicSR's train_EDSR_Mx2.yml; the paper does not give the other two, see protocols in the README.
    recipes={
        "SRCNN": Recipe(300_000, 16, 96, loss="mse", lr=1e-4, compile=True, channels_last=True),
        "VDSR": Recipe(300_000, 16, 96, loss="mse", lr=1e-4, clip_norm=0.4, compile=True, channels_last=True),
        "EDSR": Recipe(300_000, 16, 96, lr=1e-4, schedule="steps", milestones=(200_000,), ema=0.999, compile=True,
                       channels_last=True),
    },
    # As BasicSR's train_EDSR_Mx4.yml, but from scratch, as the paper's numbers suggest.
    recipes_x4={
        "EDSR": Recipe(300_000, 16, 192, lr=1e-4, schedule="steps", milestones=(200_000,), ema=0.999, compile=True,
                       channels_last=True),
    },
    size=192,
    matching_network={"architecture": "SRCNN"},
    matching=Matching(iterations=1000, crop=480, step=240, batch_real=256),
    # GLaD's; the paper names none.
    rates=dict.fromkeys(("downscaled", "noise", "trained"), Rate("sgd", 1.0)),
    # At initialisation only, as at IPC 1; DC matches 10 times along each of 1000 networks, and trains 50 steps between.
    iterations_ipc10=1000,
    # Iterations and rate of StyleGAN-XL's own inversion, which the paper cuts down and does not say to what. That one has one
    # w for all layers (W) and tunes a generator per picture; here each layer has its own (W+), and one generator serves all.
    prior="stylegan_xl",
    prior_recipe=None,
    latent_size=512,
    inversion=InversionRecipe(iterations=1000, lr=0.1, tuning_iterations=350),
    perceptual="vgg",
    # GLaD has SGD, at 1 for features F_n and at 0.001 for w; Adam at 0.001 on all of W+ is ours.
    latent=LatentMatching(iterations=1000, lr=0.001, crop=480, step=240, batch_real=256),
)  # fmt: skip
_GPU = DietzPlan(
    train="sr291",
    train_side=0,
    train_min_side=96,
    source_pictures=0,
    tests=(TestSet("set5", "set5"), TestSet("set14", "set14"), TestSet("div2k_test16", "div2k_test16", optional=True)),
    networks=_FULL_NETWORKS,
    recipes={
        "SRCNN": Recipe(3000, 16, 64, loss="mse", lr=1e-3, schedule="cosine", precision="bf16", channels_last=True),
        "VDSR": Recipe(2000, 16, 64, loss="mse", lr=5e-4, schedule="cosine", clip_norm=0.4, precision="bf16",
                       channels_last=True),
        "EDSR": Recipe(2000, 16, 64, lr=4e-4, schedule="cosine", precision="bf16", channels_last=True),
    },
    recipes_x4={"EDSR": Recipe(2000, 16, 64, lr=4e-4, schedule="cosine", precision="bf16", channels_last=True)},
    size=64,
    matching_network={"architecture": "SRCNN"},
    matching=Matching(iterations=300, crop=96, step=48, batch_real=16),
    # Not yet chosen by the rule of ``choose_rates``, which has to run on a GPU.
    rates=dict.fromkeys(("downscaled", "noise", "trained"), Rate("adam", 0.001)),
    iterations_ipc10=60,
    prior="taef2",
    prior_recipe=None,
    latent_size=96,  # no more, or the smallest of the 291 would have to go
    inversion=InversionRecipe(iterations=200, tuning_iterations=100),
    perceptual="alex",
    latent=LatentMatching(iterations=300, lr=0.003, crop=96, step=48, batch_real=16),
)  # fmt: skip
_DESKTOP = DietzPlan(
    train="sr291",
    train_side=0,
    train_min_side=0,
    source_pictures=100,
    tests=(
        TestSet("set5", "set5"), TestSet("set14", "set14"),
        TestSet("div2k_test16", "div2k_test16", side=256, optional=True),
    ),
    networks={
        "SRCNN": {"kernels": (9, 1, 5), "identity": True}, "VDSR": {"width": 32, "depth": 6},
        "EDSR": {"width": 32, "depth": 4, "over_bicubic": True},
    },
    # The gain over bicubic on 16 training crops of DIV2K, which are neither trained on nor tested, seed 0. SRCNN: 0.83 dB
    # after 1000 steps, 1.03 after 2000; from the usual start 0.27 after 3000 of 3e-3, -2.5 at 8e-3. VDSR: 1.17 at 1e-3, 1.14
    # at 2e-3, 1.03 in half as many steps of twice the batch. EDSR: 1.45 at 1e-3, 1.68 at 2e-3; 1.10 in batches of 8 at 1e-3;
    # 0.45 if it does not start from bicubic.
    recipes={
        "SRCNN": Recipe(1500, 4, 32, loss="mse", lr=1e-3, schedule="cosine", channels_last=True),
        "VDSR": Recipe(700, 4, 32, lr=1e-3, schedule="cosine", channels_last=True),
        "EDSR": Recipe(600, 4, 32, lr=2e-3, schedule="cosine", channels_last=True),
    },
    # In the same way: 0.67 dB, 0.64 at 1e-3 and patches of 64 px.
    recipes_x4={"EDSR": Recipe(800, 4, 48, lr=2e-3, schedule="cosine", channels_last=True)},
    size=48,
    matching_network={"architecture": "SRCNN", "kernels": (9, 1, 5), "widths": (16, 8)},
    matching=Matching(iterations=40, crop=96, step=96, batch_real=4),
    # By the rule of ``choose_rates``, with 12 of the pictures and sub-images every 192 px; distances at the start and with sgd
    # 0.1, sgd 1, sgd 10, adam 0.001, adam 0.003, adam 0.01: from downscaled pictures 4.50: 4.32, 4.69, 6.53, 4.38, 4.28, 4.42;
    # from noise 7.66: 7.11, 5.87, 6.23, 7.48, 7.11, 6.53; against a trained network, on others trained alike, 58.18: 46.29,
    # 46.30, 53.26, 46.10, 42.35, 41.33.
    rates={"downscaled": Rate("sgd", 0.1), "noise": Rate("sgd", 1.0), "trained": Rate("adam", 0.01)},
    iterations_ipc10=10,
    prior="taef2",
    prior_recipe=None,
    latent_size=64,
    inversion=InversionRecipe(iterations=20, tuning_iterations=10),
    perceptual="alex",
    # By the same rule, 55.68 at the start: 43.29, 44.23, 62.65, 54.67, 52.80, 48.78.
    # A step of 96 px, without gaps, takes a network that stays six minutes for its gradients on all flips of the real pictures.
    latent=LatentMatching(iterations=15, optimizer="sgd", lr=0.1, crop=96, step=256, batch_real=4),
)  # fmt: skip
_LAPTOP = DietzPlan(
    train="photos",
    train_side=512,
    train_min_side=0,
    source_pictures=0,
    tests=(TestSet("photos", "photos", side=252),),
    networks={
        "SRCNN": {"widths": (16, 8), "identity": True}, "VDSR": {"width": 16, "depth": 4},
        "EDSR": {"width": 16, "depth": 2, "over_bicubic": True},
    },
    recipes={
        # Trained on these photographs, the gain over bicubic on 13 pictures of BSDS200, seed 0: SRCNN 0.39 dB, VDSR 0.38, EDSR
        # 0.80; at x4 0.35. SRCNN at 1e-3 loses up to half of its channels; VDSR at 2e-3 gains 0.18 dB, at 5e-3 nothing; EDSR
        # that does not start from bicubic 0.05.
        "SRCNN": Recipe(500, 4, 32, loss="mse", lr=3e-4, schedule="cosine"),
        "VDSR": Recipe(250, 8, 32, lr=1e-3, schedule="cosine", channels_last=True),
        "EDSR": Recipe(250, 8, 32, lr=5e-3, schedule="cosine", channels_last=True),
    },
    recipes_x4={"EDSR": Recipe(200, 8, 48, lr=5e-3, schedule="cosine", channels_last=True)},
    size=64,
    matching_network={"architecture": "SRCNN", "widths": (16, 8)},
    matching=Matching(iterations=40, crop=128, step=128, batch_real=4),
    # By the rule of ``choose_rates``, distances at the start and with sgd 0.1, sgd 1, sgd 10, adam 0.001, adam 0.003, adam
    # 0.01: from downscaled pictures 4.26: 4.07, 4.24, 5.22, 4.24, 4.19, 4.11; from noise 7.17: 6.79, 5.44, 5.21, 7.02, 6.66,
    # 6.11; against a trained network, on others trained alike, 11.74: 9.68, 11.47, 14.73, 8.41, 7.30, 8.35.
    rates={"downscaled": Rate("sgd", 0.1), "noise": Rate("sgd", 10.0), "trained": Rate("adam", 0.003)},
    iterations_ipc10=10,
    prior="autoencoder",
    prior_recipe=AutoencoderRecipe(iterations=800),
    latent_size=128,
    inversion=InversionRecipe(iterations=40, tuning_iterations=20),
    perceptual="",
    # By the same rule, 10.83 at the start: 8.05, 9.24, 10.76, 9.26, 8.22, 7.22.
    latent=LatentMatching(iterations=20, lr=0.01, crop=128, step=128, batch_real=4),
)  # fmt: skip
_SMOKE = DietzPlan(
    train="photos",
    train_side=96,
    train_min_side=0,
    source_pictures=0,
    tests=(TestSet("photos", "photos", side=60),),
    networks={
        "SRCNN": {"widths": (8, 4), "identity": True}, "VDSR": {"width": 8, "depth": 3}, "EDSR": {"width": 8, "depth": 1},
    },
    recipes={
        "SRCNN": Recipe(4, 2, 24, loss="mse", lr=1e-3), "VDSR": Recipe(4, 2, 24, lr=1e-3), "EDSR": Recipe(4, 2, 24, lr=1e-3),
    },
    recipes_x4={"EDSR": Recipe(4, 2, 24, lr=1e-3)},
    size=32,
    matching_network={"architecture": "SRCNN", "widths": (4, 4)},
    matching=Matching(iterations=3, crop=48, step=48, batch_real=2),
    rates=dict.fromkeys(("downscaled", "noise", "trained"), Rate("adam", 0.003)),
    iterations_ipc10=1,
    prior="autoencoder",
    prior_recipe=AutoencoderRecipe(iterations=10, width=8, patch=16),
    latent_size=48,
    inversion=InversionRecipe(iterations=2, tuning_iterations=1),
    perceptual="",
    latent=LatentMatching(iterations=3, lr=0.003, crop=48, step=48, batch_real=2),
)  # fmt: skip
PLANS = {"smoke": _SMOKE, "laptop": _LAPTOP, "desktop": _DESKTOP, "gpu": _GPU, "paper": PAPER}
