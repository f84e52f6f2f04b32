"""How a generator is trained against a discriminator: everything that the result depends on besides data, networks and seed."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from srdistill.networks.discriminators import DISCRIMINATORS
from srdistill.training.perceptual_loss import BACKBONES, same_family
from srdistill.training.recipe import decayed


@dataclass(frozen=True)
class AdversarialRecipe:
    """``warm_up`` steps with L1 alone, then ``iterations`` steps with all losses and a discriminator.

    ``patch``: side of the HR crops in px. ``lr``, ``betas``: Adam of both networks, times ``decay`` at each of the
    ``milestones``, which count from the end of the warm-up; before it the generator learns at ``warm_up_lr``. Both
    generators of the paper start from weights trained with L1 on other pictures: the warm-up is what is left of that
    with a random start. The three weights are those of the generator's loss; 0 leaves the loss out, and with
    ``gan_weight`` the discriminator. ``perceptual`` names the perceptual loss. ``gan``: ``vanilla``, or ``relativistic``,
    where real and made pictures are compared with each other's mean. ``sharpen``: L1 and perceptual loss compare with the
    sharpened picture. ``ema``: decay of the averaged weights that are evaluated, 0 for none. ``precision``: ``fp32`` or
    ``bf16`` (autocast).
    """

    iterations: int
    warm_up: int = 0
    batch: int = 16
    patch: int = 128
    lr: float = 1e-4
    warm_up_lr: float = 2e-4
    betas: tuple[float, float] = (0.9, 0.99)
    milestones: tuple[int, ...] = ()
    decay: float = 0.5
    ema: float = 0.0
    l1_weight: float = 1.0
    perceptual_weight: float = 1.0
    gan_weight: float = 0.1
    perceptual: str = "vgg19"
    gan: str = "vanilla"
    discriminator: str = "UNet"
    discriminator_sizes: dict = field(default_factory=dict)
    sharpen: bool = False
    precision: str = "fp32"
    channels_last: bool = False

    def __post_init__(self):
        for name, choices in {
            "perceptual": tuple(BACKBONES),
            "gan": ("vanilla", "relativistic"),
            "discriminator": tuple(DISCRIMINATORS),
            "precision": ("fp32", "bf16"),
        }.items():
            if getattr(self, name) not in choices:
                raise ValueError(f"adversarial recipe: {name} is {getattr(self, name)!r}; it can be {', '.join(choices)}")
        if min(self.iterations, self.batch, self.patch) < 1 or self.warm_up < 0:
            raise ValueError(
                "adversarial recipe: iterations, batch and patch must be 1 or more and warm_up not negative, got "
                f"{self.iterations}, {self.batch}, {self.patch} and {self.warm_up}"
            )
        weights = (self.l1_weight, self.perceptual_weight, self.gan_weight)
        if min(weights) < 0 or not any(weights):
            raise ValueError(f"adversarial recipe: loss weights must not be negative, nor all of them 0, got {weights}")

    @property
    def steps(self) -> int:
        """Steps of the generator in all."""
        return self.warm_up + self.iterations

    def learning_rate(self, step: int) -> float:
        """The rate of step ``step``, from 0 at the start of the warm-up."""
        if step < self.warm_up:
            return self.warm_up_lr
        return decayed(self.lr, self.decay, self.milestones, step - self.warm_up)


def judged_by_its_own_loss(recipes: Mapping[str, object], lpips: str) -> str:
    """What to say under a table whose LPIPS has the backbone ``lpips``, if students (``recipes`` by name) were trained on such
    features; empty if none was. Recipes of another kind have no perceptual loss."""
    found = {
        name: recipe.perceptual
        for name, recipe in recipes.items()
        if isinstance(recipe, AdversarialRecipe) and recipe.perceptual_weight and same_family(recipe.perceptual, lpips)
    }
    if not found:
        return ""
    names = " and ".join(f"{name} ({loss})" for name, loss in found.items())
    return f"LPIPS-{lpips} flatters {names}: trained on features of the network that judges, or of one of its family."


# Real-ESRGAN: options/train_realesrgan_x4plus.yml, with train_realesrnet_x4plus.yml as its warm-up and plain bicubic
# pairs as in finetune_realesrgan_x4plus_pairdata.yml. Four GPUs of 12 pictures.
REAL_ESRGAN = AdversarialRecipe(
    iterations=400_000, warm_up=1_000_000, batch=48, patch=256, ema=0.999, gan_weight=0.1, gan="vanilla",
    perceptual="vgg19", discriminator="UNet", sharpen=True,
)  # fmt: skip
# RealSR: codes/options/df2k/train_bicubic_noise.yml; there, L1 is taken of the first three pictures of the batch (meant
# were its channels) with weights 0.02, 0.01 and 0.01. Its start, RRDB_PSNR_x4, was trained for 1M steps.
REAL_SR = AdversarialRecipe(
    iterations=60_001, warm_up=1_000_000, batch=16, patch=128, betas=(0.9, 0.999), milestones=(5_000, 10_000, 20_000, 30_000),
    l1_weight=0.01, gan_weight=0.005, gan="relativistic", perceptual="vgg19-conv5_4", discriminator="VGG",
)  # fmt: skip
