"""How large a run of the beyond tables is in each profile: pictures, budgets, tiles, students."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from srdistill.papers.beyond.labels import COVERAGE, SMALLER, STRONGEST
from srdistill.papers.beyond.selecting.pyramid_coverage import Coverage
from srdistill.papers.beyond.shaping.refined import Refining
from srdistill.study.settings import TestSet, departures, recipe_for
from srdistill.training.recipe import Recipe


@dataclass(frozen=True)
class BeyondPlan:
    """Everything that the size of such a run depends on, beside the profile.

    ``budget``: the share of all pixels that the tables' sets have; ``budgets``: those that table 2 compares. ``tile``: side of
    tiles; ``small``: of the smaller ones, px. ``share``: how much of an image's detail its coding may cost where bytes are
    compared. ``most``: the largest share of the pixels, which one row has; ``clean``: training pictures of one table.
    """

    train: str = field(metadata={"about": "training pictures"})
    train_side: int = field(metadata={"about": "central crop of each training picture, px (0: whole)"})
    train_min_side: int = field(metadata={"about": "training pictures smaller than this are left out, px"})
    tests: tuple[TestSet, ...] = field(metadata={"about": "test sets"})
    networks: Mapping[str, dict] = field(metadata={"about": "students"})
    recipes: Mapping[str, Recipe] = field(metadata={"about": "training recipes"})
    recipes_x4: Mapping[str, Recipe] = field(metadata={"about": "training recipes at x4", "tables": ("beyond_t3", "beyond_t9")})
    budget: float = field(metadata={"about": "share of all pixels"})
    budgets: tuple[float, ...] = field(metadata={"about": "shares of all pixels", "tables": ("beyond_t2", "beyond_t10")})
    tile: int = field(metadata={"about": "side of tiles, px"})
    small: int = field(metadata={"about": "side of smaller tiles, px"})
    share: float = field(metadata={"about": "share of detail that coding may cost", "tables": ("beyond_t5",)})
    ways: bool = field(metadata={"about": "other ways of each candidate", "tables": ("beyond_t6",)})
    compared: tuple[str, ...] = field(
        metadata={"about": "what other tables compare", "tables": ("beyond_t2", "beyond_t3", "beyond_t4")}
    )
    coverage: Coverage = field(metadata={"about": "pyramid coverage"})
    longer: int = field(metadata={"about": "times the steps that full data has once more"})
    most: float = field(metadata={"about": "share of all pixels where it is largest", "tables": ("beyond_t7", "beyond_t12")})
    clean: str = field(metadata={"about": "training pictures that were never JPEG files", "tables": ("beyond_t12",)})
    refining: Refining = field(metadata={"about": "refinement", "tables": ("beyond_t7",)})

    def __post_init__(self):
        largest = max(recipe.patch for recipe in (*self.recipes.values(), *self.recipes_x4.values()))
        if not largest <= self.small <= self.tile:
            raise ValueError(f"crops of {largest} px, small tiles of {self.small}, tiles of {self.tile}: each must fit in")

    @property
    def stand_ins(self) -> dict[str, str]:
        """Nothing here stands in for another component."""
        return {}

    @property
    def crop(self) -> int:
        """The smallest side that a training picture may have."""
        return self.tile

    def of_table(self, table: str) -> "BeyondPlan":
        """The plan is the same for all tables but one, whose training pictures are others."""
        return replace(self, train=self.clean) if table == CLEAN_TABLE else self

    def recipe(self, network: str, scale: int) -> Recipe:
        """How a student is trained; raises ValueError for a network or scale without a recipe."""
        return recipe_for(network, scale, {2: self.recipes, 4: self.recipes_x4})

    def deviations(self, table: str = "") -> list[str]:
        """How this plan departs from the largest one in what ``table`` depends on (empty: any), one sentence per field."""
        return departures(self, PLANS["paper"].of_table(table), table)


# The table that is about pictures without traces of compression.
CLEAN_TABLE = "beyond_t12"
_OVER = {"over_bicubic": True}
_NETWORKS = {
    "SRCNN": {"kernels": (9, 1, 5), "identity": True},
    "EDSR 4 x 16": {"architecture": "EDSR", "width": 16, "depth": 4} | _OVER,
    "FSRCNN": _OVER,
    "EDSR 8 x 32": {"architecture": "EDSR", "width": 32, "depth": 8} | _OVER,
    "RCAN": {"width": 32, "groups": 1, "depth": 4, "reduction": 8} | _OVER,
    "SRFormer": {"width": 24, "depths": (2,), "heads": 2, "window": 8} | _OVER,
}
# By one rule: trained on BSDS200, 800 steps at x2, at rates by factors of two, the largest mean gain on pictures of T91 and on
# DIV2K's training crops; where two were near, 2500 steps of both. Gains in dB, best and next:
#   SRCNN        1.06 at 5e-4   1.05 at 1e-3    (2500 steps)
#   EDSR 4 x 16  1.80 at 4e-3   1.63 at 2e-3
#   FSRCNN       1.55 at 1e-3   1.38 at 5e-4    (2500 steps)
#   EDSR 8 x 32  1.97 at 2e-3   1.91 at 1e-3
#   RCAN         1.73 at 2e-3   1.40 at 1e-3
#   SRFormer     1.20 at 8e-3   1.00 at 4e-3
_RATES = {"SRCNN": 5e-4, "EDSR 4 x 16": 4e-3, "FSRCNN": 1e-3, "EDSR 8 x 32": 2e-3, "RCAN": 2e-3, "SRFormer": 8e-3}


def _recipes(iterations: int, patch: int, rates: Mapping[str, float] = _RATES) -> dict[str, Recipe]:
    return {
        name: Recipe(iterations, 8, patch, lr=lr, schedule="cosine", channels_last=name != "SRFormer")
        for name, lr in rates.items()
    }


# Small, and of an architecture that refining does not match gradients of.
_JUDGE = {"architecture": "RCAN", "width": 16, "groups": 1, "depth": 2, "reduction": 4, "over_bicubic": True}
_SR291 = {
    "train": "sr291", "train_side": 0, "train_min_side": 96,
    "tests": (
        TestSet("set5", "set5"), TestSet("set14", "set14"),
        TestSet("div2k_test16", "div2k_test16", side=256, optional=True),
    ),
}  # fmt: skip
_DESKTOP = BeyondPlan(
    **_SR291, networks=_NETWORKS, recipes=_recipes(2500, 32), recipes_x4=_recipes(2500, 32), budget=0.01,
    budgets=(0.003, 0.03), tile=96, small=40, share=0.05, ways=True, compared=STRONGEST, coverage=Coverage(), longer=4,
    most=0.09, clean="div2k_train16",
    refining=Refining(_JUDGE, Recipe(300, 8, 32, lr=2e-3, schedule="cosine", channels_last=True)),
)  # fmt: skip
_GPU = replace(_DESKTOP, recipes=_recipes(20_000, 48), recipes_x4=_recipes(20_000, 48), small=64)
_PAPER = replace(
    _GPU, train="div2k", train_min_side=480, tests=(TestSet("set5", "set5"), TestSet("set14", "set14"),
    TestSet("div2k", "div2k_valid")), recipes=_recipes(300_000, 96), recipes_x4=_recipes(300_000, 96), tile=256, small=128,
    clean="div2k",
)  # fmt: skip
_LAPTOP = replace(
    _DESKTOP, train="photos", train_side=512, train_min_side=0, tests=(TestSet("photos", "photos", side=168),),
    recipes=_recipes(40, 32), recipes_x4=_recipes(40, 32), budget=0.05, budgets=(0.1,), tile=64, small=40,
    ways=False, compared=(SMALLER, COVERAGE), coverage=Coverage(stride=32), longer=2,
    most=0.3, clean="photos", refining=Refining(_JUDGE, Recipe(20, 8, 32, lr=2e-3, schedule="cosine"), rounds=2, steps=4),
)  # fmt: skip
_SMOKE = replace(
    _LAPTOP, train_side=96, tests=(TestSet("photos", "photos", side=60),), recipes=_recipes(4, 24),
    recipes_x4=_recipes(4, 24), budget=0.15, budgets=(0.25,), tile=32, small=24, ways=True, compared=STRONGEST,
    coverage=Coverage(stride=16), most=0.4, refining=Refining(_JUDGE, Recipe(2, 4, 24), rounds=1, steps=2),
    networks={
        "SRCNN": {"widths": (8, 4), "identity": True},
        "EDSR 4 x 16": {"architecture": "EDSR", "width": 4, "depth": 1} | _OVER,
        "FSRCNN": {"width": 8, "narrow": 4, "depth": 1} | _OVER,
        "EDSR 8 x 32": {"architecture": "EDSR", "width": 8, "depth": 1} | _OVER,
        "RCAN": {"width": 8, "groups": 1, "depth": 1, "reduction": 4} | _OVER,
        "SRFormer": {"width": 8, "depths": (1,), "heads": 2, "window": 4} | _OVER,
    },
)  # fmt: skip
PLANS = {"smoke": _SMOKE, "laptop": _LAPTOP, "desktop": _DESKTOP, "gpu": _GPU, "paper": _PAPER}
