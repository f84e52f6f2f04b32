"""What is done to a patch in every epoch: the rows of the coreset paper's ablation (table 4)."""

from dataclasses import dataclass

from srdistill.diffusion.schedule import StrengthError, denoising_steps


@dataclass(frozen=True)
class Expansion:
    """``rho``: share of the noise to start from (``denoising_steps``). ``anchored``: start from the patch; False: from noise
    and the class alone, which needs rho = 1. ``fresh``: another seed in every epoch; False: the same picture again and again.
    ``mixup``: range of gamma, the patch's own share in a mix with another one of its class (``mix_latents``); None: no mixup.

    Raises StrengthError for a rho outside (0, 1], ValueError for settings that contradict each other.
    """

    rho: float = 0.8
    anchored: bool = True
    fresh: bool = True
    mixup: tuple[float, float] | None = None

    def __post_init__(self):
        denoising_steps(1000, self.rho)
        if not self.anchored and self.rho != 1:
            raise StrengthError(f"without a patch there is nothing to keep: rho is 1, got {self.rho:g}")
        if self.mixup is not None:
            object.__setattr__(self, "mixup", tuple(self.mixup))
            if len(self.mixup) != 2 or not 0 <= self.mixup[0] <= self.mixup[1] <= 1:
                raise ValueError(f"mixup is a range of shares in [0, 1], got {self.mixup}; (0.5, 1) keeps the patch in front")
            if not self.anchored:
                raise ValueError("mixup mixes patches, but none is used (anchored=False); leave one of the two out")


# By the names of the rows. That "superres" has one picture per patch is our reading of "super-resolution with minimal
# augmentation": another seed would bring in the variation that the next row is about.
ABLATION = {
    "text": Expansion(rho=1.0, anchored=False),
    "superres": Expansion(rho=0.5, fresh=False),
    "superres+aug": Expansion(rho=0.8),
    "superres+aug+mixup": Expansion(rho=0.8, mixup=(0.5, 1.0)),
}
